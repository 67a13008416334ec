variable "user_pool" {
  description = "Existing user pool."
  type = object({
    id  = string
    arn = string
  })
  nullable = false
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

variable "first_sign_in_state_machine_arn" {
  type        = string
  description = "ARN of the state machine that syncs an invited user and sends the welcome email after the first sign-in; null for none."
  default     = null
}

variable "reconciliation" {
  type = object({
    state_machine_arn = string
    dry_run           = bool
  })
  description = "The reconciliation, which starts after a group was deleted, with sync_groups, and whether its runs only count what they would write; null for none."
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
