locals {
  ses_arn = join(":", [
    "arn", var.settings.partition, "ses", try(coalesce(var.welcome_email.region), var.settings.region), var.settings.account_id,
  ])

  # Only names that welcome_email.py sends unchanged: AWS does not document how it compares quoted or encoded names.
  sender_name = regexall("^\"?([\\w&'!+-]+(?: [\\w&'!+-]+)*)\"? <", try(coalesce(var.welcome_email.from), ""))

  from_address = join("", regexall("([^<>\\s]+)>?$", try(coalesce(var.welcome_email.from), ""))[*][0])
  # SES uses Punycode, which Terraform cannot compute. So the pattern allows any Punycode for an international label.
  from_pattern = replace(local.from_address, "/[^.@]*[^\\x00-\\x7F][^.@]*/", "xn--*")

  with_welcome = jsondecode(templatefile("${path.module}/user_sync.asl.json", {
    partition                 = var.settings.partition
    sync_user_function_arn    = module.sync_user.arn
    send_welcome_function_arn = join("", module.send_welcome[*].arn)
  }))
  # Ends after SyncUser. A state that does nothing would also be billed: a state transition costs more than an invocation.
  without_welcome = merge(local.with_welcome, {
    Comment = "Syncs one Cognito user"
    States = {
      SyncUser = merge(
        { for field, value in local.with_welcome.States.SyncUser : field => value if field != "Next" }, { End = true }
      )
    }
  })
}

data "aws_iam_policy_document" "sync_user" {
  statement {
    sid       = "WriteUser"
    actions   = var.write_actions
    resources = [var.table_arn]
  }

  # ListUsers, because a deletion must also be confirmed by the list.
  statement {
    sid       = "ReadUser"
    actions   = ["cognito-idp:ListUsers", "cognito-idp:AdminGetUser"]
    resources = [var.user_pool_arn]
  }

  dynamic "statement" {
    for_each = var.sync_groups ? [var.user_pool_arn] : []
    content {
      sid       = "ReadGroups"
      actions   = ["cognito-idp:AdminListGroupsForUser"]
      resources = [statement.value]
    }
  }
}

module "sync_user" {
  source = "../lambda_function"

  name            = "sync-user"
  description     = "Writes one Cognito user to the user table"
  handler         = "sync_user"
  timeout_seconds = 60
  policy_json     = data.aws_iam_policy_document.sync_user.json

  table_kms_key_arn = var.table_kms_key_arn

  settings    = var.settings
  environment = var.environment
}

data "aws_iam_policy_document" "send_welcome" {
  count = var.welcome_email == null ? 0 : 1

  statement {
    sid       = "ReadUser"
    actions   = ["cognito-idp:AdminGetUser"]
    resources = [var.user_pool_arn]
  }

  statement {
    sid     = "SendFromOneAddress"
    actions = ["ses:SendEmail"]
    # All identities, because in the SES sandbox the recipient's identity is checked, too
    # (https://github.com/aws/aws-sdk-js/issues/3641). The condition limits the permission to one sender.
    resources = concat(
      ["${local.ses_arn}:identity/*"],
      # An identity of another account or region. The line above has those of this account and region.
      [for arn in var.welcome_email.identity_arn[*] : arn if !startswith(arn, "${local.ses_arn}:")],
      [for name in var.welcome_email.configuration_set[*] : "${local.ses_arn}:configuration-set/${name}"],
    )

    condition {
      test     = local.from_address == local.from_pattern ? "StringEquals" : "StringLike"
      variable = "ses:FromAddress"
      values   = [local.from_pattern]
    }

    # https://docs.aws.amazon.com/ses/latest/dg/sending-authorization-policy-examples.html
    dynamic "condition" {
      for_each = local.sender_name
      content {
        test     = "StringEquals"
        variable = "ses:FromDisplayName"
        values   = condition.value
      }
    }
  }
}

resource "aws_lambda_layer_version" "welcome_email" {
  count = var.welcome_email == null ? 0 : 1

  layer_name       = "${var.settings.prefix}-welcome-email"
  description      = "The welcome email: sender, subject and templates"
  filename         = var.welcome_email_package.filename
  s3_bucket        = var.welcome_email_package.s3_bucket
  s3_key           = var.welcome_email_package.s3_key
  source_code_hash = var.welcome_email_package.source_code_hash
}

module "send_welcome" {
  source = "../lambda_function"
  count  = var.welcome_email == null ? 0 : 1

  name            = "send-welcome"
  description     = "Sends the welcome email to one new Cognito user"
  handler         = "send_welcome"
  timeout_seconds = 20
  policy_json     = one(data.aws_iam_policy_document.send_welcome).json
  settings        = var.settings

  environment = {
    ATTRIBUTES   = jsonencode(var.attributes)
    USER_POOL_ID = var.user_pool_id
  }

  layer_arn = one(aws_lambda_layer_version.welcome_email).arn
}

data "aws_iam_policy_document" "state_machine" {
  statement {
    sid       = "InvokeSteps"
    actions   = ["lambda:InvokeFunction"]
    resources = concat([module.sync_user.arn], module.send_welcome[*].arn)
  }
}

module "state_machine" {
  source = "../state_machine"

  name        = "user-sync"
  policy_json = data.aws_iam_policy_document.state_machine.json
  settings    = var.settings

  definition = var.welcome_email == null ? jsonencode(local.without_welcome) : jsonencode(local.with_welcome)
}
