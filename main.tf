# AWS creates queues, alarms and rules by upsert: a second deployment with this name and stage would adopt them, and its
# destroy would delete them. It rejects a second log group of a name. All other names come from this one's, so Terraform
# creates it first, and a clash fails before anything else changes. Nothing is written to it: the command line keeps
# acknowledged failures as the names of its log streams. Terraform prints the next line with the error of AWS.
resource "aws_cloudwatch_log_group" "deployment" { # Already exists? Another deployment has this name and stage: change one.
  # checkov:skip=CKV_AWS_158: it holds no log lines
  # checkov:skip=CKV_AWS_338: it holds no log lines
  name              = "/cognito-user-sync/${var.name}-${var.stage}"
  retention_in_days = var.log_retention_days
  tags              = var.tags

  lifecycle {
    # Here, so that a saved plan without its zips fails before anything changes.
    precondition {
      condition     = var.lambda.code_bucket != null || alltrue([for path in local.zip_paths : fileexists(path)])
      error_message = "The zips that this plan was made with are not here: ${join(", ", local.zip_paths)}. Keep the folder .terraform/cognito-user-sync together with a saved plan, or set lambda.code_bucket: see docs/deploying.md."
    }
  }
}

locals {
  # Regions with Cognito user pools and without SES, from botocore 1.43.106. tests/unit/test_ses_regions.py compares them
  # with the botocore of the development environment.
  regions_without_ses = [
    "ap-east-1", "ap-east-2", "ap-southeast-4", "ap-southeast-6", "ap-southeast-7", "eu-south-2", "mx-central-1",
  ]
}

# One state, one deployment: another stage's variables on this state would plan to replace what runs here.
resource "terraform_data" "deployment" {
  # A first attempt that clashes leaves no state behind, so that it can be renamed.
  depends_on = [aws_cloudwatch_log_group.deployment]

  input = {
    name         = var.name
    stage        = var.stage
    user_pool_id = var.user_pool_id
    role_path    = var.role_path
  }

  lifecycle {
    ignore_changes = [input]

    # Not on the data source: a condition there defers its read to apply whenever the pool has changes in the same
    # configuration, and what depends on it is unknown until then.
    precondition {
      condition     = split("_", var.user_pool_id)[0] == local.region
      error_message = "User pool ${var.user_pool_id} is in the region ${split("_", var.user_pool_id)[0]}, but the AWS provider is set to ${local.region}. Set AWS_REGION=${split("_", var.user_pool_id)[0]}, or give this module a provider of that region."
    }

    # Here, because a variable's own validation cannot use locals that are made from it.
    precondition {
      condition = alltrue([for part in local.template_parts : part.content == null || part.file == null])
      error_message = join(" ", [
        for part in local.template_parts :
        "welcome_email has both ${part.name} and ${part.name}_file, ${jsonencode(part.file)}, in one place: leave one of them out."
        if part.content != null && part.file != null
      ])
    }

    precondition {
      condition = alltrue([for part in local.template_parts : !can(regex("^[^\\s<>{}]+\\.[A-Za-z]+$", part.content))])
      error_message = join(" ", [
        for part in local.template_parts :
        "welcome_email has ${part.name} = ${jsonencode(part.content)}, which is a path and not the content of an email: write ${part.name}_file = ${jsonencode(part.content)}."
        if can(regex("^[^\\s<>{}]+\\.[A-Za-z]+$", part.content))
      ])
    }

    precondition {
      condition = length(flatten(values(local.unknown_placeholders))) == 0
      error_message = join(" ", [
        for place, names in local.unknown_placeholders :
        "${place} has the unknown placeholder ${join(", ", names)}: known are ${join(", ", [for name in local.placeholders : "{{${name}}}"])}."
        if length(names) > 0
      ])
    }

    precondition {
      condition     = var.track_changes || !try(var.welcome_email.on_first_sign_in, false)
      error_message = "welcome_email.on_first_sign_in is true and track_changes is false: the first sign-in of an invited user is a tracked change. Set track_changes to true, or on_first_sign_in to false."
    }

    precondition {
      condition = anytrue([
        !var.reconciliation.enabled, local.schedule == null, var.reconciliation.overdue_hours == 0,
        var.reconciliation.overdue_hours > local.hours_between_runs,
        !try(var.alarms["reconciliation-overdue"].enabled, true),
      ])
      error_message = "reconciliation.overdue_hours is ${var.reconciliation.overdue_hours}, and reconciliation.schedule is ${coalesce(local.schedule, "none")}, which has runs ${local.hours_between_runs} or more hours apart: overdue_hours must be longer, or the alarm reconciliation-overdue fires although every run succeeds. It may be 0 for no alarm."
    }

    # Only if no region is given: AWS adds SES to regions, so a list that is out of date must not stop a deployment.
    precondition {
      condition     = var.welcome_email == null ? true : local.welcome_region != null || !contains(local.regions_without_ses, local.region)
      error_message = "welcome_email is set, but Amazon SES was not available in the pool's region, ${local.region}, when this module was released. Set welcome_email.region to the region in which the sender is verified, or to ${local.region} if SES is available there now."
    }

    # Here, because the function depends on chained_function_arn, and so that variable's validation may not depend on the
    # pool (examples/owned_pool). Only a function of its own region can have been the pool's trigger.
    precondition {
      condition     = var.chained_function_arn == null ? true : split(":", var.chained_function_arn)[3] == split("_", var.user_pool_id)[0]
      error_message = "chained_function_arn is ${coalesce(var.chained_function_arn, "null")}: it must be a function in the pool's region, ${split("_", var.user_pool_id)[0]}."
    }

    precondition {
      condition     = !startswith("${coalesce(var.chained_function_arn, "none")}:", "${local.post_confirmation_function_arn}:")
      error_message = "chained_function_arn is ${coalesce(var.chained_function_arn, "null")}, this module's own function, which would call itself for ever. It must be the function that the pool had before."
    }

    postcondition {
      condition     = self.input.role_path == var.role_path
      error_message = "role_path was \"${self.input.role_path}\" and is now \"${var.role_path}\": IAM cannot move a role, and a new one of the same name cannot exist beside it. Keep role_path, or destroy this deployment first."
    }

    postcondition {
      condition = (
        self.input.name == var.name && self.input.stage == var.stage
        # A pool that names the trigger itself may be replaced by its own configuration.
        && (!var.attach_trigger || self.input.user_pool_id == var.user_pool_id)
      )
      error_message = "This state holds ${self.input.name}-${self.input.stage} of user pool ${self.input.user_pool_id}, but the variables say ${var.name}-${var.stage} of user pool ${var.user_pool_id}. Use that stage's own workspace or backend key (make plan ENV=... does), or destroy this deployment first."
    }
  }
}

# What the command line needs to find this deployment without its state. It is made of names and variables alone, so that
# it is there before anything that a first apply may fail at.
module "deployment_record" {
  source = "./modules/deployment_record"

  name = "/cognito-user-sync/${local.prefix}"
  tags = var.tags

  record = {
    version                          = local.module_version
    user_pool_id                     = var.user_pool_id
    user_table_name                  = coalesce(var.table.name, "${local.prefix}-users")
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

# A plan that changes the key has to name the previous one.
module "key_change" {
  source = "./modules/key_change"

  kms_key_arn           = var.kms_key_arn
  previous_kms_key_arns = var.previous_kms_key_arns
  deployment            = local.prefix
}

data "aws_cognito_user_pool" "this" {
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

# Apart from the functions' code, which is the same in every deployment.
module "welcome_email_package" {
  source = "./modules/package"
  count  = var.welcome_email == null ? 0 : 1

  name      = "welcome-email"
  directory = local.package_directory
  bucket    = local.package_bucket
  tags      = var.tags

  # Lambda puts the folder python/ of a layer on the functions' sys.path.
  file = { name = "python/welcome_email.json", content = jsonencode(local.welcome_email) }
}

module "user_table" {
  source = "./modules/user_table"

  name        = "${local.prefix}-users"
  arn         = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/${local.prefix}-users"
  table       = var.table
  attributes  = var.attributes
  kms_key_arn = var.kms_key_arn
  tags        = var.tags

  finds_deleted_users = var.reconciliation.enabled && var.deleted_users.action != "keep"
  deletes_items       = var.deleted_users.action == "delete_item" || local.retention_days != null
  # With an index and not [*], which would depend on all of the module.
  change_after = concat(
    module.user_sync.table_policy_ids,
    var.track_changes ? module.change_tracking[0].table_policy_ids : [],
    var.reconciliation.enabled ? module.reconciliation[0].table_policy_ids : [],
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
  reserved_concurrency        = var.lambda.trigger_reserved_concurrency
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

  # The permission comes after the function and its queue, the state machine after its functions and the table.
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
  settings          = local.settings

  first_sign_in_state_machine_arn = try(var.welcome_email.on_first_sign_in, false) ? local.user_sync_state_machine_arn : null
}

module "reconciliation" {
  source = "./modules/reconciliation"
  count  = var.reconciliation.enabled ? 1 : 0

  user_pool   = local.user_pool
  environment = local.user_environment

  table_name        = coalesce(var.table.name, "${local.prefix}-users")
  table_arn         = module.user_table.arn_by_name
  table_kms_key_arn = module.user_table.existing_kms_key_arn
  written           = module.user_table.written
  write_actions     = local.write_actions
  has_shard_index   = module.user_table.has_shard_index

  attributes     = var.attributes
  reconciliation = merge(var.reconciliation, { schedule = local.schedule, run_on_apply = local.run_on_apply })
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
  alarms                = var.alarms
  runbook               = { url = var.runbook_url, version = local.module_version }
  user_pool_id          = var.user_pool_id
  tags                  = var.tags

  # By name: the record of the deployment has the names of the alarms before anything is made.
  post_confirmation_function_name = "${local.prefix}-post-confirmation"
  sync_user_function_name         = "${local.prefix}-sync-user"
  send_welcome_function_name      = var.welcome_email == null ? null : "${local.prefix}-send-welcome"
  user_sync_state_machine_arn     = local.user_sync_state_machine_arn
  retry_queue_names               = { queue = "${local.prefix}-retry", dead_letter_queue = "${local.prefix}-retry-dead-letter" }
  changes = var.track_changes ? {
    rule_name   = "${local.prefix}-changes"
    queue_names = { queue = "${local.prefix}-changes", dead_letter_queue = "${local.prefix}-changes-dead-letter" }
  } : null
  pool_trigger_function_name = var.attach_trigger ? "${local.prefix}-pool-trigger" : null

  table_name = module.user_table.name
  # Of the functions, so that the log groups exist when they are filtered.
  post_confirmation_log_group_name = "/aws/lambda/${module.sign_up.functions["post-confirmation"].name}"
  send_welcome_log_group_name      = one([for name in module.user_sync.send_welcome_function_name[*] : "/aws/lambda/${name}"])

  filters_logs = var.log_group_class == "STANDARD"

  # Not compared with the provider's region, which a depends_on of the module leaves unknown at plan.
  watches_ses = var.welcome_email == null ? false : local.welcome_region == null

  reconciliation = var.reconciliation.enabled ? {
    state_machine_arn = local.reconciliation_state_machine_arn
    overdue_hours     = local.schedule == null || var.reconciliation.overdue_hours == 0 ? null : var.reconciliation.overdue_hours
  } : null
}

check "pool_has_the_attributes" {
  assert {
    condition     = length(local.missing_attributes) == 0
    error_message = "attributes has ${join(", ", local.missing_attributes)}, which the schema of user pool ${var.user_pool_id} lacks, so no item will have a value. The pool's custom attributes are ${jsonencode(local.custom_attributes)}. Correct the name, or add the attribute to the pool."
  }
}

check "welcome_email_goes_to_verified_addresses" {
  assert {
    condition     = try(var.welcome_email.verified_only, true)
    error_message = "welcome_email.verified_only is false: a stranger can sign up with the address of another person and any text as username, and your sender emails this text to that person. Set it to true, the default, unless only administrators create and confirm users in user pool ${var.user_pool_id}."
  }

  assert {
    condition     = try(var.welcome_email.verified_only, false) ? try(contains(data.aws_cognito_user_pool.this.auto_verified_attributes, "email"), false) : true
    error_message = "User pool ${var.user_pool_id} does not verify email addresses at sign-up: auto_verified_attributes is ${jsonencode(try(data.aws_cognito_user_pool.this.auto_verified_attributes, []))}. welcome_email.verified_only is true, so no user who signs up gets a welcome email, except if a trigger, an administrator or an identity provider sets email_verified. Add email to the pool's auto_verified_attributes, or set welcome_email to null."
  }

  assert {
    condition     = try(var.welcome_email.verified_only, false) ? local.pre_sign_up_function_arn == "" : true
    error_message = "User pool ${var.user_pool_id} has the pre-sign-up trigger ${local.pre_sign_up_function_arn}. If this function sets autoVerifyEmail, Cognito marks addresses as verified without proof, and welcome_email.verified_only does not keep the welcome email from them. Make sure that it sets autoVerifyEmail only for addresses that belong to the user."
  }
}

check "invited_users_get_the_welcome_email" {
  assert {
    condition     = try(var.welcome_email.on_first_sign_in, true) ? true : !try(one(data.aws_cognito_user_pool.this.admin_create_user_config).allow_admin_create_user_only, false)
    error_message = "User pool ${var.user_pool_id} allows only administrators to create users, so no user signs up, and the post-confirmation trigger is invoked for users of identity providers alone. Users that administrators create get no welcome email. Set welcome_email.on_first_sign_in and track_changes to true, or ignore this warning if all users are those of identity providers."
  }
}
