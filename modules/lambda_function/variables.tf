variable "name" {
  type        = string
  description = "Name of the function, its role and its log group, without the prefix."
  nullable    = false
}

variable "description" {
  type        = string
  description = "Description of the function in the Lambda console."
  nullable    = false
}

variable "handler" {
  type        = string
  description = "Name of the handler's file in lambda_src/cognito_user_sync/handlers, without .py."
  nullable    = false
}

variable "timeout_seconds" {
  type        = number
  description = "Timeout of an invocation in seconds."
  nullable    = false
}

variable "reserved_concurrency" {
  type        = number
  description = "Reserved concurrent executions; null for none."
  default     = null
}

variable "environment" {
  type        = map(string)
  description = "Environment variables. settings.py reads them."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key of an existing table that the function uses; null for none."
  default     = null
}

variable "encrypts" {
  type        = bool
  description = "Allow the function to encrypt data with kms_key_arn, because it sends messages or starts executions."
  default     = false
  nullable    = false
}

variable "layer_arn" {
  type        = string
  description = "ARN of a layer version; null for none."
  default     = null
}

variable "policy_json" {
  type        = string
  description = "IAM policy of the function, without the permission to write its log."
  nullable    = false
}

variable "settings" {
  description = "Settings that all functions of a deployment have in common."
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
