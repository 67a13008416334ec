# A queue, and the function that handles its messages. Messages that fail for half a day go to a dead-letter queue.

locals {
  name             = "${var.settings.prefix}-${var.name}"
  dead_letter_name = "${local.name}-dead-letter"
  # By name: a queue's policy is its own, and a plan then knows the policy of the function.
  arn_prefix = "arn:${var.settings.partition}:sqs:${var.settings.region}:${var.settings.account_id}"

  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the function's timeout
  visibility_timeout_seconds = 6 * var.function.timeout_seconds
  # The most that SQS takes. A message that moves to the dead-letter queue keeps its first enqueue time. So it is kept there
  # for 13.5 days: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
  retention_seconds = 14 * 24 * 3600
  # Step Functions or Cognito may be unavailable for this long: a failed message comes back after the visibility timeout.
  retry_hours = 12
}

# Whoever sends or receives needs a policy of its own besides, but for the rule.
data "aws_iam_policy_document" "queue" {
  for_each = toset([local.name, local.dead_letter_name])

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = ["${local.arn_prefix}:${each.value}"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # SQS moves messages that fail for too long to the dead-letter queue.
  dynamic "statement" {
    for_each = each.value == local.name ? var.sender_rule_arn[*] : []
    content {
      sid       = "DenyOtherSenders"
      effect    = "Deny"
      actions   = ["sqs:SendMessage"]
      resources = ["${local.arn_prefix}:${each.value}"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      # A request without a source is denied, too.
      condition {
        test     = "ArnNotEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }

  dynamic "statement" {
    for_each = var.sender_rule_arn[*]
    content {
      sid       = "RuleSends"
      actions   = ["sqs:SendMessage"]
      resources = ["${local.arn_prefix}:${each.value}"]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value]
      }
    }
  }
}

resource "aws_sqs_queue" "this" {
  name                       = local.name
  policy                     = data.aws_iam_policy_document.queue[local.name].json
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = local.retention_seconds
  kms_master_key_id          = var.settings.kms_key_arn
  sqs_managed_sse_enabled    = var.settings.kms_key_arn == null ? true : null
  tags                       = var.settings.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = ceil(local.retry_hours * 3600 / local.visibility_timeout_seconds)
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = local.dead_letter_name
  policy                    = data.aws_iam_policy_document.queue[local.dead_letter_name].json
  message_retention_seconds = local.retention_seconds
  kms_master_key_id         = var.settings.kms_key_arn
  sqs_managed_sse_enabled   = var.settings.kms_key_arn == null ? true : null
  tags                      = var.settings.tags
}

data "aws_iam_policy_document" "this" {
  source_policy_documents = [var.policy_json]

  statement {
    sid       = "ReadQueue"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = ["${local.arn_prefix}:${local.name}"]
  }
}

module "function" {
  source = "../lambda_function"

  name            = var.function.name
  description     = var.function.description
  handler         = var.function.handler
  timeout_seconds = var.function.timeout_seconds
  policy_json     = data.aws_iam_policy_document.this.json
  encrypts        = var.function.encrypts
  settings        = var.settings

  environment = var.environment

  table_kms_key_arn = var.table_kms_key_arn
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn        = aws_sqs_queue.this.arn
  function_name           = module.function.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = var.settings.tags

  # sync_changes.py counts on it.
  scaling_config {
    maximum_concurrency = 2
  }
}
