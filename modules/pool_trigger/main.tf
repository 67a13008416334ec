# Attaches the trigger to a pool that somebody else owns. No Terraform resource sets lambda_config alone, so a function
# does it. Two resources keep the state honest: the guard is made first and only detaches, on destroy; attach may fail
# and is then tried again by the next apply, with the guard in the state all the same.

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ChangeTrigger"
    actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:UpdateUserPool"]
    resources = [var.user_pool.arn]
  }

  # The settings that DescribeUserPool does not show are compared, too, and put back if the update lost one.
  statement {
    sid       = "KeepMfaSettings"
    actions   = ["cognito-idp:GetUserPoolMfaConfig", "cognito-idp:SetUserPoolMfaConfig"]
    resources = [var.user_pool.arn]
  }

  statement {
    sid     = "KeepSmsRole"
    actions = ["iam:PassRole"]
    # UpdateUserPool passes the pool's own SMS role on again. Its name is the pool owner's, and no data source tells it:
    # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SmsConfigurationType.html
    resources = [
      var.sms_role_arn == null ? "arn:${var.settings.partition}:iam::${var.settings.account_id}:role/*" : var.sms_role_arn
    ]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["cognito-idp.amazonaws.com"]
    }
  }

  # post_confirmation says whether it may invoke the chained function.
  dynamic "statement" {
    for_each = var.chained_function_arn[*]
    content {
      sid       = "AskPostConfirmation"
      actions   = ["lambda:InvokeFunction"]
      resources = [var.function_arn_by_name]
    }
  }

  # Whoever updates a pool that encrypts codes for custom sender triggers grants Cognito the use of the pool's key:
  # https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-custom-sender-triggers.html
  dynamic "statement" {
    for_each = compact(var.user_pool.lambda_config[*].kms_key_id)
    content {
      sid       = "KeepSenderKey"
      actions   = ["kms:CreateGrant"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:EncryptionContext:userpool-id"
        values   = [var.user_pool.id]
      }
    }
  }
}

module "function" {
  source = "../lambda_function"

  name            = "pool-trigger"
  description     = "Attaches the post-confirmation trigger to the user pool, and detaches it"
  handler         = "pool_trigger"
  timeout_seconds = 90
  policy_json     = data.aws_iam_policy_document.this.json
  settings        = var.settings

  # The function rejects an event that names anything else.
  environment = {
    USER_POOL_ID                   = var.user_pool.id
    POST_CONFIRMATION_FUNCTION_ARN = var.function_arn_by_name
    CHAINED_FUNCTION_ARN           = local.chained_function_arn
  }
}

locals {
  # Below the address of this module's caller, which it cannot know.
  attach_address     = "<module.NAME.>module.pool_trigger[0].aws_lambda_invocation.attach"
  found_function_arn = join("", compact(var.user_pool.lambda_config[*].post_confirmation))

  # "" for none.
  chained_function_arn = join("", var.chained_function_arn[*])

  # Without the chained function, which may change: the guard destroys with the input of the last apply that got to it, and
  # a run of the reconciliation has the definition of its start. Both are for the chained function of the environment.
  request = {
    user_pool_id = var.user_pool.id
    function_arn = var.function_arn
  }
}

resource "aws_lambda_invocation" "guard" {
  function_name   = module.function.name
  lifecycle_scope = "CRUD"
  input           = jsonencode(merge(local.request, { action = "detach" }))
  # A function that is to be replaced is detached before it goes: a sign-up that calls what is gone fails.
  triggers = { function_arn = var.function_arn }

  depends_on = [module.function, var.attach_after]
}

resource "aws_lambda_invocation" "attach" {
  function_name   = module.function.name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode(merge(local.request, { action = "attach" }))
  # The pool may have the function that is newly named.
  triggers = { chained_function_arn = local.chained_function_arn }

  depends_on = [aws_lambda_invocation.guard]

  lifecycle {
    replace_triggered_by = [aws_lambda_invocation.guard]
  }
}

# Another stack can take the trigger away at any time. The function is asynchronous here: its errors are for the alarm
# trigger-missing. Before a destroy detaches the trigger, the schedule goes.
module "check" {
  source = "../schedule"

  name                = "trigger-check"
  role_name           = "trigger-check"
  description         = "Attaches the post-confirmation trigger again if it is missing"
  schedule_expression = "rate(15 minutes)"
  window_minutes      = 0
  retry_seconds       = 600
  target              = { arn = module.function.arn, action = "lambda:InvokeFunction" }
  input               = jsonencode(merge(local.request, { action = "ensure" }))
  settings            = var.settings

  start_after = [aws_lambda_invocation.attach.id]
}

# When attach was planned. In that plan, the pool is yet to get the trigger.
resource "terraform_data" "attached" {
  input = plantimestamp()

  depends_on = [aws_lambda_invocation.attach]

  lifecycle {
    ignore_changes       = [input]
    replace_triggered_by = [aws_lambda_invocation.attach]

    # Fails the plan, before anything is made. Otherwise attach fails, as the last step of the apply.
    postcondition {
      condition     = self.input != plantimestamp() || contains(concat(["", var.function_arn_by_name], var.chained_function_arn[*]), local.found_function_arn)
      error_message = "User pool ${var.user_pool.id} has the post-confirmation trigger ${local.found_function_arn}, which is not this module's. To keep it, and have it called after this module's own function, set chained_function_arn to exactly this ARN, or remove it from the pool."
    }
  }
}

check "trigger_is_attached" {
  assert {
    condition     = terraform_data.attached.input == plantimestamp() || local.found_function_arn == var.function_arn_by_name
    error_message = "User pool ${var.user_pool.id} has lost this module's post-confirmation trigger, and has ${coalesce(local.found_function_arn, "none")} now: users who sign up are not synced, and get no welcome email. If an operator has paused it: cognito-user-sync resume trigger. To attach it again, apply with -replace='${local.attach_address}'. To keep another function, first set chained_function_arn to exactly its ARN, or remove it from the pool. The configuration that replaced the trigger has to ignore lambda_config: see docs/existing-pool.md."
  }
}
