# Users who change or leave are synced by CloudTrail's events. Between the rule and user_sync is a queue: a bulk change
# waits in it, instead of taking all of the account's ListUsers requests at once.

locals {
  name = "${var.settings.prefix}-changes"

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
}

module "queue" {
  source = "../request_queue"

  name                        = "changes"
  sender_rule_arn             = aws_cloudwatch_event_rule.changes.arn
  user_sync_state_machine_arn = var.user_sync_state_machine_arn
  settings                    = var.settings

  function = {
    name        = "start-changes"
    description = "Starts the user_sync executions of users who changed, at a bounded rate"
    handler     = "start_changes"
  }
}
