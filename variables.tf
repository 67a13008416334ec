variable "user_pool_id" {
  type        = string
  description = "ID of the existing user pool, for example eu-west-1_AbCdEfGhI. The pool must be in the provider's region."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+_[0-9A-Za-z]{1,45}$", var.user_pool_id))
    error_message = "user_pool_id is \"${var.user_pool_id}\": it must be a user pool ID, <region>_<1 to 45 letters or digits>, like eu-west-1_AbCdEfGhI."
  }
}

variable "stage" {
  type        = string
  description = "Name of the environment, for example dev, staging or production. Use a separate Terraform state for each environment."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$", var.stage))
    error_message = "stage is \"${var.stage}\": it must be 1 to 12 lowercase letters, digits or hyphens, start with a letter, and not end with a hyphen."
  }
}

variable "name" {
  type        = string
  description = "Prefix of all resource names, before the stage: `<name>-<stage>-...`"
  default     = "cognito-user-sync"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.name))
    error_message = "name is \"${var.name}\": it must be lowercase letters, digits or hyphens, start with a letter, and not end with a hyphen."
  }

  validation {
    # A role name has at most 64 characters: <name>-<stage>, the region (ap-southeast-1 is the longest), the suffix
    # (post-confirmation is the longest) and two hyphens.
    condition     = length("${var.name}-${var.stage}") <= 31
    error_message = "<name>-<stage> is \"${var.name}-${var.stage}\", which has ${length("${var.name}-${var.stage}")} characters: it must have at most 31, because role names start with it and have at most 64."
  }
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to sync, under their Cognito names: standard attributes and custom:... attributes."
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
    error_message = "attributes are ${jsonencode(var.attributes)}: each must be a standard Cognito attribute, like email or given_name, or custom:<name>, with a name of 1 to 20 characters without spaces. sub is always synced, as the table's key."
  }

  validation {
    condition     = length(distinct(var.attributes)) == length(var.attributes) && length(var.attributes) <= 70
    error_message = "attributes are ${jsonencode(var.attributes)}: each must occur once, and there must be at most 70."
  }
}

variable "welcome_email" {
  description = <<-EOT
    Welcome email for each new user; null to send none. subject, text and html can contain the placeholders
    {{display_name}}, {{username}}, {{name}} and each synced attribute, such as {{email}} or {{custom:plan}}. {{name|there}}
    has a fallback for an empty value. docs/welcome-email.md has examples.
    - from: sender, which must be verified in SES: `address@example.com`, `Name <address@example.com>` or
      `"Name" <address@example.com>`. The name and the domain can contain characters of any script
    - subject: one line
    - text, html: content of the templates; null for the templates in emails/
    - text_file, html_file: files with the content, instead of text and html. Paths are relative to the root module
    - translations: subject, text or text_file, and html or html_file, by language tag, such as de or pt-BR. Users whose
      locale attribute has that language get the translation. All other users get subject, text and html
    - reply_to: address for replies, in one of the forms of from
    - configuration_set: name of an SES configuration set
    - region: region of SES in which the sender is verified; null for the pool's region
    - identity_arn: ARN of the sender's SES identity, if it is in another region or account; null for an identity of this
      account in region. docs/welcome-email.md has the policy that an identity of another account needs
    - app_client_ids: IDs of app clients: only users who signed up with one of them get the email; empty for all users. This
      is a filter and not a security boundary: the event of the sign-up names the client. After AdminConfirmSignUp, the
      client is CLIENT_ID_NOT_APPLICABLE
    - verified_only: send only to addresses that Cognito has verified. With false, anyone can trigger an email from your
      sender to any address, with any text as the username
    - on_first_sign_in: send also to users that an administrator created, after they set a password at their first sign-in.
      Requires track_changes. For app_client_ids, the app client is CLIENT_ID_NOT_APPLICABLE
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

variable "attach_trigger" {
  type        = bool
  description = "Attach the post-confirmation trigger to the pool. Set it to false if the pool's own configuration names post_confirmation_function_arn (examples/owned_pool)."
  default     = true
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "ARN of the pool's existing post-confirmation function; null if the pool has none. It is invoked after this module's function, and restored on destroy. It must be known at plan."
  default     = null

  validation {
    condition     = var.chained_function_arn == null || can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?$", var.chained_function_arn))
    error_message = "chained_function_arn is \"${try(coalesce(var.chained_function_arn), "")}\": it must be the ARN of a Lambda function, with or without an alias or version, like arn:aws:lambda:eu-west-1:123456789012:function:name, or null."
  }
}

variable "sms_role_arn" {
  type        = string
  description = "ARN of the role with which the pool sends SMS. The function that attaches the trigger can then pass only this role to Cognito. null allows it to pass any role of the account; use null also if the pool has no such role."
  default     = null

  validation {
    condition     = var.sms_role_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.sms_role_arn))
    error_message = "sms_role_arn is \"${try(coalesce(var.sms_role_arn), "")}\": it must be the ARN of an IAM role, like arn:aws:iam::123456789012:role/service-role/name, or null."
  }
}

variable "table" {
  description = <<-EOT
    User table: a new one, or an existing one. docs/existing-table.md and docs/table.md have examples.
    - name: name of an existing table; null to create a table
    - partition_key: name of the partition key, and its value for a user. The value is text with {sub} exactly once, and
      optionally {user_pool_id}. An existing table must have this key, of type S
    - sort_key: name of the sort key, and its value for a user: text, optionally with {sub} and {user_pool_id}. null for a
      table without a sort key
    - attribute_prefix: prefix of the names of all attributes that this module writes, except the keys, the TTL attribute,
      attribute_names and extra_attributes. null is "" in a table that this module creates. For an existing table, a value is
      required: with "", this module overwrites existing values under its attribute names
    - attribute_names: full names of single attributes, by attribute: a synced attribute, username, status, enabled,
      cognito_created_at, cognito_modified_at, observed_at, synced_at, deleted_at, shard, user_pool_id or
      synced_attributes
    - extra_attributes: additional attributes, by name. Each value is text with {sub}, {username} and synced attributes, like
      {email}, {email|lower} or {email|upper}. An item does not have the attribute if the user lacks one of these values
    - ttl_attribute: TTL attribute of the table. Only items of deleted users have it
    - billing_mode: PAY_PER_REQUEST or PROVISIONED. This key and all following keys apply only to a table that this module
      creates
    - read_capacity, write_capacity: capacity units of the table and of each index, with PROVISIONED. This module does not
      configure auto scaling
    - deletion_protection: deletion protection, which also makes terraform destroy keep the table. Replicas do not have it
    - point_in_time_recovery: continuous backups
    - stream_view_type: NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES or KEYS_ONLY for a stream; null for no stream
    - email_index: index by_email, which finds a user by the email address in lowercase. The address is in the attribute
      `<attribute_prefix>email_lower`. Items without an email address are not in the index
    - replica_regions: regions with a replica of the table (global table). Requires PAY_PER_REQUEST and NEW_AND_OLD_IMAGES.
      If kms_key_arn is set, it must be a multi-Region key with a replica key in each of these regions
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

variable "deleted_users" {
  description = <<-EOT
    How to handle items of users deleted from the pool.
    - action: mark sets deleted_at, status DELETED and enabled false, removes the keys of this module's indexes, and keeps all
      other attributes. delete removes all attributes that this module wrote, except the key, user_pool_id and deleted_at;
      attributes of your application remain. delete_item replaces the whole item, including attributes of your application,
      with the key, user_pool_id, deleted_at, synced_attributes and the TTL attribute, which expires it after a day. keep
      does nothing
    - retention_days: number of days after which a marked item expires, with all its attributes; at most 36500. null is 30
      days in a table that this module creates, so that personal data of deleted users is kept for a limited time. In an
      existing table, null means never, because attributes of your application in the item would expire, too
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

variable "track_changes" {
  type        = bool
  description = "Sync changed and deleted users within minutes, from CloudTrail events. Requires a CloudTrail trail that logs management events in the pool's region; without it, there are no events. Reconciliation syncs all changes later."
  default     = false
  nullable    = false
}

variable "reconciliation" {
  description = <<-EOT
    Reconciliation, which compares the whole pool with the table.
    - enabled: create the reconciliation
    - schedule: EventBridge Scheduler expression, cron(...) or rate(...), in UTC; none to run on demand only
    - run_on_apply: run that an apply starts, the first time and when attributes or settings of the table change. sync writes
      all users. dry_run only counts what it would write and delete, and scheduled runs are dry runs, too. none starts no
      run, and scheduled runs write. null is sync for a table that this module creates, and dry_run for an existing table
    - list_users_per_second: ListUsers requests per second. Cognito allows 30 for the account and region
    - max_concurrency: number of concurrent workers. One worker reaches about 16 requests per second
    - max_delete_percent: maximum share of a shard's items that one run deletes, in percent. The limit is never below 20
      users. If a shard is over the limit, the run deletes none of its users, and reports their number
    - overdue_hours: hours without a successful run after which the alarm reconciliation-overdue fires; 0 for no alarm. It
      must be longer than the time between two scheduled runs
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

variable "alarm_topic_arns" {
  type        = set(string)
  description = "ARNs of SNS topics for ALARM notifications, and for OK notifications of alarms whose OK means that the problem is over. The alarms exist also without topics. docs/operations.md lists the alarms that need action immediately."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_topic_arns : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_topic_arns are ${jsonencode(var.alarm_topic_arns)}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "alarm_warn_topic_arns" {
  type        = set(string)
  description = "ARNs of SNS topics for alarms that can wait until the next working day; alarm_topic_arns then gets only the others. null to send all alarms to alarm_topic_arns."
  default     = null

  validation {
    condition     = alltrue([for arn in coalesce(var.alarm_warn_topic_arns, []) : can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", arn))])
    error_message = "alarm_warn_topic_arns are ${jsonencode(var.alarm_warn_topic_arns)}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name."
  }
}

variable "runbook_url" {
  type        = string
  description = "URL of docs/operations.md in the deployed version. The description of each alarm ends with this URL and the section of the alarm."
  default     = "docs/operations.md"
  nullable    = false

  validation {
    # An alarm description has at most 1,024 characters.
    condition     = can(regex("^[^ #]{1,200}$", var.runbook_url))
    error_message = "runbook_url is \"${var.runbook_url}\": it must be a URL or path of 1 to 200 characters without spaces and #, like https://wiki.example.com/cognito-user-sync."
  }
}

variable "alarms" {
  description = <<-EOT
    Settings of single alarms, by alarm name without `<name>-<stage>-`, for example trigger-duration = { threshold = 3000 } or
    reconciliation-failed = { enabled = false }. docs/operations.md lists the alarms and their defaults. An alarm of a
    disabled feature has no effect. reconciliation.overdue_hours sets when reconciliation-overdue fires.
    - enabled: create the alarm
    - threshold: value above which the alarm fires, in the unit of its metric: milliseconds for trigger-duration, a fraction
      like 0.05 for ses-bounce-rate and ses-complaint-rate
    - period_seconds: length of a period, a multiple of 60
    - evaluation_periods: number of periods to evaluate
    - datapoints_to_alarm: number of periods above the threshold that make the alarm fire; if only evaluation_periods is set,
      all of them
    - topic_arns: ARNs of SNS topics for this alarm, instead of alarm_topic_arns and alarm_warn_topic_arns; [] for none
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

variable "kms_key_arn" {
  type        = string
  description = "ARN of a customer managed KMS key that encrypts the table, queues, logs, state machines and environment variables; null to use AWS owned keys. If you change it, add the previous key to previous_kms_key_arns."
  default     = null

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn is \"${try(coalesce(var.kms_key_arn), "")}\": it must be the ARN of a KMS key and not of an alias, like arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9, or null."
  }
}

variable "previous_kms_key_arns" {
  type        = list(string)
  description = "ARNs of previous values of kms_key_arn. Messages in the queues and running executions are still encrypted with these keys, so the roles keep the permission to use them. Remove a key 14 days after the apply that changed kms_key_arn."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.previous_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "previous_kms_key_arns are ${jsonencode(var.previous_kms_key_arns)}: each must be the ARN of a KMS key and not of an alias, like arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Retention of the logs in days."
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
  description = "Class of the log groups: STANDARD or INFREQUENT_ACCESS. INFREQUENT_ACCESS halves the price of ingestion, but the command line and `aws logs tail` cannot read it. A change replaces the log groups."
  default     = "STANDARD"
  nullable    = false

  validation {
    condition     = contains(["STANDARD", "INFREQUENT_ACCESS"], var.log_group_class)
    error_message = "log_group_class is \"${var.log_group_class}\": it must be STANDARD or INFREQUENT_ACCESS."
  }
}

variable "role_path" {
  type        = string
  description = "IAM path of all roles, for accounts whose policies require one. It cannot be changed after the first apply."
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
  description = "ARN of the IAM policy that is the permissions boundary of all roles; null for none."
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is \"${try(coalesce(var.permissions_boundary_arn), "")}\": it must be the ARN of an IAM policy, like arn:aws:iam::123456789012:policy/name, or null."
  }
}

variable "lambda" {
  description = <<-EOT
    Settings of the Lambda functions.
    - runtime: python3.11 or later; the code is tested with python3.13
    - memory_mb: memory of each function in MB, which also determines its CPU. At least 256, so that the trigger answers
      within the 5 s that Cognito waits
    - architecture: arm64 or x86_64
    - code_bucket: name of an existing S3 bucket in the pool's region, to which the packages are uploaded. A saved plan can
      then be applied on any machine. null to upload the packages directly to Lambda
    - vpc_config: subnets and security groups of the functions. The functions must reach the AWS APIs through a NAT gateway
      or VPC endpoints. null for no VPC
    - trigger_reserved_concurrency: reserved concurrent executions of the post-confirmation trigger; null for none
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

variable "tracing" {
  type        = bool
  description = "Enable X-Ray tracing of the functions and state machines."
  default     = false
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources that support tags."
  default     = {}
  nullable    = false
}
