output "name" {
  description = "Name of the table."
  value       = local.found == null ? local.this.name : local.found.name

  # Not on the data source: a condition there defers its read to apply whenever the table has changes in the same
  # configuration, and what depends on it is unknown until then.
  precondition {
    condition = local.found == null ? true : (
      local.found.hash_key == "id"
      && try(length(local.found.range_key), 0) == 0
      && contains([for attribute in local.found.attribute : "${attribute.name}:${attribute.type}"], "id:S")
    )
    error_message = join("", local.found == null ? [] : [
      "The table ${local.found.name} must have the partition key id of type S and no sort key. It has ",
      join(", ", [for attribute in local.found.attribute : "${attribute.name} (${attribute.type})"
      if contains([local.found.hash_key, try(coalesce(local.found.range_key), "")], attribute.name)]),
      ". Name another table in table.name, or leave it null to have one made.",
    ])
  }
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

output "index_keys" {
  description = "Attributes that are keys of an index: DynamoDB takes no empty string for them."
  value = distinct(sort(compact(flatten([
    for index in local.indexes : [index.hash_key, try(coalesce(index.range_key), "")]
  ]))))
}

output "has_shard_index" {
  description = "Whether the table has the index by_shard, without which nobody is looked for who is gone."
  value       = local.has_shard_index
}
