variable "name" {
  type        = string
  description = "Name of the queue, without the prefix. The dead-letter queue is `<name>-dead-letter`."
  nullable    = false
}

variable "function" {
  description = "Function that processes the messages: arguments of the module lambda_function."
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
  description = "IAM policy of the function, without the permission to read the queue."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key of an existing table that the function uses; null for none."
  default     = null
}

variable "sender_rule_arn" {
  type        = string
  description = "ARN of the EventBridge rule that sends to the queue, and no other sender can; null if functions send to it. The rule sends undeliverable events to the dead-letter queue."
  default     = null
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
