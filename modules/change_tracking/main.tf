# Syncs changed and deleted users from CloudTrail events. The queue between the rule and the function limits the rate: a bulk
# change waits in it, and does not use up the ListUsers quota of the account.

locals {
  name = "${var.settings.prefix}-changes"

  # API calls that change a user, and whose event has the user's sub. Not ConfirmSignUp, which invokes the trigger.
  # https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-info-in-cloudtrail.html
  event_names = concat(var.sync_groups ? ["AdminAddUserToGroup", "AdminRemoveUserFromGroup"] : [], [
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
  ])

  calls = [
    { eventName = local.event_names },
    # The first sign-in of an invited user confirms the user, and can set attributes.
    {
      eventName         = ["AdminRespondToAuthChallenge", "RespondToAuthChallenge"]
      requestParameters = { challengeName = ["NEW_PASSWORD_REQUIRED"] }
    },
  ]

  # The event of an administrator's call has the pool ID. AWS does not document where the event of a user's call has it. So
  # events without a pool ID match, too, and sync_changes checks whether the user is in this pool.
  pools = [
    { requestParameters = { userPoolId = [var.user_pool.id] } },
    { additionalEventData = { userPoolId = [var.user_pool.id] } },
    {
      requestParameters   = { userPoolId = [{ exists = false }] }
      additionalEventData = { userPoolId = [{ exists = false }] }
    },
  ]
}

resource "aws_cloudwatch_event_rule" "changes" {
  name        = local.name
  description = "CloudTrail events of changed users of ${var.user_pool.id}"
  tags        = var.settings.tags

  # Each $or is at its own level, so that the pattern has the event names only once: its limit is 2,048 characters.
  # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
  event_pattern = jsonencode({
    source      = ["aws.cognito-idp"]
    detail-type = ["AWS API Call via CloudTrail"]
    account     = [var.settings.account_id] # the bus can receive events of other accounts
    "$or"       = [for pool in local.pools : { detail = pool }]
    detail = {
      eventSource         = ["cognito-idp.amazonaws.com"]
      errorCode           = [{ exists = false }]
      additionalEventData = { sub = [{ exists = true }] }
      "$or"               = local.calls
    }
  })
}

resource "aws_cloudwatch_event_target" "queue" {
  rule = aws_cloudwatch_event_rule.changes.name
  arn  = module.queue.queue.arn

  # A Change in sync_request.py.
  input_transformer {
    input_paths = {
      sub  = "$.detail.additionalEventData.sub"
      time = "$.detail.eventTime"
      name = "$.detail.eventName"
    }
    input_template = <<-EOT
      {"sub": <sub>, "event_name": <name>, "occurred_at": <time>}
    EOT
  }

  dead_letter_config {
    arn = module.queue.dead_letter_queue.arn
  }
}

data "aws_iam_policy_document" "sync_changes" {
  statement {
    sid       = "ReadUsers"
    actions   = ["cognito-idp:ListUsers", "cognito-idp:AdminGetUser"]
    resources = [var.user_pool.arn]
  }

  statement {
    sid       = "ReadAndWriteItems"
    actions   = var.write_actions
    resources = [var.table_arn]
  }

  dynamic "statement" {
    for_each = var.sync_groups ? [var.user_pool.arn] : []
    content {
      sid       = "ReadGroups"
      actions   = ["cognito-idp:AdminListGroupsForUser"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.first_sign_in_state_machine_arn[*]
    content {
      sid       = "StartUserSync"
      actions   = ["states:StartExecution"]
      resources = [statement.value]
    }
  }
}

module "queue" {
  source = "../request_queue"

  name              = "changes"
  sender_rule_arn   = aws_cloudwatch_event_rule.changes.arn
  policy_json       = data.aws_iam_policy_document.sync_changes.json
  environment       = merge(var.environment, { for arn in var.first_sign_in_state_machine_arn[*] : "USER_SYNC_STATE_MACHINE_ARN" => arn })
  table_kms_key_arn = var.table_kms_key_arn
  settings          = var.settings

  function = {
    name            = "sync-changes"
    description     = "Syncs changed users, at a limited rate"
    handler         = "sync_changes"
    timeout_seconds = 60
    encrypts        = var.first_sign_in_state_machine_arn != null
  }
}
