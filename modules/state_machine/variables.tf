variable "name" {
  type        = string
  description = "Name of the state machine after the prefix, and of its role and its log group."
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
    prefix                   = string
    partition                = string
    region                   = string
    account_id               = string
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
