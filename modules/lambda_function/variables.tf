variable "name" {
  type        = string
  description = "Name of the function after the prefix, and of its role and its log group."
  nullable    = false
}

variable "description" {
  type        = string
  description = "What the function does, for whoever finds it in the console."
  nullable    = false
}

variable "handler" {
  type        = string
  description = "File name (without .py) under lambda_src/cognito_user_sync/handlers."
  nullable    = false
}

variable "timeout_seconds" {
  type        = number
  description = "How long one invocation may run."
  nullable    = false
}

variable "reserved_concurrency" {
  type        = number
  description = "Invocations at once that are set aside for this function; null for none."
  default     = null
}

variable "environment" {
  type        = map(string)
  description = "Environment variables; settings.py says which the handler reads."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "Key of an existing table that the function reads or writes; null if it has none."
  default     = null
}

variable "encrypts" {
  type        = bool
  description = "Whether the function puts data into what kms_key_arn encrypts: a queue, an execution."
  default     = false
  nullable    = false
}

variable "layer_arn" {
  type        = string
  description = "Version of the function's layer; null for none."
  default     = null
}

variable "policy_json" {
  type        = string
  description = "What the function may do besides writing its own log."
  nullable    = false
}

variable "settings" {
  description = "What all functions of a deployment share."
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
