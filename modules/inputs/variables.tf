variable "welcome_email" {
  description = "Variable `welcome_email` of the root module."
  type = object({
    from      = string
    subject   = optional(string, "Welcome, {{display_name}}")
    text      = optional(string)
    html      = optional(string)
    text_file = optional(string)
    html_file = optional(string)
    translations = optional(map(object({
      subject   = string
      text      = optional(string)
      html      = optional(string)
      text_file = optional(string)
      html_file = optional(string)
    })), {})
    reply_to          = optional(string)
    configuration_set = optional(string)
    region            = optional(string)
    identity_arn      = optional(string)
    app_client_ids    = optional(set(string), [])
    verified_only     = optional(bool, true)
    on_first_sign_in  = optional(bool, false)
  })
  default = null

  validation {
    # Removes the name, so that only the address remains. welcome_email.py has the same pattern.
    condition = var.welcome_email == null || alltrue([
      for address in [
        for sender in concat([try(coalesce(var.welcome_email.from), "")], compact([try(var.welcome_email.reply_to, null)])) :
        length(sender) > 320 ? "" : replace(
          sender,
          "/^(?:[^<>@\"\\s\\p{Cc}\\p{Zl}\\p{Zp}][^<>@\"\\p{Cc}\\p{Zl}\\p{Zp}]*|\"(?:[^\"\\\\\\p{Cc}\\p{Zl}\\p{Zp}]|\\\\[\"\\\\])+\") <([^<>]+)>$/",
          "$1"
        )
      ] :
      can(regex("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[\\p{L}\\p{M}\\p{Nd}](?:[\\p{L}\\p{M}\\p{Nd}-]{0,61}[\\p{L}\\p{M}\\p{Nd}])?\\.)+\\p{L}(?:[\\p{L}\\p{M}\\p{Nd}-]{0,61}[\\p{L}\\p{M}\\p{Nd}])?$", address))
      && can(regex("^[^@]{1,64}@", address)) && length(address) <= 254
      # These characters are another domain in IDNA 2003 than in IDNA 2008. domain_names.py rejects them, too.
      && length(regexall("[ßẞς]", address)) == 0
    ])
    error_message = "welcome_email.from is \"${try(coalesce(var.welcome_email.from), "")}\" and reply_to is \"${try(coalesce(var.welcome_email.reply_to), "")}\": each must be address@example.com, Name <address@example.com> or \"Name\" <address@example.com>, with at most 320 characters, quotes around a name with < > @ or \", ASCII before the @, and a domain with ß or ς in Punycode (xn--fa-hia.de for faß.de)."
  }

  validation {
    condition = alltrue([
      for tag in keys(try(var.welcome_email.translations, {})) : can(regex("^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*$", tag))
    ])
    error_message = "welcome_email.translations has the keys ${jsonencode(keys(try(var.welcome_email.translations, {})))}: each must be a language tag, like de, pt-BR or zh-Hant-TW."
  }

  validation {
    condition = length(distinct([
      for tag in keys(try(var.welcome_email.translations, {})) : lower(tag)
    ])) == length(try(var.welcome_email.translations, {}))
    error_message = "welcome_email.translations has the keys ${jsonencode(keys(try(var.welcome_email.translations, {})))}: each language must occur once, and case is ignored."
  }

  validation {
    condition = alltrue([
      for templates in values(try(var.welcome_email.translations, {})) :
      can(regex("^[^\\x00-\\x1f]+$", templates.subject)) && try(coalesce(templates.text, templates.text_file), "") != "" && try(coalesce(templates.html, templates.html_file), "") != ""
    ])
    error_message = "welcome_email.translations has an empty part or an invalid subject: ${jsonencode({ for tag, templates in try(var.welcome_email.translations, {}) : tag => templates.subject })}. Each translation must have a subject of one line without control characters, text or text_file, and html or html_file."
  }

  validation {
    condition     = var.welcome_email == null || can(regex("^[^\\x00-\\x1f]+$", var.welcome_email.subject))
    error_message = "welcome_email.subject is ${jsonencode(try(var.welcome_email.subject, ""))}: it must be one line of text, without control characters."
  }

  validation {
    condition     = try(var.welcome_email.configuration_set, null) == null || can(regex("^[A-Za-z0-9_-]{1,64}$", var.welcome_email.configuration_set))
    error_message = "welcome_email.configuration_set is \"${try(coalesce(var.welcome_email.configuration_set), "")}\": it must be 1 to 64 letters, digits, hyphens or underscores, or null."
  }

  validation {
    condition     = try(var.welcome_email.region, null) == null || can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.welcome_email.region))
    error_message = "welcome_email.region is \"${try(coalesce(var.welcome_email.region), "")}\": it must be an AWS region, like eu-west-1, or null for the pool's region."
  }

  validation {
    condition     = try(var.welcome_email.identity_arn, null) == null || can(regex("^arn:[a-z-]+:ses:[a-z]{2,4}(-[a-z]+)+-[0-9]+:[0-9]{12}:identity/[^\\s/]+$", var.welcome_email.identity_arn))
    error_message = "welcome_email.identity_arn is \"${try(coalesce(var.welcome_email.identity_arn), "")}\": it must be the ARN of an SES identity, like arn:aws:ses:eu-west-1:123456789012:identity/example.com, or null."
  }

  validation {
    # The sender, with < before it, ends with the identity: with <address, @domain or .domain. The validation above rejects
    # a malformed ARN. Terraform cannot compute Punycode, so all international labels count as equal.
    condition = try(var.welcome_email.identity_arn, null) == null || try(anytrue([
      for before in strcontains(var.welcome_email.identity_arn, "@") ? ["<"] : ["@", "."] :
      endswith([
        for text in [
          "<${trimsuffix(var.welcome_email.from, ">")}",
          "${before}${regex("^arn:.*:identity/([^\\s/]+)$", var.welcome_email.identity_arn)[0]}",
        ] : replace(lower(text), "/xn--[^.@<]+|[^.@<]*[^\\x00-\\x7F][^.@<]*/", "xn--")
      ]...)
    ]), true)
    error_message = "welcome_email.identity_arn is \"${try(coalesce(var.welcome_email.identity_arn), "")}\", and from is \"${try(coalesce(var.welcome_email.from), "")}\": the identity must be the address in from, its domain, or a parent domain."
  }

  validation {
    condition = anytrue([
      try(var.welcome_email.identity_arn, null) == null,
      try(var.welcome_email.region, null) == null,
      try(regex("^arn:[a-z-]+:ses:([a-z0-9-]+):", var.welcome_email.identity_arn)[0] == var.welcome_email.region, true),
    ])
    error_message = "welcome_email.region is \"${try(coalesce(var.welcome_email.region), "")}\", and identity_arn is in the region \"${try(split(":", var.welcome_email.identity_arn)[3], "")}\": they must be the same, or region must be null."
  }
}

variable "table" {
  description = "Variable `table` of the root module."
  type = object({
    name = optional(string)
    partition_key = optional(object({
      name  = optional(string, "id")
      value = optional(string, "{sub}")
    }), {})
    sort_key = optional(object({
      name  = string
      value = string
    }))
    attribute_prefix       = optional(string)
    attribute_names        = optional(map(string), {})
    extra_attributes       = optional(map(string), {})
    ttl_attribute          = optional(string, "expires_at")
    billing_mode           = optional(string, "PAY_PER_REQUEST")
    read_capacity          = optional(number)
    write_capacity         = optional(number)
    deletion_protection    = optional(bool, true)
    point_in_time_recovery = optional(bool, true)
    stream_view_type       = optional(string)
    email_index            = optional(bool, false)
    replica_regions        = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.table.name == null || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table.name))
    error_message = "table.name is \"${try(coalesce(var.table.name), "")}\": it must be 3 to 255 letters, digits, underscores, hyphens or dots, or null."
  }

  validation {
    # {user_pool_id} can be anywhere, so it is replaced first.
    condition     = can(regex("^[^{}]*\\{sub\\}[^{}]*$", replace(var.table.partition_key.value, "{user_pool_id}", "_"))) && length(var.table.partition_key.value) <= 255
    error_message = "table.partition_key.value is \"${var.table.partition_key.value}\": it must be text of at most 255 characters with {sub} exactly once, and with no other braces except {user_pool_id}, like {sub} or USER#{sub}."
  }

  validation {
    condition     = var.table.sort_key == null || try(can(regex("^([^{}]|\\{(sub|user_pool_id)\\})+$", var.table.sort_key.value)) && length(var.table.sort_key.value) <= 255, false)
    error_message = "table.sort_key.value is \"${try(coalesce(var.table.sort_key.value), "")}\": it must be text of 1 to 255 characters, with no braces except {sub} and {user_pool_id}, like PROFILE or USER#{sub}."
  }

  validation {
    condition     = var.table.name == null || var.table.attribute_prefix != null
    error_message = "table.name is \"${try(coalesce(var.table.name), "")}\", but table.attribute_prefix is null: for an existing table, it must be set, for example to \"cognito_\", or to \"\" to overwrite existing values of attributes such as email, username or status."
  }

  validation {
    condition     = length(var.table.attribute_prefix == null ? "" : var.table.attribute_prefix) <= 64
    error_message = "table.attribute_prefix is \"${try(coalesce(var.table.attribute_prefix), "")}\": it must have at most 64 characters."
  }

  validation {
    # DynamoDB's limit of a key's name: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    condition = alltrue([
      for name in concat(
        [var.table.partition_key.name, var.table.ttl_attribute], var.table.sort_key[*].name,
        values(var.table.attribute_names), keys(var.table.extra_attributes),
      ) : try(length(name) >= 1 && length(name) <= 255, false)
    ])
    error_message = "table names the attributes ${jsonencode(concat(
      [var.table.partition_key.name], var.table.sort_key[*].name, [var.table.ttl_attribute],
      values(var.table.attribute_names), keys(var.table.extra_attributes),
    ))}: each name must have 1 to 255 characters."
  }

  validation {
    condition = alltrue([
      for template in values(var.table.extra_attributes) :
      can(regex("^([^{}]|\\{[^{}|]+(\\|(lower|upper))?\\})+$", template))
    ])
    error_message = "table.extra_attributes are ${jsonencode(var.table.extra_attributes)}: each must be text, with names in braces, each alone or with |lower or |upper, like EMAIL#{email|lower}."
  }

  validation {
    condition = alltrue([
      for name in flatten([for template in values(var.table.extra_attributes) : try(regexall("\\{([^{}|]+)", template), [])]) :
      contains(concat(["sub", "username"], var.attributes), name)
    ])
    error_message = "table.extra_attributes are ${jsonencode(var.table.extra_attributes)}: the names in braces must be sub, username or one of attributes, which are ${jsonencode(var.attributes)}."
  }

  validation {
    # One update expression sets all of them. DynamoDB allows 300 operators and 4 KB in it:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    condition     = length(var.attributes) + length(var.table.extra_attributes) <= 100
    error_message = "attributes has ${length(var.attributes)} entries and table.extra_attributes has ${length(var.table.extra_attributes)}: they must have at most 100 together."
  }

  validation {
    condition     = contains(["PAY_PER_REQUEST", "PROVISIONED"], var.table.billing_mode)
    error_message = "table.billing_mode is \"${var.table.billing_mode}\": it must be PAY_PER_REQUEST or PROVISIONED."
  }

  validation {
    condition = alltrue([
      for units in [var.table.read_capacity, var.table.write_capacity] :
      var.table.billing_mode == "PROVISIONED" ? try(units >= 1 && floor(units) == units, false) : units == null
    ])
    error_message = "table.read_capacity is ${jsonencode(var.table.read_capacity)}, table.write_capacity is ${jsonencode(var.table.write_capacity)} and table.billing_mode is ${var.table.billing_mode}: with PROVISIONED, both must be whole numbers of at least 1, and with PAY_PER_REQUEST both must be null."
  }

  validation {
    condition = var.table.stream_view_type == null || contains(
      ["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"], try(coalesce(var.table.stream_view_type), "")
    )
    error_message = "table.stream_view_type is \"${try(coalesce(var.table.stream_view_type), "")}\": it must be NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY or null."
  }

  validation {
    condition     = !var.table.email_index || contains(var.attributes, "email")
    error_message = "table.email_index is true, but attributes are ${jsonencode(var.attributes)}: they must include email."
  }

  validation {
    condition     = !(var.table.email_index && var.table.name != null)
    error_message = "table.email_index is true, but table.name is \"${try(coalesce(var.table.name), "")}\": it must be false for an existing table, because this module does not change its indexes."
  }

  validation {
    condition = length(distinct(var.table.replica_regions)) == length(var.table.replica_regions) && alltrue([
      for region in var.table.replica_regions :
      can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", region))
    ])
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}: each must be an AWS region, like eu-central-1, and occur once."
  }

  validation {
    condition     = !contains(var.table.replica_regions, split("_", var.user_pool_id)[0])
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}: the pool's region must not be among them, because the table itself is in it."
  }

  validation {
    condition     = length(var.table.replica_regions) == 0 || var.table.name == null
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}, but table.name is \"${try(coalesce(var.table.name), "")}\": it must be [] for an existing table, because this module does not change it."
  }

  validation {
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_reqs_bestpractices.html
    condition = length(var.table.replica_regions) == 0 || (
      var.table.billing_mode == "PAY_PER_REQUEST" && try(coalesce(var.table.stream_view_type), "") == "NEW_AND_OLD_IMAGES"
    )
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}, table.billing_mode is ${var.table.billing_mode} and table.stream_view_type is ${try(coalesce(var.table.stream_view_type), "null")}: a table with replicas must have PAY_PER_REQUEST and NEW_AND_OLD_IMAGES."
  }

  validation {
    condition     = length(var.table.replica_regions) == 0 || var.kms_key_arn == null || can(regex(":key/mrk-", var.kms_key_arn))
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}, but kms_key_arn is \"${try(coalesce(var.kms_key_arn), "")}\": it must be a multi-Region key, like arn:aws:kms:eu-west-1:123456789012:key/mrk-0a1b2c3d4e5f60718293a4b5c6d7e8f9, with a replica key in each of these regions, or null."
  }
}

variable "user_events" {
  description = "Variable `user_events` of the root module."
  type = object({
    event_bus_arn = string
    stream_arn    = optional(string)
  })
  default = null

  validation {
    condition     = var.user_events == null || can(regex("^arn:[a-z-]+:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9/._-]+$", var.user_events.event_bus_arn))
    error_message = "user_events.event_bus_arn is \"${try(coalesce(var.user_events.event_bus_arn), "")}\": it must be the ARN of an EventBridge event bus, like arn:aws:events:eu-west-1:123456789012:event-bus/users."
  }

  validation {
    condition     = var.user_events == null || try(split(":", var.user_events.event_bus_arn)[3], "") == split("_", var.user_pool_id)[0]
    error_message = "user_events.event_bus_arn is \"${try(coalesce(var.user_events.event_bus_arn), "")}\": the event bus must be in the pool's region, ${split("_", var.user_pool_id)[0]}."
  }

  validation {
    condition     = var.user_events == null || var.table.name != null || try(var.user_events.stream_arn, null) == null
    error_message = "user_events.stream_arn is \"${try(coalesce(var.user_events.stream_arn), "")}\", but table.name is null: it must be null for a table that this module creates."
  }

  validation {
    condition = var.user_events == null || var.table.name == null ? true : (
      can(regex("^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]+/stream/[0-9T:.-]+$", var.user_events.stream_arn))
      && try(split("/", var.user_events.stream_arn)[1], "") == var.table.name
    )
    error_message = "user_events.stream_arn is \"${try(coalesce(var.user_events.stream_arn), "")}\", and table.name is \"${try(coalesce(var.table.name), "")}\": for an existing table, it must be the ARN of this table's stream, like arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-31T12:00:00.000."
  }

  validation {
    condition = anytrue([
      var.user_events == null, var.table.name != null, var.table.stream_view_type == null,
      try(coalesce(var.table.stream_view_type), "") == "NEW_AND_OLD_IMAGES",
    ])
    error_message = "table.stream_view_type is \"${try(coalesce(var.table.stream_view_type), "")}\", but user_events is set: it must be NEW_AND_OLD_IMAGES or null, because events are made of both images."
  }
}

variable "deleted_users" {
  description = "Variable `deleted_users` of the root module."
  type = object({
    action         = optional(string, "mark")
    retention_days = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["mark", "delete", "delete_item", "keep"], var.deleted_users.action)
    error_message = "deleted_users.action is \"${var.deleted_users.action}\": it must be mark, delete, delete_item or keep."
  }

  validation {
    condition = var.deleted_users.retention_days == null ? true : (
      var.deleted_users.retention_days >= 1 && var.deleted_users.retention_days <= 36500
      && floor(var.deleted_users.retention_days) == var.deleted_users.retention_days
    )
    error_message = "deleted_users.retention_days is ${jsonencode(var.deleted_users.retention_days)}: it must be a whole number from 1 to 36500, or null."
  }

  validation {
    condition     = var.deleted_users.action == "mark" || var.deleted_users.retention_days == null
    error_message = "deleted_users.retention_days is ${jsonencode(var.deleted_users.retention_days)}, but deleted_users.action is ${var.deleted_users.action}: it must be null, or action must be mark, because only marked items expire."
  }
}

variable "reconciliation" {
  description = "Variable `reconciliation` of the root module."
  type = object({
    enabled               = optional(bool, true)
    schedule              = optional(string, "cron(15 3 * * ? *)")
    run_on_apply          = optional(string)
    list_users_per_second = optional(number, 15)
    max_concurrency       = optional(number, 4)
    max_delete_percent    = optional(number, 10)
    overdue_hours         = optional(number, 48)
  })
  default  = {}
  nullable = false

  validation {
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
    condition     = can(regex("^(none|cron\\([^\\s()]+ [^\\s()]+ (\\? [^\\s()]+ [^\\s()?]+|[^\\s()?]+ [^\\s()]+ \\?) [^\\s()]+\\)|rate\\([1-9][0-9]* (minutes?|hours?|days?)\\))$", var.reconciliation.schedule))
    error_message = "reconciliation.schedule is \"${var.reconciliation.schedule}\": it must be rate(...), like rate(12 hours), or none, or cron(...) with six fields, like cron(15 3 * * ? *): minutes, hours, day of month, month, day of week and year, where day of month or day of week must be ?."
  }

  validation {
    condition     = var.reconciliation.run_on_apply == null || contains(["sync", "dry_run", "none"], try(coalesce(var.reconciliation.run_on_apply), ""))
    error_message = "reconciliation.run_on_apply is \"${try(coalesce(var.reconciliation.run_on_apply), "")}\": it must be sync, dry_run, none or null."
  }

  validation {
    # https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
    condition     = var.reconciliation.list_users_per_second >= 1 && var.reconciliation.list_users_per_second <= 30
    error_message = "reconciliation.list_users_per_second is ${var.reconciliation.list_users_per_second}: it must be from 1 to 30, the quota of an account in a region."
  }

  validation {
    condition     = var.reconciliation.max_concurrency >= 1 && var.reconciliation.max_concurrency <= 40 && floor(var.reconciliation.max_concurrency) == var.reconciliation.max_concurrency
    error_message = "reconciliation.max_concurrency is ${var.reconciliation.max_concurrency}: it must be a whole number from 1 to 40."
  }

  validation {
    condition     = var.reconciliation.max_delete_percent >= 0 && var.reconciliation.max_delete_percent <= 100
    error_message = "reconciliation.max_delete_percent is ${var.reconciliation.max_delete_percent}: it must be from 0 to 100."
  }

  validation {
    # An alarm evaluates at most seven days: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    condition     = var.reconciliation.overdue_hours >= 0 && var.reconciliation.overdue_hours <= 168 && floor(var.reconciliation.overdue_hours) == var.reconciliation.overdue_hours
    error_message = "reconciliation.overdue_hours is ${var.reconciliation.overdue_hours}: it must be a whole number from 1 to 168, or 0 for no alarm."
  }
}

variable "alarms" {
  description = "Variable `alarms` of the root module."
  type = map(object({
    enabled             = optional(bool, true)
    threshold           = optional(number)
    period_seconds      = optional(number)
    evaluation_periods  = optional(number)
    datapoints_to_alarm = optional(number)
    topic_arns          = optional(set(string))
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(setsubtract(keys(var.alarms), keys(local.alarm_defaults))) == 0
    error_message = "alarms has the keys ${jsonencode(keys(var.alarms))}: each must be one of ${join(", ", keys(local.alarm_defaults))}."
  }

  validation {
    condition     = alltrue([for alarm in var.alarms : coalesce(alarm.threshold, 0) >= 0 if alarm != null])
    error_message = "alarms has threshold ${jsonencode({ for name, alarm in var.alarms : name => alarm.threshold if alarm == null ? false : alarm.threshold != null })}: each must be at least 0."
  }

  validation {
    condition = alltrue([
      for name, alarm in var.alarms : coalesce(alarm.threshold, 0) < 5000 if name == "trigger-duration" && alarm != null
    ])
    error_message = "alarms has threshold ${jsonencode({ for name, alarm in var.alarms : name => alarm.threshold if name == "trigger-duration" && alarm != null })}: it must be below 5000 milliseconds, the timeout of the trigger."
  }

  validation {
    condition = alltrue([
      for name, alarm in var.alarms : coalesce(alarm.threshold, 0) < 1 if startswith(name, "ses-") && alarm != null
    ])
    error_message = "alarms has threshold ${jsonencode({ for name, alarm in var.alarms : name => alarm.threshold if startswith(name, "ses-") && alarm != null })}: it must be below 1, like 0.05 for 5 percent."
  }

  validation {
    # The metrics of AWS services have a resolution of one minute:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    condition = alltrue([
      for alarm in var.alarms :
      coalesce(alarm.period_seconds, 60) >= 60 && coalesce(alarm.period_seconds, 60) % 60 == 0 if alarm != null
    ])
    error_message = "alarms has period_seconds ${jsonencode({ for name, alarm in var.alarms : name => alarm.period_seconds if alarm == null ? false : alarm.period_seconds != null })}: each must be a multiple of 60."
  }

  validation {
    condition = alltrue([
      for alarm in var.alarms :
      coalesce(alarm.evaluation_periods, 1) >= 1 && coalesce(alarm.evaluation_periods, 1) % 1 == 0 if alarm != null
    ])
    error_message = "alarms has evaluation_periods ${jsonencode({ for name, alarm in var.alarms : name => alarm.evaluation_periods if alarm == null ? false : alarm.evaluation_periods != null })}: each must be a whole number of at least 1."
  }

  validation {
    # The same page of AWS. Unknown names are rejected above.
    condition = alltrue([
      for name, alarm in var.alarms :
      coalesce(alarm.period_seconds, local.alarm_defaults[name].period_seconds)
      * coalesce(alarm.evaluation_periods, local.alarm_defaults[name].evaluation_periods)
      <= (coalesce(alarm.period_seconds, local.alarm_defaults[name].period_seconds) < 3600 ? 86400 : 604800)
      if alarm != null && can(local.alarm_defaults[name])
    ])
    error_message = "alarms evaluates ${jsonencode({
      for name, alarm in var.alarms : name =>
      coalesce(alarm.period_seconds, local.alarm_defaults[name].period_seconds)
      * coalesce(alarm.evaluation_periods, local.alarm_defaults[name].evaluation_periods)
      if alarm != null && can(local.alarm_defaults[name])
    })} seconds (period_seconds times evaluation_periods): each must be at most 86400 (one day), or 604800 (seven days) if period_seconds is at least 3600."
  }

  validation {
    # The same page of AWS.
    condition = alltrue([
      for name, alarm in var.alarms :
      alarm.datapoints_to_alarm >= 1 && alarm.datapoints_to_alarm % 1 == 0
      && alarm.datapoints_to_alarm <= coalesce(alarm.evaluation_periods, try(local.alarm_defaults[name].evaluation_periods, 1))
      if alarm == null ? false : alarm.datapoints_to_alarm != null
    ])
    error_message = "alarms has datapoints_to_alarm ${jsonencode({ for name, alarm in var.alarms : name => alarm.datapoints_to_alarm if alarm == null ? false : alarm.datapoints_to_alarm != null })}: each must be a whole number from 1 to evaluation_periods of the same alarm."
  }

  validation {
    condition = alltrue([
      for name, alarm in var.alarms :
      alarm.threshold == null && alarm.period_seconds == null && alarm.evaluation_periods == null && alarm.datapoints_to_alarm == null
      if name == "reconciliation-overdue" && alarm != null
    ])
    error_message = "alarms changes threshold, period_seconds, evaluation_periods or datapoints_to_alarm of reconciliation-overdue: it must have none of them, because reconciliation.overdue_hours sets when it fires."
  }

  validation {
    condition = alltrue([
      for arn in flatten([for alarm in var.alarms : coalesce(alarm.topic_arns, []) if alarm != null]) :
      can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))
    ])
    error_message = "alarms has topic_arns ${jsonencode({ for name, alarm in var.alarms : name => alarm.topic_arns if alarm == null ? false : alarm.topic_arns != null })}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "lambda" {
  description = "Variable `lambda` of the root module."
  type = object({
    runtime                      = optional(string, "python3.13")
    memory_mb                    = optional(number, 512)
    architecture                 = optional(string, "arm64")
    trigger_reserved_concurrency = optional(number)
    code_bucket                  = optional(string)
    vpc_config = optional(object({
      subnet_ids         = set(string)
      security_group_ids = set(string)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^python3\\.(1[1-9]|[2-9][0-9])$", var.lambda.runtime))
    error_message = "lambda.runtime is \"${var.lambda.runtime}\": it must be a Python runtime of Lambda, python3.11 or later, like python3.13."
  }

  validation {
    condition     = var.lambda.code_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lambda.code_bucket))
    error_message = "lambda.code_bucket is \"${try(coalesce(var.lambda.code_bucket), "")}\": it must be the name of an S3 bucket, 3 to 63 lowercase letters, digits, dots or hyphens, or null."
  }

  validation {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    condition     = var.lambda.code_bucket == null || length(var.tags) <= 10
    error_message = "lambda.code_bucket is \"${try(coalesce(var.lambda.code_bucket), "")}\", but tags has ${length(var.tags)} tags: it must have at most 10, the maximum of an S3 object."
  }

  validation {
    condition = var.lambda.vpc_config == null ? true : (
      length(var.lambda.vpc_config.subnet_ids) > 0 && length(var.lambda.vpc_config.security_group_ids) > 0
      && alltrue([for id in var.lambda.vpc_config.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
      && alltrue([for id in var.lambda.vpc_config.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    )
    error_message = "lambda.vpc_config is ${jsonencode(var.lambda.vpc_config)}: it must have at least one subnet ID, like subnet-0a1b2c3d, and at least one security group ID, like sg-0a1b2c3d, or be null."
  }

  validation {
    condition     = var.lambda.memory_mb >= 256 && var.lambda.memory_mb <= 10240 && floor(var.lambda.memory_mb) == var.lambda.memory_mb
    error_message = "lambda.memory_mb is ${var.lambda.memory_mb}: it must be a whole number from 256 to 10240."
  }

  validation {
    condition     = contains(["arm64", "x86_64"], var.lambda.architecture)
    error_message = "lambda.architecture is \"${var.lambda.architecture}\": it must be arm64 or x86_64."
  }

  validation {
    condition = var.lambda.trigger_reserved_concurrency == null ? true : (
      var.lambda.trigger_reserved_concurrency >= 1
      && floor(var.lambda.trigger_reserved_concurrency) == var.lambda.trigger_reserved_concurrency
    )
    error_message = "lambda.trigger_reserved_concurrency is ${jsonencode(var.lambda.trigger_reserved_concurrency)}: it must be a whole number of at least 1 (0 would stop every sign-up), or null."
  }
}

variable "attributes" {
  type        = list(string)
  description = "Variable `attributes` of the root module."
  nullable    = false
}

variable "user_pool_id" {
  type        = string
  description = "Variable `user_pool_id` of the root module."
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "Variable `kms_key_arn` of the root module."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Variable `tags` of the root module."
  default     = {}
  nullable    = false
}
