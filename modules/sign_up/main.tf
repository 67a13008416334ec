# Whoever owns the pool in the same configuration names post_confirmation in the pool's lambda_config. So the function
# may depend on nothing that depends on the pool, or Terraform finds a cycle (examples/owned_pool). Only the
# permission names the pool.

data "aws_caller_identity" "current" {}

locals {
  # As long as Step Functions may be away: each failed delivery comes back after the visibility timeout.
  replay_timeout_seconds     = 30
  visibility_timeout_seconds = 6 * local.replay_timeout_seconds
  replay_hours               = 12
  queue_retention_seconds    = 14 * 24 * 3600
}

data "aws_iam_policy_document" "post_confirmation" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "ParkUnstarted"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.unstarted.arn]
  }
}

module "post_confirmation" {
  source = "../lambda_function"

  name                 = "${var.prefix}-post-confirmation"
  description          = "Cognito post-confirmation trigger: starts the sync of a user who has just confirmed"
  handler              = "post_confirmation"
  timeout_seconds      = 5 # Cognito waits no longer
  reserved_concurrency = var.reserved_concurrency
  policy_json          = data.aws_iam_policy_document.post_confirmation.json
  settings             = var.settings

  environment = merge(
    {
      USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
      UNSTARTED_QUEUE_URL         = aws_sqs_queue.unstarted.url
      ATTRIBUTES                  = jsonencode(var.attributes)
    },
    # Through the policy: it comes before the function calls, and goes after it has stopped to.
    { for policy in aws_iam_role_policy.chained : "CHAINED_FUNCTION_ARN" => var.chained_function_arn },
  )
}

data "aws_iam_policy_document" "chained" {
  count = var.chained_function_arn == null ? 0 : 1

  statement {
    sid       = "CallChainedFunction"
    actions   = ["lambda:InvokeFunction"]
    resources = [var.chained_function_arn]
  }
}

resource "aws_iam_role_policy" "chained" {
  count = var.chained_function_arn == null ? 0 : 1

  # Of another function, another policy: so the old one, too, goes after the calls.
  name   = "${var.prefix}-chained-${substr(sha256(var.chained_function_arn), 0, 8)}"
  role   = module.post_confirmation.role_name
  policy = data.aws_iam_policy_document.chained[0].json

  lifecycle {
    create_before_destroy = true
  }
}

# The statement is given to one pool of one account: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
resource "aws_lambda_permission" "cognito" {
  statement_id   = "UserPool"
  action         = "lambda:InvokeFunction"
  function_name  = module.post_confirmation.arn # a new function has a new ARN to Terraform, and gets the permission, too
  principal      = "cognito-idp.amazonaws.com"
  source_arn     = var.user_pool_arn
  source_account = data.aws_caller_identity.current.account_id
}

resource "aws_sqs_queue" "unstarted" {
  name                       = "${var.prefix}-unstarted"
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  kms_master_key_id          = var.settings.kms_key_arn
  sqs_managed_sse_enabled    = var.settings.kms_key_arn == null ? true : null
  tags                       = var.settings.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = ceil(local.replay_hours * 3600 / local.visibility_timeout_seconds)
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${var.prefix}-unstarted-dead-letter"
  message_retention_seconds = local.queue_retention_seconds
  kms_master_key_id         = var.settings.kms_key_arn
  sqs_managed_sse_enabled   = var.settings.kms_key_arn == null ? true : null
  tags                      = var.settings.tags
}

data "aws_iam_policy_document" "replay_sign_ups" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "ReadUnstarted"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.unstarted.arn]
  }
}

module "replay_sign_ups" {
  source = "../lambda_function"

  name            = "${var.prefix}-replay-sign-ups"
  description     = "Starts the user_sync executions that the post-confirmation trigger could not start"
  handler         = "replay_sign_ups"
  timeout_seconds = local.replay_timeout_seconds
  policy_json     = data.aws_iam_policy_document.replay_sign_ups.json
  settings        = var.settings

  environment = {
    USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
  }
}

resource "aws_lambda_event_source_mapping" "unstarted" {
  event_source_arn        = aws_sqs_queue.unstarted.arn
  function_name           = module.replay_sign_ups.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2
  }
}
