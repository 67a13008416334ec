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

locals {
  # Built from names, so that a plan shows the policies completely.
  table_arn = split(":", var.user_table_arn)
  partition = local.table_arn[1]
  place     = "${local.table_arn[3]}:${local.table_arn[4]}"
  rule_arn  = "arn:${local.partition}:events:${local.place}:rule/${var.event_bus_name == "default" ? "" : "${var.event_bus_name}/"}${var.name}"
  queue_arn = "arn:${local.partition}:sqs:${local.place}:${var.name}"
  log_arn   = "arn:${local.partition}:logs:${local.place}:log-group:/aws/lambda/${var.name}"

  timeout_seconds = 10
}

resource "aws_cloudwatch_event_rule" "users" {
  name           = var.name
  description    = "Users who are created, updated or deleted"
  event_bus_name = var.event_bus_name
  event_pattern  = jsonencode({ source = ["cognito-user-sync"] })
}

# --- the queue, and a dead-letter queue for events that cannot be delivered or handled

data "aws_iam_policy_document" "queue" {
  for_each = { events = local.queue_arn, dead_letter = "${local.queue_arn}-dead-letter" }

  statement {
    sid       = "RuleSends"
    actions   = ["sqs:SendMessage"]
    resources = [each.value]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.rule_arn]
    }
  }
}

resource "aws_sqs_queue" "events" {
  name                       = var.name
  policy                     = data.aws_iam_policy_document.queue["events"].json
  visibility_timeout_seconds = 6 * local.timeout_seconds
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead_letter.arn, maxReceiveCount = 5 })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  policy                    = data.aws_iam_policy_document.queue["dead_letter"].json
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
    resources = [local.queue_arn]
  }

  statement {
    sid       = "WriteLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_arn}:*"]
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
  # checkov:skip=CKV_AWS_50: an example without traces
  # checkov:skip=CKV_AWS_115: the queue waits if the account has no concurrency left
  # checkov:skip=CKV_AWS_116: only asynchronous invocations use it; the queue has a dead-letter queue
  # checkov:skip=CKV_AWS_117: it calls only AWS APIs
  # checkov:skip=CKV_AWS_173: its environment has the name of a table only
  # checkov:skip=CKV_AWS_272: Terraform creates the zip from handler.py, without a build step
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
