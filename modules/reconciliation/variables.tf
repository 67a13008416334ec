variable "user_pool" {
  description = "Existing user pool."
  type = object({
    id  = string
    arn = string
  })
  nullable = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to sync. A change starts a run."
  nullable    = false
}

variable "table_name" {
  type        = string
  description = "Name of the user table, known at plan. A change starts a run."
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

variable "written" {
  type        = string
  description = "Names and templates of the items, known at plan. A change starts a run."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "ARN of the KMS key of an existing table; null for none."
  default     = null
}

variable "has_shard_index" {
  type        = bool
  description = "Whether the table has the index by_shard."
  nullable    = false
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

variable "reconciliation" {
  description = "Variable `reconciliation` of the root module."
  type = object({
    schedule              = optional(string)
    run_on_apply          = string
    list_users_per_second = number
    max_concurrency       = number
    max_delete_percent    = number
  })
  nullable = false
}

variable "pool_trigger" {
  description = "Function that attaches the trigger, and its request; null if this module does not attach the trigger."
  type = object({
    function_arn = string
    request = object({
      function_arn = string
    })
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
