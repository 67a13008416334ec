# A schedule of EventBridge Scheduler, with the role by which it makes its one call.

locals {
  group        = "default"
  kms_key_arns = compact(concat([var.settings.kms_key_arn], var.settings.previous_kms_key_arns))
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    sid     = "SchedulerAssumesRole"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.settings.account_id]
    }

    # Of EventBridge Scheduler, it is the schedule's group, never the schedule itself:
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:${var.settings.partition}:scheduler:${var.settings.region}:${var.settings.account_id}:schedule-group/${local.group}"]
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.settings.prefix}-${var.settings.region}-${var.role_name}"
  path                 = var.settings.role_path
  description          = "Of the schedule ${var.settings.prefix}-${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.settings.permissions_boundary_arn
  tags                 = var.settings.tags

  # An account may attach policies of its own to every role: they must not fail a destroy.
  force_detach_policies = true

  lifecycle {
    # Known at plan also if a depends_on of the module defers the region: a new name would replace the role.
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "CallTarget"
    actions   = [var.target.action]
    resources = [var.target.arn]
  }

  # Step Functions encrypts the execution's input with the caller's permissions. Lambda asks its caller for none.
  dynamic "statement" {
    for_each = var.target.action == "states:StartExecution" && length(local.kms_key_arns) > 0 ? [local.kms_key_arns] : []
    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = statement.value
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "${var.settings.prefix}-${var.role_name}"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_scheduler_schedule" "this" {
  name                = "${var.settings.prefix}-${var.name}"
  group_name          = local.group
  description         = var.description
  schedule_expression = var.schedule_expression

  flexible_time_window {
    mode                      = var.window_minutes == 0 ? "OFF" : "FLEXIBLE"
    maximum_window_in_minutes = var.window_minutes == 0 ? null : var.window_minutes
  }

  target {
    arn      = var.target.arn
    role_arn = aws_iam_role.this.arn
    # checkov:skip=CKV_AWS_297: all that would be encrypted is this input, which holds no data
    input = var.input

    # The next call makes up for one that could not be made in time.
    retry_policy {
      maximum_event_age_in_seconds = var.retry_seconds
      maximum_retry_attempts       = 10
    }
  }

  depends_on = [aws_iam_role_policy.this, var.start_after]
}
