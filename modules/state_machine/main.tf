locals {
  name         = "${var.settings.prefix}-${var.name}"
  kms_key_arns = compact(concat([var.settings.kms_key_arn], var.settings.previous_kms_key_arns))
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: the caller decides (log_retention_days); logs contain subs, which must not be kept permanently
  # Log groups under /aws/vendedlogs/ do not count towards the size limit of the account's resource policy:
  # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
  name              = "/aws/vendedlogs/states/${local.name}"
  retention_in_days = var.settings.log_retention_days
  log_group_class   = var.settings.log_group_class
  kms_key_id        = var.settings.kms_key_arn
  tags              = var.settings.tags
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    sid     = "StepFunctionsAssumesRole"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.settings.account_id]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["arn:${var.settings.partition}:states:${var.settings.region}:${var.settings.account_id}:stateMachine:${local.name}"]
    }
  }
}

resource "aws_iam_role" "this" {
  name                 = "${var.settings.prefix}-${var.settings.region}-${var.name}"
  path                 = var.settings.role_path
  description          = "Role of the state machine ${local.name}"
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
  source_policy_documents = [var.policy_json]

  statement {
    sid = "DeliverLog"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    # These actions cannot be limited to a log group:
    # https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy
    resources = ["*"]
  }

  # Previous keys, too: AWS does not document which key running executions use after a change.
  dynamic "statement" {
    for_each = length(local.kms_key_arns) > 0 ? [local.kms_key_arns] : []
    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = var.settings.tracing ? [1] : []
    content {
      sid = "WriteTraces"
      actions = [
        "xray:GetSamplingRules",
        "xray:GetSamplingTargets",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
      ]
      # X-Ray has no resource type for these actions:
      # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = local.name
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_sfn_state_machine" "this" {
  name       = local.name
  role_arn   = aws_iam_role.this.arn
  type       = "STANDARD"
  definition = var.definition
  tags       = var.settings.tags

  logging_configuration {
    level = "ERROR"
    # checkov:skip=CKV_AWS_285: inputs and outputs identify users, and must not be in a log
    include_execution_data = false
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = var.settings.tracing
  }

  # Also without a key: without the block, the provider keeps the previous key (https://github.com/hashicorp/terraform-provider-aws/issues/29811).
  encryption_configuration {
    type                              = var.settings.kms_key_arn == null ? "AWS_OWNED_KEY" : "CUSTOMER_MANAGED_KMS_KEY"
    kms_key_id                        = var.settings.kms_key_arn
    kms_data_key_reuse_period_seconds = var.settings.kms_key_arn == null ? null : 300
  }

  # AWS deletes the state machine after the last execution has stopped, which happens at its next step.
  timeouts {
    delete = "30m"
  }

  depends_on = [aws_iam_role_policy.this]
}
