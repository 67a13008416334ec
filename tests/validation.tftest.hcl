# What the variables refuse, one run for each: a mistake is found at plan, and by its name.

mock_provider "archive" {}

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  user_pool_id = "eu-west-1_AbCdEfGhI"
  stage        = "dev"
}

run "user_pool_id_without_a_region" {
  command = plan

  variables {
    user_pool_id = "AbCdEfGhI"
  }

  expect_failures = [var.user_pool_id]
}

run "user_pool_id_with_a_hyphen_for_the_underscore" {
  command = plan

  variables {
    user_pool_id = "eu-west-1-AbCdEfGhI"
  }

  expect_failures = [var.user_pool_id]
}

run "an_empty_user_pool_id" {
  command = plan

  variables {
    user_pool_id = ""
  }

  expect_failures = [var.user_pool_id]
}

run "a_stage_in_upper_case" {
  command = plan

  variables {
    stage = "Dev"
  }

  expect_failures = [var.stage]
}

run "a_stage_of_13_characters" {
  command = plan

  variables {
    stage = "abcdefghijklm"
  }

  expect_failures = [var.stage]
}

run "a_stage_that_ends_with_a_hyphen" {
  command = plan

  variables {
    stage = "dev-"
  }

  expect_failures = [var.stage]
}

run "a_name_of_31_characters" {
  command = plan

  variables {
    name = "abcdefghijklmnopqrstuvwxyzabcde"
  }

  expect_failures = [var.name]
}

run "a_name_with_an_underscore" {
  command = plan

  variables {
    name = "user_sync"
  }

  expect_failures = [var.name]
}

run "an_attribute_that_Cognito_does_not_have" {
  command = plan

  variables {
    attributes = ["emial"]
  }

  expect_failures = [var.attributes]
}

run "the_attribute_sub_which_is_the_key_already" {
  command = plan

  variables {
    attributes = ["sub"]
  }

  expect_failures = [var.attributes]
}

run "an_attribute_named_twice" {
  command = plan

  variables {
    attributes = ["email", "email"]
  }

  expect_failures = [var.attributes]
}

run "a_custom_attribute_of_21_characters" {
  command = plan

  variables {
    attributes = ["custom:abcdefghijklmnopqrstu"]
  }

  expect_failures = [var.attributes]
}

run "a_sender_that_is_no_address" {
  command = plan

  variables {
    welcome_email = { from = "welcome" }
  }

  expect_failures = [var.welcome_email]
}

run "a_sender_without_a_domain" {
  command = plan

  variables {
    welcome_email = { from = "welcome@example" }
  }

  expect_failures = [var.welcome_email]
}

run "two_senders" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com, b@example.com" }
  }

  expect_failures = [var.welcome_email]
}

run "a_sender_with_a_line_break" {
  command = plan

  variables {
    welcome_email = { from = "Name\r\nBcc: x <a@example.com>" }
  }

  expect_failures = [var.welcome_email]
}

run "an_answer_address_that_is_none" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", reply_to = "support" }
  }

  expect_failures = [var.welcome_email]
}

run "a_subject_of_two_lines" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", subject = "one\ntwo" }
  }

  expect_failures = [var.welcome_email]
}

run "an_empty_subject" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", subject = "" }
  }

  expect_failures = [var.welcome_email]
}

run "a_configuration_set_with_a_space" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", configuration_set = "my set" }
  }

  expect_failures = [var.welcome_email]
}

run "an_unknown_placeholder_in_the_subject" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", subject = "Hello {{nickname}}" }
  }

  expect_failures = [terraform_data.deployment]
}

run "an_unknown_placeholder_in_the_text" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", text = "Hello {{ nickname }}" }
  }

  expect_failures = [terraform_data.deployment]
}

run "an_unknown_placeholder_in_the_html" {
  command = plan

  variables {
    welcome_email = { from = "a@example.com", html = "<p>{{custom:plan}}</p>" }
  }

  expect_failures = [terraform_data.deployment]
}

run "a_chained_function_that_is_no_ARN" {
  command = plan

  variables {
    chained_function_arn = "my-function"
  }

  expect_failures = [var.chained_function_arn]
}

run "a_chained_function_in_another_region" {
  command = plan

  variables {
    chained_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:theirs"
  }

  expect_failures = [terraform_data.deployment]
}

run "a_chained_function_that_is_our_own" {
  command = plan

  variables {
    stage                = "dev"
    chained_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:cognito-user-sync-dev-post-confirmation:live"
  }

  expect_failures = [terraform_data.deployment]
}

run "a_table_name_of_two_characters" {
  command = plan

  variables {
    table = { name = "ab" }
  }

  expect_failures = [var.table]
}

run "an_unknown_stream_view_type" {
  command = plan

  variables {
    table = { stream_view_type = "ALL" }
  }

  expect_failures = [var.table]
}

run "an_email_index_without_email" {
  command = plan

  variables {
    attributes = ["name"]
    table      = { email_index = true }
  }

  expect_failures = [var.table]
}

run "an_email_index_on_somebodys_table" {
  command = plan

  variables {
    table = { name = "users", email_index = true }
  }

  expect_failures = [var.table]
}

run "a_topic_that_is_no_ARN" {
  command = plan

  variables {
    alarm_topic_arns = ["alarms"]
  }

  expect_failures = [var.alarm_topic_arns]
}

run "a_key_that_is_no_ARN" {
  command = plan

  variables {
    kms_key_arn = "alias/key"
  }

  expect_failures = [var.kms_key_arn]
}

run "a_retention_that_CloudWatch_Logs_does_not_take" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "a_boundary_that_is_no_policy" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:role/x"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "too_little_memory" {
  command = plan

  variables {
    lambda = { memory_mb = 127 }
  }

  expect_failures = [var.lambda]
}

run "half_a_megabyte" {
  command = plan

  variables {
    lambda = { memory_mb = 128.5 }
  }

  expect_failures = [var.lambda]
}

run "an_unknown_architecture" {
  command = plan

  variables {
    lambda = { architecture = "arm" }
  }

  expect_failures = [var.lambda]
}

run "a_concurrency_that_would_stop_every_sign_up" {
  command = plan

  variables {
    lambda = { trigger_reserved_concurrency = 0 }
  }

  expect_failures = [var.lambda]
}

run "an_unknown_action_for_deleted_users" {
  command = plan

  variables {
    deleted_users = { action = "forget" }
  }

  expect_failures = [var.deleted_users]
}

run "deleted_users_forgotten_before_a_replay_may_come" {
  command = plan

  variables {
    deleted_users = { action = "delete", retention_days = 44 }
  }

  expect_failures = [var.deleted_users]
}

run "half_a_day_of_retention" {
  command = plan

  variables {
    deleted_users = { retention_days = 45.5 }
  }

  expect_failures = [var.deleted_users]
}

run "retention_of_what_is_kept" {
  command = plan

  variables {
    deleted_users = { action = "keep", retention_days = 90 }
  }

  expect_failures = [var.deleted_users]
}

run "a_schedule_in_words" {
  command = plan

  variables {
    reconciliation = { schedule = "every night" }
  }

  expect_failures = [var.reconciliation]
}

run "more_requests_than_cognito_allows" {
  command = plan

  variables {
    reconciliation = { list_users_per_second = 31 }
  }

  expect_failures = [var.reconciliation]
}

run "no_requests_at_all" {
  command = plan

  variables {
    reconciliation = { list_users_per_second = 0 }
  }

  expect_failures = [var.reconciliation]
}

run "no_worker" {
  command = plan

  variables {
    reconciliation = { max_concurrency = 0 }
  }

  expect_failures = [var.reconciliation]
}

run "more_workers_than_an_inline_map_has" {
  command = plan

  variables {
    reconciliation = { max_concurrency = 41 }
  }

  expect_failures = [var.reconciliation]
}

run "half_a_worker" {
  command = plan

  variables {
    reconciliation = { max_concurrency = 1.5 }
  }

  expect_failures = [var.reconciliation]
}

run "more_than_all_deleted" {
  command = plan

  variables {
    reconciliation = { max_delete_percent = 101 }
  }

  expect_failures = [var.reconciliation]
}

run "a_reconciliation_overdue_after_more_than_a_week" {
  command = plan

  variables {
    reconciliation = { overdue_hours = 169 }
  }

  expect_failures = [var.reconciliation]
}
