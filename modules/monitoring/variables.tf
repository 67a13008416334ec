variable "partition" {
  type        = string
  description = "Partition of AWS, of which the console's domain depends."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of all resources."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "table_name" {
  type        = string
  description = "Name of the user table."
  nullable    = false
}

variable "post_confirmation_function_name" {
  type        = string
  description = "Name of the post-confirmation trigger."
  nullable    = false
}

variable "sync_user_function_name" {
  type        = string
  description = "Name of the function that writes one user."
  nullable    = false
}

variable "send_welcome_function_name" {
  type        = string
  description = "Name of the function that sends the welcome email; null where there is none."
  default     = null
}

variable "post_confirmation_log_group_name" {
  type        = string
  description = "Log group of the post-confirmation trigger."
  nullable    = false
}

variable "send_welcome_log_group_name" {
  type        = string
  description = "Log group of the function that sends the welcome email; null where there is none."
  default     = null
}

variable "filters_logs" {
  type        = bool
  description = "Whether CloudWatch can filter the functions' logs: not those of the class INFREQUENT_ACCESS."
  nullable    = false
}

variable "pool_trigger_function_name" {
  type        = string
  description = "Name of the function that attaches a missing trigger again; null if the pool's owner attaches it."
  default     = null
}

variable "user_pool_id" {
  type        = string
  description = "ID of the user pool, whose own sign-ups the dashboard shows."
  nullable    = false
}

variable "watches_ses" {
  type        = bool
  description = "Whether the welcome email is sent by SES of this region: CloudWatch has alarms on metrics of its own region only."
  nullable    = false
}

variable "user_sync_state_machine_arn" {
  type        = string
  description = "State machine that syncs one user."
  nullable    = false
}

variable "retry_queue_names" {
  description = "Names of the queue of sign-ups whose execution could not be started, and of its dead-letter queue."
  type = object({
    queue             = string
    dead_letter_queue = string
  })
  nullable = false
}

variable "changes" {
  description = "The rule on CloudTrail's events and the queue that it sends to; null where no changes are tracked."
  type = object({
    rule_name = string
    queue_names = object({
      queue             = string
      dead_letter_queue = string
    })
  })
  default = null
}

variable "reconciliation" {
  description = "The reconciliation, null where there is none. overdue_hours is null where no run is ever due."
  type = object({
    state_machine_arn = string
    overdue_hours     = optional(number)
  })
  default = null
}

variable "alarm_topic_arns" {
  type        = set(string)
  description = "SNS topics of the alarms that cannot wait, and of all others without alarm_warn_topic_arns."
  nullable    = false
}

variable "alarm_warn_topic_arns" {
  type        = set(string)
  description = "SNS topics of the alarms that can wait until the morning; null for alarm_topic_arns."
  default     = null
}

variable "runbook" {
  description = "Where the page docs/operations.md is, and of which version of this module."
  type = object({
    url     = string
    version = string
  })
  nullable = false
}

variable "alarms" {
  description = "Changes of single alarms, by what their names end with. The root module validates them."
  type = map(object({
    enabled             = optional(bool, true)
    threshold           = optional(number)
    period_seconds      = optional(number)
    evaluation_periods  = optional(number)
    datapoints_to_alarm = optional(number)
    topic_arns          = optional(set(string))
  }))
  nullable = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  nullable    = false
}
