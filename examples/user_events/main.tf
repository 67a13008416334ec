# A service that handles events about users: a rule sends them to a queue, and a Lambda function handles the messages.
# docs/user-events.md describes the events.

variable "event_bus_name" {
  type        = string
  description = "Name of the event bus, in user_events.event_bus_arn of the deployment."
  default     = "default"
}

variable "user_table_arn" {
  type        = string
  description = "ARN of the user table: the output user_table_arn of the deployment."
}

variable "name" {
  type        = string
  description = "Name of all resources."
  default     = "user-events-consumer"
}

resource "aws_cloudwatch_event_rule" "users" {
  name           = var.name
  description    = "Users who are created, updated or deleted"
  event_bus_name = var.event_bus_name
  event_pattern  = jsonencode({ source = ["cognito-user-sync"] })
}

# --- the queue, and a dead-letter queue for events that cannot be delivered or handled

locals {
  rule_arn = split(":", aws_cloudwatch_event_rule.users.arn)
  # Built from names: the policy of a queue cannot refer to the queue.
  queue_arn_prefix = "arn:${local.rule_arn[1]}:sqs:${local.rule_arn[3]}:${local.rule_arn[4]}"
}

data "aws_iam_policy_document" "queue" {
  for_each = toset([var.name, "${var.name}-dead-letter"])

  statement {
    sid       = "RuleSends"
    actions   = ["sqs:SendMessage"]
    resources = ["${local.queue_arn_prefix}:${each.value}"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.users.arn]
    }
  }
}

resource "aws_sqs_queue" "events" {
  name                       = var.name
  policy                     = data.aws_iam_policy_document.queue[var.name].json
  visibility_timeout_seconds = 6 * local.timeout_seconds
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letter.arn, maxReceiveCount = 5 })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  policy                    = data.aws_iam_policy_document.queue["${var.name}-dead-letter"].json
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_event_target" "queue" {
  rule           = aws_cloudwatch_event_rule.users.name
  event_bus_name = var.event_bus_name
  arn            = aws_sqs_queue.events.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }
}

# --- the function

locals {
  timeout_seconds = 10
}

data "archive_file" "handler" {
  type                    = "zip"
  output_path             = "${path.root}/.terraform/cognito-user-sync/${var.name}.zip"
  source_content          = file("${path.module}/handler.py")
  source_content_filename = "handler.py"
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    sid     = "LambdaAssumesRole"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "handler" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume_role.json
}

data "aws_iam_policy_document" "handler" {
  statement {
    sid       = "ReadUser"
    actions   = ["dynamodb:GetItem"]
    resources = [var.user_table_arn]
  }

  statement {
    sid       = "ReadQueue"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.events.arn]
  }

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.handler.arn}:*"]
  }
}

resource "aws_iam_role_policy" "handler" {
  name   = var.name
  role   = aws_iam_role.handler.id
  policy = data.aws_iam_policy_document.handler.json
}

resource "aws_cloudwatch_log_group" "handler" {
  # checkov:skip=CKV_AWS_158: it has no log lines with personal data
  # checkov:skip=CKV_AWS_338: a month is enough for an example
  name              = "/aws/lambda/${var.name}"
  retention_in_days = 30
}

resource "aws_lambda_function" "handler" {
  function_name    = var.name
  description      = "Handles events about users"
  role             = aws_iam_role.handler.arn
  runtime          = "python3.13"
  architectures    = ["arm64"]
  handler          = "handler.handler"
  filename         = data.archive_file.handler.output_path
  source_code_hash = data.archive_file.handler.output_base64sha256
  timeout          = local.timeout_seconds

  environment {
    variables = { USER_TABLE_NAME = split("/", var.user_table_arn)[1] }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.handler.name
  }

  depends_on = [aws_iam_role_policy.handler]
}

resource "aws_lambda_event_source_mapping" "events" {
  event_source_arn        = aws_sqs_queue.events.arn
  function_name           = aws_lambda_function.handler.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
}
