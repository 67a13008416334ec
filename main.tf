# Detects a second deployment with the same name and stage. AWS creates queues, alarms and rules by upsert, so the second
# deployment would adopt them, and its destroy would delete them. But AWS rejects a second log group of the same name. All
# other names are built from the name of this log group: Terraform creates it first, and a clash fails before anything
# else changes. No log lines are written to it. The command line stores acknowledged failures in it, as names of log
# streams. With the error of AWS, Terraform prints the next line.
resource "aws_cloudwatch_log_group" "deployment" { # Already exists? Another deployment has this name and stage: change one.
  # checkov:skip=CKV_AWS_158: it has no log lines
  # checkov:skip=CKV_AWS_338: it has no log lines
  name              = "/cognito-user-sync/${var.name}-${var.stage}"
  retention_in_days = var.log_retention_days
  tags              = var.tags

  lifecycle {
    # On the first resource, so that a saved plan without its zips fails before anything changes.
    precondition {
      condition     = module.inputs.lambda.code_bucket != null || alltrue([for path in local.zip_paths : fileexists(path)])
      error_message = "The zip files of this plan do not exist: ${join(", ", local.zip_paths)}. Keep the folder .terraform/cognito-user-sync with the saved plan, or set lambda.code_bucket: see docs/deploying.md."
    }
  }
}

# Makes sure that a state has one deployment: the variables of another environment would otherwise replace its resources.
resource "terraform_data" "deployment" {
  # If the log group clashes, this resource is not in the state, so that the deployment can be renamed.
  depends_on = [aws_cloudwatch_log_group.deployment]

  input = {
    name         = var.name
    stage        = var.stage
    user_pool_id = var.user_pool_id
    role_path    = var.role_path
  }

  lifecycle {
    ignore_changes = [input]

    # Not on the data source of the pool: with a condition, it is read at apply if the same configuration changes the pool,
    # and everything that depends on it is unknown at plan.
    precondition {
      condition     = split("_", var.user_pool_id)[0] == local.region
      error_message = "User pool ${var.user_pool_id} is in the region ${split("_", var.user_pool_id)[0]}, but the region of the AWS provider is ${local.region}. Set AWS_REGION=${split("_", var.user_pool_id)[0]}, or pass a provider of that region to this module."
    }

    precondition {
      condition     = length(local.unknown_keys) == 0
      error_message = join(" ", local.unknown_keys)
    }

    # Not in the validation of the variable, which cannot use locals that depend on the variable.
    precondition {
      condition = alltrue([for part in local.template_parts : part.content == null || part.file == null])
      error_message = join(" ", [
        for part in local.template_parts :
        "welcome_email has both ${part.name} and ${part.name}_file = ${jsonencode(part.file)}: remove one of them."
        if part.content != null && part.file != null
      ])
    }

    precondition {
      condition = alltrue([for part in local.template_parts : !can(regex("^[^\\s<>{}]+\\.[A-Za-z]+$", part.content))])
      error_message = join(" ", [
        for part in local.template_parts :
        "welcome_email has ${part.name} = ${jsonencode(part.content)}, which is a path and not the content of an email: use ${part.name}_file = ${jsonencode(part.content)}."
        if can(regex("^[^\\s<>{}]+\\.[A-Za-z]+$", part.content))
      ])
    }

    precondition {
      condition = length(flatten(values(local.unknown_placeholders))) == 0
      error_message = join(" ", [
        for place, names in local.unknown_placeholders :
        "${place} has the unknown placeholder ${join(", ", names)}: each must be one of ${join(", ", [for name in local.placeholders : "{{${name}}}"])}."
        if length(names) > 0
      ])
    }

    precondition {
      condition     = var.track_changes || !try(module.inputs.welcome_email.on_first_sign_in, false)
      error_message = "welcome_email.on_first_sign_in is true and track_changes is false: the first sign-in of an invited user is a tracked change. Set track_changes to true, or on_first_sign_in to false."
    }

    precondition {
      condition = anytrue([
        !module.inputs.reconciliation.enabled, local.schedule == null, module.inputs.reconciliation.overdue_hours == 0,
        module.inputs.reconciliation.overdue_hours > local.hours_between_runs,
        !try(module.inputs.alarms["reconciliation-overdue"].enabled, true),
      ])
      error_message = "reconciliation.overdue_hours is ${module.inputs.reconciliation.overdue_hours}, and the runs of reconciliation.schedule, ${coalesce(local.schedule, "none")}, can be ${local.hours_between_runs} hours apart: overdue_hours must be longer, or 0 for no alarm. Otherwise the alarm reconciliation-overdue fires although each run succeeds."
    }

    # Only if welcome_email has no region: AWS adds SES to regions, and an outdated list must not block a deployment.
    precondition {
      condition     = module.inputs.welcome_email == null ? true : local.welcome_region != null || !contains(local.regions_without_ses, local.region)
      error_message = "welcome_email is set, but Amazon SES was not available in the pool's region, ${local.region}, when this module was released. Set welcome_email.region to the region in which the sender is verified, or to ${local.region} if SES is available there now."
    }

    # Not in the validation of the variable: the trigger depends on chained_function_arn, which must not depend on the pool
    # (examples/owned_pool). A pool can only have a trigger in its own region.
    precondition {
      condition     = var.chained_function_arn == null ? true : split(":", var.chained_function_arn)[3] == split("_", var.user_pool_id)[0]
      error_message = "chained_function_arn is ${coalesce(var.chained_function_arn, "null")}: it must be a function in the pool's region, ${split("_", var.user_pool_id)[0]}."
    }

    precondition {
      condition     = !startswith("${coalesce(var.chained_function_arn, "none")}:", "${local.post_confirmation_function_arn}:")
      error_message = "chained_function_arn is ${coalesce(var.chained_function_arn, "null")}, this module's own function, which would invoke itself endlessly: it must be the function that the pool had before."
    }

    postcondition {
      condition     = self.input.role_path == var.role_path
      error_message = "role_path was \"${self.input.role_path}\" and is now \"${var.role_path}\": IAM cannot move a role, and role names are unique in all paths. Keep role_path, or destroy this deployment first."
    }

    postcondition {
      condition = (
        self.input.name == var.name && self.input.stage == var.stage
        # A pool whose own configuration names the trigger can be replaced by that configuration.
        && (!var.attach_trigger || self.input.user_pool_id == var.user_pool_id)
      )
      error_message = "This state has the deployment ${self.input.name}-${self.input.stage} of user pool ${self.input.user_pool_id}, but the variables are those of ${var.name}-${var.stage} of user pool ${var.user_pool_id}. Use the workspace or backend key of that environment (make plan ENV=... selects it), or destroy this deployment first."
    }
  }
}

# The command line reads it to find this deployment without the Terraform state. It depends only on names and variables, so
# that it exists even if the first apply fails.
module "deployment_record" {
  source = "./modules/deployment_record"

  name = "/cognito-user-sync/${local.prefix}"
  tags = var.tags

  record = {
    version                          = local.module_version
    user_pool_id                     = var.user_pool_id
    user_table_name                  = coalesce(module.inputs.table.name, "${local.prefix}-users")
    user_sync_state_machine_arn      = local.user_sync_state_machine_arn
    reconciliation_state_machine_arn = local.reconciliation_state_machine_arn
    reconciliation_schedule_arn      = local.reconciliation_schedule_arn
    post_confirmation_function_arn   = local.post_confirmation_function_arn
    retry_queue_url                  = "${local.queue_url_prefix}-retry"
    changes_queue_url                = var.track_changes ? "${local.queue_url_prefix}-changes" : null
    user_pool_trigger                = local.user_pool_trigger
    functions                        = local.function_names
    alarm_names                      = module.monitoring.alarm_names
    dashboard_url                    = module.monitoring.dashboard_url
  }
}

# Fails a plan that changes the KMS key without naming the previous one.
module "key_change" {
  source = "./modules/key_change"

  kms_key_arn           = var.kms_key_arn
  previous_kms_key_arns = var.previous_kms_key_arns
  deployment            = local.prefix
}

data "aws_cognito_user_pool" "this" { # Not found? Check user_pool_id, and the account of your credentials.
  user_pool_id = var.user_pool_id
}

module "functions_package" {
  source = "./modules/package"

  name       = "functions"
  directory  = local.package_directory
  source_dir = "${path.module}/lambda_src"
  bucket     = local.package_bucket
  tags       = var.tags
}

# Separate from the functions' code, which is the same in each deployment.
module "welcome_email_package" {
  source = "./modules/package"
  count  = module.inputs.welcome_email == null ? 0 : 1

  name      = "welcome-email"
  directory = local.package_directory
  bucket    = local.package_bucket
  tags      = var.tags

  # Lambda adds the folder python/ of a layer to sys.path.
  file = { name = "python/welcome_email.json", content = jsonencode(local.welcome_email) }
}

module "user_table" {
  source = "./modules/user_table"

  name        = "${local.prefix}-users"
  arn         = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${local.prefix}-users"
  table       = module.inputs.table
  attributes  = var.attributes
  sync_groups = var.sync_groups
  kms_key_arn = var.kms_key_arn
  tags        = var.tags

  publishes_events  = module.inputs.user_events != null
  events_stream_arn = try(module.inputs.user_events.stream_arn, null)
  needs_shard_index = module.inputs.reconciliation.enabled && (module.inputs.deleted_users.action != "keep" || var.sync_groups)
  deletes_items     = module.inputs.deleted_users.action == "delete_item" || local.retention_days != null
  # With an index and not [*]: a splat would depend on the whole module.
  change_after = concat(
    module.user_sync.table_policy_ids,
    var.track_changes ? module.change_tracking[0].table_policy_ids : [],
    module.inputs.reconciliation.enabled ? module.reconciliation[0].table_policy_ids : [],
    module.inputs.user_events == null ? [] : module.user_events[0].table_policy_ids,
  )
}

module "user_sync" {
  source = "./modules/user_sync"

  user_pool_id  = var.user_pool_id
  user_pool_arn = local.user_pool.arn
  table_arn     = module.user_table.arn_by_name

  table_kms_key_arn = module.user_table.existing_kms_key_arn
  write_actions     = local.write_actions

  environment   = local.user_environment
  attributes    = var.attributes
  sync_groups   = var.sync_groups
  welcome_email = local.welcome_email
  settings      = local.settings

  welcome_email_package = one(module.welcome_email_package[*].package)
}

module "sign_up" {
  source = "./modules/sign_up"

  user_pool_id                = var.user_pool_id
  user_pool_arn               = local.user_pool.arn
  user_sync_state_machine_arn = local.user_sync_state_machine_arn
  chained_function_arn        = var.chained_function_arn
  reserved_concurrency        = module.inputs.lambda.trigger_reserved_concurrency
  settings                    = local.settings
}

module "pool_trigger" {
  source = "./modules/pool_trigger"
  count  = var.attach_trigger ? 1 : 0

  user_pool            = merge(local.user_pool, { lambda_config = data.aws_cognito_user_pool.this.lambda_config })
  function_arn         = module.sign_up.post_confirmation_function_arn
  function_arn_by_name = local.post_confirmation_function_arn
  chained_function_arn = var.chained_function_arn
  sms_role_arn         = var.sms_role_arn
  settings             = local.settings

  # The permission depends on the function and its queue, the state machine on its functions and the table.
  attach_after = [module.sign_up.permission_id, module.user_sync.state_machine_arn]
}

module "change_tracking" {
  source = "./modules/change_tracking"
  count  = var.track_changes ? 1 : 0

  user_pool         = local.user_pool
  table_arn         = module.user_table.arn_by_name
  table_kms_key_arn = module.user_table.existing_kms_key_arn
  write_actions     = local.write_actions
  environment       = local.user_environment
  sync_groups       = var.sync_groups
  settings          = local.settings

  reconciliation = module.inputs.reconciliation.enabled ? {
    state_machine_arn = local.reconciliation_state_machine_arn
    dry_run           = local.run_on_apply == "dry_run"
  } : null
  first_sign_in_state_machine_arn = try(module.inputs.welcome_email.on_first_sign_in, false) ? local.user_sync_state_machine_arn : null
}

module "user_events" {
  source = "./modules/user_events"
  count  = module.inputs.user_events == null ? 0 : 1

  event_bus_arn          = module.inputs.user_events.event_bus_arn
  user_pool_id           = var.user_pool_id
  user_pool_id_attribute = module.user_table.user_pool_id_attribute
  table_arn              = module.user_table.arn_by_name
  stream_arn             = module.user_table.stream_arn
  table_kms_key_arn      = module.user_table.existing_kms_key_arn
  environment            = local.user_environment
  settings               = local.settings
}

module "reconciliation" {
  source = "./modules/reconciliation"
  count  = module.inputs.reconciliation.enabled ? 1 : 0

  user_pool   = local.user_pool
  environment = local.user_environment

  table_name        = coalesce(module.inputs.table.name, "${local.prefix}-users")
  table_arn         = module.user_table.arn_by_name
  table_kms_key_arn = module.user_table.existing_kms_key_arn
  written           = module.user_table.written
  write_actions     = local.write_actions
  has_shard_index   = module.user_table.has_shard_index

  attributes     = var.attributes
  reconciliation = merge(module.inputs.reconciliation, { schedule = local.schedule, run_on_apply = local.run_on_apply })
  sync_groups    = var.sync_groups
  pool_trigger   = one(module.pool_trigger)
  settings       = local.settings
}

module "monitoring" {
  source = "./modules/monitoring"

  partition             = local.partition
  region                = local.region
  prefix                = local.prefix
  alarm_topic_arns      = var.alarm_topic_arns
  alarm_warn_topic_arns = var.alarm_warn_topic_arns
  alarms                = module.inputs.alarms
  runbook               = { url = var.runbook_url, version = local.module_version }
  user_pool_id          = var.user_pool_id
  tags                  = var.tags

  # Built from names: the record of the deployment has the alarm names, and is written before these resources.
  post_confirmation_function_name = "${local.prefix}-post-confirmation"
  sync_user_function_name         = "${local.prefix}-sync-user"
  send_welcome_function_name      = module.inputs.welcome_email == null ? null : "${local.prefix}-send-welcome"
  user_sync_state_machine_arn     = local.user_sync_state_machine_arn
  retry_queue_names               = { queue = "${local.prefix}-retry", dead_letter_queue = "${local.prefix}-retry-dead-letter" }
  changes = var.track_changes ? {
    rule_name   = "${local.prefix}-changes"
    queue_names = { queue = "${local.prefix}-changes", dead_letter_queue = "${local.prefix}-changes-dead-letter" }
  } : null
  user_events = module.inputs.user_events == null ? null : {
    function_name          = "${local.prefix}-publish-user-events"
    dead_letter_queue_name = "${local.prefix}-user-events-dead-letter"
  }
  pool_trigger_function_name = var.attach_trigger ? "${local.prefix}-pool-trigger" : null

  table_name = module.user_table.name
  # From the outputs of the functions, so that the log groups exist before their metric filters.
  post_confirmation_log_group_name = "/aws/lambda/${module.sign_up.functions["post-confirmation"].name}"
  send_welcome_log_group_name      = one([for name in module.user_sync.send_welcome_function_name[*] : "/aws/lambda/${name}"])

  filters_logs = var.log_group_class == "STANDARD"

  # Not a comparison with the provider's region, which is unknown at plan if the module has a depends_on.
  watches_ses = module.inputs.welcome_email == null ? false : local.welcome_region == null

  reconciliation = module.inputs.reconciliation.enabled ? {
    state_machine_arn = local.reconciliation_state_machine_arn
    overdue_hours     = local.schedule == null || module.inputs.reconciliation.overdue_hours == 0 ? null : module.inputs.reconciliation.overdue_hours
  } : null
}
