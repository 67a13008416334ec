variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "user_pool_arn" {
  type        = string
  description = "ARN of the user pool that may call the trigger. Nothing else here may depend on it (see main.tf)."
  nullable    = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes that the user_sync execution gets."
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
    memory_mb                = number
    architecture             = string
    kms_key_arn              = optional(string)
    previous_kms_key_arns    = optional(list(string), [])
    log_retention_days       = number
    permissions_boundary_arn = optional(string)
    tracing                  = bool
    tags                     = map(string)
  })
  nullable = false
}
