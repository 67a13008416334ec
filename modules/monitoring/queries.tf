# Queries of CloudWatch Logs Insights, which supports log groups of both classes:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData_Classes.html

locals {
  # Built from names: a log group exists before its function.
  log_group_names = [
    for name in concat(
      [var.post_confirmation_function_name, "${var.prefix}-retry-sign-ups", var.sync_user_function_name],
      compact([var.send_welcome_function_name, var.pool_trigger_function_name]),
      var.changes == null ? [] : ["${var.prefix}-sync-changes"],
      var.user_events[*].function_name,
      var.reconciliation == null ? [] : ["${var.prefix}-plan-shards", "${var.prefix}-reconcile-shards"],
    ) : "/aws/lambda/${name}"
  ]

  # tests/unit/test_log_fields.py checks the fields.
  queries = {
    users-not-handled = "fields @timestamp, sub, message, error, code, @log | filter ispresent(sub) and level in ['WARNING', 'ERROR'] | sort @timestamp desc | limit 200"
    errors-by-code    = "filter level in ['WARNING', 'ERROR'] | stats count(*) as lines, count_distinct(sub) as users by message, error, code | sort lines desc"
    lost-sign-ups     = "fields @timestamp, sub, error, queue_error, reason | filter level = 'ERROR' and @log like 'post-confirmation' | sort @timestamp desc"
    one-user          = "fields @timestamp, level, message, outcome, welcome_email, error, code, @log | filter sub = 'SUB' | sort @timestamp desc"
  }
}

resource "aws_cloudwatch_query_definition" "this" {
  for_each = local.queries

  # The console shows the part before the slash as a folder.
  name            = "${var.prefix}/${each.key}"
  log_group_names = local.log_group_names
  query_string    = each.value
}
