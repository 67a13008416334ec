variable "partition" {
  type        = string
  description = "AWS partition, which determines the domain of the console."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of all resources."
  nullable    = false
}

variable "prefix" {
  type        = string
  description = "Prefix of all resource names."
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
  description = "Name of the function that sends the welcome email; null without a welcome email."
  default     = null
}

variable "post_confirmation_log_group_name" {
  type        = string
  description = "Name of the log group of the post-confirmation trigger."
  nullable    = false
}

variable "send_welcome_log_group_name" {
  type        = string
  description = "Name of the log group of the function that sends the welcome email; null without a welcome email."
  default     = null
}

variable "filters_logs" {
  type        = bool
  description = "Create metric filters for the logs. CloudWatch has none for log groups of the class INFREQUENT_ACCESS."
  nullable    = false
}

variable "pool_trigger_function_name" {
  type        = string
  description = "Name of the function that attaches a missing trigger again; null if this module does not attach the trigger."
  default     = null
}

variable "user_pool_id" {
  type        = string
  description = "ID of the user pool. The dashboard shows its sign-ups."
  nullable    = false
}

variable "watches_ses" {
  type        = bool
  description = "Create alarms on SES metrics. Only if SES of this region sends the welcome email, because CloudWatch alarms use metrics of their region."
  nullable    = false
}

variable "user_sync_state_machine_arn" {
  type        = string
  description = "ARN of the user_sync state machine."
  nullable    = false
}

variable "retry_queue_names" {
  description = "Names of the retry queue and its dead-letter queue."
  type = object({
    queue             = string
    dead_letter_queue = string
  })
  nullable = false
}

variable "changes" {
  description = "Names of the EventBridge rule for CloudTrail events, the change queue, and its dead-letter queue; null without track_changes."
  type = object({
    rule_name = string
    queue_names = object({
      queue             = string
      dead_letter_queue = string
    })
  })
  default = null
}

variable "user_events" {
  description = "Names of the function that publishes events about users, and of its dead-letter queue; null without user_events."
  type = object({
    function_name          = string
    dead_letter_queue_name = string
  })
  default = null
}

variable "reconciliation" {
  description = "ARN of the reconciliation state machine, and hours without a successful run until the alarm fires, null for no alarm; null without a reconciliation."
  type = object({
    state_machine_arn = string
    overdue_hours     = optional(number)
  })
  default = null
}

variable "alarm_topic_arns" {
  type        = set(string)
  description = "Variable `alarm_topic_arns` of the root module."
  nullable    = false
}

variable "alarm_warn_topic_arns" {
  type        = set(string)
  description = "Variable `alarm_warn_topic_arns` of the root module."
  default     = null
}

variable "runbook" {
  description = "URL of docs/operations.md, and the version of this module."
  type = object({
    url     = string
    version = string
  })
  nullable = false
}

variable "alarms" {
  description = "Variable `alarms` of the root module."
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
