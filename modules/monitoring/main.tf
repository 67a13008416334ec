# Each alarm's description says what it means, and what to type.

resource "aws_cloudwatch_metric_alarm" "dead_letter" {
  alarm_name        = "${var.prefix}-unstarted-dead-letter"
  alarm_description = "Sign-ups that could not be started within 12 hours: their users are neither synced nor greeted. Look why StartExecution fails (the log of ${var.prefix}-replay-sign-ups), then: cognito-user-sync failures requeue"

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.dead_letter_queue_name }
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
