# KMS key that encrypts all data of the module. docs/security.md lists its users.

data "aws_caller_identity" "current" {}

data "aws_service" "kms" {
  service_id = "kms"
}

locals {
  prefix     = "${local.name}-${local.stage}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_service.kms.partition
  region     = data.aws_service.kms.region
}

data "aws_iam_policy_document" "key" {
  # In a key policy, "*" is the key itself.
  statement {
    sid       = "LetIamDecide"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }

  # Without kms:DescribeKey, which AWS documents here, too: its requests have no encryption context, so the condition would
  # never allow them.
  statement {
    sid       = "EncryptLogs"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${local.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        for group in ["/aws/lambda", "/aws/vendedlogs/states"] :
        "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${group}/${local.prefix}-*"
      ]
    }
  }

  statement {
    sid       = "DeliverLogsOfStateMachines"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:SourceArn"
      values   = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:*"]
    }
  }

  # Required with track_changes. EventBridge sends no aws:SourceArn for topics, and AWS does not document it for queues:
  # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html. The encryption context of a queue is its ARN. This
  # was not tested on AWS: if the alarm changes-lost fires after the first apply, remove the condition.
  statement {
    sid       = "QueueChanges"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:aws:sqs:arn"
      values = [
        for queue in ["changes", "changes-dead-letter"] :
        "arn:${local.partition}:sqs:${local.region}:${local.account_id}:${local.prefix}-${queue}"
      ]
    }
  }
}

resource "aws_kms_key" "user_sync" {
  description         = "Encrypts the data of ${local.prefix}"
  policy              = data.aws_iam_policy_document.key.json
  enable_key_rotation = true
}
