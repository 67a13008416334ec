locals {
  # What this module writes besides the key, the extra attributes and the TTL attribute: item_layout.py has the same names.
  own_fields = [
    "username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at", "synced_at", "deleted_at",
    "shard", "user_pool_id", "synced_attributes",
  ]
  fields = concat(var.attributes, local.own_fields)

  # Not coalesce, which takes no empty string.
  attribute_prefix = var.table.attribute_prefix == null ? "" : var.table.attribute_prefix
  names = {
    for field in local.fields : field => lookup(var.table.attribute_names, field, "${local.attribute_prefix}${field}")
  }

  sort_key    = one(var.table.sort_key[*].name)
  email_lower = var.table.email_index ? ["${local.attribute_prefix}email_lower"] : []
  extra_attributes = merge(
    var.table.extra_attributes, { for name in local.email_lower : name => "{email|lower}" }
  )

  # A replica's key has the same ID as the key of the table.
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
  stream_enabled              = var.table.stream_view_type != null
  stream_view_type            = var.table.stream_view_type
  tags                        = var.tags

  # The keys of the table and of its indexes.
  dynamic "attribute" {
    for_each = toset(concat([var.table.partition_key.name, local.names.shard], var.table.sort_key[*].name, local.email_lower))
    content {
      name = attribute.value
      type = "S"
    }
  }

  # Lets reconciliation read the keys of its own shard's active users, and nothing else.
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
      # Provider 6.29 and later fail without one: https://github.com/hashicorp/terraform-provider-aws/issues/46606
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

  # Without deletion protection: provider 5 has no argument for it.
  dynamic "replica" {
    for_each = local.replica_key_arns
    content {
      region_name            = replica.key
      kms_key_arn            = replica.value
      point_in_time_recovery = var.table.point_in_time_recovery
      propagate_tags         = true
    }
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

  # DynamoDB defines only the attributes that are keys, of the table or of an index.
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

  # By name, after the table: the functions come after it.
  layout = {
    name             = local.found == null ? local.this.name : local.found.name
    is_own           = local.found == null
    partition_key    = var.table.partition_key
    sort_key         = var.table.sort_key
    attribute_prefix = local.attribute_prefix
    attribute_names  = var.table.attribute_names
    extra_attributes = local.extra_attributes
    ttl_attribute    = var.table.ttl_attribute
    # DynamoDB takes neither an empty nor a very long value for them.
    index_keys = keys(local.key_types)
  }
  # Base64 has four characters for three bytes; length counts characters, not bytes.
  layout_bytes = floor(length(base64encode("${jsonencode(local.layout)}${jsonencode(var.attributes)}")) * 3 / 4)

  # Every name that an item of this module has, and what for.
  uses = concat(
    [
      { name = var.table.partition_key.name, of = "partition_key", type = "S" },
      { name = var.table.ttl_attribute, of = "ttl_attribute", type = "N" },
    ],
    [for name in var.table.sort_key[*].name : { name = name, of = "sort_key", type = "S" }],
    [
      for field, name in local.names :
      { name = name, of = field, type = lookup({ enabled = "BOOL", synced_attributes = "SS" }, field, "S") }
    ],
    [for name in keys(var.table.extra_attributes) : { name = name, of = "extra_attributes", type = "S" }],
    [for name in local.email_lower : { name = name, of = "email_index", type = "S" }],
  )
  clashes = [
    for name, uses in { for use in local.uses : use.name => use.of... } :
    "\"${name}\" (${join(", ", uses)})" if length(uses) > 1
  ]
  unknown_fields = setsubtract(keys(var.table.attribute_names), local.fields)

  # DynamoDB rejects a write with an index key of another type. A key of the table itself is compared with the schema.
  unusable_index_keys = local.found == null ? [] : sort(distinct([
    for use in local.uses : "${use.name} (${use.of}: ${use.type} from this module, ${local.key_types[use.name]} in the table)"
    if lookup(local.key_types, use.name, use.type) != use.type
    && !contains(compact([local.found.hash_key, local.found_range_key]), use.name)
  ]))

  # What the items that exist depend on. JSON, since a value may be null.
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
  # Below the address of this module's caller, which it cannot know.
  identity_address = "<module.NAME.>module.user_table.terraform_data.identity"
}

# A change of one of these settings would lose items, or leave behind what this module wrote. ignore_changes keeps the first
# ones, and a replacement stores the new ones.
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
        # A table of this module with other keys is another table.
        self.input.name == "null" && (
          var.table.name != null
          || jsondecode(self.input.partition_key).name != var.table.partition_key.name
          || try(jsondecode(self.input.sort_key).name, null) != local.sort_key
        ) ?
        ". Terraform would delete the table ${var.name} with all its items." :
        ". This module would neither update nor delete again what it has written under the earlier settings.",
        " Undo the change, or accept this and apply with -replace='${local.identity_address}': then a reconciliation writes all users under the new settings, and earlier items and attributes that remain are yours to delete.",
      ])
    }
  }
}

check "existing_table_has_shard_index" {
  assert {
    condition = local.found == null || !var.finds_deleted_users || local.has_shard_index
    error_message = join("", [
      "The table ${coalesce(var.table.name, "null")} has no index by_shard with the partition key ${local.names.shard} and the sort key ${var.table.partition_key.name}. Without it, the reconciliation does not find deleted users. To add it: ",
      "aws dynamodb update-table --table-name ${coalesce(var.table.name, "null")} --attribute-definitions '${local.shard_index_attributes}' --global-secondary-index-updates '${local.shard_index_updates}'",
      " (a table with provisioned capacity needs ProvisionedThroughput in Create, too). Then apply again.",
    ])
  }
}

check "existing_table_has_ttl" {
  assert {
    condition     = local.found == null || !var.deletes_items || local.found_ttl_attribute == var.table.ttl_attribute
    error_message = "The table ${coalesce(var.table.name, "null")} has ${local.found_ttl_attribute == "" ? "no TTL attribute" : "the TTL attribute ${local.found_ttl_attribute}"}. Without TTL on ${var.table.ttl_attribute}, items of deleted users do not expire. ${local.found_ttl_attribute == "" ? "To turn it on" : "A table has one TTL attribute: set table.ttl_attribute to it. Or, if it is not needed, turn it off, and after an hour"}: aws dynamodb update-time-to-live --table-name ${coalesce(var.table.name, "null")} --time-to-live-specification '${local.ttl_specification}'"
  }
}

locals {
  # For a shell, in single quotes.
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
