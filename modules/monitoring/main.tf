# Each alarm's description says what it means, and what to type.

locals {
  dead_letter_alarms = merge(
    {
      unstarted = {
        queue_name  = var.dead_letter_queue_names.unstarted
        description = "Sign-ups that could not be started within 12 hours: their users are neither synced nor greeted. Look why StartExecution fails (the log of ${var.prefix}-replay-sign-ups), then: cognito-user-sync failures requeue"
      }
    },
    {
      for name in var.dead_letter_queue_names.changes[*] : "changes" => {
        queue_name  = name
        description = "Changes of users that could not be started within 12 hours: until the next reconciliation their items are as before. Look why StartExecution fails (the log of ${var.prefix}-start-changes); then purge the queue ${name} and run the reconciliation: make reconcile ENV=..."
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "dead_letter" {
  for_each = local.dead_letter_alarms

  alarm_name        = "${var.prefix}-${each.key}-dead-letter"
  alarm_description = each.value.description

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  # An idle queue reports nothing.
  treat_missing_data = "notBreaching"

  alarm_actions = var.alarm_topic_arns
  ok_actions    = var.alarm_topic_arns
  tags          = var.tags
}
