# The flow from left to right: sign-ups, executions, items, mails; then how late, and what failed. Below it the
# reconciliation, the table and the alarms.

locals {
  minutes = 5

  # https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
  console = lookup(
    {
      aws-cn     = "console.amazonaws.cn"
      aws-eusc   = "console.amazonaws-eusc.eu"
      aws-us-gov = "console.amazonaws-us-gov.com"
    },
    var.partition, "console.aws.amazon.com",
  )

  # Each is a row of CloudWatch's: namespace, metric, dimensions, and how it is drawn.
  sign_ups = concat(
    [
      ["AWS/Lambda", "Invocations", "FunctionName", var.post_confirmation_function_name, { stat = "Sum", label = "sign-ups and resets" }],
      ["AWS/SQS", "NumberOfMessagesSent", "QueueName", var.unstarted_queue_names.queue, { stat = "Sum", label = "... parked, to be started later" }],
    ],
    [
      for changes in var.changes[*] :
      ["AWS/SQS", "NumberOfMessagesSent", "QueueName", changes.queue_names.queue, { stat = "Sum", label = "changes of users" }]
    ],
  )

  executions = [
    for metric, label in { ExecutionsStarted = "started", ExecutionsSucceeded = "succeeded" } :
    ["AWS/States", metric, "StateMachineArn", var.user_sync_state_machine_arn, { stat = "Sum", label = label }]
  ]

  items = [
    ["AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", var.table_name, "Operation", "UpdateItem", { stat = "SampleCount", label = "written" }],
    ["AWS/DynamoDB", "ConditionalCheckFailedRequests", "TableName", var.table_name, { stat = "Sum", label = "already so, or newer" }],
  ]

  mails = concat(
    [
      for metric, label in { Invocations = "welcomes tried", Errors = "... that failed" } :
      ["AWS/Lambda", metric, "FunctionName", var.send_welcome_function_name, { stat = "Sum", label = label }]
      if var.send_welcome_function_name != null
    ],
    # A line for "sent" and for each reason that has occurred.
    [
      for filter in aws_cloudwatch_log_metric_filter.welcome_emails : [{
        expression = "SEARCH('{\"${local.welcome_emails_namespace}\",welcome_email} MetricName=\"WelcomeEmails\"', 'Sum', ${60 * local.minutes})"
        label      = "$${PROP('Dim.welcome_email')}"
      }]
    ],
  )

  lag = concat(
    [
      for stat in ["p50", "p99"] :
      ["AWS/States", "ExecutionTime", "StateMachineArn", var.user_sync_state_machine_arn, { stat = stat, label = "execution ${stat}, ms" }]
    ],
    [
      for queue in concat([var.unstarted_queue_names.queue], var.changes[*].queue_names.queue) :
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue, { stat = "Maximum", label = "oldest in ${trimprefix(queue, "${var.prefix}-")}, s", yAxis = "right" }]
    ],
  )

  failures = concat(
    [
      for metric, label in { Errors = "trigger errors", Throttles = "trigger throttles" } :
      ["AWS/Lambda", metric, "FunctionName", var.post_confirmation_function_name, { stat = "Sum", label = label }]
    ],
    [["AWS/Lambda", "Errors", "FunctionName", var.sync_user_function_name, { stat = "Sum", label = "sync-user attempts that failed" }]],
    [
      for metric, label in { ExecutionsFailed = "executions failed", ExecutionsTimedOut = "executions timed out" } :
      ["AWS/States", metric, "StateMachineArn", var.user_sync_state_machine_arn, { stat = "Sum", label = label }]
    ],
    [
      for queue in concat([var.unstarted_queue_names.dead_letter_queue], var.changes[*].queue_names.dead_letter_queue) :
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum", label = "in ${trimprefix(queue, "${var.prefix}-")}" }]
    ],
  )

  # One after the other, from left to right.
  flow = [
    for chart in [
      { title = "Sign-ups in", metrics = local.sign_ups },
      { title = "Executions", metrics = local.executions },
      { title = "Items written", metrics = local.items },
      { title = "Mails", metrics = local.mails },
      { title = "Lag", metrics = local.lag },
      { title = "Failures", metrics = local.failures },
    ] : chart if length(chart.metrics) > 0
  ]
  width = floor(24 / length(local.flow))

  below = concat(
    [
      for reconciliation in var.reconciliation[*] : {
        title = "Reconciliation"
        metrics = concat(
          [
            for metric, label in { ExecutionsSucceeded = "succeeded", ExecutionsFailed = "failed" } :
            ["AWS/States", metric, "StateMachineArn", reconciliation.state_machine_arn, { stat = "Sum", label = label }]
          ],
          [["AWS/States", "ExecutionTime", "StateMachineArn", reconciliation.state_machine_arn, { stat = "Maximum", label = "took, ms", yAxis = "right" }]],
        )
      }
    ],
    [{
      title = "Table"
      metrics = [
        ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.table_name, { stat = "Sum", label = "write units" }],
        ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", var.table_name, { stat = "Sum", label = "throttled writes" }],
      ]
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  # CloudWatch has one namespace of dashboards for all regions.
  dashboard_name = "${var.prefix}-${var.region}"

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "text", x = 0, y = 0, width = 24, height = 2
        properties = {
          markdown = "**${var.prefix}**: Cognito → executions → items → mails. Is all well: `cognito-user-sync status`. What failed: `cognito-user-sync failures`. Is a user missing: `cognito-user-sync user <sub, username or email>`. Bring the table to the pool: `cognito-user-sync reconcile`."
        }
      }],
      [
        for place, chart in local.flow : {
          type = "metric", x = place * local.width, y = 2, width = local.width, height = 7
          properties = {
            title = chart.title, metrics = chart.metrics, region = var.region, view = "timeSeries", period = 60 * local.minutes
          }
        }
      ],
      [
        for place, chart in local.below : {
          type = "metric", x = place * 6, y = 9, width = 6, height = 6
          properties = {
            title = chart.title, metrics = chart.metrics, region = var.region, view = "timeSeries", period = 60 * local.minutes
          }
        }
      ],
      # CloudWatch rejects such a widget without an alarm.
      [
        for arns in [values(local.created_alarms)[*].arn] : {
          type       = "alarm", x = 12, y = 9, width = 12, height = 6
          properties = { title = "Alarms", alarms = arns }
        } if length(arns) > 0
      ],
    )
  })

  lifecycle {
    # As the names of roles: modules/lambda_function.
    ignore_changes = [dashboard_name]
  }
}
