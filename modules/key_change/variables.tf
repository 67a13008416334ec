variable "deployment" {
  type        = string
  description = "Name and stage of the deployment. It comes from the deployment's log group, so that a clash of names fails first."
  nullable    = false
}

variable "kms_key_arn" {
  type        = string
  description = "The root's variable `kms_key_arn`."
  default     = null
}

variable "previous_kms_key_arns" {
  type        = list(string)
  description = "The root's variable `previous_kms_key_arns`."
  nullable    = false
}
