# The questions of an incident, in their order: is it us, who is affected, is it getting worse. Then what all of it rests on,
# and the alarms.

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
  # Without sign-ups in Cognito, nothing is wrong here. Not each of them is confirmed, and password resets are none.
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
      for metric, label in { Invocations = "welcomes tried", Errors = "... that failed" } :
      ["AWS/Lambda", metric, "FunctionName", var.send_welcome_function_name, { stat = "Sum", label = label }]
      if var.send_welcome_function_name != null
    ],
    # A line for "sent" and for each reason that has occurred.
    [
      for filter in aws_cloudwatch_log_metric_filter.welcome_emails : [{
        expression = "SEARCH('{\"${local.namespace}\",welcome_email} MetricName=\"WelcomeEmails\"', 'Sum', ${60 * local.minutes})"
        label      = "$${PROP('Dim.welcome_email')}"
      }]
    ],
  )

  # Of all applications of the account.
  ses = [
    for metric in var.watches_ses ? ["Send", "Delivery", "Bounce", "Reject"] : [] :
    ["AWS/SES", metric, { stat = "Sum", label = "SES, of the account: ${metric}" }]
  ]

  # A change or sign-up that is tried again and again is in none of the ages that SQS reports, and in these counts.
  queues = [
    for label, metric in merge([
      for queue in concat([var.retry_queue_names], var.changes[*].queue_names) : {
        "waiting in ${queue.queue}"       = { queue = queue.queue, name = "ApproximateNumberOfMessagesVisible" }
        "being handled of ${queue.queue}" = { queue = queue.queue, name = "ApproximateNumberOfMessagesNotVisible" }
        "in ${queue.dead_letter_queue}"   = { queue = queue.dead_letter_queue, name = "ApproximateNumberOfMessagesVisible" }
      }
    ]...) :
    ["AWS/SQS", metric.name, "QueueName", metric.queue, { stat = "Maximum", label = replace(label, "${var.prefix}-", "") }]
  ]

  attempts = concat(
    [["AWS/Lambda", "Errors", "FunctionName", var.sync_user_function_name, { stat = "Sum", label = "sync-user: attempts that failed" }]],
    [
      for name in var.send_welcome_function_name[*] :
      ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum", label = "send-welcome: attempts that failed" }]
    ],
    [
      for stat in ["p50", "p99"] :
      ["AWS/States", "ExecutionTime", "StateMachineArn", var.user_sync_state_machine_arn, { stat = stat, label = "execution ${stat}, ms", yAxis = "right" }]
    ],
  )

  items = [
    ["AWS/DynamoDB", "SuccessfulRequestLatency", "TableName", var.table_name, "Operation", "UpdateItem", { stat = "SampleCount", label = "written" }],
    ["AWS/DynamoDB", "ConditionalCheckFailedRequests", "TableName", var.table_name, { stat = "Sum", label = "already so, or newer" }],
    ["AWS/DynamoDB", "WriteThrottleEvents", "TableName", var.table_name, { stat = "Sum", label = "throttled writes" }],
  ]

  runs = concat([], [
    for reconciliation in var.reconciliation[*] : concat(
      [
        for metric, label in { ExecutionsSucceeded = "succeeded", ExecutionsFailed = "failed" } :
        ["AWS/States", metric, "StateMachineArn", reconciliation.state_machine_arn, { stat = "Sum", label = label }]
      ],
      [["AWS/States", "ExecutionTime", "StateMachineArn", reconciliation.state_machine_arn, { stat = "Maximum", label = "took, ms", yAxis = "right" }]],
    )
  ]...)

  rows = [
    for row in [
      {
        question = "Is it us? If Cognito has no sign-ups, or SES delivers no email of any application, it is not."
        charts = [
          { title = "Sign-ups", metrics = local.sign_ups },
          { title = "Executions", metrics = local.executions },
          { title = "Welcome emails", metrics = local.emails },
          { title = "SES", metrics = local.ses },
        ]
      },
      { question = "Who is affected? What was not handled, with the sub: `cognito-user-sync user SUB` says more.", charts = [] },
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

  row_height = 8 # with its question
}

resource "aws_cloudwatch_dashboard" "this" {
  # CloudWatch has one namespace of dashboards for all regions.
  dashboard_name = "${var.prefix}-${var.region}"

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type = "text", x = 0, y = 0, width = 24, height = 2
        properties = {
          markdown = "**${var.prefix}**: Cognito → executions → items → emails. Is all well: `cognito-user-sync status`. What failed: `cognito-user-sync failures`. Is a user missing: `cognito-user-sync user <sub, username or email>`. Sync all users: `cognito-user-sync reconcile`. Runbook: ${var.runbook.url}, version ${var.runbook.version}."
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
          title = "Users who were not handled", region = var.region, view = "table"
          query = join(" | ", concat([for name in local.log_group_names : "SOURCE '${name}'"], [local.queries.users-not-handled]))
        }
      }],
      # CloudWatch rejects such a widget without an alarm.
      [
        for arns in [values(local.created_alarms)[*].arn] : {
          type       = "alarm", x = 0, y = 2 + length(local.rows) * local.row_height, width = 24, height = 6
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
