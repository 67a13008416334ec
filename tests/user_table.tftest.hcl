# The user table: one that the module makes, and one that is there.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "sync-dev-users"
  table = {
    name                   = "theirs"
    deletion_protection    = true
    point_in_time_recovery = true
    email_index            = false
  }
}

run "an_existing_table_needs_the_key_id" {
  command = plan

  module {
    source = "./modules/user_table"
  }

  override_data {
    target = data.aws_dynamodb_table.existing
    values = {
      name      = "theirs"
      hash_key  = "pk"
      range_key = ""
      attribute = [{ name = "pk", type = "S" }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "the_key_id_must_be_a_string" {
  command = plan

  module {
    source = "./modules/user_table"
  }

  override_data {
    target = data.aws_dynamodb_table.existing
    values = {
      name      = "theirs"
      hash_key  = "id"
      range_key = ""
      attribute = [{ name = "id", type = "N" }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "an_existing_table_may_not_have_a_sort_key" {
  command = plan

  module {
    source = "./modules/user_table"
  }

  override_data {
    target = data.aws_dynamodb_table.existing
    values = {
      name      = "theirs"
      hash_key  = "id"
      range_key = "kind"
      attribute = [{ name = "id", type = "S" }, { name = "kind", type = "S" }]
    }
  }

  expect_failures = [data.aws_dynamodb_table.existing]
}

run "a_table_is_made_as_it_was_asked_for" {
  command = apply

  module {
    source = "./modules/user_table"
  }

  variables {
    table = {
      name                   = null
      deletion_protection    = true
      point_in_time_recovery = true
      stream_view_type       = "KEYS_ONLY"
      email_index            = true
    }
  }

  assert {
    condition = (
      aws_dynamodb_table.this[0].hash_key == "id"
      && aws_dynamodb_table.this[0].deletion_protection_enabled
      && aws_dynamodb_table.this[0].point_in_time_recovery[0].enabled
      && aws_dynamodb_table.this[0].stream_view_type == "KEYS_ONLY"
      && one(aws_dynamodb_table.this[0].ttl).attribute_name == "expires_at"
    )
    error_message = "Key, protection, backups, stream or TTL are not as asked for."
  }

  assert {
    condition     = join(",", output.index_keys) == "email,id,shard"
    error_message = "The index keys are ${jsonencode(output.index_keys)}."
  }
}
