variable "user_pool" {
  description = "The existing user pool, as it was found before this apply."
  type = object({
    id  = string
    arn = string
    lambda_config = list(object({
      post_confirmation = string
      kms_key_id        = string
    }))
  })
  nullable = false
}

variable "function_arn" {
  type        = string
  description = "The post-confirmation trigger to attach."
  nullable    = false
}

variable "function_arn_by_name" {
  type        = string
  description = "The same ARN, built from names, and so known to a plan that is to make or replace the function."
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "The post-confirmation function that the pool may have, and gets back on destroy; null for none."
  default     = null
}

variable "sms_role_arn" {
  type        = string
  description = "The pool's SMS role; null for any role of the account."
  default     = null
}

variable "attach_after" {
  type        = list(string)
  description = "Ids of what a sign-up needs: made before the trigger is attached, and kept until it is detached."
  nullable    = false
}

variable "settings" {
  description = "What all functions and state machines of a deployment share."
  type = object({
    prefix     = string
    partition  = string
    region     = string
    account_id = string
    dns_suffix = string
    package = object({
      filename         = optional(string)
      s3_bucket        = optional(string)
      s3_key           = optional(string)
      source_code_hash = string
    })
    runtime      = string
    memory_mb    = number
    architecture = string
    vpc_config = optional(object({
      subnet_ids         = set(string)
      security_group_ids = set(string)
    }))
    kms_key_arn              = optional(string)
    log_group_class          = string
    previous_kms_key_arns    = list(string)
    log_retention_days       = number
    role_path                = string
    permissions_boundary_arn = optional(string)
    tracing                  = bool
    tags                     = map(string)
  })
  nullable = false
}
