variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "user_pool_id" {
  type        = string
  description = "Id of the existing user pool."
  nullable    = false
}

variable "user_sync_state_machine_arn" {
  type        = string
  description = "State machine that syncs one user."
  nullable    = false
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
