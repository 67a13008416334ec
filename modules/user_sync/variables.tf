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
  description = "Actions on the table of a function that writes items."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "Key of an existing table; null if it has none."
  default     = null
}

variable "environment" {
  type        = map(string)
  description = "What the functions that read the pool, or read or write the table, read in settings.py."
  nullable    = false
}

variable "welcome_email" {
  description = "The root's variable `welcome_email`, with the templates' content; null for no welcome."
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
  description = "The zip that holds the welcome email; null for no welcome."
  type = object({
    filename         = optional(string)
    s3_bucket        = optional(string)
    s3_key           = optional(string)
    source_code_hash = string
  })
  default = null
}

variable "settings" {
  description = "What all functions and state machines of a deployment share."
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
