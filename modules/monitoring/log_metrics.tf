# Metrics from the logs of the functions. CloudWatch has no metric filters for log groups of the class INFREQUENT_ACCESS.

locals {
  # The prefix is in the namespace, because the dimensions of a metric filter can only be fields of the log line.
  namespace            = "CognitoUserSync/${var.prefix}"
  sign_ups_lost_metric = "SignUpsLost"
}

# Welcome emails that were sent, and those that were not sent, by reason. send_welcome.py logs a line for each.
resource "aws_cloudwatch_log_metric_filter" "welcome_emails" {
  count = var.filters_logs && var.send_welcome_function_name != null ? 1 : 0

  name           = "${var.prefix}-welcome-emails"
  log_group_name = var.send_welcome_log_group_name
  pattern        = "{ $.welcome_email = \"*\" }"

  metric_transformation {
    namespace = local.namespace
    name      = "WelcomeEmails"
    value     = "1"
    unit      = "Count"
    # "sent", or a WhyNot of welcome_outcome.py. Each value is a metric, so no other values are logged in this field.
    dimensions = { welcome_email = "$.welcome_email" }
  }
}

# Sign-ups whose execution could be neither started nor sent to the retry queue: post_confirmation.py logs an error for each.
resource "aws_cloudwatch_log_metric_filter" "sign_ups_lost" {
  count = var.filters_logs ? 1 : 0

  name           = "${var.prefix}-sign-ups-lost"
  log_group_name = var.post_confirmation_log_group_name
  # Not the errors that Lambda logs, which have another field and the alarm trigger-errors:
  # https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
  pattern = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = local.namespace
    name      = local.sign_ups_lost_metric
    value     = "1"
    unit      = "Count"
  }
}
