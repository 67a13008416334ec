variable "user_pool_id" {
  type        = string
  description = "ID of the user pool that can invoke the trigger."
  nullable    = false
}

variable "user_pool_arn" {
  type        = string
  description = "ARN of the user pool that can invoke the trigger. Only the permission may depend on it (see main.tf)."
  nullable    = false
}

variable "user_sync_state_machine_arn" {
  type        = string
  description = "ARN of the user_sync state machine, built from names, without a dependency on it (see main.tf)."
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "ARN of the pool's existing post-confirmation function, which the trigger invokes; null for none."
  default     = null
}

variable "reserved_concurrency" {
  type        = number
  description = "Reserved concurrent executions of the trigger; null for none."
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
