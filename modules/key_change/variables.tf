variable "deployment" {
  type        = string
  description = "Prefix of the deployment. It depends on the deployment's log group, so that a clash of names fails first."
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "Variable `kms_key_arn` of the root module."
  default     = null
}

variable "previous_kms_key_arns" {
  type        = list(string)
  description = "Variable `previous_kms_key_arns` of the root module."
  nullable    = false
}
