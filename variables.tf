variable "user_pool_id" {
  type        = string
  description = "Id of the existing user pool, for example eu-west-1_AbCdEfGhI. It must be in the provider's region."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+_[0-9A-Za-z]{1,45}$", var.user_pool_id))
    error_message = "user_pool_id is \"${var.user_pool_id}\": it must be <region>_<id>, with 1 to 45 letters or digits in the id, like eu-west-1_AbCdEfGhI."
  }
}

variable "stage" {
  type        = string
  description = "Stage of this deployment, for example dev, staging or production. One state holds one stage."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$", var.stage))
    error_message = "stage is \"${var.stage}\": it must be 1 to 12 lower-case letters, digits or hyphens, begin with a letter and not end with a hyphen."
  }
}

variable "name" {
  type        = string
  description = "What the names of all resources begin with, before the stage: `<name>-<stage>-...`"
  default     = "cognito-user-sync"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\": it must be lower-case letters, digits or hyphens, begin with a letter and not end with a hyphen."
  }

  validation {
    # 64 characters of a role name, less the longest region (ap-southeast-1), the longest suffix (post-confirmation) and
    # two hyphens.
    condition     = length("${var.name}-${var.stage}") <= 31
    error_message = "<name>-<stage> is \"${var.name}-${var.stage}\", which has ${length("${var.name}-${var.stage}")} characters: it must have at most 31, since role names begin with it and have at most 64."
  }
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to keep in the table, under their Cognito names: standard ones and custom:... ones."
  default     = ["name", "email", "phone_number"]
  nullable    = false

  validation {
    condition = alltrue([
      for name in var.attributes : contains(
        [
          "address", "birthdate", "email", "email_verified", "family_name", "gender", "given_name", "locale", "middle_name",
          "name", "nickname", "phone_number", "phone_number_verified", "picture", "preferred_username", "profile",
          "updated_at", "website", "zoneinfo",
        ], name
      ) || can(regex("^(dev:)?custom:[\\pL\\pM\\pS\\pN\\pP]{1,20}$", name))
    ])
    error_message = "attributes are ${jsonencode(var.attributes)}: each must be a standard Cognito attribute, like email or given_name, or custom:<name>, with a name of 1 to 20 characters and no space (sub is always synced, in the table's key)."
  }

  validation {
    condition     = length(distinct(var.attributes)) == length(var.attributes) && length(var.attributes) <= 70
    error_message = "attributes are ${jsonencode(var.attributes)}: each must occur once, and there must be at most 70."
  }
}

variable "welcome_email" {
  description = <<-EOT
    The welcome email, sent to each new user; null sends none. Subject, text and html may hold {{display_name}}, {{username}},
    {{name}} and any of the synced attributes, such as {{email}} or {{custom:plan}}, each with a fallback if the value is empty:
    {{name|there}}. docs/welcome-email.md has examples.
    - from: sender, verified in SES: `address@example.com`, `Name <address@example.com>` or `"Name" <address@example.com>`.
      The name and the domain may have any script
    - subject: one line
    - text, html: the templates' content; null takes the ones in emails/
    - text_file, html_file: files with the content, in place of text and html; relative to the root module
    - translations: subject, text or text_file, and html or html_file, by language tag, such as de or pt-BR, for users whose
      attribute locale has that language; all others get subject, text and html
    - reply_to: address for answers, in one of the forms of from
    - configuration_set: SES configuration set
    - region: region of SES, where the sender is verified; null for the pool's region
    - identity_arn: SES identity of the sender, in another region or account; null for one of this account in region.
      docs/welcome-email.md has the policy that an identity of another account needs
    - app_client_ids: send only to users who signed up through these app clients; empty for all users. A filter, not a
      boundary: the sign-up's event names the client, and CLIENT_ID_NOT_APPLICABLE after AdminConfirmSignUp
    - verified_only: send only to addresses that Cognito has verified. With false, a stranger can have an email sent by your
      sender to an address and with a username that the stranger chose
    - on_first_sign_in: send also to users that an administrator created, when they have set a password at their first
      sign-in. Needs track_changes. For app_client_ids the app client is CLIENT_ID_NOT_APPLICABLE
  EOT
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
    # Of a sender with a name, the address is what remains: welcome_email.py reads it likewise.
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
      # Another domain in IDNA 2003 than in IDNA 2008: domain_names.py sends to none of them.
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
    error_message = "welcome_email.translations has the keys ${jsonencode(keys(try(var.welcome_email.translations, {})))}: upper and lower case make no other language, so each must occur once."
  }

  validation {
    condition = alltrue([
      for templates in values(try(var.welcome_email.translations, {})) :
      can(regex("^[^\\x00-\\x1f]+$", templates.subject)) && try(coalesce(templates.text, templates.text_file), "") != "" && try(coalesce(templates.html, templates.html_file), "") != ""
    ])
    error_message = "welcome_email.translations has an empty part, or a subject of more than one line: ${jsonencode({ for tag, templates in try(var.welcome_email.translations, {}) : tag => templates.subject })}. Each translation needs a subject of one line, without control characters, text or text_file, and html or html_file."
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
    # The sender ends with the identity: an address after <, which begins every sender here, a domain after @ or a dot.
    # A malformed ARN has the message above. Terraform cannot compute Punycode: international labels count as equal.
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

variable "attach_trigger" {
  type        = bool
  description = "Whether to attach the post-confirmation trigger to the pool. false where the pool's own configuration names post_confirmation_function_arn (examples/owned_pool)."
  default     = true
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "ARN of the post-confirmation function that the pool has already: it is called after this module's own, and put back on destroy. null where the pool has none. Must be known at plan."
  default     = null

  validation {
    condition     = var.chained_function_arn == null || can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?$", var.chained_function_arn))
    error_message = "chained_function_arn is \"${try(coalesce(var.chained_function_arn), "")}\": it must be the ARN of a Lambda function, with or without an alias or version, like arn:aws:lambda:eu-west-1:123456789012:function:name, or null."
  }
}

variable "sms_role_arn" {
  type        = string
  description = "ARN of the role with which the pool sends SMS: the function that attaches the trigger may then pass no other role to Cognito. null lets it pass any role of the account, and is right also where the pool has none."
  default     = null

  validation {
    condition     = var.sms_role_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.sms_role_arn))
    error_message = "sms_role_arn is \"${try(coalesce(var.sms_role_arn), "")}\": it must be the ARN of an IAM role, like arn:aws:iam::123456789012:role/service-role/name, or null."
  }
}

variable "table" {
  description = <<-EOT
    The user table: one that this module makes, or an existing one. docs/existing-table.md has both, with examples.
    - name: an existing table to use; null makes one
    - partition_key: its name, and its value for a user: text with {sub} exactly once, and with {user_pool_id}, if needed.
      An existing table must have this key, of type S
    - sort_key: its name, and its value for a user: text, with {sub} and {user_pool_id}, if needed. null for a table
      without one
    - attribute_prefix: what the names of all attributes begin with that this module writes, besides the keys, the TTL
      attribute, and those in attribute_names and extra_attributes. null is "" in a table that this module makes. An
      existing table needs a value: "" means that this module overwrites values that are under its names already
    - attribute_names: whole names of single attributes, by what this module writes: a synced attribute, username, status,
      enabled, cognito_created_at, cognito_modified_at, observed_at, synced_at, deleted_at, shard, user_pool_id or
      synced_attributes
    - extra_attributes: further attributes, by name: text with {sub}, {username} and synced attributes, like {email},
      {email|lower} or {email|upper}. An item has none of which a value is missing
    - ttl_attribute: the TTL attribute of the table. It is set only on items of deleted users
    - billing_mode: PAY_PER_REQUEST or PROVISIONED. This key and all that follow are for a table that this module makes
    - read_capacity, write_capacity: capacity units of the table, and of each of its indexes, with PROVISIONED. This module
      sets up no auto scaling
    - deletion_protection: whether the table refuses to be deleted, by terraform destroy too. Replicas have none
    - point_in_time_recovery: continuous backups
    - stream_view_type: NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES or KEYS_ONLY for a stream; null for none
    - email_index: an index by_email, to find a user by the email address in lower case, which is then in the attribute
      `<attribute_prefix>email_lower` (items without an address are not in it)
    - replica_regions: regions with a replica of the table (a global table). Needs PAY_PER_REQUEST and NEW_AND_OLD_IMAGES,
      and a multi-Region key with a replica key in each of these regions, if kms_key_arn is set
  EOT
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
    # The other placeholder could be anywhere.
    condition     = can(regex("^[^{}]*\\{sub\\}[^{}]*$", replace(var.table.partition_key.value, "{user_pool_id}", "_"))) && length(var.table.partition_key.value) <= 255
    error_message = "table.partition_key.value is \"${var.table.partition_key.value}\": it must be text of at most 255 characters with {sub} exactly once and without other braces than those of {user_pool_id}, like {sub} or USER#{sub}."
  }

  validation {
    condition     = var.table.sort_key == null || try(can(regex("^([^{}]|\\{(sub|user_pool_id)\\})+$", var.table.sort_key.value)) && length(var.table.sort_key.value) <= 255, false)
    error_message = "table.sort_key.value is \"${try(coalesce(var.table.sort_key.value), "")}\": it must be text of 1 to 255 characters without other braces than those of {sub} and {user_pool_id}, like PROFILE or USER#{sub}."
  }

  validation {
    condition     = var.table.name == null || var.table.attribute_prefix != null
    error_message = "table.name is \"${try(coalesce(var.table.name), "")}\", but table.attribute_prefix is null: for an existing table, it must be set, for example to \"cognito_\", or to \"\" to overwrite values that are under its names already, such as email, username or status."
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
    error_message = "table.extra_attributes are ${jsonencode(var.table.extra_attributes)}: each must be text, in which each name in braces stands alone, or with |lower or |upper, like EMAIL#{email|lower}."
  }

  validation {
    condition = alltrue([
      for name in flatten([for template in values(var.table.extra_attributes) : try(regexall("\\{([^{}|]+)", template), [])]) :
      contains(concat(["sub", "username"], var.attributes), name)
    ])
    error_message = "table.extra_attributes are ${jsonencode(var.table.extra_attributes)}: the names in braces must be sub, username or one of attributes, which are ${jsonencode(var.attributes)}."
  }

  validation {
    # One expression names all of them, and DynamoDB takes 300 operators and 4 KB:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
    condition     = length(var.attributes) + length(var.table.extra_attributes) <= 100
    error_message = "attributes and table.extra_attributes are ${length(var.attributes)} and ${length(var.table.extra_attributes)}: they must be at most 100 together."
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
    error_message = "table.read_capacity is ${try(tostring(coalesce(var.table.read_capacity)), "null")}, table.write_capacity is ${try(tostring(coalesce(var.table.write_capacity)), "null")} and table.billing_mode is ${var.table.billing_mode}: with PROVISIONED, both must be whole numbers of at least 1, and with PAY_PER_REQUEST both must be null."
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
    error_message = "table.email_index is true, but table.name is \"${try(coalesce(var.table.name), "")}\": it must be false for an existing table, whose indexes this module does not change."
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
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}: the pool's region must not be among them, since the table itself is in it."
  }

  validation {
    condition     = length(var.table.replica_regions) == 0 || var.table.name == null
    error_message = "table.replica_regions are ${jsonencode(var.table.replica_regions)}, but table.name is \"${try(coalesce(var.table.name), "")}\": they must be [] for an existing table, which this module does not change."
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

variable "deleted_users" {
  description = <<-EOT
    What happens to the item of a user who was deleted from the pool.
    - action: mark sets deleted_at, and keeps everything else. delete removes all that this module has written, and leaves
      the key, user_pool_id and deleted_at; an application's attributes stay. delete_item replaces the whole item, with an
      application's attributes, by these three, which expire after a day. keep does nothing
    - retention_days: a marked item expires after so many days, with all its attributes. null: after 30 days in a table
      that this module makes, so that it keeps personal data of deleted users for a limited time; never in an existing
      table, where an application's attributes in the item would expire, too. 36500, a hundred years, is the maximum
  EOT
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
    condition = (
      coalesce(var.deleted_users.retention_days, 1) >= 1 && coalesce(var.deleted_users.retention_days, 1) <= 36500
      && floor(coalesce(var.deleted_users.retention_days, 1)) == coalesce(var.deleted_users.retention_days, 1)
    )
    error_message = "deleted_users.retention_days is ${coalesce(var.deleted_users.retention_days, 1)}: it must be a whole number from 1 to 36500, or null."
  }

  validation {
    condition     = var.deleted_users.action == "mark" || var.deleted_users.retention_days == null
    error_message = "deleted_users.retention_days is ${coalesce(var.deleted_users.retention_days, 1)}, but deleted_users.action is ${var.deleted_users.action}: it must be null, or action must be mark, since only marked items expire."
  }
}

variable "track_changes" {
  type        = bool
  description = "Whether users are synced when they change or leave, by CloudTrail's events. Needs a CloudTrail trail that logs management events in the pool's region; without one no event ever comes. Reconciliation has all changes, later."
  default     = false
  nullable    = false
}

variable "reconciliation" {
  description = <<-EOT
    The reconciliation of the table with the whole pool.
    - enabled: whether there is one
    - schedule: when it runs, as EventBridge Scheduler's cron(...) or rate(...), in UTC; none for on demand alone
    - run_on_apply: which run an apply starts, at first and when attributes or the table's settings change: sync writes the
      users who are in the pool already; dry_run only counts what it would write and delete; none starts no run, and
      scheduled runs write. null is sync for a table that this module makes, and dry_run for an existing one. While it is
      dry_run, scheduled runs are dry runs, too
    - list_users_per_second: ListUsers requests a second. Cognito allows 30 for all of the account and region together
    - max_concurrency: workers at once; one alone reaches about 16 requests a second
    - max_delete_percent: no run deletes more than this of a shard (or 20 users, if that is more). If more are missing, it deletes none of that shard and
      reports their number
    - overdue_hours: an alarm when no run has succeeded for so long, which must be longer than from run to run; 0 for none
  EOT
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
    error_message = "reconciliation.schedule is \"${var.reconciliation.schedule}\": it must be rate(...), like rate(12 hours), or none, or cron(...) with six fields, like cron(15 3 * * ? *): minutes, hours, day of the month, month, day of the week and year, where one of the two days must be ?."
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
    # An alarm looks back seven days: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    condition     = var.reconciliation.overdue_hours >= 0 && var.reconciliation.overdue_hours <= 168 && floor(var.reconciliation.overdue_hours) == var.reconciliation.overdue_hours
    error_message = "reconciliation.overdue_hours is ${var.reconciliation.overdue_hours}: it must be a whole number from 1 to 168, or 0 for no alarm."
  }
}

variable "alarm_topic_arns" {
  type        = set(string)
  description = "SNS topics that are told of alarms, and of the end of those whose end says that all is well. The alarms are there without any. docs/operations.md says which ones cannot wait."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_topic_arns are ${jsonencode(var.alarm_topic_arns)}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "alarm_warn_topic_arns" {
  type        = set(string)
  description = "SNS topics of the alarms that can wait until the morning, so that alarm_topic_arns is only told of those that cannot; null for alarm_topic_arns."
  default     = null

  validation {
    condition     = alltrue([for arn in coalesce(var.alarm_warn_topic_arns, []) : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_warn_topic_arns are ${jsonencode(var.alarm_warn_topic_arns)}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "runbook_url" {
  type        = string
  description = "Address of the page docs/operations.md, of the version that is deployed. Each alarm's description ends with it and the section of the alarm."
  default     = "docs/operations.md"
  nullable    = false

  validation {
    # An alarm's description has 1,024 characters.
    condition     = can(regex("^[^ #]{1,200}$", var.runbook_url))
    error_message = "runbook_url is \"${var.runbook_url}\": it must be an address of 1 to 200 characters without spaces and #, like https://wiki.example.com/cognito-user-sync."
  }
}

variable "alarms" {
  description = <<-EOT
    Changes of single alarms. Each key is what an alarm's name ends with, for example trigger-duration = { threshold = 3000 }
    or reconciliation-failed = { enabled = false }. docs/operations.md lists the alarms and their defaults. A key of a
    feature that is off has no effect. reconciliation.overdue_hours sets when reconciliation-overdue fires.
    - enabled: whether the alarm exists
    - threshold: the alarm fires above this value, in the unit of its metric (trigger-duration: milliseconds;
      ses-bounce-rate and ses-complaint-rate: a fraction, like 0.05)
    - period_seconds: length of one period, a multiple of 60
    - evaluation_periods: periods that the alarm looks at
    - datapoints_to_alarm: how many of them are above the threshold when it fires; all of them if evaluation_periods is set alone
    - topic_arns: SNS topics of this alarm, instead of alarm_topic_arns and alarm_warn_topic_arns; [] for none
  EOT
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
    condition = length(setsubtract(
      keys(var.alarms),
      [
        "trigger-errors", "trigger-throttles", "trigger-duration", "trigger-missing", "sign-ups-lost",
        "user-sync-failed", "user-sync-timed-out", "sync-user-failing", "send-welcome-failing",
        "retry-age", "retry-dead-letter",
        "changes-age", "changes-undelivered", "changes-lost", "changes-dead-letter",
        "reconciliation-failed", "reconciliation-timed-out", "reconciliation-overdue",
        "ses-bounce-rate", "ses-complaint-rate",
      ]
    )) == 0
    error_message = "alarms has the keys ${jsonencode(keys(var.alarms))}: each must be trigger-errors, trigger-throttles, trigger-duration, trigger-missing, sign-ups-lost, user-sync-failed, user-sync-timed-out, sync-user-failing, send-welcome-failing, retry-age, retry-dead-letter, changes-age, changes-undelivered, changes-lost, changes-dead-letter, reconciliation-failed, reconciliation-timed-out, reconciliation-overdue, ses-bounce-rate or ses-complaint-rate."
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
    # The same page of AWS. The defaults are those of modules/monitoring.
    condition = alltrue([
      for name, alarm in var.alarms :
      coalesce(alarm.period_seconds, startswith(name, "ses-") ? 3600 : name == "trigger-missing" ? 1800 : endswith(name, "-failing") ? 600 : 60) * coalesce(alarm.evaluation_periods, name == "retry-age" ? 15 : name == "changes-age" ? 30 : contains(["trigger-throttles", "trigger-duration"], name) ? 3 : endswith(name, "-failing") ? 2 : 1)
      <= (coalesce(alarm.period_seconds, startswith(name, "ses-") ? 3600 : name == "trigger-missing" ? 1800 : endswith(name, "-failing") ? 600 : 60) < 3600 ? 86400 : 604800) if alarm != null
    ])
    error_message = "alarms evaluates ${jsonencode({
      for name, alarm in var.alarms : name =>
      coalesce(alarm.period_seconds, startswith(name, "ses-") ? 3600 : name == "trigger-missing" ? 1800 : endswith(name, "-failing") ? 600 : 60) * coalesce(alarm.evaluation_periods, name == "retry-age" ? 15 : name == "changes-age" ? 30 : contains(["trigger-throttles", "trigger-duration"], name) ? 3 : endswith(name, "-failing") ? 2 : 1) if alarm != null
    })} seconds (period_seconds times evaluation_periods): each must be at most 86400 (one day), or 604800 (seven days) if period_seconds is at least 3600."
  }

  validation {
    # AWS rejects more than there are.
    condition = alltrue([
      for name, alarm in var.alarms :
      alarm.datapoints_to_alarm >= 1 && alarm.datapoints_to_alarm % 1 == 0
      && alarm.datapoints_to_alarm <= coalesce(alarm.evaluation_periods, name == "retry-age" ? 15 : name == "changes-age" ? 30 : contains(["trigger-throttles", "trigger-duration"], name) ? 3 : endswith(name, "-failing") ? 2 : 1)
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
    error_message = "alarms changes threshold, period_seconds, evaluation_periods or datapoints_to_alarm of reconciliation-overdue: it must have none of them, since reconciliation.overdue_hours sets when it fires."
  }

  validation {
    condition = alltrue([
      for arn in flatten([for alarm in var.alarms : coalesce(alarm.topic_arns, []) if alarm != null]) :
      can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))
    ])
    error_message = "alarms has topic_arns ${jsonencode({ for name, alarm in var.alarms : name => alarm.topic_arns if alarm == null ? false : alarm.topic_arns != null })}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "Customer managed KMS key that encrypts table, queues, logs, state machines and the functions' environment; null for AWS owned keys. When you change it, add the previous key to previous_kms_key_arns."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${try(coalesce(var.kms_key_arn), "")}\": it must be the ARN of a KMS key and not of an alias, like arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9, or null."
  }
}

variable "previous_kms_key_arns" {
  type        = list(string)
  description = "Keys that kms_key_arn named before. Messages in the queues and running executions are still encrypted with them, so the roles may still use them. Remove a key 14 days after the apply that changed kms_key_arn."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.previous_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "previous_kms_key_arns are ${jsonencode(var.previous_kms_key_arns)}: each must be the ARN of a KMS key and not of an alias, like arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days that the logs are kept."
  default     = 30
  nullable    = false

  validation {
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days is ${var.log_retention_days}: it must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "log_group_class" {
  type        = string
  description = "Class of the log groups: STANDARD, or INFREQUENT_ACCESS at half the price of ingestion, which the command line and `aws logs tail` cannot read. A change replaces the log groups."
  default     = "STANDARD"
  nullable    = false

  validation {
    condition     = contains(["STANDARD", "INFREQUENT_ACCESS"], var.log_group_class)
    error_message = "log_group_class is \"${var.log_group_class}\": it must be STANDARD or INFREQUENT_ACCESS."
  }
}

variable "role_path" {
  type        = string
  description = "IAM path of every role, for accounts whose policies demand one. It cannot change on an existing deployment."
  default     = "/"
  nullable    = false

  validation {
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    condition     = can(regex("^/([\\x21-\\x7e]+/)?$", var.role_path)) && length(var.role_path) <= 512
    error_message = "role_path is \"${var.role_path}\": it must begin and end with a slash, like /service/, and have at most 512 characters without spaces."
  }
}

variable "permissions_boundary_arn" {
  type        = string
  description = "IAM policy that bounds every role made here; null for none."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is \"${try(coalesce(var.permissions_boundary_arn), "")}\": it must be the ARN of an IAM policy, like arn:aws:iam::123456789012:policy/name, or null."
  }
}

variable "lambda" {
  description = <<-EOT
    The Lambda functions.
    - runtime: python3.11 or later; the code is tested with python3.13
    - memory_mb: memory of each, and with it CPU. At least 256, so that the trigger answers within the 5 s that
      Cognito waits
    - architecture: arm64 or x86_64
    - code_bucket: an existing S3 bucket in the pool's region that takes the packages. A saved plan can then be applied on
      any machine. null uploads them to Lambda itself
    - vpc_config: subnets and security groups of the functions, which must reach the AWS APIs that they call through a NAT
      gateway or VPC endpoints; null for no VPC
    - trigger_reserved_concurrency: invocations at once that are set aside for the post-confirmation trigger; null for none
  EOT
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
    error_message = "lambda.runtime is \"${var.lambda.runtime}\": it must be python3.11 or a later Python of Lambda, like python3.13."
  }

  validation {
    condition     = var.lambda.code_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.lambda.code_bucket))
    error_message = "lambda.code_bucket is \"${try(coalesce(var.lambda.code_bucket), "")}\": it must be the name of an S3 bucket, 3 to 63 lower-case letters, digits, dots or hyphens, or null."
  }

  validation {
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
    condition     = var.lambda.code_bucket == null || length(var.tags) <= 10
    error_message = "lambda.code_bucket is \"${try(coalesce(var.lambda.code_bucket), "")}\", but there are ${length(var.tags)} tags: there must be at most 10, since an S3 object takes no more."
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
    condition     = coalesce(var.lambda.trigger_reserved_concurrency, 1) >= 1 && floor(coalesce(var.lambda.trigger_reserved_concurrency, 1)) == coalesce(var.lambda.trigger_reserved_concurrency, 1)
    error_message = "lambda.trigger_reserved_concurrency is ${coalesce(var.lambda.trigger_reserved_concurrency, 1)}: it must be a whole number of at least 1 (0 would stop every sign-up), or null."
  }
}

variable "tracing" {
  type        = bool
  description = "Whether functions and state machine write X-Ray traces."
  default     = false
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource that takes tags."
  default     = {}
  nullable    = false
}
