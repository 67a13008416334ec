# The alarms; the dashboard is in dashboard.tf. Each alarm's description says what it means, and what to type.
#
# - pages: users are affected now, and waiting makes it worse. All others can wait until the morning.
# - ends: whether its end means that all is well again. Of an alarm that counts failures, it means only that a minute had
#   none, so it is not reported.
# - missing data: "missing" where AWS reports data all the time, so that none means that something is gone. The alarm then
#   changes to INSUFFICIENT_DATA, which its topics are told. It is the first state of a new alarm, too, and no change then:
#   https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
#   Lambda asks the two queues for messages all the time. Of a queue without a reader, a dead-letter queue, SQS reports
#   nothing after six hours:
#   https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html

locals {
  trigger   = { FunctionName = var.post_confirmation_function_name }
  user_sync = { StateMachineArn = var.user_sync_state_machine_arn }

  # No try() of these objects: one with a topic of the same configuration is unknown in part at plan, and try() makes it
  # unknown as a whole, so that Terraform cannot tell which alarms exist.
  unchanged = { enabled = true, threshold = null, period_seconds = null, evaluation_periods = null, datapoints_to_alarm = null, topic_arns = null }
  changes = merge(
    { for name in ["trigger-duration", "retry-age", "changes-age"] : name => local.unchanged },
    { for name, alarm in var.alarms : name => alarm if alarm != null },
  )

  trigger_duration_ms = coalesce(local.changes["trigger-duration"].threshold, 4000)
  age_minutes = {
    for name, periods in { retry-age = 15, changes-age = 30 } :
    name => coalesce(local.changes[name].period_seconds, 60) * coalesce(local.changes[name].evaluation_periods, periods) / 60
  }

  trigger_alarms = {
    trigger-errors = {
      description = "The post-confirmation trigger failed: a user who signed up saw an error, although the sign-up is confirmed, and gets no welcome email. See why: aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. When the cause is fixed: cognito-user-sync reconcile, then cognito-user-sync welcome --since 1h. An error of a chained function counts, too."
      runbook     = "users-see-an-error-when-they-confirm"
      pages       = true
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = local.trigger
      statistic   = "Sum"
    }
    # A single one does no harm as a rule: Cognito invokes the trigger up to three times.
    trigger-throttles = {
      description         = "Lambda throttled the post-confirmation trigger: users who signed up waited, or saw an error. Set lambda.trigger_reserved_concurrency, or raise the account's concurrency; then cognito-user-sync reconcile, and cognito-user-sync welcome --since 1h, for users who were missed."
      runbook             = "users-see-an-error-when-they-confirm"
      pages               = true
      namespace           = "AWS/Lambda"
      metric_name         = "Throttles"
      dimensions          = local.trigger
      statistic           = "Sum"
      evaluation_periods  = 3
      datapoints_to_alarm = 2
    }
    trigger-duration = {
      description         = "The post-confirmation trigger took more than ${local.trigger_duration_ms / 1000} of the 5 seconds after which Cognito gives up on it and calls it again. Look which call is slow: aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. A chained function has what the trigger leaves of the time."
      runbook             = "users-see-an-error-when-they-confirm"
      namespace           = "AWS/Lambda"
      metric_name         = "Duration"
      dimensions          = local.trigger
      statistic           = "Maximum"
      threshold           = 4000
      evaluation_periods  = 3
      datapoints_to_alarm = 2
    }
  }

  # The function fails if it had to attach the trigger, or could not.
  trigger_missing_alarms = merge([for name in var.pool_trigger_function_name[*] : {
    trigger-missing = {
      description = "The user pool did not invoke this module: its post-confirmation trigger was missing, or cannot be attached. Users who signed up meanwhile got no welcome email. To see which of both: cognito-user-sync status, and aws logs tail /aws/lambda/${name} --since 1h --region ${var.region}, which has the command for these users. Find who removed the trigger. If this alarm has insufficient data, the trigger is not checked any more."
      runbook     = "sign-ups-do-not-arrive-in-the-table"
      pages       = true
      ends        = true
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = { FunctionName = name }
      statistic   = "Sum"
      # Two checks: one is every 15 minutes, and reports 0.
      period_seconds     = 1800
      treat_missing_data = "missing"
    }
  }]...)

  sign_ups_lost_alarms = merge([for metric_name in var.filters_logs ? [local.sign_ups_lost_metric] : [] : {
    sign-ups-lost = {
      description = "Executions of sign-ups could neither be started nor queued: their users are not synced, and get no welcome email. To see who and why: cognito-user-sync status, and aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. When the cause is fixed: cognito-user-sync welcome --since 1h, which starts these executions."
      runbook     = "sign-ups-were-lost"
      pages       = true
      namespace   = local.namespace
      metric_name = metric_name
      dimensions  = {}
      statistic   = "Sum"
    }
  }]...)

  user_sync_alarms = {
    user-sync-failed = {
      description = "Users could not be synced or welcomed. To see which, in which step and why: cognito-user-sync failures. When the cause is fixed: cognito-user-sync failures redrive."
      runbook     = "executions-failed"
      namespace   = "AWS/States"
      metric_name = "ExecutionsFailed"
      dimensions  = local.user_sync
      statistic   = "Sum"
    }
    user-sync-timed-out = {
      description = "Executions took longer than two days, so users are not synced or not welcomed. To see which: cognito-user-sync failures. When the cause is fixed: cognito-user-sync failures redrive."
      runbook     = "executions-failed"
      namespace   = "AWS/States"
      metric_name = "ExecutionsTimedOut"
      dimensions  = local.user_sync
      statistic   = "Sum"
    }
  }

  # An execution that is retried, for up to 12 hours, has not failed yet. Not on Errors alone: SyncUser also fails while
  # Cognito does not show a confirmation, and succeeds within minutes. A period is longer than the longest wait between
  # two attempts, so a single execution that is retried raises the alarm, if no other succeeds.
  failing_alarms = {
    for name, function_name in { sync-user = var.sync_user_function_name, send-welcome = var.send_welcome_function_name } :
    "${name}-failing" => {
      description        = "No invocation of ${name} succeeds. Most errors are retried for 12 hours, and the executions fail only then. To see why: aws logs tail /aws/lambda/${function_name} --since 1h --region ${var.region}. When the cause is fixed, the executions that are still retried continue without a redrive."
      runbook            = "executions-are-retried"
      pages              = true
      ends               = true
      expression         = "IF(errors == invocations, errors, 0)"
      label              = "failed invocations, if none succeeded"
      period_seconds     = 600
      evaluation_periods = 2
      metrics = {
        for metric_name in ["Errors", "Invocations"] : lower(metric_name) => {
          namespace   = "AWS/Lambda"
          metric_name = metric_name
          dimensions  = { FunctionName = function_name }
          statistic   = "Sum"
        }
      }
    } if function_name != null
  }

  # Not on ApproximateAgeOfOldestMessage: that leaves out messages which were received more than three times, as those are
  # that fail. So: in each minute there has been a message, waiting or being handled. SQS reports the latter only if there
  # are some: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
  age_expression = "waiting + FILL(handled, 0)"
  age_metrics = {
    for queue in concat([var.retry_queue_names.queue], var.changes[*].queue_names.queue) : queue => {
      for id, metric_name in {
        waiting = "ApproximateNumberOfMessagesVisible"
        handled = "ApproximateNumberOfMessagesNotVisible"
        } : id => {
        namespace   = "AWS/SQS"
        metric_name = metric_name
        dimensions  = { QueueName = queue }
        statistic   = "Maximum"
      }
    }
  }

  retry_alarms = {
    retry-age = {
      description        = "Sign-ups have been waiting for ${local.age_minutes.retry-age} minutes, since their executions cannot be started. They are tried again every 3 minutes, for 12 hours. Look why StartExecution fails: aws logs tail /aws/lambda/${var.prefix}-retry-sign-ups --since 1h --region ${var.region}. What waits: cognito-user-sync status. If this alarm has insufficient data, the queue is gone, or Lambda does not read it."
      runbook            = "sign-ups-wait-in-the-retry-queue"
      pages              = true
      ends               = true
      expression         = local.age_expression
      label              = "sign-ups that are not started"
      evaluation_periods = 15
      treat_missing_data = "missing"
      metrics            = local.age_metrics[var.retry_queue_names.queue]
    }
    retry-dead-letter = {
      description = "Sign-ups that could not be started within 12 hours: their users are neither synced nor welcomed. The dead-letter queue keeps them 13.5 days. Look why StartExecution fails: aws logs tail /aws/lambda/${var.prefix}-retry-sign-ups --since 1d --region ${var.region}. When it is fixed: cognito-user-sync failures requeue."
      runbook     = "sign-ups-wait-in-the-retry-queue"
      ends        = true
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = var.retry_queue_names.dead_letter_queue }
      statistic   = "Maximum"
    }
  }

  changes_alarms = merge([for changes in var.changes[*] : {
    changes-age = {
      description        = "Changes of users have been waiting for ${local.age_minutes.changes-age} minutes: they cannot be synced, or there are more than ten a second. A change that fails is tried again every 6 minutes, for 12 hours. See why: aws logs tail /aws/lambda/${var.prefix}-sync-changes --since 1h --region ${var.region}. How many wait: cognito-user-sync status. If this alarm has insufficient data, the queue is gone, or Lambda does not read it."
      runbook            = "changes-do-not-arrive"
      ends               = true
      expression         = local.age_expression
      label              = "changes that are not synced"
      evaluation_periods = 30
      treat_missing_data = "missing"
      metrics            = local.age_metrics[changes.queue_names.queue]
    }
    changes-undelivered = {
      description = "EventBridge could not put changes of users into their queue: until the next reconciliation their items are as before. Look at the policy of the queue ${changes.queue_names.queue}, and of its KMS key; then: cognito-user-sync reconcile."
      runbook     = "changes-do-not-arrive"
      namespace   = "AWS/Events"
      metric_name = "FailedInvocations"
      dimensions  = { RuleName = changes.rule_name }
      statistic   = "Sum"
    }
    changes-lost = {
      description = "EventBridge could put changes of users neither into their queue nor into its dead-letter queue: until the next reconciliation their items are as before. Look at the policies of both queues, and of their KMS key; then: cognito-user-sync reconcile."
      runbook     = "changes-do-not-arrive"
      namespace   = "AWS/Events"
      metric_name = "InvocationsFailedToBeSentToDlq"
      dimensions  = { RuleName = changes.rule_name }
      statistic   = "Sum"
    }
    changes-dead-letter = {
      description = "Changes of users that could not be delivered, or not be synced within 12 hours: until the next reconciliation their items are as before. Look why: aws logs tail /aws/lambda/${var.prefix}-sync-changes --since 1d --region ${var.region}. When it is fixed: cognito-user-sync reconcile; then purge the queue ${changes.queue_names.dead_letter_queue}."
      runbook     = "changes-do-not-arrive"
      ends        = true
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = changes.queue_names.dead_letter_queue }
      statistic   = "Maximum"
    }
  }]...)

  reconciliation_runbook = "the-reconciliation-failed-or-is-overdue"
  reconciliation_alarms = merge([for reconciliation in var.reconciliation[*] : {
    reconciliation-failed = {
      description = "A run of the reconciliation failed, or ended with something for a person to look at. To see what: cognito-user-sync status (a dry run tells only whoever started it). When the cause is fixed: cognito-user-sync reconcile."
      runbook     = local.reconciliation_runbook
      namespace   = "AWS/States"
      metric_name = "ExecutionsFailed"
      dimensions  = { StateMachineArn = reconciliation.state_machine_arn }
      statistic   = "Sum"
    }
    reconciliation-timed-out = {
      description = "A run of the reconciliation was not over after seven days. To see how far it came: cognito-user-sync status. Begin anew: cognito-user-sync reconcile."
      runbook     = local.reconciliation_runbook
      namespace   = "AWS/States"
      metric_name = "ExecutionsTimedOut"
      dimensions  = { StateMachineArn = reconciliation.state_machine_arn }
      statistic   = "Sum"
    }
  }]...)

  # At these rates, SES reviews the account: https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html
  ses_alarms = merge([for name in var.watches_ses ? [var.send_welcome_function_name] : [] : {
    for alarm_name, alarm in {
      ses-bounce-rate = {
        metric_name = "Reputation.BounceRate"
        threshold   = 0.05
        meaning     = "bounce: SES reviews the account at 5 percent, and may pause all its sending at 10"
        cause       = "sign-ups have addresses that do not exist"
      }
      ses-complaint-rate = {
        metric_name = "Reputation.ComplaintRate"
        threshold   = 0.001
        meaning     = "are marked as spam: SES reviews the account at 0.1 percent, and may pause all its sending at 0.5"
        cause       = "they go to people who did not sign up"
      }
      } : alarm_name => {
      description    = "Too many of the emails that this account sends by SES in ${var.region}, of all applications together, ${alarm.meaning}. See which in the reputation metrics of the SES console. How many of them are welcome emails: aws logs tail /aws/lambda/${name} --since 1d --region ${var.region}. If it is these, ${alarm.cause}: welcome_email.verified_only sends to verified addresses alone."
      runbook        = "emails-bounce-or-recipients-complain"
      ends           = true
      namespace      = "AWS/SES"
      metric_name    = alarm.metric_name
      dimensions     = {} # of the whole account, in this region
      statistic      = "Average"
      threshold      = alarm.threshold
      period_seconds = 3600
      # The rate is of the emails sent, and stays until there are others.
      treat_missing_data = "ignore"
    }
  }]...)

  # Of the hours in which the deployment exists: Lambda asks the queue of sign-ups for messages in each of them.
  overdue_alarms = merge([for hours in var.reconciliation[*].overdue_hours : {
    reconciliation-overdue = {
      description         = "No run of the reconciliation has succeeded for ${hours} hours: users who were created, changed or deleted otherwise than by a sign-up may be missing in the table. To see the last run: cognito-user-sync status. Run it now: cognito-user-sync reconcile. It should start by the schedule ${var.prefix}-reconciliation. Dry runs, and runs that end at once beside another, count as successes."
      runbook             = local.reconciliation_runbook
      ends                = true
      expression          = "IF(polls >= 0, FILL(runs, 0))"
      label               = "runs that succeeded"
      comparison_operator = "LessThanThreshold"
      threshold           = 1
      period_seconds      = 3600
      evaluation_periods  = hours
      metrics = {
        runs = {
          namespace   = "AWS/States"
          metric_name = "ExecutionsSucceeded"
          dimensions  = { StateMachineArn = one(var.reconciliation[*].state_machine_arn) }
          statistic   = "Sum"
        }
        polls = {
          namespace   = "AWS/SQS"
          metric_name = "NumberOfEmptyReceives"
          dimensions  = { QueueName = var.retry_queue_names.queue }
          statistic   = "Sum"
        }
      }
    }
  } if hours != null]...)

  known_alarms = merge(
    local.trigger_alarms, local.trigger_missing_alarms, local.sign_ups_lost_alarms, local.user_sync_alarms,
    local.failing_alarms, local.retry_alarms, local.changes_alarms, local.reconciliation_alarms, local.overdue_alarms,
    local.ses_alarms,
  )
  changes_of_known = merge({ for name in keys(local.known_alarms) : name => local.unchanged }, local.changes)

  alarms = {
    for name, alarm in local.known_alarms : name => merge(alarm, {
      description        = "${alarm.description} Runbook of version ${var.runbook.version}: ${var.runbook.url}#${alarm.runbook}"
      threshold          = coalesce(local.changes_of_known[name].threshold, try(alarm.threshold, 0))
      period_seconds     = coalesce(local.changes_of_known[name].period_seconds, try(alarm.period_seconds, 60))
      evaluation_periods = coalesce(local.changes_of_known[name].evaluation_periods, try(alarm.evaluation_periods, 1))
      # With other periods, all of them.
      datapoints_to_alarm = coalesce(
        local.changes_of_known[name].datapoints_to_alarm, local.changes_of_known[name].evaluation_periods,
        try(alarm.datapoints_to_alarm, alarm.evaluation_periods, 1)
      )
      comparison_operator = try(alarm.comparison_operator, "GreaterThanThreshold")
      # What is idle reports nothing.
      treat_missing_data = try(alarm.treat_missing_data, "notBreaching")
      ends               = try(alarm.ends, false)
      topic_arns = (
        local.changes_of_known[name].topic_arns != null ? local.changes_of_known[name].topic_arns
        : try(alarm.pages, false) || var.alarm_warn_topic_arns == null ? var.alarm_topic_arns
        : var.alarm_warn_topic_arns
      )
    }) if local.changes_of_known[name].enabled
  }
  created_alarms = merge(aws_cloudwatch_metric_alarm.this, aws_cloudwatch_metric_alarm.on_expression)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = { for name, alarm in local.alarms : name => alarm if !can(alarm.expression) }

  alarm_name        = "${var.prefix}-${each.key}"
  alarm_description = each.value.description

  namespace           = each.value.namespace
  metric_name         = each.value.metric_name
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison_operator
  threshold           = each.value.threshold
  period              = each.value.period_seconds
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  treat_missing_data  = each.value.treat_missing_data

  alarm_actions             = each.value.topic_arns
  ok_actions                = each.value.ends ? each.value.topic_arns : []
  insufficient_data_actions = each.value.treat_missing_data == "missing" ? each.value.topic_arns : []
  tags                      = var.tags
}

moved {
  from = aws_cloudwatch_metric_alarm.retry_age
  to   = aws_cloudwatch_metric_alarm.on_expression
}

moved {
  from = aws_cloudwatch_metric_alarm.this["reconciliation-overdue"]
  to   = aws_cloudwatch_metric_alarm.on_expression["reconciliation-overdue"]
}

resource "aws_cloudwatch_metric_alarm" "on_expression" {
  for_each = { for name, alarm in local.alarms : name => alarm if can(alarm.expression) }

  alarm_name        = "${var.prefix}-${each.key}"
  alarm_description = each.value.description

  comparison_operator = each.value.comparison_operator
  threshold           = each.value.threshold
  evaluation_periods  = each.value.evaluation_periods
  datapoints_to_alarm = each.value.datapoints_to_alarm
  treat_missing_data  = each.value.treat_missing_data

  metric_query {
    id          = "value"
    expression  = each.value.expression
    label       = each.value.label
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics
    content {
      id = metric_query.key
      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric_name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.statistic
        period      = each.value.period_seconds
      }
    }
  }

  alarm_actions             = each.value.topic_arns
  ok_actions                = each.value.ends ? each.value.topic_arns : []
  insufficient_data_actions = each.value.treat_missing_data == "missing" ? each.value.topic_arns : []
  tags                      = var.tags
}
