variable "name" {
  type        = string
  description = "What the schedule's name ends with."
  nullable    = false
}

variable "role_name" {
  type        = string
  description = "What the name of its role ends with."
  nullable    = false
}

variable "description" {
  type        = string
  description = "What the schedule does."
  nullable    = false
}

variable "schedule_expression" {
  type        = string
  description = "When it does it: cron(...) or rate(...), in UTC."
  nullable    = false
}

variable "window_minutes" {
  type        = number
  description = "Minutes within which it does it; 0 for at once."
  nullable    = false
}

variable "retry_seconds" {
  type        = number
  description = "For how long a call that fails is made again."
  nullable    = false
}

variable "target" {
  description = "What it calls, and the IAM action of the call."
  type = object({
    arn    = string
    action = string
  })
  nullable = false
}

variable "start_after" {
  type        = list(string)
  description = "IDs of what comes before the schedule, and goes after it."
  default     = []
  nullable    = false
}

variable "input" {
  type        = string
  description = "The call's input, as JSON."
  nullable    = false
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
