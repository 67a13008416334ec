variable "name" {
  type        = string
  description = "Name of the table, where this module makes it."
  nullable    = false
}

variable "table" {
  description = "The root's variable `table`."
  type = object({
    name                   = optional(string)
    deletion_protection    = bool
    point_in_time_recovery = bool
    stream_view_type       = optional(string)
    email_index            = bool
  })
  nullable = false
}

variable "kms_key_arn" {
  type        = string
  description = "Customer managed key for the table; null for DynamoDB's own."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags of the table."
  default     = {}
  nullable    = false
}
