# Attaches the trigger to a pool that somebody else owns. No Terraform resource sets lambda_config alone, so a function
# does it. Two resources keep the state honest: the guard is made first and only detaches, on destroy; attach may fail
# and is then tried again by the next apply, with the guard in the state all the same.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ChangeTrigger"
    actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:UpdateUserPool"]
    resources = [var.user_pool_arn]
  }

  statement {
    sid     = "KeepSmsRole"
    actions = ["iam:PassRole"]
    # UpdateUserPool passes the pool's own SMS role on again. Its name is the pool owner's, and no data source tells it.
    resources = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["cognito-idp.amazonaws.com"]
    }
  }
}

module "function" {
  source = "../lambda_function"

  name            = "${var.prefix}-pool-trigger"
  description     = "Attaches the post-confirmation trigger to the user pool, and detaches it"
  handler         = "pool_trigger"
  timeout_seconds = 60
  policy_json     = data.aws_iam_policy_document.this.json
  settings        = var.settings
}

locals {
  request = {
    user_pool_id         = var.user_pool_id
    function_arn         = var.function_arn
    chained_function_arn = var.chained_function_arn
  }
}

resource "aws_lambda_invocation" "guard" {
  function_name   = module.function.name
  lifecycle_scope = "CRUD"
  input           = jsonencode(merge(local.request, { action = "detach" }))

  depends_on = [module.function, var.attach_after]
}

resource "aws_lambda_invocation" "attach" {
  function_name   = module.function.name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode(merge(local.request, { action = "attach" }))

  depends_on = [aws_lambda_invocation.guard]
}
