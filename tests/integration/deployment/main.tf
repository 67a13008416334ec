# Configuration that calls the module, for the integration tests.

variable "user_pool_id" {
  type = string
}

variable "stage" {
  type    = string
  default = "test"
}

variable "attach_trigger" {
  type    = bool
  default = true
}

variable "chained_function_arn" {
  type    = string
  default = null
}

variable "sms_role_arn" {
  type    = string
  default = null
}

variable "track_changes" {
  type    = bool
  default = false
}

variable "sync_groups" {
  type    = bool
  default = false
}

variable "user_events" {
  type    = any
  default = null
}

variable "reconciliation" {
  type    = any
  default = { enabled = false }
}

variable "deleted_users" {
  type    = any
  default = {}
}

variable "configuration_set" {
  type    = string
  default = null
}

variable "on_first_sign_in" {
  type    = bool
  default = false
}

variable "kms_key_arn" {
  type    = string
  default = null
}

variable "previous_kms_key_arns" {
  type    = list(string)
  default = []
}

variable "tracing" {
  type    = bool
  default = false
}

variable "role_path" {
  type    = string
  default = "/"
}

variable "functions" {
  type    = any
  default = {}
}

module "user_sync" {
  source = "../../.."

  user_pool_id = var.user_pool_id
  stage        = var.stage

  attach_trigger        = var.attach_trigger
  chained_function_arn  = var.chained_function_arn
  sms_role_arn          = var.sms_role_arn
  track_changes         = var.track_changes
  sync_groups           = var.sync_groups
  user_events           = var.user_events
  reconciliation        = var.reconciliation
  deleted_users         = var.deleted_users
  kms_key_arn           = var.kms_key_arn
  previous_kms_key_arns = var.previous_kms_key_arns
  tracing               = var.tracing
  role_path             = var.role_path
  lambda                = var.functions

  attributes = ["name", "email", "phone_number", "custom:plan"]

  welcome_email = {
    from = "Example <welcome@example.com>"
    html = "<p>Congratulations {{username}} ({{name}}, {{custom:plan}})</p>"

    configuration_set = var.configuration_set
    on_first_sign_in  = var.on_first_sign_in
  }

  table = {
    deletion_protection = false
    email_index         = true
    stream_view_type    = "NEW_AND_OLD_IMAGES"
  }
}

output "user_sync" {
  value = module.user_sync
}
