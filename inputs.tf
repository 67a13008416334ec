# Object variables have the type any, because Terraform drops unknown keys when it converts a value to an object type
# (https://github.com/hashicorp/terraform/issues/29204). modules/inputs has their types, defaults and validations. An unknown
# key is one that the value loses there. A precondition in main.tf rejects it.

module "inputs" {
  source = "./modules/inputs"

  alarms         = var.alarms
  deleted_users  = var.deleted_users
  lambda         = var.lambda
  reconciliation = var.reconciliation
  table          = var.table
  user_events    = var.user_events
  welcome_email  = var.welcome_email

  # Validations compare these variables with the object variables.
  attributes   = var.attributes
  kms_key_arn  = var.kms_key_arn
  tags         = var.tags
  user_pool_id = var.user_pool_id
}

locals {
  # The keys of each object in these variables, as the caller wrote it and in its type.
  #
  # Without try(), can() and flatten() of whole values: the result of these functions is unknown if a part of the value is
  # unknown at plan, such as the ARN of a resource in the same configuration. Then the plan would not reject unknown keys.
  objects = concat(
    [
      { path = "deleted_users", given = keys(var.deleted_users), known = keys(module.inputs.deleted_users) },
      { path = "lambda", given = keys(var.lambda), known = keys(module.inputs.lambda) },
      { path = "reconciliation", given = keys(var.reconciliation), known = keys(module.inputs.reconciliation) },
      { path = "table", given = keys(var.table), known = keys(module.inputs.table) },
    ],
    [
      for given in lookup(var.table, "partition_key", null)[*] :
      { path = "table.partition_key", given = keys(given), known = keys(module.inputs.table.partition_key) }
    ],
    [
      for typed in module.inputs.table.sort_key[*] :
      { path = "table.sort_key", given = keys(var.table.sort_key), known = keys(typed) }
    ],
    [
      for typed in module.inputs.lambda.vpc_config[*] :
      { path = "lambda.vpc_config", given = keys(var.lambda.vpc_config), known = keys(typed) }
    ],
    [
      for name, typed in module.inputs.alarms :
      { path = "alarms[\"${name}\"]", given = keys(var.alarms[name]), known = keys(typed) } if typed != null
    ],
    [
      for typed in module.inputs.user_events[*] :
      { path = "user_events", given = keys(var.user_events), known = keys(typed) }
    ],
    [
      for typed in module.inputs.welcome_email[*] :
      { path = "welcome_email", given = keys(var.welcome_email), known = keys(typed) }
    ],
    [
      for tag, typed in merge(module.inputs.welcome_email[*].translations...) :
      { path = "welcome_email.translations[\"${tag}\"]", given = keys(var.welcome_email.translations[tag]), known = keys(typed) }
    ],
  )

  unknown_keys = [
    for object in local.objects :
    "${object.path} has the unknown key ${join(", ", setsubtract(object.given, object.known))}: each must be one of ${join(", ", object.known)}."
    if length(setsubtract(object.given, object.known)) > 0
  ]
}
