output "name" {
  description = "Name of the table."
  value       = local.found == null ? local.this.name : local.found.name
}

output "arn" {
  description = "ARN of the table."
  value       = local.found == null ? local.this.arn : local.found.arn
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
  value = anytrue([
    for index in local.indexes :
    index.name == "by_shard" && index.hash_key == "shard" && try(coalesce(index.range_key), "") == "id"
  ])
}
