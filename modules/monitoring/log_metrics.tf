# What CloudWatch counts in the functions' logs. It does not filter log groups of the class INFREQUENT_ACCESS.

locals {
  # A metric with dimensions of a filter can only have fields of the log line as such, so the deployment is in the namespace.
  namespace            = "CognitoUserSync/${var.prefix}"
  sign_ups_lost_metric = "SignUpsLost"
}

# The welcome emails that were sent, and those that were not by reason: send_welcome.py logs a line for each.
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
    # "sent", or a WhyNot of welcome_outcome.py: each value is a metric, so no other may come here.
    dimensions = { welcome_email = "$.welcome_email" }
  }
}

# The sign-ups of which nothing but a line of post_confirmation.py is left.
resource "aws_cloudwatch_log_metric_filter" "sign_ups_lost" {
  count = var.filters_logs ? 1 : 0

  name           = "${var.prefix}-sign-ups-lost"
  log_group_name = var.post_confirmation_log_group_name
  # Lambda's own lines about errors, which the alarm trigger-errors is for, have another field:
  # https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
  pattern = "{ $.level = \"ERROR\" }"

  metric_transformation {
    namespace = local.namespace
    name      = local.sign_ups_lost_metric
    value     = "1"
    unit      = "Count"
  }
}
