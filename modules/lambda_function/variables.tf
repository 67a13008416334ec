variable "name" {
  type        = string
  description = "Name of the function, its role and its log group."
  nullable    = false
}

variable "description" {
  type        = string
  description = "What the function does, for whoever finds it in the console."
  nullable    = false
}

variable "handler" {
  type        = string
  description = "File name (without .py) under lambda_src/cognito_user_sync/handlers."
  nullable    = false
}

variable "timeout_seconds" {
  type        = number
  description = "How long one invocation may run."
  nullable    = false
}

variable "reserved_concurrency" {
  type        = number
  description = "Invocations at once that are set aside for this function; null for none."
  default     = null
}

variable "environment" {
  type        = map(string)
  description = "Environment variables; settings.py says which the handler reads."
  default     = {}
  nullable    = false
}

variable "table_kms_key_arn" {
  type        = string
  description = "Key of an existing table that the function reads or writes; null if it has none."
  default     = null
}

variable "decrypts" {
  type        = bool
  description = "Whether the function reads what kms_key_arn encrypts, its environment included. Not derived from the environment: that depends on the table, which changes after the role's policy."
  default     = true
  nullable    = false
}

variable "encrypts" {
  type        = bool
  description = "Whether the function puts data into what kms_key_arn encrypts: a queue, an execution."
  default     = false
  nullable    = false
}

variable "files" {
  type        = map(string)
  description = "Further files for the root of the zip: name => content."
  default     = {}
  nullable    = false
}

variable "policy_json" {
  type        = string
  description = "What the function may do besides writing its own log."
  nullable    = false
}

variable "settings" {
  description = "What all functions of a deployment share."
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
