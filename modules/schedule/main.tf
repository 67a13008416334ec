# A schedule of EventBridge Scheduler, with the role for its API call.

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

    # EventBridge Scheduler sets the ARN of the schedule group, not of the schedule:
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
  description          = "Role of the schedule ${var.settings.prefix}-${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.settings.permissions_boundary_arn
  tags                 = var.settings.tags

  # Other tools can attach policies to the role: they must not fail a destroy.
  force_detach_policies = true

  lifecycle {
    # With a depends_on on the root module, the region in the name is unknown at plan, which would replace the role.
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "CallTarget"
    actions   = [var.target.action]
    resources = [var.target.arn]
  }

  # Step Functions encrypts the input of an execution with the permissions of the caller. Lambda needs no such permission.
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
    # checkov:skip=CKV_AWS_297: it would encrypt only this input, which contains no user data
    input = var.input

    # The next scheduled call replaces a call that fails for longer.
    retry_policy {
      maximum_event_age_in_seconds = var.retry_seconds
      maximum_retry_attempts       = 10
    }
  }

  depends_on = [aws_iam_role_policy.this, var.start_after]
}
