# Brings the table to what the pool is: nightly, on demand, and once after the first apply.

locals {
  # A first run and the scheduled runs: the operator starts the first real one.
  run_input = { for dry_run in [var.reconciliation.run_on_apply == "dry_run"] : "dry_run" => true if dry_run }

  name = "${var.settings.prefix}-reconciliation"
  # By name: the state machine lists its own executions.
  state_machine_arn = "arn:${var.settings.partition}:states:${var.settings.region}:${var.settings.account_id}:stateMachine:${local.name}"

  starts_run   = var.reconciliation.run_on_apply != "none"
  has_schedule = var.reconciliation.schedule != null

  # Lambda gives CPU by memory, and a worker of a first run builds some hundred requests a second.
  worker_settings = merge(var.settings, { memory_mb = max(var.settings.memory_mb, 1769) })
}

data "aws_iam_policy_document" "plan_shards" {
  statement {
    sid       = "LookAtPool"
    actions   = ["cognito-idp:DescribeUserPool", "cognito-idp:ListUsers"]
    resources = [var.user_pool.arn]
  }

  statement {
    sid       = "LookForItems"
    actions   = ["dynamodb:Query"]
    resources = ["${var.table_arn}/index/by_shard"]
  }
}

module "plan_shards" {
  source = "../lambda_function"

  name            = "plan-shards"
  description     = "Plans the reconciliation: cuts the user pool into shards"
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
    sid       = "ListLivingUsers"
    actions   = ["dynamodb:Query"]
    resources = ["${var.table_arn}/index/by_shard"]
  }
}

module "reconcile_shards" {
  source = "../lambda_function"

  name            = "reconcile-shards"
  description     = "Reconciles a batch of shards: a worker of the reconciliation"
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
    # Without it no run gets to the step, and there is no function: another's ARN keeps the definition valid.
    attach_trigger                 = var.pool_trigger != null
    pool_trigger_function_arn      = try(var.pool_trigger.function_arn, module.plan_shards.arn)
    post_confirmation_function_arn = try(var.pool_trigger.request.function_arn, "")
    user_pool_id                   = var.user_pool.id
  })
}

# --- once after the first apply

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
  description     = "Starts a run of the reconciliation, for Terraform"
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
  # What the items of all users depend on: another table is empty, and a further attribute is in no item yet.
  triggers = {
    table      = var.table_name
    attributes = jsonencode(var.attributes)
    written    = var.written
  }
}

# --- on a schedule

module "schedule" {
  source = "../schedule"
  count  = local.has_schedule ? 1 : 0

  name                = "reconciliation"
  role_name           = "schedule"
  description         = "Starts the reconciliation of the user table with the pool"
  schedule_expression = var.reconciliation.schedule
  window_minutes      = 15
  retry_seconds       = 3600
  target              = { arn = module.state_machine.arn, action = "states:StartExecution" }
  input               = jsonencode(local.run_input)
  settings            = var.settings
}

moved {
  from = aws_iam_role.schedule[0]
  to   = module.schedule[0].aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.schedule[0]
  to   = module.schedule[0].aws_iam_role_policy.this
}

moved {
  from = aws_scheduler_schedule.this[0]
  to   = module.schedule[0].aws_scheduler_schedule.this
}
