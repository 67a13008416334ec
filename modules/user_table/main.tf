locals {
  # Attributes that this module writes, without the keys, the extra attributes and the TTL attribute. item_layout.py has the
  # same names.
  own_fields = [
    "username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at", "synced_at", "deleted_at",
    "shard", "user_pool_id", "synced_attributes",
  ]
  # Like attributes, these can be renamed: the reconciliation then replaces them.
  group_fields = var.sync_groups ? ["groups", "groups_observed_at"] : []
  fields       = concat(var.attributes, local.own_fields, local.group_fields)

  # Not coalesce, which ignores an empty string.
  attribute_prefix = var.table.attribute_prefix == null ? "" : var.table.attribute_prefix
  names = {
    for field in local.fields : field => lookup(var.table.attribute_names, field, "${local.attribute_prefix}${field}")
  }

  sort_key    = one(var.table.sort_key[*].name)
  email_lower = var.table.email_index ? ["${local.attribute_prefix}email_lower"] : []
  extra_attributes = merge(
    var.table.extra_attributes, { for name in local.email_lower : name => "{email|lower}" }
  )

  stream_view_type = var.publishes_events ? "NEW_AND_OLD_IMAGES" : var.table.stream_view_type

  # A replica key has the same ID as the primary key.
  replica_key_arns = {
    for region in var.table.replica_regions : region => var.kms_key_arn == null ? null : join(":", [
      for position, part in split(":", var.kms_key_arn) : position == 3 ? region : part
    ])
  }
}

resource "aws_dynamodb_table" "this" {
  count = var.table.name == null ? 1 : 0

  name                        = var.name
  billing_mode                = var.table.billing_mode
  read_capacity               = var.table.read_capacity
  write_capacity              = var.table.write_capacity
  hash_key                    = var.table.partition_key.name
  range_key                   = local.sort_key
  deletion_protection_enabled = var.table.deletion_protection
  stream_enabled              = local.stream_view_type != null
  stream_view_type            = local.stream_view_type
  tags                        = var.tags

  # The keys of the table and of its indexes.
  dynamic "attribute" {
    for_each = toset(concat([var.table.partition_key.name, local.names.shard], var.table.sort_key[*].name, local.email_lower))
    content {
      name = attribute.value
      type = "S"
    }
  }

  # The reconciliation reads the keys of the active users of a shard from it.
  global_secondary_index {
    name            = "by_shard"
    hash_key        = local.names.shard
    range_key       = var.table.partition_key.name
    projection_type = "KEYS_ONLY"
    read_capacity   = var.table.read_capacity
    write_capacity  = var.table.write_capacity
  }

  dynamic "global_secondary_index" {
    for_each = local.email_lower
    content {
      name     = "by_email"
      hash_key = global_secondary_index.value
      # Provider 6.29 and later fail without a sort key: https://github.com/hashicorp/terraform-provider-aws/issues/46606
      range_key       = var.table.partition_key.name
      projection_type = "KEYS_ONLY"
      read_capacity   = var.table.read_capacity
      write_capacity  = var.table.write_capacity
    }
  }

  ttl {
    attribute_name = var.table.ttl_attribute
    enabled        = true
  }

  # checkov:skip=CKV_AWS_28: enabled, unless the caller disables it (table.point_in_time_recovery)
  point_in_time_recovery {
    enabled = var.table.point_in_time_recovery
  }

  # Also without a key: without the block, the provider keeps the previous key
  # (https://github.com/hashicorp/terraform-provider-aws/issues/29811). enabled = false is a key that DynamoDB owns.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }

  # Replicas have no deletion protection: provider 5 has no argument for it.
  dynamic "replica" {
    for_each = local.replica_key_arns
    content {
      region_name            = replica.key
      kms_key_arn            = replica.value
      point_in_time_recovery = var.table.point_in_time_recovery
      propagate_tags         = true
    }
  }

  # DynamoDB uses the key with the permissions of the caller. So the roles get the permission for a new key first.
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

  stream_arn = try(coalesce(local.found == null ? local.this.stream_arn : local.found.stream_arn), null)

  # Types of all attributes that are keys of the table or of an index.
  key_types = {
    for attribute in(local.found == null ? local.this.attribute : local.found.attribute) : attribute.name => attribute.type
  }

  has_shard_index = anytrue([
    for index in local.indexes :
    index.name == "by_shard" && index.hash_key == local.names.shard
    && try(coalesce(index.range_key), "") == var.table.partition_key.name
  ])

  found_ttl_attribute = join("", local.found == null ? [] : [
    for ttl in local.found.ttl : ttl.attribute_name if ttl.enabled
  ])

  found_range_key = try(coalesce(local.found.range_key), null)
  found_schema = local.found == null ? "" : join("", [
    "the partition key ${local.found.hash_key} (${local.key_types[local.found.hash_key]}) and ",
    local.found_range_key == null ? "no sort key" : "the sort key ${local.found_range_key} (${local.key_types[local.found_range_key]})",
  ])
  configured_schema = join("", [
    "the partition key ${var.table.partition_key.name} (S) and ",
    local.sort_key == null ? "no sort key" : "the sort key ${local.sort_key} (S)",
  ])

  # Its name depends on the table, so that the functions are created after the table.
  layout = {
    name             = local.found == null ? local.this.name : local.found.name
    is_own           = local.found == null
    partition_key    = var.table.partition_key
    sort_key         = var.table.sort_key
    attribute_prefix = local.attribute_prefix
    attribute_names  = var.table.attribute_names
    extra_attributes = local.extra_attributes
    ttl_attribute    = var.table.ttl_attribute
    # DynamoDB rejects an empty or a very long value of these attributes.
    index_keys = keys(local.key_types)
  }
  # In bytes: length counts characters, and Base64 has four characters for three bytes.
  layout_bytes = floor(length(base64encode("${jsonencode(local.layout)}${jsonencode(var.attributes)}")) * 3 / 4)

  # All attribute names of an item, each with its use.
  uses = concat(
    [
      { name = var.table.partition_key.name, of = "partition_key", type = "S" },
      { name = var.table.ttl_attribute, of = "ttl_attribute", type = "N" },
    ],
    [for name in var.table.sort_key[*].name : { name = name, of = "sort_key", type = "S" }],
    [
      for field, name in local.names :
      { name = name, of = field, type = lookup({ enabled = "BOOL", synced_attributes = "SS", groups = "SS" }, field, "S") }
    ],
    [for name in keys(var.table.extra_attributes) : { name = name, of = "extra_attributes", type = "S" }],
    [for name in local.email_lower : { name = name, of = "email_index", type = "S" }],
  )
  clashes = [
    for name, uses in { for use in local.uses : use.name => use.of... } :
    "\"${name}\" (${join(", ", uses)})" if length(uses) > 1
  ]
  unknown_fields = setsubtract(keys(var.table.attribute_names), local.fields)

  # DynamoDB rejects a write of an index key with another type. The keys of the table are compared with found_schema instead.
  unusable_index_keys = local.found == null ? [] : sort(distinct([
    for use in local.uses : "${use.name} (${use.of}: ${use.type} from this module, ${local.key_types[use.name]} in the table)"
    if lookup(local.key_types, use.name, use.type) != use.type
    && !contains(compact([local.found.hash_key, local.found_range_key]), use.name)
  ]))

  # Settings that existing items depend on. As JSON, because a value can be null.
  identity = {
    for setting, value in {
      name             = var.table.name
      partition_key    = var.table.partition_key
      sort_key         = var.table.sort_key
      attribute_prefix = local.attribute_prefix
      attribute_names = {
        for field, name in var.table.attribute_names : field => name if contains(local.own_fields, field)
      }
      ttl_attribute = var.table.ttl_attribute
    } : setting => jsonencode(value)
  }
  # For an error message. The module cannot know the address of its caller.
  identity_address = "<module.NAME.>module.user_table.terraform_data.identity"
}

# Fails a plan that changes one of these settings, because the change would delete items, or leave items that this module no
# longer updates. ignore_changes keeps the values of the first apply, and a replacement stores new values.
resource "terraform_data" "identity" {
  input = local.identity

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition = alltrue([for setting, value in local.identity : try(self.input[setting], value) == value])
      error_message = join("", [
        join(", ", [
          for setting, value in local.identity :
          "table.${setting} was ${self.input[setting]} and is now ${value}" if try(self.input[setting], value) != value
        ]),
        # A table that this module created would be replaced if its keys change.
        self.input.name == "null" && (
          var.table.name != null
          || jsondecode(self.input.partition_key).name != var.table.partition_key.name
          || try(jsondecode(self.input.sort_key).name, null) != local.sort_key
        ) ?
        ". Terraform would delete the table ${var.name} with all its items." :
        ". This module would no longer update or delete the items and attributes that it wrote with the previous settings.",
        " Undo the change, or accept this and apply with -replace='${local.identity_address}': a reconciliation then writes all users with the new settings, and you delete the items and attributes that remain from the previous settings.",
      ])
    }
  }
}

check "existing_table_has_shard_index" {
  assert {
    condition = local.found == null || !var.needs_shard_index || local.has_shard_index
    error_message = join("", [
      "The table ${coalesce(var.table.name, "null")} has no index by_shard with the partition key ${local.names.shard} and the sort key ${var.table.partition_key.name}. Without this index, the reconciliation does not find deleted users, and reconciles no groups. To create it: ",
      "aws dynamodb update-table --table-name ${coalesce(var.table.name, "null")} --attribute-definitions '${local.shard_index_attributes}' --global-secondary-index-updates '${local.shard_index_updates}'",
      " (for a table with provisioned capacity, add ProvisionedThroughput to Create). Then apply again.",
    ])
  }
}

check "existing_table_has_ttl" {
  assert {
    condition     = local.found == null || !var.deletes_items || local.found_ttl_attribute == var.table.ttl_attribute
    error_message = "The table ${coalesce(var.table.name, "null")} has ${local.found_ttl_attribute == "" ? "no TTL attribute" : "the TTL attribute ${local.found_ttl_attribute}"}. Without TTL on ${var.table.ttl_attribute}, items of deleted users do not expire. ${local.found_ttl_attribute == "" ? "To enable TTL" : "A table can have only one TTL attribute: set table.ttl_attribute to it. Or, if you do not need it, disable TTL, and after an hour"}: aws dynamodb update-time-to-live --table-name ${coalesce(var.table.name, "null")} --time-to-live-specification '${local.ttl_specification}'"
  }
}

locals {
  # Arguments of commands in error messages, for a shell, in single quotes.
  shard_index_attributes = replace(jsonencode([
    for name in [var.table.partition_key.name, local.names.shard] : { AttributeName = name, AttributeType = "S" }
  ]), "'", "'\\''")
  shard_index_updates = replace(jsonencode([{
    Create = {
      IndexName = "by_shard"
      KeySchema = [
        { AttributeName = local.names.shard, KeyType = "HASH" },
        { AttributeName = var.table.partition_key.name, KeyType = "RANGE" },
      ]
      Projection = { ProjectionType = "KEYS_ONLY" }
    }
  }]), "'", "'\\''")
  ttl_specification = replace(jsonencode({ Enabled = true, AttributeName = var.table.ttl_attribute }), "'", "'\\''")
}
