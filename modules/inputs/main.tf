locals {
  # All alarms, with the defaults of modules/monitoring. Validations of var.alarms use them.
  alarm_defaults = {
    trigger-errors           = { period_seconds = 60, evaluation_periods = 1 }
    trigger-throttles        = { period_seconds = 60, evaluation_periods = 3 }
    trigger-duration         = { period_seconds = 60, evaluation_periods = 3 }
    trigger-missing          = { period_seconds = 1800, evaluation_periods = 1 }
    sign-ups-lost            = { period_seconds = 60, evaluation_periods = 1 }
    user-sync-failed         = { period_seconds = 60, evaluation_periods = 1 }
    user-sync-timed-out      = { period_seconds = 60, evaluation_periods = 1 }
    sync-user-failing        = { period_seconds = 600, evaluation_periods = 2 }
    send-welcome-failing     = { period_seconds = 600, evaluation_periods = 2 }
    retry-age                = { period_seconds = 60, evaluation_periods = 15 }
    retry-dead-letter        = { period_seconds = 60, evaluation_periods = 1 }
    changes-age              = { period_seconds = 60, evaluation_periods = 30 }
    changes-undelivered      = { period_seconds = 60, evaluation_periods = 1 }
    changes-lost             = { period_seconds = 60, evaluation_periods = 1 }
    changes-dead-letter      = { period_seconds = 60, evaluation_periods = 1 }
    user-events-age          = { period_seconds = 60, evaluation_periods = 5 }
    user-events-dead-letter  = { period_seconds = 60, evaluation_periods = 1 }
    reconciliation-failed    = { period_seconds = 60, evaluation_periods = 1 }
    reconciliation-timed-out = { period_seconds = 60, evaluation_periods = 1 }
    # reconciliation.overdue_hours sets its periods: a validation rejects others.
    reconciliation-overdue = { period_seconds = 60, evaluation_periods = 1 }
    ses-bounce-rate        = { period_seconds = 3600, evaluation_periods = 1 }
    ses-complaint-rate     = { period_seconds = 3600, evaluation_periods = 1 }
  }
}
