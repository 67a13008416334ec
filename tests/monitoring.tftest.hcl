# Each alarm's metric, dimensions and threshold, against the names of what is really made.

mock_provider "archive" {}

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  user_pool_id     = "eu-west-1_AbCdEfGhI"
  stage            = "dev"
  track_changes    = true
  alarm_topic_arns = ["arn:aws:sns:eu-west-1:123456789012:alarms"]
  welcome_email    = { from = "welcome@example.com" }
}

# Two state machines, told apart by their ARNs.
override_resource {
  target = module.user_sync.module.state_machine.aws_sfn_state_machine.this
  values = { arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:cognito-user-sync-dev-user-sync" }
}

override_resource {
  target = module.reconciliation[0].module.state_machine.aws_sfn_state_machine.this
  values = { arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:cognito-user-sync-dev-reconciliation" }
}

run "everything" {
  command = apply

  assert {
    condition = { for name, alarm in module.monitoring.alarms : name => [
      alarm.namespace, alarm.metric_name, jsonencode(alarm.dimensions), alarm.statistic, alarm.comparison_operator, alarm.threshold,
      ] if name != "unstarted-age" } == {
      trigger-errors           = ["AWS/Lambda", "Errors", jsonencode({ FunctionName = "cognito-user-sync-dev-post-confirmation" }), "Sum", "GreaterThanThreshold", 0]
      trigger-throttles        = ["AWS/Lambda", "Throttles", jsonencode({ FunctionName = "cognito-user-sync-dev-post-confirmation" }), "Sum", "GreaterThanThreshold", 0]
      trigger-duration         = ["AWS/Lambda", "Duration", jsonencode({ FunctionName = "cognito-user-sync-dev-post-confirmation" }), "Maximum", "GreaterThanThreshold", 4000]
      user-sync-failed         = ["AWS/States", "ExecutionsFailed", jsonencode({ StateMachineArn = module.user_sync.state_machine_arn }), "Sum", "GreaterThanThreshold", 0]
      user-sync-timed-out      = ["AWS/States", "ExecutionsTimedOut", jsonencode({ StateMachineArn = module.user_sync.state_machine_arn }), "Sum", "GreaterThanThreshold", 0]
      unstarted-dead-letter    = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", jsonencode({ QueueName = "cognito-user-sync-dev-unstarted-dead-letter" }), "Maximum", "GreaterThanThreshold", 0]
      changes-undelivered      = ["AWS/Events", "FailedInvocations", jsonencode({ RuleName = "cognito-user-sync-dev-changes" }), "Sum", "GreaterThanThreshold", 0]
      changes-lost             = ["AWS/Events", "InvocationsFailedToBeSentToDlq", jsonencode({ RuleName = "cognito-user-sync-dev-changes" }), "Sum", "GreaterThanThreshold", 0]
      changes-dead-letter      = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", jsonencode({ QueueName = "cognito-user-sync-dev-changes-dead-letter" }), "Maximum", "GreaterThanThreshold", 0]
      reconciliation-failed    = ["AWS/States", "ExecutionsFailed", jsonencode({ StateMachineArn = module.reconciliation[0].state_machine_arn }), "Sum", "GreaterThanThreshold", 0]
      reconciliation-timed-out = ["AWS/States", "ExecutionsTimedOut", jsonencode({ StateMachineArn = module.reconciliation[0].state_machine_arn }), "Sum", "GreaterThanThreshold", 0]
      reconciliation-overdue   = ["AWS/States", "ExecutionsSucceeded", jsonencode({ StateMachineArn = module.reconciliation[0].state_machine_arn }), "Sum", "LessThanThreshold", 1]
    }
    error_message = "The alarms are ${jsonencode(module.monitoring.alarms)}."
  }

  # All messages of the queue, those that are being tried among them.
  assert {
    condition = jsonencode({
      for query in module.monitoring.alarms["unstarted-age"].metric_query : query.id => length(query.metric) == 0 ? [query.expression] : [
        query.metric[0].namespace, query.metric[0].metric_name, query.metric[0].dimensions.QueueName, query.metric[0].stat, query.metric[0].period,
      ]
      }) == jsonencode({
      messages = ["waiting + tried"]
      tried    = ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "cognito-user-sync-dev-unstarted", "Maximum", "60"]
      waiting  = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "cognito-user-sync-dev-unstarted", "Maximum", "60"]
    })
    error_message = "The alarm is ${jsonencode(module.monitoring.alarms["unstarted-age"].metric_query)}."
  }

  assert {
    condition = jsonencode({
      for name, alarm in module.monitoring.alarms : name => [alarm.evaluation_periods, alarm.period]
      if !(alarm.evaluation_periods == 1 && alarm.period == 60)
      }) == jsonencode({
      reconciliation-overdue = [48, 3600]
      unstarted-age          = [15, null]
    })
    error_message = "The alarms look back otherwise."
  }
}

run "an_alarm_says_what_to_type_and_tells_the_topics" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in module.monitoring.alarms :
      strcontains(alarm.alarm_description, "cognito-user-sync ") || strcontains(alarm.alarm_description, "aws logs tail ")
    ])
    error_message = "An alarm names no command."
  }

  assert {
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    condition     = alltrue([for alarm in module.monitoring.alarms : length(alarm.alarm_description) <= 1024])
    error_message = "A description is longer than CloudWatch takes."
  }

  assert {
    condition = alltrue([
      for alarm in module.monitoring.alarms :
      alarm.alarm_actions == var.alarm_topic_arns && alarm.ok_actions == var.alarm_topic_arns
    ])
    error_message = "The topics are not told of every alarm and of its end."
  }

  assert {
    condition = alltrue([
      for name, alarm in module.monitoring.alarms :
      alarm.treat_missing_data == (name == "reconciliation-overdue" ? "breaching" : "notBreaching")
    ])
    error_message = "What reports nothing is idle, but for a reconciliation that is due."
  }

  assert {
    condition     = output.alarm_names == sort(values(module.monitoring.alarms)[*].alarm_name)
    error_message = "The output names ${jsonencode(output.alarm_names)}."
  }
}

run "what_is_not_there_has_no_alarm" {
  command = plan

  variables {
    track_changes  = false
    reconciliation = { schedule = "none" }
  }

  assert {
    condition     = length([for name in keys(module.monitoring.alarms) : name if startswith(name, "changes-") || name == "reconciliation-overdue"]) == 0
    error_message = "The alarms are ${jsonencode(keys(module.monitoring.alarms))}."
  }

  assert {
    condition     = contains(keys(module.monitoring.alarms), "reconciliation-failed")
    error_message = "A run on demand may fail, too."
  }
}

run "a_run_need_not_be_due" {
  command = plan

  variables {
    reconciliation = { overdue_hours = 0 }
  }

  assert {
    condition     = !contains(keys(module.monitoring.alarms), "reconciliation-overdue")
    error_message = "The alarms are ${jsonencode(keys(module.monitoring.alarms))}."
  }
}

run "without_reconciliation_it_has_no_alarm" {
  command = plan

  variables {
    reconciliation = { enabled = false }
  }

  assert {
    condition     = length([for name in keys(module.monitoring.alarms) : name if startswith(name, "reconciliation-")]) == 0
    error_message = "The alarms are ${jsonencode(keys(module.monitoring.alarms))}."
  }
}
