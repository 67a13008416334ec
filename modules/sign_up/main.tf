# Whoever owns the pool in the same configuration names post_confirmation in the pool's lambda_config. So the function
# may depend on nothing that depends on the pool, or Terraform finds a cycle (examples/owned_pool). Only the
# permission names the pool.

data "aws_iam_policy_document" "post_confirmation" {
  statement {
    sid       = "StartUserSync"
    actions   = ["states:StartExecution"]
    resources = [var.user_sync_state_machine_arn]
  }

  statement {
    sid       = "ParkUnstarted"
    actions   = ["sqs:SendMessage"]
    resources = [module.retry_queue.queue.arn]
  }
}

module "post_confirmation" {
  source = "../lambda_function"

  name                 = "post-confirmation"
  description          = "Cognito post-confirmation trigger: starts the sync of a user who has just confirmed"
  handler              = "post_confirmation"
  timeout_seconds      = 5 # Cognito waits no longer
  reserved_concurrency = var.reserved_concurrency
  policy_json          = data.aws_iam_policy_document.post_confirmation.json
  encrypts             = true
  settings             = var.settings

  environment = merge(
    {
      USER_SYNC_STATE_MACHINE_ARN = var.user_sync_state_machine_arn
      RETRY_QUEUE_URL             = module.retry_queue.queue.url
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

  # Of another function, another policy: so the old one, too, goes after the calls. A prefix, since a failed apply may leave
  # the old one to the next apply, which then deletes it by name after it has made one for the same function again.
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

# The statement is given to one pool of one account: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
resource "aws_lambda_permission" "cognito" {
  statement_id   = "UserPool"
  action         = "lambda:InvokeFunction"
  function_name  = module.post_confirmation.arn # a new function has a new ARN to Terraform, and gets the permission, too
  principal      = "cognito-idp.amazonaws.com"
  source_arn     = var.user_pool_arn
  source_account = var.settings.account_id

  # A depends_on of the module defers account and region to the apply. The permission would be replaced, and sign-ups fail
  # meanwhile. So only another pool replaces it.
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
    description     = "Starts the user_sync executions that the post-confirmation trigger could not start"
    handler         = "retry_sign_ups"
    timeout_seconds = 30
    encrypts        = true
  }
}
