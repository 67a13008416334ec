# Compares the whole pool with the table, and updates the table: on a schedule, on demand, and after the first apply.

locals {
  # Input of the run on apply and of scheduled runs. With dry_run, an operator starts the first run that writes.
  run_input = { for dry_run in [var.reconciliation.run_on_apply == "dry_run"] : "dry_run" => true if dry_run }

  name = "${var.settings.prefix}-reconciliation"
  # Built from names: the state machine lists its own executions.
  state_machine_arn = "arn:${var.settings.partition}:states:${var.settings.region}:${var.settings.account_id}:stateMachine:${local.name}"

  starts_run   = var.reconciliation.run_on_apply != "none"
  has_schedule = var.reconciliation.schedule != null

  # Lambda allocates CPU in proportion to memory, and a worker makes several hundred requests per second in a first run.
  worker_settings = merge(var.settings, { memory_mb = max(var.settings.memory_mb, 1769) })
}

data "aws_iam_policy_document" "plan_shards" {
  statement {
    sid       = "ReadPool"
    actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:ListUsers"]
    resources = [var.user_pool.arn]
  }

  statement {
    sid       = "CheckForItems"
    actions   = ["dynamodb:Query"]
    resources = ["${var.table_arn}/index/by_shard"]
  }
}

module "plan_shards" {
  source = "../lambda_function"

  name            = "plan-shards"
  description     = "Plans the reconciliation: divides the user pool into shards"
  handler         = "plan_shards"
  timeout_seconds = 900
  policy_json     = data.aws_iam_policy_document.plan_shards.json

  table_kms_key_arn = var.table_kms_key_arn

  settings = var.settings

  environment = merge(var.environment, {
    HAS_SHARD_INDEX       = var.has_shard_index
    LIST_USERS_PER_SECOND = var.reconciliation.list_users_per_second
    MAX_CONCURRENCY       = var.reconciliation.max_concurrency
    MAX_DELETE_PERCENT    = var.reconciliation.max_delete_percent
  })
}

data "aws_iam_policy_document" "reconcile_shards" {
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

  statement {
    sid       = "ListActiveUsers"
    actions   = ["dynamodb:Query"]
    resources = ["${var.table_arn}/index/by_shard"]
  }

  dynamic "statement" {
    for_each = var.sync_groups ? [var.user_pool.arn] : []
    content {
      sid = "ReadGroups"
      actions = [
        "cognito-idp:ListGroups", "cognito-idp:ListUsersInGroup", "cognito-idp:GetGroup", "cognito-idp:AdminListGroupsForUser",
      ]
      resources = [statement.value]
    }
  }
}

module "reconcile_shards" {
  source = "../lambda_function"

  name            = "reconcile-shards"
  description     = "Worker of the reconciliation: reconciles a batch of shards or of groups"
  handler         = "reconcile_shards"
  timeout_seconds = 900
  policy_json     = data.aws_iam_policy_document.reconcile_shards.json

  table_kms_key_arn = var.table_kms_key_arn

  settings    = local.worker_settings
  environment = var.environment
}

data "aws_iam_policy_document" "state_machine" {
  statement {
    sid     = "InvokeSteps"
    actions = ["lambda:InvokeFunction"]
    resources = concat(
      [module.plan_shards.arn, module.reconcile_shards.arn], var.pool_trigger[*].function_arn
    )
  }

  statement {
    sid       = "FindOtherRuns"
    actions   = ["states:ListExecutions"]
    resources = [local.state_machine_arn]
  }
}

module "state_machine" {
  source = "../state_machine"

  name        = "reconciliation"
  policy_json = data.aws_iam_policy_document.state_machine.json
  settings    = var.settings

  definition = templatefile("${path.module}/reconciliation.asl.json", {
    partition                     = var.settings.partition
    max_concurrency               = var.reconciliation.max_concurrency
    plan_shards_function_arn      = module.plan_shards.arn
    reconcile_shards_function_arn = module.reconcile_shards.arn
    # If attach_trigger is false, no run gets to the step. The ARN of another function keeps the definition valid.
    attach_trigger                 = var.pool_trigger != null
    pool_trigger_function_arn      = try(var.pool_trigger.function_arn, module.plan_shards.arn)
    post_confirmation_function_arn = try(var.pool_trigger.request.function_arn, "")
    user_pool_id                   = var.user_pool.id
  })
}

# --- run on apply

data "aws_iam_policy_document" "start_run" {
  count = local.starts_run ? 1 : 0

  statement {
    sid       = "StartRun"
    actions   = ["states:StartExecution"]
    resources = [module.state_machine.arn]
  }
}

module "start_run" {
  source = "../lambda_function"
  count  = local.starts_run ? 1 : 0

  name            = "start-run"
  description     = "Starts a run of the reconciliation on apply"
  handler         = "start_run"
  timeout_seconds = 60
  policy_json     = one(data.aws_iam_policy_document.start_run).json
  encrypts        = true
  settings        = var.settings

  environment = {
    RECONCILIATION_STATE_MACHINE_ARN = module.state_machine.arn
  }
}

resource "aws_lambda_invocation" "first_run" {
  count = local.starts_run ? 1 : 0

  function_name   = one(module.start_run).name
  lifecycle_scope = "CREATE_ONLY"
  input           = jsonencode({ input = local.run_input })
  # A change of these affects the items of all users: another table is empty, and no item has a new attribute yet.
  triggers = {
    table      = var.table_name
    attributes = jsonencode(var.attributes)
    written    = var.written
  }
}

# --- schedule

module "schedule" {
  source = "../schedule"
  count  = local.has_schedule ? 1 : 0

  name                = "reconciliation"
  role_name           = "schedule"
  description         = "Starts the reconciliation"
  schedule_expression = var.reconciliation.schedule
  window_minutes      = 15
  retry_seconds       = 3600
  target              = { arn = module.state_machine.arn, action = "states:StartExecution" }
  input               = jsonencode(local.run_input)
  settings            = var.settings
}
