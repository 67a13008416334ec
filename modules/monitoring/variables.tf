variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "dead_letter_queue_names" {
  description = "Names of the queues that hold sign-ups, and changes, which could not be started; changes is null where none are tracked."
  type = object({
    unstarted = string
    changes   = optional(string)
  })
  nullable = false
}

variable "alarm_topic_arns" {
  type        = set(string)
  description = "SNS topics that are told of alarms, and of their end."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  nullable    = false
}
