output "name" {
  description = "Name of the table."
  value       = local.found == null ? local.this.name : local.found.name
}

output "arn" {
  description = "ARN of the table."
  value       = local.found == null ? local.this.arn : local.found.arn
}

output "arn_by_name" {
  description = "The same ARN without a dependency on the table, for the roles that use the table."
  value       = local.found == null ? var.arn : local.found.arn
}

output "existing_kms_key_arn" {
  description = "ARN of the KMS key of an existing table; null if it has none, or if this module creates the table."
  value       = one([for each in local.found == null ? [] : local.found.server_side_encryption : each.kms_key_arn if each.enabled])
}

output "stream_arn" {
  description = "ARN of the table's stream; null without a stream."
  value       = local.stream_arn
}

output "user_pool_id_attribute" {
  description = "Name of the attribute with the ID of the user pool."
  value       = local.names.user_pool_id
}

output "layout" {
  description = "Table name, keys, attribute names and templates of the items: the functions read them from the environment variable USER_TABLE."
  value       = local.layout

  # Not on the data source of the table: with a condition, it is read at apply if the same configuration changes the table, and
  # everything that depends on it is unknown at plan.
  precondition {
    condition = local.found == null ? true : (
      local.found_schema == local.configured_schema
    )
    error_message = "The table ${coalesce(var.table.name, "null")} has ${local.found_schema}, but table.partition_key and table.sort_key require ${local.configured_schema}. Set these two to the keys of the table, which must be of type S, use another table in table.name, or set it to null to create a table."
  }

  precondition {
    condition     = length(local.unusable_index_keys) == 0
    error_message = "The table ${coalesce(var.table.name, "null")} has index keys that this module would write with another type: ${join(", ", local.unusable_index_keys)}. DynamoDB would reject these writes. Set other names with table.attribute_prefix or table.attribute_names."
  }

  # The application can replace the stream of its table.
  precondition {
    condition = var.events_stream_arn == null ? true : (
      local.stream_arn == var.events_stream_arn && try(local.found.stream_view_type, "") == "NEW_AND_OLD_IMAGES"
    )
    error_message = "user_events.stream_arn is ${coalesce(var.events_stream_arn, "null")}, but the table ${coalesce(var.table.name, "null")} has ${local.stream_arn == null ? "no stream" : "the stream ${local.stream_arn} with the view type ${try(coalesce(local.found.stream_view_type), "null")}"}. It must be the ARN of this table's enabled stream, with the view type NEW_AND_OLD_IMAGES."
  }

  # Not in the validation of the variable, which cannot use locals that depend on the variable.
  precondition {
    condition     = length(local.unknown_fields) == 0
    error_message = "table.attribute_names has the keys ${join(", ", local.unknown_fields)}: each must be one of ${join(", ", local.fields)}."
  }

  precondition {
    condition     = length(local.clashes) == 0
    error_message = "table has the same name for several attributes: ${join("; ", local.clashes)}. The names of the keys, the attributes and the TTL attribute must be different: change table.attribute_prefix, table.attribute_names or table.extra_attributes."
  }

  # Lambda allows 4 KB of environment variables: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. The
  # remaining bytes are for the other variables.
  precondition {
    condition     = local.layout_bytes <= 3500
    error_message = "table and attributes use ${local.layout_bytes} bytes of the functions' environment variables: they must use at most 3500, because Lambda allows 4 KB. Use fewer or shorter names in table.attribute_names, table.extra_attributes or attributes, or an attribute_prefix instead of single attribute_names."
  }
}

output "written" {
  description = "Names and templates of an item, as JSON. If it changes, all users must be written again."
  value = jsonencode({
    identity         = local.identity
    names            = local.names
    extra_attributes = local.extra_attributes
  })
}

output "has_shard_index" {
  description = "Whether the table has the index by_shard. Without it, the reconciliation does not find deleted users, and reconciles no groups."
  value       = local.has_shard_index
}
