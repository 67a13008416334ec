# Users who change or leave are synced by CloudTrail's events. Between the rule and user_sync is a queue: a bulk change
# waits in it, instead of taking all of the account's ListUsers requests at once.

locals {
  name = "${var.prefix}-changes"
  # Ten messages, each with three attempts of four seconds.
  start_timeout_seconds      = 130
  visibility_timeout_seconds = 6 * local.start_timeout_seconds
  queue_retention_seconds    = 14 * 24 * 3600
  # As long as Step Functions may be away.
  start_hours = 12

  # Cognito's calls that change a user whom it knows by sub. ConfirmSignUp is not among them: the trigger has it.
  # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-info-in-cloudtrail.html
  event_names = [
    "AdminCreateUser",
    "AdminDeleteUser",
    "AdminDeleteUserAttributes",
    "AdminDisableProviderForUser",
    "AdminDisableUser",
    "AdminEnableUser",
    "AdminLinkProviderForUser",
    "AdminResetUserPassword",
    "AdminSetUserPassword",
    "AdminUpdateUserAttributes",
    "ChangePassword",
    "DeleteUser",
    "DeleteUserAttributes",
    "UpdateUserAttributes",
    "VerifyUserAttribute",
  ]

  # The rule sends to both: what it cannot deliver to the one goes to the other.
  queues = { changes = aws_sqs_queue.changes, dead_letter = aws_sqs_queue.dead_letter }
}

resource "aws_cloudwatch_event_rule" "changes" {
  name        = local.name
  description = "Users of ${var.user_pool_id} who change or leave, as CloudTrail records it"
  tags        = var.settings.tags

  event_pattern = jsonencode({
    source      = ["aws.cognito-idp"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource         = ["cognito-idp.amazonaws.com"]
      eventName           = local.event_names
      errorCode           = [{ exists = false }]
      additionalEventData = { sub = [{ exists = true }] }
      # Calls of an administrator name the pool; of a user's own, CloudTrail adds which it was.
      "$or" = [
        { requestParameters = { userPoolId = [var.user_pool_id] } },
        { additionalEventData = { userPoolId = [var.user_pool_id] } },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "queue" {
  rule = aws_cloudwatch_event_rule.changes.name
  arn  = aws_sqs_queue.changes.arn

  # A SyncRequest: sync_request.py.
  input_transformer {
    input_paths = {
      sub  = "$.detail.additionalEventData.sub"
      time = "$.detail.eventTime"
      name = "$.detail.eventName"
    }
    input_template = <<-EOT
      {"sub": <sub>, "reason": "changed", "occurred_at": <time>, "event_name": <name>}
    EOT
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letter.arn
  }

  depends_on = [aws_sqs_queue_policy.this]
}

resource "aws_sqs_queue" "changes" {
  name                       = local.name
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = local.queue_retention_seconds
  kms_master_key_id          = var.settings.kms_key_arn
  sqs_managed_sse_enabled    = var.settings.kms_key_arn == null ? true : null
  tags                       = var.settings.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter.arn
    maxReceiveCount     = ceil(local.start_hours * 3600 / local.visibility_timeout_seconds)
  })
}

resource "aws_sqs_queue" "dead_letter" {
  name                      = "${local.name}-dead-letter"
  message_retention_seconds = local.queue_retention_seconds
  kms_master_key_id         = var.settings.kms_key_arn
  sqs_managed_sse_enabled   = var.settings.kms_key_arn == null ? true : null
  tags                      = var.settings.tags
}

data "aws_iam_policy_document" "queue" {
  for_each = local.queues

  statement {
    sid       = "RuleSends"
    actions   = ["sqs:SendMessage"]
    resources = [each.value.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.changes.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "this" {
  for_each = local.queues

  queue_url = each.value.url
  policy    = data.aws_iam_policy_document.queue[each.key].json
}

data "aws_iam_policy_document" "start_changes" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "ReadChanges"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.changes.arn]
  }
}

module "start_changes" {
  source = "../lambda_function"

  name            = "${var.prefix}-start-changes"
  description     = "Starts the user_sync executions of users who changed, at a bounded rate"
  handler         = "start_changes"
  timeout_seconds = local.start_timeout_seconds
  policy_json     = data.aws_iam_policy_document.start_changes.json
  settings        = var.settings

  environment = {
    USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
  }
}

resource "aws_lambda_event_source_mapping" "changes" {
  event_source_arn        = aws_sqs_queue.changes.arn
  function_name           = module.start_changes.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  # start_changes.py counts on it.
  scaling_config {
    maximum_concurrency = 2
  }
}
