variable "name" {
  type        = string
  description = "Name of the state machine, its role and its log group, without the prefix."
  nullable    = false
}

variable "definition" {
  type        = string
  description = "Rendered definition in Amazon States Language."
  nullable    = false
}

variable "policy_json" {
  type        = string
  description = "IAM policy of the state machine, without the permissions for logs and traces."
  nullable    = false
}

variable "settings" {
  description = "Settings that all state machines of a deployment have in common."
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
