variable "name" {
  type        = string
  description = "Name of the table that this module creates."
  nullable    = false
}

variable "arn" {
  type        = string
  description = "ARN of the table that this module creates. It is built from names, so that the roles that use the table can change before the table."
  nullable    = false
}

variable "table" {
  description = "Variable `table` of the root module."
  type = object({
    name = optional(string)
    partition_key = object({
      name  = string
      value = string
    })
    sort_key = optional(object({
      name  = string
      value = string
    }))
    attribute_prefix       = optional(string)
    attribute_names        = map(string)
    extra_attributes       = map(string)
    ttl_attribute          = string
    billing_mode           = string
    read_capacity          = optional(number)
    write_capacity         = optional(number)
    deletion_protection    = bool
    point_in_time_recovery = bool
    stream_view_type       = optional(string)
    email_index            = bool
    replica_regions        = list(string)
  })
  nullable = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes of an item."
  nullable    = false
}

variable "sync_groups" {
  type        = bool
  description = "Whether items have the groups of their users."
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of a customer managed KMS key for the table; null to use a key that DynamoDB owns."
  default     = null
}

variable "change_after" {
  type        = list(string)
  description = "IDs of resources that must change before the table: the policies of the roles that use it."
  default     = []
  nullable    = false
}

variable "publishes_events" {
  type        = bool
  description = "Whether events are made of the table's stream, which then has both images."
  nullable    = false
}

variable "events_stream_arn" {
  type        = string
  description = "ARN of an existing table's stream, of which events are made; null for none."
  default     = null
}

variable "needs_shard_index" {
  type        = bool
  description = "Whether the reconciliation finds deleted users or reconciles groups, which require the index by_shard."
  nullable    = false
}

variable "deletes_items" {
  type        = bool
  description = "Whether items of deleted users expire, which requires TTL."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of the table."
  default     = {}
  nullable    = false
}
