# Minimal example: sync the users of an existing pool to a table.

variable "user_pool_id" {
  type        = string
  description = "ID of the existing user pool."
}

provider "aws" {
  region = split("_", var.user_pool_id)[0]
}

module "user_sync" {
  source = "../.."

  user_pool_id = var.user_pool_id
  stage        = "example"

  # An example must be easy to remove.
  table = {
    deletion_protection = false
  }
}

output "user_sync" {
  description = "All outputs of the module. The command line reads them."
  value       = module.user_sync
}
