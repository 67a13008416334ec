variable "user_pool" {
  description = "Existing user pool, as it was before this apply."
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
  description = "ARN of the post-confirmation trigger."
  nullable    = false
}

variable "function_arn_by_name" {
  type        = string
  description = "The same ARN, built from names, so that a plan that creates or replaces the function knows it."
  nullable    = false
}

variable "chained_function_arn" {
  type        = string
  description = "ARN of the pool's existing post-confirmation function, which is restored on destroy; null for none."
  default     = null
}

variable "sms_role_arn" {
  type        = string
  description = "ARN of the pool's SMS role; null for any role of the account."
  default     = null
}

variable "attach_after" {
  type        = list(string)
  description = "IDs of the resources that a sign-up needs. They are created before the trigger is attached, and deleted after it is detached."
  nullable    = false
}

variable "settings" {
  description = "Settings that all functions and state machines of a deployment have in common."
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
