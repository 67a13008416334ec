variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "dead_letter_queue_name" {
  type        = string
  description = "Name of the queue that holds sign-ups which could not be replayed."
  nullable    = false
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
