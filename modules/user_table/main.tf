resource "aws_dynamodb_table" "this" {
  count = var.table.name == null ? 1 : 0

  name                        = var.name
  billing_mode                = var.table.billing_mode
  read_capacity               = var.table.read_capacity
  write_capacity              = var.table.write_capacity
  hash_key                    = "id"
  deletion_protection_enabled = var.table.deletion_protection
  stream_enabled              = var.table.stream_view_type != null
  stream_view_type            = var.table.stream_view_type
  tags                        = var.tags

  attribute {
    name = "id"
    type = "S"
  }

  attribute {
    name = "shard"
    type = "S"
  }

  dynamic "attribute" {
    for_each = var.table.email_index ? ["email"] : []
    content {
      name = attribute.value
      type = "S"
    }
  }

  # Lets reconciliation read the ids of its own shard's living users, and nothing else.
  global_secondary_index {
    name            = "by_shard"
    hash_key        = "shard"
    range_key       = "id"
    projection_type = "KEYS_ONLY"
    read_capacity   = var.table.read_capacity
    write_capacity  = var.table.write_capacity
  }

  dynamic "global_secondary_index" {
    for_each = var.table.email_index ? ["by_email"] : []
    content {
      name     = global_secondary_index.value
      hash_key = "email"
      # Provider 6.29 and later fail without one: https://github.com/hashicorp/terraform-provider-aws/issues/46606
      range_key       = "id"
      projection_type = "KEYS_ONLY"
      read_capacity   = var.table.read_capacity
      write_capacity  = var.table.write_capacity
    }
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  # checkov:skip=CKV_AWS_28: on, unless the user turns it off (table.point_in_time_recovery)
  point_in_time_recovery {
    enabled = var.table.point_in_time_recovery
  }

  # Always: without the block, the provider keeps the key (https://github.com/hashicorp/terraform-provider-aws/issues/29811).
  # Not enabled is DynamoDB's own key.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  # DynamoDB uses a key with the permissions of the caller: the roles get a new key first.
  depends_on = [var.change_after]
}

data "aws_dynamodb_table" "existing" {
  count = var.table.name == null ? 0 : 1

  name = var.table.name
}

locals {
  this    = one(aws_dynamodb_table.this)
  found   = one(data.aws_dynamodb_table.existing)
  indexes = local.found == null ? local.this.global_secondary_index : local.found.global_secondary_index

  has_shard_index = anytrue([
    for index in local.indexes :
    index.name == "by_shard" && index.hash_key == "shard" && try(coalesce(index.range_key), "") == "id"
  ])

  found_ttl_attribute = join("", local.found == null ? [] : [
    for ttl in local.found.ttl : ttl.attribute_name if ttl.enabled
  ])
}

check "existing_table_has_shard_index" {
  assert {
    condition     = local.found == null || !var.finds_deleted_users || local.has_shard_index
    error_message = "The table ${coalesce(var.table.name, "null")} has no index by_shard with the partition key shard and the sort key id. Without it, the reconciliation does not find deleted users. To add it: aws dynamodb update-table --table-name ${coalesce(var.table.name, "null")} --attribute-definitions AttributeName=id,AttributeType=S AttributeName=shard,AttributeType=S --global-secondary-index-updates '[{\"Create\":{\"IndexName\":\"by_shard\",\"KeySchema\":[{\"AttributeName\":\"shard\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"id\",\"KeyType\":\"RANGE\"}],\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}}]' (a table with provisioned capacity needs ProvisionedThroughput in Create, too). Then apply again."
  }
}

check "existing_table_has_ttl" {
  assert {
    condition     = local.found == null || !var.deletes_items || local.found_ttl_attribute == "expires_at"
    error_message = "The table ${coalesce(var.table.name, "null")} has ${local.found_ttl_attribute == "" ? "no TTL attribute" : "the TTL attribute ${local.found_ttl_attribute}"}. Without TTL on expires_at, items of deleted users do not expire. ${local.found_ttl_attribute == "" ? "To turn it on" : "A table has one TTL attribute. If this one is not needed, turn it off, and after an hour"}: aws dynamodb update-time-to-live --table-name ${coalesce(var.table.name, "null")} --time-to-live-specification Enabled=true,AttributeName=expires_at"
  }
}
