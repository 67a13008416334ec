# A deleted group leaves all its users without an event for each of them. So its event starts a reconciliation of all groups. If
# another run is running, it ends immediately, and the next run removes the group.

locals {
  deleted_groups_name = "${var.settings.prefix}-deleted-groups"
  deleted_groups_arn  = "arn:${var.settings.partition}:events:${var.settings.region}:${var.settings.account_id}:rule/${local.deleted_groups_name}"
  kms_key_arns        = compact(concat([var.settings.kms_key_arn], var.settings.previous_kms_key_arns))

  follows_deleted_groups = var.sync_groups && var.reconciliation != null
}

resource "aws_cloudwatch_event_rule" "deleted_groups" {
  count = local.follows_deleted_groups ? 1 : 0

  name        = local.deleted_groups_name
  description = "CloudTrail events of deleted groups of ${var.user_pool.id}"
  tags        = var.settings.tags

  event_pattern = jsonencode({
    source      = ["aws.cognito-idp"]
    detail-type = ["AWS API Call via CloudTrail"]
    account     = [var.settings.account_id]
    detail = {
      eventSource       = ["cognito-idp.amazonaws.com"]
      errorCode         = [{ exists = false }]
      eventName         = ["DeleteGroup"]
      requestParameters = { userPoolId = [var.user_pool.id] }
    }
  })
}

resource "aws_cloudwatch_event_target" "reconciliation" {
  count = local.follows_deleted_groups ? 1 : 0

  rule     = one(aws_cloudwatch_event_rule.deleted_groups).name
  arn      = var.reconciliation.state_machine_arn
  role_arn = one(aws_iam_role.deleted_groups).arn
  input    = jsonencode({ only_groups = true, dry_run = var.reconciliation.dry_run })

  depends_on = [aws_iam_role_policy.deleted_groups]
}

data "aws_iam_policy_document" "rule_assumes_role" {
  count = local.follows_deleted_groups ? 1 : 0

  statement {
    sid     = "RuleAssumesRole"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.settings.account_id]
    }

    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.deleted_groups_arn]
    }
  }
}

resource "aws_iam_role" "deleted_groups" {
  count = local.follows_deleted_groups ? 1 : 0

  name                 = "${var.settings.prefix}-${var.settings.region}-deleted-groups"
  path                 = var.settings.role_path
  description          = "Role of the rule ${local.deleted_groups_name}"
  assume_role_policy   = one(data.aws_iam_policy_document.rule_assumes_role).json
  permissions_boundary = var.settings.permissions_boundary_arn
  tags                 = var.settings.tags

  # Other tools can attach policies to the role: they must not fail a destroy.
  force_detach_policies = true

  lifecycle {
    # With a depends_on on the root module, the region in the name is unknown at plan, which would replace the role.
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "deleted_groups" {
  count = local.follows_deleted_groups ? 1 : 0

  statement {
    sid       = "StartReconciliation"
    actions   = ["states:StartExecution"]
    resources = [var.reconciliation.state_machine_arn]
  }

  # Step Functions encrypts the input of an execution with the permissions of the caller.
  dynamic "statement" {
    for_each = length(local.kms_key_arns) > 0 ? [local.kms_key_arns] : []
    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = statement.value
    }
  }
}

resource "aws_iam_role_policy" "deleted_groups" {
  count = local.follows_deleted_groups ? 1 : 0

  name   = "${var.settings.prefix}-deleted-groups"
  role   = one(aws_iam_role.deleted_groups).id
  policy = one(data.aws_iam_policy_document.deleted_groups).json
}
