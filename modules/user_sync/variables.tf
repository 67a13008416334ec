variable "prefix" {
  type        = string
  description = "What the names of all resources begin with."
  nullable    = false
}

variable "user_pool" {
  description = "The existing user pool."
  type = object({
    id  = string
    arn = string
  })
  nullable = false
}

variable "attributes" {
  type        = list(string)
  description = "Cognito attributes to sync."
  nullable    = false
}

variable "table" {
  description = "The user table; index_keys are the attributes that are keys of an index."
  type = object({
    name       = string
    arn        = string
    index_keys = list(string)
  })
  nullable = false
}

variable "deleted_users" {
  description = "The root's variable `deleted_users`."
  type = object({
    action         = string
    retention_days = optional(number)
  })
  nullable = false
}

variable "welcome_email" {
  description = "The root's variable `welcome_email`, with the templates' content; null for no welcome."
  type = object({
    from              = string
    subject           = string
    text              = string
    html              = string
    reply_to          = optional(string)
    configuration_set = optional(string)
    app_client_ids    = set(string)
  })
  default = null
}

variable "settings" {
  description = "What all functions and state machines of a deployment share."
  type = object({
    memory_mb                = number
    architecture             = string
    kms_key_arn              = optional(string)
    log_retention_days       = number
    permissions_boundary_arn = optional(string)
    tracing                  = bool
    tags                     = map(string)
  })
  nullable = false
}
