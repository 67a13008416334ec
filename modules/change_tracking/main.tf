# Users who change or leave are synced by CloudTrail's events. Between the rule and user_sync is a queue: a bulk change
# waits in it, instead of taking all of the account's ListUsers requests at once.

locals {
  name = "${var.prefix}-changes"

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
  queues = { changes = module.queue.queue, dead_letter = module.queue.dead_letter_queue }
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
  arn  = module.queue.queue.arn

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
    arn = module.queue.dead_letter_queue.arn
  }

  depends_on = [aws_sqs_queue_policy.this]
}

module "queue" {
  source = "../request_queue"

  name                        = local.name
  user_sync_state_machine_arn = var.user_sync_state_machine_arn
  settings                    = var.settings

  function = {
    name        = "${var.prefix}-start-changes"
    description = "Starts the user_sync executions of users who changed, at a bounded rate"
    handler     = "start_changes"
  }
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
