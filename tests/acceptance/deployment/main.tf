# The module as a user calls it, for the acceptance tests. One run makes one deployment, and tags all of it.

variable "user_pool_id" {
  type = string
}

variable "run_id" {
  type = string
}

variable "email" {
  type = string
}

module "user_sync" {
  source = "../../.."

  user_pool_id = var.user_pool_id
  name         = "acc-${var.run_id}"
  stage        = "run"

  attributes    = ["name", "email", "custom:plan"]
  track_changes = true

  welcome_email = {
    from    = "Acceptance test <${var.email}>"
    subject = "Acceptance test ${var.run_id}: welcome, {{username}}"
  }

  # The run on apply is tested. The schedule is created, and does not start a run.
  reconciliation = {
    schedule      = "cron(0 0 1 1 ? *)"
    overdue_hours = 0
  }

  table = {
    deletion_protection    = false
    point_in_time_recovery = false
    email_index            = true
    stream_view_type       = "NEW_AND_OLD_IMAGES"
  }

  log_retention_days = 1

  tags = {
    acceptance-run = var.run_id
  }
}

output "user_sync" {
  value = module.user_sync
}
