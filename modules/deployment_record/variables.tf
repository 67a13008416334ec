variable "name" {
  type        = string
  description = "Name of the parameter."
  nullable    = false
}

variable "record" {
  description = "Content of the parameter: outputs of the root module by name, short names of the functions, and the version of the module. A standard parameter has at most 4 KB."
  type = object({
    version                          = string
    user_pool_id                     = string
    user_table_name                  = string
    user_sync_state_machine_arn      = string
    reconciliation_state_machine_arn = optional(string)
    reconciliation_schedule_arn      = optional(string)
    post_confirmation_function_arn   = string
    retry_queue_url                  = string
    changes_queue_url                = optional(string)
    user_pool_trigger = object({
      attached_function_arn = optional(string)
      chained_function_arn  = optional(string)
    })
    functions     = list(string)
    alarm_names   = list(string)
    dashboard_url = string
  })
  nullable = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of all resources."
  nullable    = false
}
