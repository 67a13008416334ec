variable "name" {
  type        = string
  description = "Prefix of the zip file's name."
  nullable    = false
}

variable "directory" {
  type        = string
  description = "Local folder for the zip file."
  nullable    = false
}

variable "source_dir" {
  type        = string
  description = "Folder with the Python sources to package; null to package `file`."
  default     = null
}

variable "file" {
  type = object({
    name    = string
    content = string
  })
  description = "Single file to package, if source_dir is null."
  default     = null
}

variable "bucket" {
  type = object({
    name       = string
    key_prefix = string
  })
  description = "Existing S3 bucket to upload the zip file to; null to upload it directly to Lambda."
  default     = null
}

variable "tags" {
  type        = map(string)
  description = "Tags of the S3 object."
  default     = {}
  nullable    = false
}
