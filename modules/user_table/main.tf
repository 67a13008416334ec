resource "aws_dynamodb_table" "this" {
  count = var.table.name == null ? 1 : 0

  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
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
  }

  dynamic "global_secondary_index" {
    for_each = var.table.email_index ? ["by_email"] : []
    content {
      name     = global_secondary_index.value
      hash_key = "email"
      # Provider 6.29 and later fail without one: https://github.com/hashicorp/terraform-provider-aws/issues/46606
      range_key       = "id"
      projection_type = "KEYS_ONLY"
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

  dynamic "server_side_encryption" {
    for_each = var.kms_key_arn[*]
    content {
      enabled     = true
      kms_key_arn = server_side_encryption.value
    }
  }
}

data "aws_dynamodb_table" "existing" {
  count = var.table.name == null ? 0 : 1

  name = var.table.name
}

locals {
  this    = one(aws_dynamodb_table.this)
  found   = one(data.aws_dynamodb_table.existing)
  indexes = local.found == null ? local.this.global_secondary_index : local.found.global_secondary_index
}
