# If the same configuration creates the pool, the pool's lambda_config names post_confirmation (examples/owned_pool). So the
# function must not depend on anything that depends on the pool: that would be a cycle. Only the permission names the pool.

data "aws_iam_policy_document" "post_confirmation" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "SendToRetryQueue"
    actions   = ["sqs:SendMessage"]
    resources = [module.retry_queue.queue.arn]
  }
}

module "post_confirmation" {
  source = "../lambda_function"

  name                 = "post-confirmation"
  description          = "Cognito post-confirmation trigger: starts the sync of a new user"
  handler              = "post_confirmation"
  timeout_seconds      = 5 # the limit of Cognito
  reserved_concurrency = var.reserved_concurrency
  policy_json          = data.aws_iam_policy_document.post_confirmation.json
  encrypts             = true
  settings             = var.settings

  environment = merge(
    {
      USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
      RETRY_QUEUE_URL             = module.retry_queue.queue.url
    },
    # Read from the policy, not the variable, so that Terraform creates the policy before the function uses it and deletes it after.
    { for policy in aws_iam_role_policy.chained : "CHAINED_FUNCTION_ARN" => var.chained_function_arn },
  )
}

data "aws_iam_policy_document" "chained" {
  count = var.chained_function_arn == null ? 0 : 1

  statement {
    sid       = "InvokeChainedFunction"
    actions   = ["lambda:InvokeFunction"]
    resources = [var.chained_function_arn]
  }
}

resource "aws_iam_role_policy" "chained" {
  count = var.chained_function_arn == null ? 0 : 1

  # Another chained function gets another policy, so that the previous policy exists until the previous function is no longer
  # invoked. With a random suffix: if an apply fails and leaves the previous policy, the next apply can create a policy for
  # the same function before it deletes the previous one by name.
  name_prefix = "${var.settings.prefix}-chained-${substr(sha256(var.chained_function_arn), 0, 8)}-"
  role        = module.post_confirmation.role_name
  policy      = data.aws_iam_policy_document.chained[0].json

  lifecycle {
    create_before_destroy = true
  }
}

resource "terraform_data" "user_pool" {
  input = var.user_pool_id
}

# The permission is limited to one pool of one account: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
resource "aws_lambda_permission" "cognito" {
  statement_id   = "UserPool"
  action         = "lambda:InvokeFunction"
  function_name  = module.post_confirmation.arn # unknown at plan for a new function, so that it gets a new permission
  principal      = "cognito-idp.amazonaws.com"
  source_arn     = var.user_pool_arn
  source_account = var.settings.account_id

  # With a depends_on on the root module, account and region are unknown at plan. This would replace the permission, and
  # sign-ups would fail until then. So only another pool ID replaces it.
  lifecycle {
    ignore_changes       = [source_arn, source_account]
    replace_triggered_by = [terraform_data.user_pool]
  }
}

data "aws_iam_policy_document" "retry_sign_ups" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }
}

module "retry_queue" {
  source = "../request_queue"

  name        = "retry"
  policy_json = data.aws_iam_policy_document.retry_sign_ups.json
  settings    = var.settings

  environment = {
    USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
  }

  function = {
    name            = "retry-sign-ups"
    description     = "Starts the executions that the post-confirmation trigger could not start"
    handler         = "retry_sign_ups"
    timeout_seconds = 30
    encrypts        = true
  }
}
