# Counts the welcome emails that were sent, and those that were not by reason: send_welcome.py logs a line for each.

locals {
  # A dimension can only be a field of the log line, so the deployment is in the namespace.
  welcome_emails_namespace = "CognitoUserSync/${var.prefix}"
}

resource "aws_cloudwatch_log_metric_filter" "welcome_emails" {
  # CloudWatch does not filter log groups of the class INFREQUENT_ACCESS.
  count = var.counts_welcome_emails ? 1 : 0

  name           = "${var.prefix}-welcome-emails"
  log_group_name = var.send_welcome_log_group_name
  pattern        = "{ $.welcome_email = \"*\" }"

  metric_transformation {
    namespace = local.welcome_emails_namespace
    name      = "WelcomeEmails"
    value     = "1"
    unit      = "Count"
    # "sent", or a WhyNot of welcome_outcome.py: each value is a metric, so no other may come here.
    dimensions = { welcome_email = "$.welcome_email" }
  }
}
