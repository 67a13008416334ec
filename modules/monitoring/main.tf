# The alarms. The description of each alarm states the problem, and the commands that show and fix it.
#
# - pages: users are affected now, and more are affected until the cause is fixed. All other alarms can wait until the next
#   working day.
# - ends: send an OK notification, because OK means that the problem is over. The OK of an alarm that counts failures means
#   only that the last period had none.
# - treat_missing_data: "missing" if AWS always reports data, so that missing data means that a resource is missing. The alarm
#   then changes to INSUFFICIENT_DATA, which also sends a notification. A new alarm starts with INSUFFICIENT_DATA, which is
#   no change: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
#   Lambda polls the retry queue and the change queue all the time. For a queue that is not polled, such as a dead-letter
#   queue, SQS reports no data after six hours:
#   https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/monitoring-using-cloudwatch.html

locals {
  trigger   = { FunctionName = var.post_confirmation_function_name }
  user_sync = { StateMachineArn = var.user_sync_state_machine_arn }

  # Overrides of alarm settings from var.alarms. Not with try(): an alarm with a topic that the same configuration creates is partly
  # unknown at plan. try() would make it completely unknown, and then for_each of the alarms fails.
  no_override = { enabled = true, threshold = null, period_seconds = null, evaluation_periods = null, datapoints_to_alarm = null, topic_arns = null }
  overrides = merge(
    { for name in ["trigger-duration", "retry-age", "changes-age", "user-events-age"] : name => local.no_override },
    { for name, alarm in var.alarms : name => alarm if alarm != null },
  )

  trigger_duration_ms = coalesce(local.overrides["trigger-duration"].threshold, 4000)
  user_events_age_ms  = coalesce(local.overrides["user-events-age"].threshold, 900000)
  age_minutes = {
    for name, periods in { retry-age = 15, changes-age = 30 } :
    name => coalesce(local.overrides[name].period_seconds, 60) * coalesce(local.overrides[name].evaluation_periods, periods) / 60
  }

  trigger_alarms = {
    trigger-errors = {
      description = "The post-confirmation trigger failed: users saw an error although their sign-up is confirmed, and get no welcome email. For the cause: aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. When the cause is fixed: cognito-user-sync reconcile, then cognito-user-sync welcome --since 1h. Errors of a chained function count, too."
      runbook     = "users-see-an-error-when-they-confirm"
      pages       = true
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = local.trigger
      statistic   = "Sum"
    }
    # A single throttle usually has no effect: Cognito invokes the trigger up to three times.
    trigger-throttles = {
      description         = "Lambda throttled the post-confirmation trigger: new users waited or saw an error. Set lambda.trigger_reserved_concurrency, or request a higher concurrency quota. Then sync the users who were missed: cognito-user-sync reconcile, and cognito-user-sync welcome --since 1h."
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
      description         = "The post-confirmation trigger took more than ${local.trigger_duration_ms / 1000} seconds. After 5 seconds, Cognito stops waiting and invokes it again. To see which API call is slow: aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. A chained function runs in the remaining time of the trigger."
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

  # The function reports an error if it attached a missing trigger, and if it could not attach it.
  trigger_missing_alarms = merge([for name in var.pool_trigger_function_name[*] : {
    trigger-missing = {
      description = "The post-confirmation trigger was missing, and is attached again or cannot be attached. Users who signed up without it got no welcome email. To see whether it is attached: cognito-user-sync status. For the command that sends these emails: aws logs tail /aws/lambda/${name} --since 1h --region ${var.region}. Find the stack that removed the trigger. If this alarm has insufficient data, the trigger is no longer checked."
      runbook     = "sign-ups-do-not-arrive-in-the-table"
      pages       = true
      ends        = true
      namespace   = "AWS/Lambda"
      metric_name = "Errors"
      dimensions  = { FunctionName = name }
      statistic   = "Sum"
      # Two checks: there is one every 15 minutes, which reports 0 errors if the trigger is attached.
      period_seconds     = 1800
      treat_missing_data = "missing"
    }
  }]...)

  sign_ups_lost_alarms = merge([for metric_name in var.filters_logs ? [local.sign_ups_lost_metric] : [] : {
    sign-ups-lost = {
      description = "The trigger could neither start the executions of sign-ups nor send them to the retry queue: these users are not synced, and get no welcome email. For the users and the cause: cognito-user-sync status, and aws logs tail /aws/lambda/${var.post_confirmation_function_name} --since 1h --region ${var.region}. When the cause is fixed, start the executions: cognito-user-sync welcome --since 1h."
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
      description = "Executions failed: their users are not synced, or got no welcome email. For the users, the failed steps and the causes: cognito-user-sync failures. When the cause is fixed: cognito-user-sync failures redrive."
      runbook     = "executions-failed"
      namespace   = "AWS/States"
      metric_name = "ExecutionsFailed"
      dimensions  = local.user_sync
      statistic   = "Sum"
    }
    user-sync-timed-out = {
      description = "Executions took longer than two days: their users are not synced, or got no welcome email. For the users: cognito-user-sync failures. When the cause is fixed: cognito-user-sync failures redrive."
      runbook     = "executions-failed"
      namespace   = "AWS/States"
      metric_name = "ExecutionsTimedOut"
      dimensions  = local.user_sync
      statistic   = "Sum"
    }
  }

  # Executions are retried for up to 12 hours before they fail. These alarms fire earlier. Errors alone are no problem:
  # SyncUser also fails until Cognito shows the confirmation of a user, which takes minutes. A period is longer than the
  # longest wait between two attempts, so one retried execution is enough for the alarm if no other succeeds.
  failing_alarms = {
    for name, function_name in { sync-user = var.sync_user_function_name, send-welcome = var.send_welcome_function_name } :
    "${name}-failing" => {
      description        = "All invocations of ${name} fail. Most errors are retried for 12 hours before the execution fails. For the cause: aws logs tail /aws/lambda/${function_name} --since 1h --region ${var.region}. When the cause is fixed, executions that are still being retried continue without a redrive."
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

  # The number of messages in each minute, waiting or in flight. Not ApproximateAgeOfOldestMessage, which ignores messages
  # that were received more than three times, like those that fail. SQS reports messages in flight only if there are
  # some: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
  age_expression = "waiting + FILL(in_flight, 0)"
  age_metrics = {
    for queue in concat([var.retry_queue_names.queue], var.changes[*].queue_names.queue) : queue => {
      for id, metric_name in {
        waiting   = "ApproximateNumberOfMessagesVisible"
        in_flight = "ApproximateNumberOfMessagesNotVisible"
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
      description        = "Sign-ups have been in the retry queue for ${local.age_minutes.retry-age} minutes, because their executions cannot be started. They are retried every 3 minutes for 12 hours. To see why StartExecution fails: aws logs tail /aws/lambda/${var.prefix}-retry-sign-ups --since 1h --region ${var.region}. For their number: cognito-user-sync status. If this alarm has insufficient data, the queue is missing, or Lambda does not poll it."
      runbook            = "sign-ups-wait-in-the-retry-queue"
      pages              = true
      ends               = true
      expression         = local.age_expression
      label              = "sign-ups in the retry queue"
      evaluation_periods = 15
      treat_missing_data = "missing"
      metrics            = local.age_metrics[var.retry_queue_names.queue]
    }
    retry-dead-letter = {
      description = "The executions of sign-ups could not be started within 12 hours: these users are not synced, and got no welcome email. The dead-letter queue keeps the sign-ups for 13.5 days. To see why StartExecution fails: aws logs tail /aws/lambda/${var.prefix}-retry-sign-ups --since 1d --region ${var.region}. When the cause is fixed: cognito-user-sync failures requeue."
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
      description        = "Changes of users have been in the change queue for ${local.age_minutes.changes-age} minutes: they cannot be synced, or there are more than ten per second. A failed change is retried every 6 minutes for 12 hours. For the cause: aws logs tail /aws/lambda/${var.prefix}-sync-changes --since 1h --region ${var.region}. For their number: cognito-user-sync status. If this alarm has insufficient data, the queue is missing, or Lambda does not poll it."
      runbook            = "changes-do-not-arrive"
      ends               = true
      expression         = local.age_expression
      label              = "changes in the change queue"
      evaluation_periods = 30
      treat_missing_data = "missing"
      metrics            = local.age_metrics[changes.queue_names.queue]
    }
    changes-undelivered = {
      description = "EventBridge could not send changes of users to the change queue: these items are stale until the next reconciliation. Check the policy of the queue ${changes.queue_names.queue} and of its KMS key. Then: cognito-user-sync reconcile."
      runbook     = "changes-do-not-arrive"
      namespace   = "AWS/Events"
      metric_name = "FailedInvocations"
      dimensions  = { RuleName = changes.rule_name }
      statistic   = "Sum"
    }
    changes-lost = {
      description = "EventBridge could send changes of users neither to the change queue nor to its dead-letter queue: these items are stale until the next reconciliation. Check the policies of both queues and of their KMS key. Then: cognito-user-sync reconcile."
      runbook     = "changes-do-not-arrive"
      namespace   = "AWS/Events"
      metric_name = "InvocationsFailedToBeSentToDlq"
      dimensions  = { RuleName = changes.rule_name }
      statistic   = "Sum"
    }
    changes-dead-letter = {
      description = "Changes of users could not be delivered, or not be synced within 12 hours: these items are stale until the next reconciliation. For the cause: aws logs tail /aws/lambda/${var.prefix}-sync-changes --since 1d --region ${var.region}. When the cause is fixed: cognito-user-sync reconcile. Then purge the queue ${changes.queue_names.dead_letter_queue}."
      runbook     = "changes-do-not-arrive"
      ends        = true
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = changes.queue_names.dead_letter_queue }
      statistic   = "Maximum"
    }
  }]...)

  user_events_alarms = merge([for user_events in var.user_events[*] : {
    # Lambda reports the age only when it invokes the function, which it also does again and again after a failure.
    user-events-age = {
      description         = "Events about users are published more than ${local.user_events_age_ms / 60000} minutes after the change. They are retried for 23 hours, and are lost then. For the cause: aws logs tail /aws/lambda/${user_events.function_name} --since 1h --region ${var.region}. If there is no error, there are more changes than one function per shard of the stream can publish, for example in the first reconciliation: the delay then ends by itself."
      runbook             = local.user_events_runbook
      ends                = true
      namespace           = "AWS/Lambda"
      metric_name         = "IteratorAge"
      dimensions          = { FunctionName = user_events.function_name }
      statistic           = "Maximum"
      threshold           = 900000
      evaluation_periods  = 5
      datapoints_to_alarm = 5
    }
    user-events-dead-letter = {
      description = "Events about users could not be published for 23 hours, and are lost: services that receive them have stale users. For the time of these events: cognito-user-sync failures show. For the cause: aws logs tail /aws/lambda/${user_events.function_name} --since 1d --region ${var.region}. When the cause is fixed, let each service compare its users with the table. Then purge the queue ${user_events.dead_letter_queue_name}."
      runbook     = local.user_events_runbook
      ends        = true
      namespace   = "AWS/SQS"
      metric_name = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = user_events.dead_letter_queue_name }
      statistic   = "Maximum"
    }
  }]...)

  user_events_runbook    = "events-about-users-are-late-or-lost"
  reconciliation_runbook = "the-reconciliation-failed-or-is-overdue"
  reconciliation_alarms = merge([for reconciliation in var.reconciliation[*] : {
    reconciliation-failed = {
      description = "A run of the reconciliation failed, or ended with problems that need operator action. For the problems: cognito-user-sync status, or the output of the dry run that failed. When the cause is fixed: cognito-user-sync reconcile."
      runbook     = local.reconciliation_runbook
      namespace   = "AWS/States"
      metric_name = "ExecutionsFailed"
      dimensions  = { StateMachineArn = reconciliation.state_machine_arn }
      statistic   = "Sum"
    }
    reconciliation-timed-out = {
      description = "A run of the reconciliation did not end within seven days. For its progress: cognito-user-sync status. To start a new run: cognito-user-sync reconcile."
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
        meaning     = "bounce. SES reviews an account at 5 percent, and can pause its sending at 10 percent"
        cause       = "users sign up with addresses that do not exist"
      }
      ses-complaint-rate = {
        metric_name = "Reputation.ComplaintRate"
        threshold   = 0.001
        meaning     = "are marked as spam. SES reviews an account at 0.1 percent, and can pause its sending at 0.5 percent"
        cause       = "they are sent to addresses whose owners did not sign up"
      }
      } : alarm_name => {
      description    = "Too many emails of this account ${alarm.meaning}. The rate is that of all applications that use SES in ${var.region}: see the reputation metrics in the SES console. For the number of welcome emails: aws logs tail /aws/lambda/${name} --since 1d --region ${var.region}. If welcome emails are the cause, ${alarm.cause}: set welcome_email.verified_only to send only to verified addresses."
      runbook        = "emails-bounce-or-recipients-complain"
      ends           = true
      namespace      = "AWS/SES"
      metric_name    = alarm.metric_name
      dimensions     = {} # all of the account, in this region
      statistic      = "Average"
      threshold      = alarm.threshold
      period_seconds = 3600
      # SES reports the rate when emails are sent. Without emails, the rate does not change.
      treat_missing_data = "ignore"
    }
  }]...)

  # Only in hours in which the deployment exists: Lambda polls the retry queue in each of them.
  overdue_alarms = merge([for hours in var.reconciliation[*].overdue_hours : {
    reconciliation-overdue = {
      description         = "No run of the reconciliation has succeeded for ${hours} hours: the table can lack changed and deleted users, and users who did not sign up themselves. For the last run: cognito-user-sync status. To start a run: cognito-user-sync reconcile. The schedule ${var.prefix}-reconciliation should start runs. Dry runs count as successes, and also runs that end because another run is active."
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
    local.failing_alarms, local.retry_alarms, local.changes_alarms, local.user_events_alarms, local.reconciliation_alarms,
    local.overdue_alarms, local.ses_alarms,
  )
  default_topic_arns = {
    page = var.alarm_topic_arns
    warn = var.alarm_warn_topic_arns == null ? var.alarm_topic_arns : var.alarm_warn_topic_arns
  }
  all_overrides = merge({ for name in keys(local.known_alarms) : name => local.no_override }, local.overrides)

  alarms = {
    for name, alarm in local.known_alarms : name => merge(alarm, {
      description        = "${alarm.description} Runbook of version ${var.runbook.version}: ${var.runbook.url}#${alarm.runbook}"
      threshold          = coalesce(local.all_overrides[name].threshold, try(alarm.threshold, 0))
      period_seconds     = coalesce(local.all_overrides[name].period_seconds, try(alarm.period_seconds, 60))
      evaluation_periods = coalesce(local.all_overrides[name].evaluation_periods, try(alarm.evaluation_periods, 1))
      # All periods, if var.alarms sets only evaluation_periods.
      datapoints_to_alarm = coalesce(
        local.all_overrides[name].datapoints_to_alarm, local.all_overrides[name].evaluation_periods,
        try(alarm.datapoints_to_alarm, alarm.evaluation_periods, 1)
      )
      comparison_operator = try(alarm.comparison_operator, "GreaterThanThreshold")
      # An idle service reports no data.
      treat_missing_data = try(alarm.treat_missing_data, "notBreaching")
      ends               = try(alarm.ends, false)
      topic_arns = (
        local.all_overrides[name].topic_arns != null
        ? local.all_overrides[name].topic_arns : local.default_topic_arns[try(alarm.pages, false) ? "page" : "warn"]
      )
    }) if local.all_overrides[name].enabled
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
