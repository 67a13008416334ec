variable "name" {
  type        = string
  description = "Name of the state machine, its role and its log group."
  nullable    = false
}

variable "definition" {
  type        = string
  description = "The rendered definition in Amazon States Language."
  nullable    = false
}

variable "policy_json" {
  type        = string
  description = "What the state machine may do besides logging."
  nullable    = false
}

variable "settings" {
  description = "What all state machines of a deployment share."
  type = object({
    kms_key_arn              = optional(string)
    previous_kms_key_arns    = optional(list(string), [])
    log_retention_days       = number
    permissions_boundary_arn = optional(string)
    tracing                  = bool
    tags                     = map(string)
  })
  nullable = false
}
