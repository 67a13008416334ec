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
  type        = any
  description = <<-EOT
    Welcome email for each new user; null to send none. subject, text and html can contain the placeholders
    {{display_name}}, {{username}}, {{name}} and each synced attribute, such as {{email}} or {{custom:plan}}. {{name|there}}
    has a fallback for an empty value. docs/welcome-email.md has examples.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_welcome_email):
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
  default     = null
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
  type        = any
  description = <<-EOT
    User table: a new one, or an existing one. docs/existing-table.md and docs/table.md have examples.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_table):
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
      synced_attributes, and with sync_groups groups and groups_observed_at
    - extra_attributes: additional attributes, by name. Each value is text with {sub}, {username} and synced attributes, like
      {email}, {email|lower} or {email|upper}. An item does not have the attribute if the user lacks one of these values
    - ttl_attribute: TTL attribute of the table. Only items of deleted users have it
    - billing_mode: PAY_PER_REQUEST or PROVISIONED. This key and all following keys apply only to a table that this module
      creates
    - read_capacity, write_capacity: capacity units of the table and of each index, with PROVISIONED. This module does not
      configure auto scaling
    - deletion_protection: deletion protection, which also makes terraform destroy keep the table. Replicas do not have it
    - point_in_time_recovery: continuous backups
    - stream_view_type: NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES or KEYS_ONLY for a stream; null for no stream, or with
      user_events for NEW_AND_OLD_IMAGES
    - email_index: index by_email, which finds a user by the email address in lowercase. The address is in the attribute
      `<attribute_prefix>email_lower`. Items without an email address are not in the index
    - replica_regions: regions with a replica of the table (global table). Requires PAY_PER_REQUEST and NEW_AND_OLD_IMAGES.
      If kms_key_arn is set, it must be a multi-Region key with a replica key in each of these regions
  EOT
  default     = {}
  nullable    = false
}

variable "deleted_users" {
  type        = any
  description = <<-EOT
    How to handle items of users deleted from the pool.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_deleted_users):
    - action: mark sets deleted_at, status DELETED and enabled false, removes the keys of this module's indexes, and keeps all
      other attributes. delete removes all attributes that this module wrote, except the key, user_pool_id and deleted_at;
      attributes of your application remain. delete_item replaces the whole item, including attributes of your application,
      with the key, user_pool_id, deleted_at, synced_attributes and the TTL attribute, which expires it after a day. keep
      does nothing
    - retention_days: number of days after which a marked item expires, with all its attributes; at most 36500. null is 30
      days in a table that this module creates, so that personal data of deleted users is kept for a limited time. In an
      existing table, null means never, because attributes of your application in the item would expire, too
  EOT
  default     = {}
  nullable    = false
}

variable "track_changes" {
  type        = bool
  description = "Sync changed and deleted users within minutes, from CloudTrail events. Requires a CloudTrail trail that logs management events in the pool's region; without it, there are no events. Reconciliation syncs all changes later."
  default     = false
  nullable    = false
}

variable "sync_groups" {
  type        = bool
  description = "Sync the names of each user's groups to the attribute `groups`, a string set that is absent if the user has none: docs/groups.md."
  default     = false
  nullable    = false
}

variable "user_events" {
  type        = any
  description = <<-EOT
    Events about users on an EventBridge bus, for other services: User Created, User Updated and User Deleted, with the sub and
    the names of changed attributes, and without values; null for none. docs/user-events.md describes them.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_user_events):
    - event_bus_arn: ARN of the event bus, which must be in the pool's region. The policy of a bus of another account must
      allow events:PutEvents to this account
    - stream_arn: ARN of the stream of an existing table, which must have the view type NEW_AND_OLD_IMAGES. null for a table
      that this module creates: it gets this stream
  EOT
  default     = null
}

variable "reconciliation" {
  type        = any
  description = <<-EOT
    Reconciliation, which compares the whole pool with the table.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_reconciliation):
    - enabled: create the reconciliation
    - schedule: EventBridge Scheduler expression, cron(...) or rate(...), in UTC; none to run on demand only
    - run_on_apply: run that an apply starts, the first time and when attributes or settings of the table change. sync writes
      all users. dry_run only counts what it would change, and scheduled runs and those after a deleted group are dry runs,
      too. none starts no run, and these runs write. null is sync for a table that this module creates, and dry_run for an
      existing table
    - list_users_per_second: ListUsers requests per second. Cognito allows 30 for the account and region
    - max_concurrency: number of concurrent workers. One worker reaches about 16 requests per second
    - max_delete_percent: maximum share of a shard's items that one run marks or removes because their users were deleted,
      in percent. The limit is never below 20 items. If a shard is over the limit, the run changes none of these items, and
      reports their number
    - overdue_hours: hours without a successful run after which the alarm reconciliation-overdue fires; 0 for no alarm. It
      must be longer than the time between two scheduled runs
  EOT
  default     = {}
  nullable    = false
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
  type        = any
  description = <<-EOT
    Settings of single alarms, by alarm name without `<name>-<stage>-`, for example trigger-duration = { threshold = 3000 } or
    reconciliation-failed = { enabled = false }. docs/operations.md lists the alarms and their defaults. An alarm of a
    disabled feature has no effect. reconciliation.overdue_hours sets when reconciliation-overdue fires.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_alarms):
    - enabled: create the alarm
    - threshold: value above which the alarm fires, in the unit of its metric: milliseconds for trigger-duration and
      user-events-age, a fraction like 0.05 for ses-bounce-rate and ses-complaint-rate
    - period_seconds: length of a period, a multiple of 60
    - evaluation_periods: number of periods to evaluate
    - datapoints_to_alarm: number of periods above the threshold that make the alarm fire; if only evaluation_periods is set,
      all of them
    - topic_arns: ARNs of SNS topics for this alarm, instead of alarm_topic_arns and alarm_warn_topic_arns; [] for none
  EOT
  default     = {}
  nullable    = false
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
  type        = any
  description = <<-EOT
    Settings of the Lambda functions.
    The keys, whose types and defaults are in [modules/inputs](modules/inputs/README.md#input_lambda):
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
  default     = {}
  nullable    = false
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
