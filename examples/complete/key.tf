# A key that encrypts whatever the module keeps: docs/security.md says who uses it for what.

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
  # In a key's policy, "*" is this key.
  statement {
    sid       = "LetIamDecide"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account_id}:root"]
    }
  }

  # AWS's page has kms:DescribeKey here, too. Such a request has no encryption context: the condition never allows it.
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

  # With track_changes. For EventBridge, AWS says of topics that it knows no aws:SourceArn here, and of queues nothing:
  # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html. The encryption context of a queue is its ARN. Not
  # tried on AWS: if the alarm changes-lost fires from the start, remove the condition.
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
  description         = "Encrypts what ${local.prefix} keeps of users"
  policy              = data.aws_iam_policy_document.key.json
  enable_key_rotation = true
}
