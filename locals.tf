data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  prefix = trimprefix(aws_cloudwatch_log_group.deployment.name, "/cognito-user-sync/")

  # Built from the ID, not read from the pool, so that it is known while the pool's own configuration changes the pool.
  user_pool = {
    id = var.user_pool_id
    arn = join(":", [
      "arn", data.aws_partition.current.partition, "cognito-idp", data.aws_region.current.id,
      data.aws_caller_identity.current.account_id, "userpool/${var.user_pool_id}",
    ])
  }

  # Built from names, not taken from the state machine, so that the trigger depends on nothing that may come to depend
  # on the pool: see modules/sign_up.
  user_sync_state_machine_arn = join(":", [
    "arn", data.aws_partition.current.partition, "states", data.aws_region.current.id,
    data.aws_caller_identity.current.account_id, "stateMachine", "${local.prefix}-user-sync",
  ])

  # Built from names, so that a plan can compare it before the function is made.
  post_confirmation_function_arn = join(":", [
    "arn", data.aws_partition.current.partition, "lambda", data.aws_region.current.id,
    data.aws_caller_identity.current.account_id, "function", "${local.prefix}-post-confirmation",
  ])

  welcome_email = var.welcome_email == null ? null : merge(var.welcome_email, {
    text = coalesce(var.welcome_email.text, file("${path.module}/emails/welcome.txt"))
    html = coalesce(var.welcome_email.html, file("${path.module}/emails/welcome.html"))
  })

  # What the welcome needs of a sign-up, synced or not.
  welcomed_attributes = var.welcome_email == null ? [] : concat(
    ["name", "email"], var.welcome_email.verified_only ? ["email_verified"] : []
  )

  placeholders = distinct(concat(["username", "name"], var.attributes))
  unknown_placeholders = [
    # The pattern is that of welcome_email.py.
    for name in distinct(flatten(regexall(
      "{{\\s*([^{}\\s]+)\\s*}}",
      join("\n", compact([for part in ["subject", "text", "html"] : try(var.welcome_email[part], "")]))
    ))) : "{{${name}}}" if !contains(local.placeholders, name)
  ]

  # A null would be the default: Terraform fills it in for an attribute that is null, too.
  schedule = var.reconciliation.schedule == "none" ? null : var.reconciliation.schedule

  settings = {
    memory_mb                = var.lambda.memory_mb
    architecture             = var.lambda.architecture
    kms_key_arn              = var.kms_key_arn
    previous_kms_key_arns    = var.previous_kms_key_arns
    log_retention_days       = var.log_retention_days
    permissions_boundary_arn = var.permissions_boundary_arn
    tracing                  = var.tracing
    tags                     = var.tags
  }

  # Of each function that reads the pool, or reads or writes the table: user_pool_id and user_table in settings.py.
  user_environment = merge({
    USER_POOL_ID    = var.user_pool_id
    USER_TABLE_NAME = module.user_table.name
    ATTRIBUTES      = jsonencode(var.attributes)
    INDEX_KEYS      = jsonencode(module.user_table.index_keys)
    DELETED_USERS   = var.deleted_users.action
  }, { for days in var.deleted_users.retention_days[*] : "RETENTION_DAYS" => days })
}
