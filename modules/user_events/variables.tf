variable "event_bus_arn" {
  type        = string
  description = "ARN of the EventBridge event bus."
  nullable    = false
}

variable "user_pool_id" {
  type        = string
  description = "ID of the user pool, which the items have."
  nullable    = false
}

variable "user_pool_id_attribute" {
  type        = string
  description = "Name of the attribute with the ID of the user pool."
  nullable    = false
}

variable "table_arn" {
  type        = string
  description = "ARN of the user table, without a dependency on the table."
  nullable    = false
}

variable "stream_arn" {
  type        = string
  description = "ARN of the table's stream."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key of an existing table; null for none."
  default     = null
}

variable "environment" {
  type        = map(string)
  description = "Environment variables of the functions that use the pool or the table. settings.py reads them."
  nullable    = false
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
