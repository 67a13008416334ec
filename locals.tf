data "aws_caller_identity" "current" {}

# The provider's region and partition. The data source aws_region has no attribute that both provider 5 and provider 6 know
# and neither deprecates.
data "aws_service" "lambda" {
  service_id = "lambda"
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_service.lambda.partition
  region     = data.aws_service.lambda.region
  dns_suffix = trimprefix(data.aws_service.lambda.dns_name, "lambda.${local.region}.")

  prefix = trimprefix(aws_cloudwatch_log_group.deployment.name, "/cognito-user-sync/")

  # One folder for each deployment: one configuration may deploy the same name and stage to two accounts or regions.
  package_directory = "${path.root}/.terraform/cognito-user-sync/${local.account_id}-${local.region}-${var.name}-${var.stage}"
  package_bucket = var.lambda.code_bucket == null ? null : {
    name       = var.lambda.code_bucket
    key_prefix = "cognito-user-sync/${local.account_id}/${local.region}/${local.prefix}"
  }
  # By index: a splat would wait for the S3 object, which waits for the log group that looks for these files.
  zip_paths = concat(
    [module.functions_package.zip_path], var.welcome_email == null ? [] : [module.welcome_email_package[0].zip_path]
  )

  # Built from the ID, not read from the pool, so that it is known while the pool's own configuration changes the pool.
  user_pool = {
    id  = var.user_pool_id
    arn = "arn:${local.partition}:cognito-idp:${local.region}:${local.account_id}:userpool/${var.user_pool_id}"
  }

  # Built from names, not taken from the state machine, so that the trigger depends on nothing that may come to depend
  # on the pool: see modules/sign_up.
  user_sync_state_machine_arn = "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.prefix}-user-sync"

  # Built from names, too: the record of the deployment is written before anything else is made.
  reconciliation_state_machine_arn = var.reconciliation.enabled ? "arn:${local.partition}:states:${local.region}:${local.account_id}:stateMachine:${local.prefix}-reconciliation" : null
  reconciliation_schedule_arn      = var.reconciliation.enabled && local.schedule != null ? "arn:${local.partition}:scheduler:${local.region}:${local.account_id}:schedule/default/${local.prefix}-reconciliation" : null
  queue_url_prefix                 = "https://sqs.${local.region}.${local.dns_suffix}/${local.account_id}/${local.prefix}"

  # A test compares this list with the output function_arns.
  function_names = concat(
    ["post-confirmation", "retry-sign-ups", "sync-user"],
    var.welcome_email == null ? [] : ["send-welcome"],
    var.attach_trigger ? ["pool-trigger"] : [],
    var.track_changes ? ["sync-changes"] : [],
    var.reconciliation.enabled ? ["plan-shards", "reconcile-shards"] : [],
    var.reconciliation.enabled && local.run_on_apply != "none" ? ["start-run"] : [],
  )

  user_pool_trigger = {
    attached_function_arn = var.attach_trigger ? local.post_confirmation_function_arn : null
    chained_function_arn  = var.chained_function_arn
  }

  # pyproject.toml has the version of the whole repository: of the module and of the command line.
  module_version = one(regex("(?m)^version = \"(.+)\"$", file("${path.module}/pyproject.toml")))

  # Built from names, so that a plan can compare it before the function is made.
  post_confirmation_function_arn = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${local.prefix}-post-confirmation"

  # An identity sends by SES of its own region.
  welcome_region = try(coalesce(var.welcome_email.region, split(":", coalesce(var.welcome_email.identity_arn, "::::"))[3]), null)

  # As given: in a place, a part has its content, or a file that has it.
  template_parts = flatten([
    for given in concat(var.welcome_email[*], values(try(var.welcome_email.translations, {}))) : [
      { name = "text", content = given.text, file = given.text_file }, { name = "html", content = given.html, file = given.html_file },
    ]
  ])
  translations = {
    for tag, given in try(var.welcome_email.translations, {}) : tag => {
      subject = given.subject
      text    = given.text_file == null ? given.text : file("${path.root}/${given.text_file}")
      html    = given.html_file == null ? given.html : file("${path.root}/${given.html_file}")
    }
  }
  welcome_email = var.welcome_email == null ? null : merge(
    { for name, value in var.welcome_email : name => value if !endswith(name, "_file") },
    {
      region       = local.welcome_region
      text         = coalesce(var.welcome_email.text, file(try("${path.root}/${var.welcome_email.text_file}", "${path.module}/emails/welcome.txt")))
      html         = coalesce(var.welcome_email.html, file(try("${path.root}/${var.welcome_email.html_file}", "${path.module}/emails/welcome.html")))
      translations = local.translations
    }
  )

  # Of the pool. Every pool has the standard attributes.
  custom_attributes  = [for name in data.aws_cognito_user_pool.this.schema_attributes[*].name : name if strcontains(name, "custom:")]
  missing_attributes = [for name in var.attributes : name if strcontains(name, "custom:") && !contains(local.custom_attributes, name)]

  pre_sign_up_function_arn = join("", compact(data.aws_cognito_user_pool.this.lambda_config[*].pre_sign_up))

  placeholders = distinct(concat(["display_name", "username", "name"], var.attributes))
  # All templates, by the name that a message has for them.
  welcome_templates = merge(
    { welcome_email = join("\n", [for part in ["subject", "text", "html"] : try(local.welcome_email[part], "")]) },
    { for tag, each in local.translations : "welcome_email.translations[\"${tag}\"]" => join("\n", values(each)) },
  )
  # The pattern is that of welcome_email.py.
  placeholder = "{{\\s*([^{}|\\s]+)\\s*(?:\\|[^{}]*)?}}"
  unknown_placeholders = {
    for place, template in local.welcome_templates : place => concat(
      [for name in setsubtract(flatten(regexall(local.placeholder, template)), local.placeholders) : "{{${name}}}"],
      # What begins like a placeholder and is none: {{user name}}, {{email.
      regexall("{{[^{}\\r\\n]{0,30}(?:}})?", replace(template, "/${local.placeholder}/", "")),
    )
  }

  # A null would be the default: Terraform fills it in for an attribute that is null, too.
  schedule = var.reconciliation.schedule == "none" ? null : var.reconciliation.schedule

  rate = one(regexall("^rate\\(([0-9]+) (minute|hour|day)", var.reconciliation.schedule))
  cron = one(regexall("^cron\\((?P<minutes>\\S+) (?P<hours>\\S+) (?P<days>\\S+) \\S+ (?P<weekdays>\\S+) ", var.reconciliation.schedule))
  # The numbers of the days: 2, 3, 4 and 6 for MON-WED,6. None for other forms, such as 6L.
  weekdays = try(sort(distinct(flatten([
    for days in split(",", upper(local.cron.weekdays)) :
    regexall("[1-7]", regex("[1-7]?${replace(days, "-", ".*")}", "1SUN 2MON 3TUE 4WED 5THU 6FRI 7SAT"))
  ]))), [])
  # The longest time from one run to the next is at least this long. A cron expression may have forms that are not
  # considered, and count as a run at each of their times.
  days_between_runs = max(concat(
    [1],
    [for index, day in local.weekdays : try(local.weekdays[index + 1], local.weekdays[0] + 7) - day],
    [try(ceil(28 / length(split(",", regex("^[0-9LW,]+$", local.cron.days)))), 1)],
  )...)
  hours_between_runs = (
    local.rate != null ? local.rate[0] * { minute = 1, hour = 60, day = 1440 }[local.rate[1]] / 60
    : local.cron == null || !can(tonumber(local.cron.hours)) ? (local.days_between_runs - 1) * 24
    : local.days_between_runs * 24 - (can(tonumber(local.cron.minutes)) ? 0 : 1)
  )

  # What all functions and state machines share.
  settings = {
    prefix                   = local.prefix
    partition                = local.partition
    region                   = local.region
    account_id               = local.account_id
    dns_suffix               = local.dns_suffix
    package                  = module.functions_package.package
    runtime                  = var.lambda.runtime
    memory_mb                = var.lambda.memory_mb
    architecture             = var.lambda.architecture
    vpc_config               = var.lambda.vpc_config
    kms_key_arn              = var.kms_key_arn
    log_group_class          = var.log_group_class
    previous_kms_key_arns    = var.previous_kms_key_arns
    log_retention_days       = var.log_retention_days
    role_path                = var.role_path
    permissions_boundary_arn = var.permissions_boundary_arn
    tracing                  = var.tracing
    tags                     = var.tags
  }

  # An existing table's items hold an application's attributes, too: they expire only if the user says so.
  retention_days = var.deleted_users.action != "mark" || var.deleted_users.retention_days != null ? var.deleted_users.retention_days : (
    var.table.name == null ? 30 : null
  )

  # The first contact with an existing table only counts, until the user says otherwise.
  run_on_apply = var.reconciliation.run_on_apply != null ? var.reconciliation.run_on_apply : (
    var.table.name == null ? "sync" : "dry_run"
  )

  # Of the functions that write the table. PutItem replaces an item, with all that an application has in it.
  write_actions = concat(
    ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], var.deleted_users.action == "delete_item" ? ["dynamodb:PutItem"] : []
  )

  # Of each function that reads the pool, or reads or writes the table: user_pool_id and user_table in settings.py.
  user_environment = merge({
    USER_POOL_ID  = var.user_pool_id
    USER_TABLE    = jsonencode(module.user_table.layout)
    ATTRIBUTES    = jsonencode(var.attributes)
    DELETED_USERS = var.deleted_users.action
  }, { for days in local.retention_days[*] : "RETENTION_DAYS" => days })
}
