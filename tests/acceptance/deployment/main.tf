# Configuration that calls the module, for the acceptance tests. A run has one deployment, and tags all its resources.

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

  # The tests use the run on apply. The schedule starts no run during the tests.
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
