variable "user_pool_id" {
  type        = string
  description = "ID of the existing user pool."
  nullable    = false
}

variable "user_pool_arn" {
  type        = string
  description = "ARN of the existing user pool."
  nullable    = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to sync."
  nullable    = false
}

variable "table_arn" {
  type        = string
  description = "ARN of the user table."
  nullable    = false
}

variable "write_actions" {
  type        = list(string)
  description = "IAM actions on the table for functions that write items."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key of an existing table; null for none."
  default     = null
}

variable "sync_groups" {
  type        = bool
  description = "Whether items have the groups of their users."
  nullable    = false
}

variable "environment" {
  type        = map(string)
  description = "Environment variables of the functions that use the pool or the table. settings.py reads them."
  nullable    = false
}

variable "welcome_email" {
  description = "Variable `welcome_email` of the root module, with the content of the templates; null for no welcome email."
  type = object({
    from              = string
    subject           = string
    text              = string
    html              = string
    reply_to          = optional(string)
    configuration_set = optional(string)
    region            = optional(string)
    identity_arn      = optional(string)
    app_client_ids    = set(string)
    verified_only     = bool
  })
  default = null
}

variable "welcome_email_package" {
  description = "Zip file with the welcome email, from the module package; null for no welcome email."
  type = object({
    filename         = optional(string)
    s3_bucket        = optional(string)
    s3_key           = optional(string)
    source_code_hash = string
  })
  default = null
}

variable "settings" {
  description = "Settings that all functions and state machines of a deployment have in common."
  type = object({
    prefix     = string
    partition  = string
    region     = string
    account_id = string
    dns_suffix = string
    package = object({
      filename         = optional(string)
      s3_bucket        = optional(string)
      s3_key           = optional(string)
      source_code_hash = string
    })
    runtime      = string
    memory_mb    = number
    architecture = string
    vpc_config = optional(object({
      subnet_ids         = set(string)
      security_group_ids = set(string)
    }))
    kms_key_arn              = optional(string)
    log_group_class          = string
    previous_kms_key_arns    = list(string)
    log_retention_days       = number
    role_path                = string
    permissions_boundary_arn = optional(string)
    tracing                  = bool
    tags                     = map(string)
  })
  nullable = false
}
