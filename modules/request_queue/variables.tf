variable "name" {
  type        = string
  description = "Name of the queue after the prefix; the dead-letter queue's is `<name>-dead-letter`."
  nullable    = false
}

variable "function" {
  description = "The function that handles the messages; handler is a file name (without .py) under lambda_src/cognito_user_sync/handlers, and encrypts says whether it encrypts data with kms_key_arn."
  type = object({
    name            = string
    description     = string
    handler         = string
    timeout_seconds = number
    encrypts        = bool
  })
  nullable = false
}

variable "environment" {
  type        = map(string)
  description = "Environment variables of the function."
  nullable    = false
}

variable "policy_json" {
  type        = string
  description = "What the function may do besides reading the queue."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "Key of an existing table that the function reads or writes; null for none."
  default     = null
}

variable "sender_rule_arn" {
  type        = string
  description = "EventBridge rule that alone may send to the queue, and to its dead-letter queue what it cannot deliver; null for none."
  default     = null
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
