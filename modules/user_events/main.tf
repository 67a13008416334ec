# Publishes events about users on an EventBridge bus, from the records of the table's stream.
#
# Lambda sends the records of a user in their order. It sends a failed record again before all later ones of the same shard of
# the stream. Records that fail for too long are left out, and a message with their position in the stream is sent to the
# dead-letter queue.

locals {
  dead_letter_name = "${var.settings.prefix}-user-events-dead-letter"
  # Built from names: the policy of a queue cannot refer to the queue, and a plan knows the policy of the function.
  dead_letter_arn = "arn:${var.settings.partition}:sqs:${var.settings.region}:${var.settings.account_id}:${local.dead_letter_name}"

  # A stream keeps its records for 24 hours. Without a limit below that, records would expire without a message:
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
  maximum_age_hours = 23
}

data "aws_iam_policy_document" "dead_letter" {
  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.dead_letter_arn]

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
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = local.dead_letter_name
  policy                    = data.aws_iam_policy_document.dead_letter.json
  message_retention_seconds = 14 * 24 * 3600 # the maximum of SQS
  kms_master_key_id         = var.settings.kms_key_arn
  sqs_managed_sse_enabled   = var.settings.kms_key_arn == null ? true : null
  tags                      = var.settings.tags
}

data "aws_iam_policy_document" "publish_user_events" {
  statement {
    sid     = "ReadStream"
    actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
    # The streams of the table. A stream's name is the time at which it was enabled: the policy exists before the table.
    resources = ["${var.table_arn}/stream/*"]
  }

  statement {
    sid     = "ListStreams"
    actions = ["dynamodb:ListStreams"]
    # The action has no resource type, and Lambda requires it:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
    # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
    resources = ["*"]
  }

  statement {
    sid       = "PublishEvents"
    actions   = ["events:PutEvents"]
    resources = [var.event_bus_arn]
  }

  statement {
    sid       = "ReportLostRecords"
    actions   = ["sqs:SendMessage"]
    resources = [local.dead_letter_arn]
  }
}

module "function" {
  source = "../lambda_function"

  name              = "publish-user-events"
  description       = "Publishes events about users, from the stream of the user table"
  handler           = "publish_user_events"
  timeout_seconds   = 60
  policy_json       = data.aws_iam_policy_document.publish_user_events.json
  environment       = merge(var.environment, { EVENT_BUS_ARN = var.event_bus_arn })
  encrypts          = true
  table_kms_key_arn = var.table_kms_key_arn
  settings          = var.settings
}

resource "aws_lambda_event_source_mapping" "stream" {
  event_source_arn        = var.stream_arn
  function_name           = module.function.arn
  function_response_types = ["ReportBatchItemFailures"]
  batch_size              = 100
  tags                    = var.settings.tags

  # All records of a new table. In an existing table, up to 24 hours of changes from before.
  starting_position = "TRIM_HORIZON"

  # Without a limit of retries: an outage of the event bus loses no event. If the function fails with an error, half of the
  # batch is sent again, so that one record cannot hold up those before it.
  maximum_retry_attempts         = -1
  maximum_record_age_in_seconds  = local.maximum_age_hours * 3600
  bisect_batch_on_function_error = true

  # Items of this pool, before or after. Expired items have no new image.
  filter_criteria {
    filter {
      pattern = jsonencode({ dynamodb = { NewImage = { (var.user_pool_id_attribute) = { S = [var.user_pool_id] } } } })
    }
  }

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letter.arn
    }
  }
}
