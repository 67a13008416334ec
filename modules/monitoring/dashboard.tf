# The dashboard. Its rows answer the questions of an incident: Is this module the cause? Which users are affected? Is it
# getting worse? Then all alarms.

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

  # Each metric is a list: namespace, metric, dimensions, and options of the chart.

  # If Cognito has no sign-ups, this module is not the cause. The two numbers differ: not each sign-up is confirmed, and
  # Cognito invokes the trigger also after password resets.
  # https://docs.aws.amazon.com/cognito/latest/developerguide/metrics-for-cognito-user-pools.html
  sign_ups = concat(
    [[{
      expression = "SUM(SEARCH('{AWS/Cognito,UserPool,UserPoolClient} MetricName=\"SignUpSuccesses\" UserPool=\"${var.user_pool_id}\"', 'Sum', ${60 * local.minutes}))"
      label      = "Cognito: sign-ups"
    }]],
    [
      for metric, label in { Invocations = "trigger: invocations", Errors = "trigger: errors", Throttles = "trigger: throttled" } :
      ["AWS/Lambda", metric, "FunctionName", var.post_confirmation_function_name, { stat = "Sum", label = label }]
    ],
  )

  executions = [
    for metric, label in { ExecutionsStarted = "started", ExecutionsSucceeded = "succeeded", ExecutionsFailed = "failed", ExecutionsTimedOut = "timed out" } :
    ["AWS/States", metric, "StateMachineArn", var.user_sync_state_machine_arn, { stat = "Sum", label = label }]
  ]

  emails = concat(
    [
      for metric, label in { Invocations = "attempts", Errors = "failed attempts" } :
      ["AWS/Lambda", metric, "FunctionName", var.send_welcome_function_name, { stat = "Sum", label = label }]
      if var.send_welcome_function_name != null
    ],
    # "sent", and each reason that has occurred.
    [
      for filter in aws_cloudwatch_log_metric_filter.welcome_emails : [{
        expression = "SEARCH('{\"${local.namespace}\",welcome_email} MetricName=\"WelcomeEmails\"', 'Sum', ${60 * local.minutes})"
        label      = "$${PROP('Dim.welcome_email')}"
      }]
    ],
  )

  # All applications of the account.
  ses = [
    for metric in var.watches_ses ? ["Send", "Delivery", "Bounce", "Reject"] : [] :
    ["AWS/SES", metric, { stat = "Sum", label = "SES, all of the account: ${metric}" }]
  ]

  # Counts and not ages: the ages that SQS reports ignore messages that were received more than three times.
  queues = concat(
    [
      for label, metric in merge([
        for queue in concat([var.retry_queue_names], var.changes[*].queue_names) : {
          "waiting in ${queue.queue}"     = { queue = queue.queue, name = "ApproximateNumberOfMessagesVisible" }
          "in flight in ${queue.queue}"   = { queue = queue.queue, name = "ApproximateNumberOfMessagesNotVisible" }
          "in ${queue.dead_letter_queue}" = { queue = queue.dead_letter_queue, name = "ApproximateNumberOfMessagesVisible" }
        }
      ]...) :
      ["AWS/SQS", metric.name, "QueueName", metric.queue, { stat = "Maximum", label = replace(label, "${var.prefix}-", "") }]
    ],
    [
      for queue in var.user_events[*].dead_letter_queue_name :
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, { stat = "Maximum", label = "in ${replace(queue, "${var.prefix}-", "")}" }]
    ],
    [
      for name in var.user_events[*].function_name :
      ["AWS/Lambda", "IteratorAge", "FunctionName", name, { stat = "Maximum", label = "delay of user events, ms", yAxis = "right" }]
    ],
  )

  attempts = concat(
    [["AWS/Lambda", "Errors", "FunctionName", var.sync_user_function_name, { stat = "Sum", label = "sync-user: failed attempts" }]],
    [
      for name in var.send_welcome_function_name[*] :
      ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum", label = "send-welcome: failed attempts" }]
    ],
    [
      for stat in ["p50", "p99"] :
      ["AWS/States", "ExecutionTime", "StateMachineArn", var.user_sync_state_machine_arn, { stat = stat, label = "execution ${stat}, ms", yAxis = "right" }]
    ],
  )

  items = [
    ["AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", var.table_name, "Operation", "UpdateItem", { stat = "SampleCount", label = "written" }],
    ["AWS/DynamoDB", "ConditionalCheckFailedRequests", "TableName", var.table_name, { stat = "Sum", label = "skipped: unchanged or stale" }],
    ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", var.table_name, { stat = "Sum", label = "throttled writes" }],
  ]

  runs = concat([], [
    for reconciliation in var.reconciliation[*] : concat(
      [
        for metric, label in { ExecutionsSucceeded = "succeeded", ExecutionsFailed = "failed" } :
        ["AWS/States", metric, "StateMachineArn", reconciliation.state_machine_arn, { stat = "Sum", label = label }]
      ],
      [["AWS/States", "ExecutionTime", "StateMachineArn", reconciliation.state_machine_arn, { stat = "Maximum", label = "duration, ms", yAxis = "right" }]],
    )
  ]...)

  rows = [
    for row in [
      {
        question = "Is this module the cause? It is not, if Cognito has no sign-ups, or if SES delivers no email of any application."
        charts = [
          { title = "Sign-ups", metrics = local.sign_ups },
          { title = "Executions", metrics = local.executions },
          { title = "Welcome emails", metrics = local.emails },
          { title = "SES", metrics = local.ses },
        ]
      },
      { question = "Which users are affected? For details of a user: `cognito-user-sync user SUB`.", charts = [] },
      {
        question = "Is it getting worse?"
        charts = [
          { title = "Queues", metrics = local.queues },
          { title = "Attempts", metrics = local.attempts },
          { title = "Items", metrics = local.items },
          { title = "Reconciliation", metrics = local.runs },
        ]
      },
    ] : merge(row, { charts = [for chart in row.charts : chart if length(chart.metrics) > 0] })
  ]

  row_height = 8 # including the question
}

resource "aws_cloudwatch_dashboard" "this" {
  # With the region, because dashboard names are unique in all regions.
  dashboard_name = "${var.prefix}-${var.region}"

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "text", x = 0, y = 0, width = 24, height = 2
        properties = {
          markdown = "**${var.prefix}**: Cognito → executions → items → emails. Health check: `cognito-user-sync status`. Failed executions: `cognito-user-sync failures`. One user: `cognito-user-sync user <sub, username or email>`. Sync all users: `cognito-user-sync reconcile`. Runbook: ${var.runbook.url}, version ${var.runbook.version}."
        }
      }],
      [
        for place, row in local.rows : {
          type       = "text", x = 0, y = 2 + place * local.row_height, width = 24, height = 1
          properties = { markdown = row.question }
        }
      ],
      flatten([
        for place, row in local.rows : [
          for column, chart in row.charts : {
            type  = "metric", x = column * floor(24 / length(row.charts)), y = 3 + place * local.row_height
            width = floor(24 / length(row.charts)), height = local.row_height - 1
            properties = {
              title = chart.title, metrics = chart.metrics, region = var.region, view = "timeSeries", period = 60 * local.minutes
            }
          }
        ]
      ]),
      [{
        type = "log", x = 0, y = 3 + local.row_height, width = 24, height = local.row_height - 1
        properties = {
          title = "Users who were not synced, or got no welcome email", region = var.region, view = "table"
          query = join(" | ", concat([for name in local.log_group_names : "SOURCE '${name}'"], [local.queries.users-not-handled]))
        }
      }],
      # CloudWatch rejects an alarm widget without alarms.
      [
        for arns in [values(local.created_alarms)[*].arn] : {
          type       = "alarm", x = 0, y = 2 + length(local.rows) * local.row_height, width = 24, height = 6
          properties = { title = "Alarms", alarms = arns }
        } if length(arns) > 0
      ],
    )
  })

  lifecycle {
    # For the same reason as role names: see modules/lambda_function.
    ignore_changes = [dashboard_name]
  }
}
