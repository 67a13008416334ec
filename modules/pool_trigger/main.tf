# Attaches the trigger to an existing pool. No Terraform resource sets lambda_config alone, so a Lambda function changes it.
# Two resources invoke the function. The guard is created first, and detaches the trigger on destroy. Attach attaches it. If
# attach fails, the next apply retries it, and the guard is already in the state, so that a destroy detaches.

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ChangeTrigger"
    actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:UpdateUserPool"]
    resources = [var.user_pool.arn]
  }

  # DescribeUserPool does not return these settings. They are compared, too, and restored if the update changed them.
  statement {
    sid       = "KeepMfaSettings"
    actions   = ["cognito-idp:GetUserPoolMfaConfig", "cognito-idp:SetUserPoolMfaConfig"]
    resources = [var.user_pool.arn]
  }

  statement {
    sid     = "KeepSmsRole"
    actions = ["iam:PassRole"]
    # UpdateUserPool passes the pool's SMS role to Cognito again. No data source returns the ARN of this role:
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

  # post_confirmation reports whether it can invoke the chained function.
  dynamic "statement" {
    for_each = var.chained_function_arn[*]
    content {
      sid       = "AskPostConfirmation"
      actions   = ["lambda:InvokeFunction"]
      resources = [var.function_arn_by_name]
    }
  }

  # If the pool encrypts codes for custom sender triggers, an update of the pool grants Cognito the use of that key:
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

  # The function rejects an event with other values.
  environment = {
    USER_POOL_ID                   = var.user_pool.id
    POST_CONFIRMATION_FUNCTION_ARN = var.function_arn_by_name
    CHAINED_FUNCTION_ARN           = local.chained_function_arn
  }
}

locals {
  # For an error message. The module cannot know the address of its caller.
  attach_address     = "<module.NAME.>module.pool_trigger[0].aws_lambda_invocation.attach"
  found_function_arn = join("", compact(var.user_pool.lambda_config[*].post_confirmation))

  # "" if there is none.
  chained_function_arn = join("", var.chained_function_arn[*])

  # Without the chained function, which can change: the guard destroys with the input of the last apply that changed it, and
  # a running reconciliation keeps the definition with which it started. The function reads the chained function from its
  # environment.
  request = {
    user_pool_id = var.user_pool.id
    function_arn = var.function_arn
  }
}

resource "aws_lambda_invocation" "guard" {
  function_name   = module.function.name
  lifecycle_scope = "CRUD"
  input           = jsonencode(merge(local.request, { action = "detach" }))
  # Detaches a function before it is replaced. Otherwise sign-ups would invoke a deleted function, and fail.
  triggers = { function_arn = var.function_arn }

  depends_on = [module.function, var.attach_after]
}

resource "aws_lambda_invocation" "attach" {
  function_name   = module.function.name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode(merge(local.request, { action = "attach" }))
  # The pool can still have the new chained function as its trigger.
  triggers = { chained_function_arn = local.chained_function_arn }

  depends_on = [aws_lambda_invocation.guard]

  lifecycle {
    replace_triggered_by = [aws_lambda_invocation.guard]
  }
}

# Attaches the trigger again if another stack removes it. The schedule invokes the function asynchronously, and the alarm
# trigger-missing reports its errors. A destroy deletes the schedule before it detaches the trigger.
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

# The time of the plan that attaches the trigger. In that plan, the pool does not have the trigger yet.
resource "terraform_data" "attached" {
  input = plantimestamp()

  depends_on = [aws_lambda_invocation.attach]

  lifecycle {
    ignore_changes       = [input]
    replace_triggered_by = [aws_lambda_invocation.attach]

    # Fails the plan before anything is created. Otherwise attach would fail, as the last step of the apply.
    postcondition {
      condition     = self.input != plantimestamp() || contains(concat(["", var.function_arn_by_name], var.chained_function_arn[*]), local.found_function_arn)
      error_message = "User pool ${var.user_pool.id} has the post-confirmation trigger ${local.found_function_arn}, which is not this module's. Set chained_function_arn to exactly this ARN, so that this module's function invokes it, or remove it from the pool (by a destroy, if it belongs to another deployment of this module)."
    }
  }
}

check "trigger_is_attached" {
  assert {
    condition     = terraform_data.attached.input == plantimestamp() || local.found_function_arn == var.function_arn_by_name
    error_message = "The post-confirmation trigger of user pool ${var.user_pool.id} is ${coalesce(local.found_function_arn, "none")}, and not this module's function: new sign-ups are not synced, and get no welcome email. If an operator has paused the trigger: cognito-user-sync resume trigger. To attach it again, apply with -replace='${local.attach_address}'. If the pool has another function, first set chained_function_arn to exactly its ARN, or remove it from the pool. The configuration that replaced the trigger must ignore lambda_config: see docs/existing-pool.md."
  }
}
