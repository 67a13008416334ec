variable "user_pool" {
  description = "The existing user pool."
  type = object({
    id  = string
    arn = string
  })
  nullable = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to sync: a further one is in no item yet."
  nullable    = false
}

variable "table_name" {
  type        = string
  description = "Name of the user table, known at plan."
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

variable "written" {
  type        = string
  description = "What the items of all users depend on, known at plan: a change starts a run."
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "Key of an existing table; null if it has none."
  default     = null
}

variable "has_shard_index" {
  type        = bool
  description = "Whether the table has the index by_shard."
  nullable    = false
}

variable "environment" {
  type        = map(string)
  description = "What the functions that read the pool, or read or write the table, read in settings.py."
  nullable    = false
}

variable "reconciliation" {
  description = "The root's variable `reconciliation`."
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
  description = "The function that attaches the trigger, and what it is asked for; null where this module does not attach it."
  type = object({
    function_arn = string
    request = object({
      function_arn = string
    })
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
