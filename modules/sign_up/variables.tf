variable "user_pool_id" {
  type        = string
  description = "ID of the user pool that may call the trigger."
  nullable    = false
}

variable "user_pool_arn" {
  type        = string
  description = "ARN of the user pool that may call the trigger. Nothing else here may depend on it (see main.tf)."
  nullable    = false
}

variable "user_sync_state_machine_arn" {
  type        = string
  description = "ARN of the user_sync state machine, built from names and not taken from it (see main.tf)."
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "The pool's own post-confirmation function, which is called in turn; null for none."
  default     = null
}

variable "reserved_concurrency" {
  type        = number
  description = "Invocations at once that are set aside for the trigger; null for none."
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
