# Complete example, for an existing pool.

variable "user_pool_id" {
  type        = string
  description = "ID of the existing user pool."
}

provider "aws" {
  region = split("_", var.user_pool_id)[0]

  default_tags {
    tags = { team = "identity" }
  }
}

# Topic for alarm notifications: add a subscription for your team.
resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26: CloudWatch cannot use the AWS managed key of SNS, and alarms contain no user data
  name = "user-sync-alarms"
}

locals {
  name  = "people"
  stage = "complete"
}

module "user_sync" {
  source = "../.."

  user_pool_id = var.user_pool_id
  stage        = local.stage
  name         = local.name

  attributes = ["name", "given_name", "family_name", "email", "email_verified", "phone_number", "custom:plan"]

  welcome_email = {
    from      = "Example <welcome@example.com>" # verified in SES, in the pool's region
    subject   = "Welcome, {{name}}"
    text_file = "welcome.txt"
    html_file = "welcome.html"
    reply_to  = "help@example.com"

    verified_only = true
  }

  table = {
    deletion_protection    = false # an example must be easy to remove
    point_in_time_recovery = true
    stream_view_type       = "NEW_AND_OLD_IMAGES"
    email_index            = true
  }

  deleted_users = {
    action         = "mark"
    retention_days = 90
  }

  # Requires a CloudTrail trail that logs management events in the pool's region.
  track_changes = true

  # On the default event bus of the account. examples/user_events handles the events.
  user_events = {
    event_bus_arn = "arn:${local.partition}:events:${local.region}:${local.account_id}:event-bus/default"
  }

  reconciliation = {
    schedule              = "rate(12 hours)"
    list_users_per_second = 20
    max_delete_percent    = 5
    overdue_hours         = 26
  }

  lambda = {
    memory_mb                    = 512
    architecture                 = "arm64"
    trigger_reserved_concurrency = 50
  }

  alarm_topic_arns   = [aws_sns_topic.alarms.arn]
  log_retention_days = 90
  tracing            = true
  kms_key_arn        = aws_kms_key.user_sync.arn
  tags               = { service = "user-sync" }
}

output "user_sync" {
  description = "All outputs of the module. The command line reads them."
  value       = module.user_sync
}
