variable "name" {
  type        = string
  description = "What the zip's file name begins with."
  nullable    = false
}

variable "directory" {
  type        = string
  description = "Folder of the machine that runs Terraform, for the zip."
  nullable    = false
}

variable "source_dir" {
  type        = string
  description = "Folder whose Python sources are packaged; null to package `file`."
  default     = null
}

variable "file" {
  type = object({
    name    = string
    content = string
  })
  description = "The one file to package, where source_dir is null."
  default     = null
}

variable "bucket" {
  type = object({
    name       = string
    key_prefix = string
  })
  description = "Existing S3 bucket that takes the zip; null to upload it to Lambda itself."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags of the S3 object."
  default     = {}
  nullable    = false
}
