# Example with a user pool in the same configuration: the pool's lambda_config names the trigger, and the module does not
# change the pool.

variable "region" {
  type        = string
  description = "Region of the pool and of all other resources."
  default     = "eu-west-1"
}

provider "aws" {
  region = var.region
}

resource "aws_cognito_user_pool" "this" {
  name                     = "owned-pool"
  auto_verified_attributes = ["email"]

  lambda_config {
    post_confirmation = module.user_sync.post_confirmation_function_arn
  }
}

module "user_sync" {
  source = "../.."

  user_pool_id   = aws_cognito_user_pool.this.id
  stage          = "example"
  attach_trigger = false

  welcome_email = {
    from = "welcome@example.com"
  }

  # An example must be easy to remove.
  table = {
    deletion_protection = false
  }
}

output "user_pool_id" {
  description = "ID of the user pool."
  value       = aws_cognito_user_pool.this.id
}

output "user_sync" {
  description = "All outputs of the module."
  value       = module.user_sync
}
