# A queue, and the function that processes its messages. Messages that fail for 12 hours are moved to a dead-letter queue.

locals {
  name             = "${var.settings.prefix}-${var.name}"
  dead_letter_name = "${local.name}-dead-letter"
  # Built from names: the policy of a queue cannot refer to the queue, and a plan knows the policy of the function.
  arn_prefix = "arn:${var.settings.partition}:sqs:${var.settings.region}:${var.settings.account_id}"

  # Six times the timeout of the function: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
  visibility_timeout_seconds = 6 * var.function.timeout_seconds
  # The maximum of SQS. A message keeps its enqueue time when it is moved, so the dead-letter queue has it for 13.5 days:
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
  retention_seconds = 14 * 24 * 3600
  # Step Functions or Cognito can be unavailable for this long. A failed message is retried after the visibility timeout.
  retry_hours = 12
}

# Only the EventBridge rule sends with this policy. The functions have their permissions in their roles.
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

  # Not for the dead-letter queue, to which SQS itself moves messages.
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

      # A request without aws:SourceArn is denied, too.
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

  # sync_changes.py limits its rate by a pause, and relies on this limit.
  scaling_config {
    maximum_concurrency = 2
  }
}
