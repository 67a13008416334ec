data "aws_caller_identity" "current" {}

# The provider's region and partition. aws_region has no attribute that both provider 5 and provider 6 have and do not
# deprecate.
data "aws_service" "lambda" {
  service_id = "lambda"
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_service.lambda.partition
  region     = data.aws_service.lambda.region
  dns_suffix = trimprefix(data.aws_service.lambda.dns_name, "lambda.${local.region}.")

  prefix = trimprefix(aws_cloudwatch_log_group.deployment.name, "/cognito-user-sync/")

  # pyproject.toml has the version of the whole repository: of the module and of the command line.
  module_version = one(regex("(?m)^version = \"(.+)\"$", file("${path.module}/pyproject.toml")))
}

# --- packages

locals {
  # One folder for each deployment: one configuration can deploy the same name and stage to two accounts or regions.
  package_directory = "${path.root}/.terraform/cognito-user-sync/${local.account_id}-${local.region}-${var.name}-${var.stage}"
  package_bucket = module.inputs.lambda.code_bucket == null ? null : {
    name       = module.inputs.lambda.code_bucket
    key_prefix = "cognito-user-sync/${local.account_id}/${local.region}/${local.prefix}"
  }
  # With an index and not [*]: a splat depends on the whole module, and so on the S3 object, which depends on the log group
  # that checks these files.
  zip_paths = concat(
    [module.functions_package.zip_path], module.inputs.welcome_email == null ? [] : [module.welcome_email_package[0].zip_path]
  )
}

# --- ARNs and URLs that are built from names. A plan knows them before the resources exist, and they make no dependency.

locals {
  # Known also while the configuration of the pool changes it.
  user_pool = {
    id  = var.user_pool_id
    arn = "arn:${local.partition}:cognito-idp:${local.region}:${local.account_id}:userpool/${var.user_pool_id}"
  }

  # The trigger must not depend on resources that can depend on the pool: see modules/sign_up.
  user_sync_state_machine_arn = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.prefix}-user-sync"

  # The record of the deployment is written before these resources are created.
  reconciliation_state_machine_arn = module.inputs.reconciliation.enabled ? "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.prefix}-reconciliation" : null
  reconciliation_schedule_arn      = module.inputs.reconciliation.enabled && local.schedule != null ? "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule/default/${local.prefix}-reconciliation" : null
  queue_url_prefix                 = "https://sqs.${local.region}.${local.dns_suffix}/${local.account_id}/${local.prefix}"

  # A plan compares it with the pool's trigger and with chained_function_arn.
  post_confirmation_function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${local.prefix}-post-confirmation"

  user_pool_trigger = {
    attached_function_arn = var.attach_trigger ? local.post_confirmation_function_arn : null
    chained_function_arn  = var.chained_function_arn
  }

  # A test compares this list with the output function_arns.
  function_names = concat(
    ["post-confirmation", "retry-sign-ups", "sync-user"],
    module.inputs.welcome_email == null ? [] : ["send-welcome"],
    var.attach_trigger ? ["pool-trigger"] : [],
    var.track_changes ? ["sync-changes"] : [],
    module.inputs.user_events == null ? [] : ["publish-user-events"],
    module.inputs.reconciliation.enabled ? ["plan-shards", "reconcile-shards"] : [],
    module.inputs.reconciliation.enabled && local.run_on_apply != "none" ? ["start-run"] : [],
  )
}

# --- defaults that depend on whether the table is an existing one

locals {
  # Items of an existing table also have attributes of the application: they expire only if the caller sets retention_days.
  default_retention_days = module.inputs.deleted_users.action == "mark" && module.inputs.table.name == null ? 30 : null
  retention_days         = try(coalesce(module.inputs.deleted_users.retention_days, local.default_retention_days), null)

  # The first run on an existing table only counts.
  run_on_apply = coalesce(module.inputs.reconciliation.run_on_apply, module.inputs.table.name == null ? "sync" : "dry_run")
}

# --- input of the feature modules

locals {
  # All functions and state machines have these settings.
  settings = {
    prefix                   = local.prefix
    partition                = local.partition
    region                   = local.region
    account_id               = local.account_id
    dns_suffix               = local.dns_suffix
    package                  = module.functions_package.package
    runtime                  = module.inputs.lambda.runtime
    memory_mb                = module.inputs.lambda.memory_mb
    architecture             = module.inputs.lambda.architecture
    vpc_config               = module.inputs.lambda.vpc_config
    kms_key_arn              = var.kms_key_arn
    log_group_class          = var.log_group_class
    previous_kms_key_arns    = var.previous_kms_key_arns
    log_retention_days       = var.log_retention_days
    role_path                = var.role_path
    permissions_boundary_arn = var.permissions_boundary_arn
    tracing                  = var.tracing
    tags                     = var.tags
  }

  # Permissions of the functions that write the table. PutItem replaces an item, including attributes of the application.
  write_actions = concat(
    ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], module.inputs.deleted_users.action == "delete_item" ? ["dynamodb:PutItem"] : []
  )

  # Environment variables of the functions that read the pool, or read or write the table. settings.py reads them.
  user_environment = merge({
    USER_POOL_ID  = var.user_pool_id
    USER_TABLE    = jsonencode(module.user_table.layout)
    ATTRIBUTES    = jsonencode(var.attributes)
    DELETED_USERS = module.inputs.deleted_users.action
    }, { for days in local.retention_days[*] : "RETENTION_DAYS" => days },
    var.sync_groups ? { SYNC_GROUPS = "true" } : {}
  )
}
