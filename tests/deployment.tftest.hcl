# A deployment: the pool that it is of, its names, and one state for one stage.

mock_provider "archive" {}

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  user_pool_id = "eu-west-1_AbCdEfGhI"
  stage        = "dev"
}

override_data {
  target = data.aws_cognito_user_pool.this
  values = {
    arn           = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
    lambda_config = []
  }
}

run "the_pool_must_be_in_the_region_of_the_provider" {
  command = plan

  variables {
    user_pool_id = "us-east-1_AbCdEfGhI"
  }

  expect_failures = [data.aws_cognito_user_pool.this]
}

run "names_at_their_longest_are_within_the_limits_of_aws" {
  command = plan

  variables {
    name  = "abcdefghijklmnopqrstuvwxyzabcd"
    stage = "abcdefghijkl"
  }

  assert {
    # The longest suffix that design leaves room for; 64 is the limit of a role's and of a function's name.
    condition     = length("${local.prefix}-start-reconciliation") <= 64
    error_message = "${local.prefix}-start-reconciliation is too long for a role."
  }

  assert {
    condition     = output.user_table_name == "abcdefghijklmnopqrstuvwxyzabcd-abcdefghijkl-users"
    error_message = "The table is ${output.user_table_name}."
  }
}

run "an_existing_table_is_used" {
  command = plan

  variables {
    table = { name = "users" }
  }

  override_data {
    target = module.user_table.data.aws_dynamodb_table.existing
    values = {
      arn                    = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
      name                   = "users"
      hash_key               = "id"
      range_key              = ""
      attribute              = [{ name = "id", type = "S" }, { name = "email", type = "S" }]
      global_secondary_index = [{ name = "by_email", hash_key = "email", range_key = "" }]
    }
  }

  assert {
    condition     = output.user_table_name == "users" && length(module.user_table.index_keys) == 1
    error_message = "The table is ${output.user_table_name}, with the index keys ${jsonencode(module.user_table.index_keys)}."
  }
}

run "without_attach_trigger_nothing_is_attached" {
  command = plan

  variables {
    attach_trigger = false
  }

  assert {
    condition     = length(module.pool_trigger) == 0 && output.user_pool_trigger.attached_function_arn == null
    error_message = "The module pool_trigger is there, or the output names an attached function."
  }
}

run "dev_is_applied" {
  command = apply

  assert {
    condition     = output.user_pool_trigger.attached_function_arn == "arn:aws:lambda:eu-west-1:123456789012:function:mocked"
    error_message = "The output names ${jsonencode(output.user_pool_trigger)}."
  }
}

run "another_stage_is_refused_on_the_state_of_dev" {
  command = plan

  override_data {
    target = data.aws_cognito_user_pool.this
    values = {
      arn           = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
      lambda_config = [{ post_confirmation = "arn:aws:lambda:eu-west-1:123456789012:function:cognito-user-sync-production-post-confirmation" }]
    }
  }

  variables {
    stage = "production"
  }

  expect_failures = [terraform_data.deployment]
}

run "another_pool_is_refused_on_the_state_of_dev" {
  command = plan

  variables {
    user_pool_id = "eu-west-1_Another01"
  }

  expect_failures = [terraform_data.deployment]
}

run "dev_itself_is_not_refused" {
  command = plan
}

run "users_are_kept_unless_it_is_said_otherwise" {
  command = plan

  assert {
    condition     = var.table.deletion_protection && var.table.point_in_time_recovery && var.log_retention_days > 0
    error_message = "By default a table is neither protected nor backed up, or logs are kept for ever."
  }
}

run "whether_an_address_is_verified_is_asked_of_the_sign_up_only_where_it_counts" {
  command = plan

  variables {
    welcome_email = { from = "welcome@example.com", verified_only = true }
  }

  assert {
    condition     = jsonencode(local.welcomed_attributes) == jsonencode(["name", "email", "email_verified"])
    error_message = "The trigger hands on ${jsonencode(local.welcomed_attributes)}."
  }
}
