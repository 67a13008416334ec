variable "name" {
  type        = string
  description = "Name of the table, where this module makes it."
  nullable    = false
}

variable "arn" {
  type        = string
  description = "ARN of the table, where this module makes it. Built from its name, so that the roles that use the table can change before it."
  nullable    = false
}

variable "table" {
  description = "The root's variable `table`."
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
  description = "Cognito attributes that an item has."
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "Customer managed key for the table; null for DynamoDB's own."
  default     = null
}

variable "change_after" {
  type        = list(string)
  description = "What has to be changed before the table: the policies of the roles that use it."
  default     = []
  nullable    = false
}

variable "finds_deleted_users" {
  type        = bool
  description = "Whether a reconciliation looks for deleted users, for which it needs the index by_shard."
  nullable    = false
}

variable "deletes_items" {
  type        = bool
  description = "Whether items of deleted users expire, for which the table needs TTL."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of the table."
  default     = {}
  nullable    = false
}
