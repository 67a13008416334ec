output "name" {
  description = "Name of the table."
  value       = local.found == null ? local.this.name : local.found.name
}

output "arn" {
  description = "ARN of the table."
  value       = local.found == null ? local.this.arn : local.found.arn
}

output "arn_by_name" {
  description = "The same ARN, which does not wait for the table: for the roles that use it."
  value       = local.found == null ? var.arn : local.found.arn
}

output "existing_kms_key_arn" {
  description = "Key of an existing table; null if it has none, or if this module makes the table."
  value       = one([for each in local.found == null ? [] : local.found.server_side_encryption : each.kms_key_arn if each.enabled])
}

output "stream_arn" {
  description = "ARN of the table's stream; null where it has none."
  value       = try(coalesce(local.found == null ? local.this.stream_arn : local.found.stream_arn), null)
}

output "layout" {
  description = "Where and how the functions write a user, as USER_TABLE in their environment has it."
  value       = local.layout

  # Not on the data source: a condition there defers its read to apply whenever the table has changes in the same
  # configuration, and what depends on it is unknown until then.
  precondition {
    condition = local.found == null ? true : (
      local.found_schema == local.configured_schema
    )
    error_message = "The table ${coalesce(var.table.name, "null")} has ${local.found_schema}, but by table.partition_key and table.sort_key it has ${local.configured_schema}. Change these two to the key of the table, which must be of type S, name another table in table.name, or leave it null to have one made."
  }

  precondition {
    condition     = length(local.unusable_index_keys) == 0
    error_message = "The table ${coalesce(var.table.name, "null")} has index keys that this module would write with another type: ${join(", ", local.unusable_index_keys)}. DynamoDB would reject every such write. Give them other names, by table.attribute_prefix or table.attribute_names."
  }

  # Here, because a variable's own validation cannot use locals that are made from it.
  precondition {
    condition     = length(local.unknown_fields) == 0
    error_message = "table.attribute_names has the keys ${join(", ", local.unknown_fields)}: each must be one of ${join(", ", local.fields)}."
  }

  precondition {
    condition     = length(local.clashes) == 0
    error_message = "table gives one name to more than one attribute: ${join("; ", local.clashes)}. Each key, each attribute and the TTL attribute must have a name of its own: change table.attribute_prefix, table.attribute_names or table.extra_attributes."
  }

  # AWS allows 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. The rest is for the other variables.
  precondition {
    condition     = local.layout_bytes <= 3500
    error_message = "table and attributes take ${local.layout_bytes} bytes of the functions' environment: they must take at most 3500, since Lambda allows 4 KB. Use fewer or shorter names in table.attribute_names, table.extra_attributes or attributes, or an attribute_prefix instead of single attribute_names."
  }
}

output "written" {
  description = "JSON that changes when all users have to be written again: the names and templates of an item."
  value = jsonencode({
    identity         = local.identity
    names            = local.names
    extra_attributes = local.extra_attributes
  })
}

output "has_shard_index" {
  description = "Whether the table has the index by_shard, without which the reconciliation does not find deleted users."
  value       = local.has_shard_index
}
