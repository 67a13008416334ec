variable "name" {
  type        = string
  description = "Name of the schedule, without the prefix."
  nullable    = false
}

variable "role_name" {
  type        = string
  description = "Name of the role, without the prefix and the region."
  nullable    = false
}

variable "description" {
  type        = string
  description = "Description of the schedule."
  nullable    = false
}

variable "schedule_expression" {
  type        = string
  description = "Schedule expression: cron(...) or rate(...), in UTC."
  nullable    = false
}

variable "window_minutes" {
  type        = number
  description = "Length of the flexible time window in minutes; 0 for none."
  nullable    = false
}

variable "retry_seconds" {
  type        = number
  description = "Number of seconds for which a failed call is retried."
  nullable    = false
}

variable "target" {
  description = "Target of the schedule, and the IAM action of the call."
  type = object({
    arn    = string
    action = string
  })
  nullable = false
}

variable "start_after" {
  type        = list(string)
  description = "IDs of the resources that are created before the schedule, and deleted after it."
  default     = []
  nullable    = false
}

variable "input" {
  type        = string
  description = "Input of the call, as JSON."
  nullable    = false
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
