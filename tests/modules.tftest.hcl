# What the modules make of what they are given.

mock_provider "archive" {}

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  prefix        = "sync-dev"
  attributes    = ["email", "custom:plan"]
  user_pool_arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
  user_pool = {
    id  = "eu-west-1_AbCdEfGhI"
    arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
  }
  table_arn   = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
  environment = { USER_TABLE_NAME = "users" }
  settings = {
    memory_mb          = 512
    architecture       = "arm64"
    log_retention_days = 30
    tracing            = false
    tags               = {}
  }
}

run "the_trigger_is_cognitos_for_this_pool_and_fits_its_time" {
  command = apply

  module {
    source = "./modules/sign_up"
  }

  variables {
    user_sync_state_machine_arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:sync-dev-user-sync"
    chained_function_arn        = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"
  }

  assert {
    condition = (
      aws_lambda_permission.cognito.principal == "cognito-idp.amazonaws.com"
      && aws_lambda_permission.cognito.source_arn == var.user_pool_arn
      && aws_lambda_permission.cognito.source_account == "123456789012"
    )
    error_message = "Not this pool of this account alone may call the trigger."
  }
}

run "what_is_queued_is_started_or_kept_for_a_person" {
  command = apply

  module {
    source = "./modules/request_queue"
  }

  variables {
    name                        = "sync-dev-unstarted"
    user_sync_state_machine_arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:sync-dev-user-sync"
    function = {
      name        = "sync-dev-replay-sign-ups"
      description = "Replays"
      handler     = "replay_sign_ups"
    }
  }

  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds >= 6 * local.timeout_seconds
    error_message = "A message may come back while it is still being started."
  }

  assert {
    condition = (
      jsondecode(aws_sqs_queue.this.redrive_policy).maxReceiveCount * aws_sqs_queue.this.visibility_timeout_seconds
      >= 12 * 3600
    )
    error_message = "Step Functions may be away for less than 12 hours."
  }

  assert {
    condition     = contains(aws_lambda_event_source_mapping.this.function_response_types, "ReportBatchItemFailures")
    error_message = "One bad message would bring back its whole batch."
  }

  assert {
    condition     = aws_lambda_event_source_mapping.this.scaling_config[0].maximum_concurrency == 2
    error_message = "A bulk change would take the account's ListUsers requests."
  }
}

run "a_queue_takes_nothing_over_plain_http_and_from_a_rule_only_from_its_own" {
  command = apply

  module {
    source = "./modules/request_queue"
  }

  variables {
    name                        = "sync-dev-changes"
    sender_rule_arn             = "arn:aws:events:eu-west-1:123456789012:rule/sync-dev-changes"
    user_sync_state_machine_arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:sync-dev-user-sync"
    function = {
      name        = "sync-dev-start-changes"
      description = "Starts"
      handler     = "start_changes"
    }
  }

  assert {
    condition = jsonencode([
      for document in data.aws_iam_policy_document.queue : [
        for statement in document.statement : [
          statement.sid, statement.effect, statement.actions, statement.resources,
          [for condition in statement.condition : [condition.test, condition.variable, condition.values]],
        ]
      ]
      ]) == jsonencode([
      for arn in ["arn:aws:sqs:eu-west-1:123456789012:sync-dev-changes", "arn:aws:sqs:eu-west-1:123456789012:sync-dev-changes-dead-letter"] : concat(
        [["DenyPlainHttp", "Deny", ["sqs:*"], [arn], [["Bool", "aws:SecureTransport", ["false"]]]]],
        endswith(arn, "-dead-letter") ? [] : [
          ["DenyOtherSenders", "Deny", ["sqs:SendMessage"], [arn], [["ArnNotEquals", "aws:SourceArn", [var.sender_rule_arn]]]],
        ],
        [["RuleSends", null, ["sqs:SendMessage"], [arn], [["ArnEquals", "aws:SourceArn", [var.sender_rule_arn]]]]],
      )
    ])
    error_message = "The policies are ${jsonencode(data.aws_iam_policy_document.queue)}."
  }
}

run "with_a_welcome_each_step_names_its_function_and_what_it_retries" {
  command = apply

  module {
    source = "./modules/user_sync"
  }

  variables {
    welcome_email = {
      from           = "Example <welcome@example.com>"
      subject        = "Welcome"
      text           = "Hello"
      html           = "<p>Hello</p>"
      app_client_ids = []
      verified_only  = false
    }
  }

  assert {
    condition = alltrue([
      for state in jsondecode(module.state_machine.definition).States : (
        state.TimeoutSeconds > 0 && length(state.Retry) > 0 && !contains(flatten(state.Retry[*].ErrorEquals), "States.ALL")
      )
      if state.Type == "Task"
    ])
    error_message = "A task has no timeout, retries nothing, or retries without naming the error."
  }

  assert {
    condition = (
      jsondecode(module.state_machine.definition).States.IsWelcomed.Choices[0].And[0].StringEquals == "sign_up"
    )
    error_message = "A sign-up is not welcomed."
  }

  assert {
    condition = length(setintersection(
      flatten(jsondecode(module.state_machine.definition).States.SendWelcome.Retry[*].ErrorEquals),
      ["Lambda.Unknown", "Lambda.SdkClientException", "Sandbox.Timedout", "States.Timeout", "WelcomeOutcomeUnknown"],
    )) == 0
    error_message = "A send whose outcome is unknown would be repeated."
  }
}

run "without_a_welcome_there_is_no_function_and_no_way_to_it" {
  command = apply

  module {
    source = "./modules/user_sync"
  }

  variables {
    welcome_email = null
  }

  assert {
    condition     = length(module.send_welcome) == 0
    error_message = "The function is there."
  }

  assert {
    condition = (
      join(",", keys(jsondecode(module.state_machine.definition).States)) == "SyncUser"
      && jsondecode(module.state_machine.definition).States.SyncUser.End
      && !can(jsondecode(module.state_machine.definition).States.SyncUser.Next)
    )
    error_message = "The definition is ${module.state_machine.definition}."
  }
}

run "the_guard_only_detaches_and_attach_is_made_once" {
  command = apply

  module {
    source = "./modules/pool_trigger"
  }

  variables {
    user_pool = {
      id            = "eu-west-1_AbCdEfGhI"
      arn           = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
      lambda_config = []
    }
    function_arn         = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    function_arn_by_name = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    chained_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"
    attach_after         = []
  }

  assert {
    condition = (
      aws_lambda_invocation.guard.lifecycle_scope == "CRUD"
      && aws_lambda_invocation.attach.lifecycle_scope == "CREATE_ONLY"
    )
    error_message = "The guard must be called on destroy, and attach must not."
  }

  assert {
    condition = (
      jsondecode(aws_lambda_invocation.guard.input) == {
        action               = "detach"
        user_pool_id         = "eu-west-1_AbCdEfGhI"
        function_arn         = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
        chained_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"
      }
      && jsondecode(aws_lambda_invocation.attach.input).action == "attach"
    )
    error_message = "The guard is called with ${aws_lambda_invocation.guard.input}."
  }
}

run "a_foreign_trigger_is_reported_at_plan" {
  command = plan

  module {
    source = "./modules/pool_trigger"
  }

  variables {
    user_pool = {
      id            = "eu-west-1_AbCdEfGhI"
      arn           = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
      lambda_config = [{ post_confirmation = "arn:aws:lambda:eu-west-1:123456789012:function:another", kms_key_id = "" }]
    }
    function_arn         = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    function_arn_by_name = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    chained_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:theirs"
    attach_after         = []
  }

  expect_failures = [check.trigger_is_attached]
}

run "no_key_of_a_pool_without_sender_triggers_is_used" {
  command = apply

  module {
    source = "./modules/pool_trigger"
  }

  variables {
    user_pool = {
      id            = "eu-west-1_AbCdEfGhI"
      arn           = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
      lambda_config = [{ post_confirmation = "", kms_key_id = "" }]
    }
    function_arn         = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    function_arn_by_name = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    attach_after         = []
  }

  assert {
    condition     = !contains(data.aws_iam_policy_document.this.statement[*].sid, "KeepSenderKey")
    error_message = "The function may grant the use of a key that the pool does not have."
  }
}

run "the_key_of_the_sender_triggers_may_be_granted_to_this_pool_alone" {
  command = apply

  module {
    source = "./modules/pool_trigger"
  }

  variables {
    user_pool = {
      id  = "eu-west-1_AbCdEfGhI"
      arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
      lambda_config = [{
        post_confirmation = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
        kms_key_id        = "arn:aws:kms:eu-west-1:123456789012:key/theirs"
      }]
    }
    function_arn         = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    function_arn_by_name = "arn:aws:lambda:eu-west-1:123456789012:function:ours"
    attach_after         = []
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.this.statement : [
        statement.actions, statement.resources, [for condition in statement.condition : [condition.variable, condition.values]],
      ] if statement.sid == "KeepSenderKey"
      ] == [[
        toset(["kms:CreateGrant"]), toset(["arn:aws:kms:eu-west-1:123456789012:key/theirs"]),
        [["kms:EncryptionContext:userpool-id", tolist(["eu-west-1_AbCdEfGhI"])]],
    ]]
    error_message = "The statements are ${jsonencode(data.aws_iam_policy_document.this.statement)}."
  }
}

run "the_reconciliation_names_what_it_retries_and_ensures_the_trigger" {
  command = apply

  module {
    source = "./modules/reconciliation"
  }

  variables {
    table = {
      arn             = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
      has_shard_index = true
    }
    reconciliation = {
      schedule              = "rate(12 hours)"
      run_on_apply          = true
      list_users_per_second = 15
      max_concurrency       = 4
      max_delete_percent    = 10
    }
    pool_trigger = {
      function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:sync-dev-pool-trigger"
      request      = { function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:sync-dev-post-confirmation" }
    }
  }

  assert {
    condition = alltrue([
      for state in concat(
        values(jsondecode(module.state_machine.definition).States),
        values(jsondecode(module.state_machine.definition).States.ReconcileBatches.ItemProcessor.States),
      ) : state.TimeoutSeconds > 0 && length(state.Retry) > 0
      if state.Type == "Task"
    ])
    error_message = "A task has no timeout, or retries nothing."
  }

  assert {
    condition = (
      jsondecode(module.state_machine.definition).States.Begin.Parameters.attach_trigger == "true"
      && jsondecode(module.state_machine.definition).States.EnsureTrigger.Parameters.FunctionName == var.pool_trigger.function_arn
      && jsondecode(module.state_machine.definition).States.EnsureTrigger.Parameters.Payload == {
        action               = "attach"
        user_pool_id         = "eu-west-1_AbCdEfGhI"
        function_arn         = var.pool_trigger.request.function_arn
        chained_function_arn = ""
      }
    )
    error_message = "The trigger is not ensured."
  }

  assert {
    condition     = jsondecode(module.state_machine.definition).States.ReconcileBatches.MaxConcurrency == 4
    error_message = "There may be more workers than the pace is shared by."
  }

  assert {
    condition = (
      aws_scheduler_schedule.this[0].schedule_expression == "rate(12 hours)"
      && aws_scheduler_schedule.this[0].target[0].arn == module.state_machine.arn
    )
    error_message = "The schedule is ${jsonencode(aws_scheduler_schedule.this)}."
  }
}

run "without_trigger_schedule_and_first_run_there_is_the_state_machine_alone" {
  command = apply

  module {
    source = "./modules/reconciliation"
  }

  variables {
    table = {
      arn             = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
      has_shard_index = false
    }
    reconciliation = {
      schedule              = null
      run_on_apply          = false
      list_users_per_second = 15
      max_concurrency       = 4
      max_delete_percent    = 10
    }
    pool_trigger = null
  }

  assert {
    condition = (
      length(aws_scheduler_schedule.this) + length(aws_lambda_invocation.first_run) + length(module.start_reconciliation) == 0
      && jsondecode(module.state_machine.definition).States.Begin.Parameters.attach_trigger == "false"
    )
    error_message = "There is more than the state machine."
  }
}

run "changes_of_this_pool_that_succeeded_wait_in_a_queue" {
  command = apply

  module {
    source = "./modules/change_tracking"
  }

  variables {
    user_pool_id                = "eu-west-1_AbCdEfGhI"
    user_sync_state_machine_arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:sync-dev-user-sync"
  }

  assert {
    condition = (
      !contains(jsondecode(aws_cloudwatch_event_rule.changes.event_pattern).detail.eventName, "ConfirmSignUp")
      && contains(jsondecode(aws_cloudwatch_event_rule.changes.event_pattern).detail.eventName, "DeleteUser")
      && contains(jsondecode(aws_cloudwatch_event_rule.changes.event_pattern).detail.eventName, "AdminDeleteUser")
      && jsondecode(aws_cloudwatch_event_rule.changes.event_pattern).detail.errorCode == [{ exists = false }]
      && jsondecode(aws_cloudwatch_event_rule.changes.event_pattern).detail["$or"] == [
        { requestParameters = { userPoolId = ["eu-west-1_AbCdEfGhI"] } },
        { additionalEventData = { userPoolId = ["eu-west-1_AbCdEfGhI"] } },
      ]
    )
    error_message = "The pattern is ${aws_cloudwatch_event_rule.changes.event_pattern}."
  }

  assert {
    condition = (
      aws_cloudwatch_event_target.queue.arn == module.queue.queue.arn
      && aws_cloudwatch_event_target.queue.dead_letter_config[0].arn == module.queue.dead_letter_queue.arn
    )
    error_message = "What cannot be delivered is lost."
  }
}
