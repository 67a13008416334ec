# A queue of SyncRequests, and the function that starts their executions. What cannot be started for half a day is kept
# in a dead-letter queue.

locals {
  timeout_seconds = 30
  # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: six times the function's timeout
  visibility_timeout_seconds = 6 * local.timeout_seconds
  retention_seconds          = 14 * 24 * 3600
  # As long as Step Functions may be away: each failed delivery comes back after the visibility timeout.
  start_hours = 12
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = local.retention_seconds
  kms_master_key_id          = var.settings.kms_key_arn
  sqs_managed_sse_enabled    = var.settings.kms_key_arn == null ? true : null
  tags                       = var.settings.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = ceil(local.start_hours * 3600 / local.visibility_timeout_seconds)
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.name}-dead-letter"
  message_retention_seconds = local.retention_seconds
  kms_master_key_id         = var.settings.kms_key_arn
  sqs_managed_sse_enabled   = var.settings.kms_key_arn == null ? true : null
  tags                      = var.settings.tags
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "ReadQueue"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.this.arn]
  }
}

module "function" {
  source = "../lambda_function"

  name            = var.function.name
  description     = var.function.description
  handler         = var.function.handler
  timeout_seconds = local.timeout_seconds
  policy_json     = data.aws_iam_policy_document.this.json
  settings        = var.settings

  environment = {
    USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
  }
}

resource "aws_lambda_event_source_mapping" "this" {
  event_source_arn        = aws_sqs_queue.this.arn
  function_name           = module.function.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  # start_changes.py counts on it.
  scaling_config {
    maximum_concurrency = 2
  }
}
