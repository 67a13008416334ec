# Warnings of each plan and apply about the settings of the user pool. They do not fail the plan.

locals {
  # Every pool has the standard attributes.
  custom_attributes  = [for name in data.aws_cognito_user_pool.this.schema_attributes[*].name : name if strcontains(name, "custom:")]
  missing_attributes = [for name in var.attributes : name if strcontains(name, "custom:") && !contains(local.custom_attributes, name)]

  pre_sign_up_function_arn = join("", compact(data.aws_cognito_user_pool.this.lambda_config[*].pre_sign_up))
}

check "pool_has_the_attributes" {
  assert {
    condition     = length(local.missing_attributes) == 0
    error_message = "attributes has ${join(", ", local.missing_attributes)}, but the schema of user pool ${var.user_pool_id} does not, so no item gets a value. The custom attributes of the pool are ${jsonencode(local.custom_attributes)}. Correct the name, or add the attribute to the pool."
  }
}

check "welcome_email_goes_to_verified_addresses" {
  assert {
    condition     = try(module.inputs.welcome_email.verified_only, true)
    error_message = "welcome_email.verified_only is false: anyone can sign up with the email address of another user and with any text as the username, and your sender emails that text to the address. Set it to true, the default, unless only administrators create and confirm users in user pool ${var.user_pool_id}."
  }

  assert {
    condition     = try(module.inputs.welcome_email.verified_only, false) ? try(contains(data.aws_cognito_user_pool.this.auto_verified_attributes, "email"), false) : true
    error_message = "User pool ${var.user_pool_id} does not verify email addresses at sign-up: auto_verified_attributes is ${jsonencode(try(data.aws_cognito_user_pool.this.auto_verified_attributes, []))}. welcome_email.verified_only is true, so users who sign up get no welcome email, unless a trigger, an administrator or an identity provider sets email_verified. Add email to the pool's auto_verified_attributes, or set welcome_email to null."
  }

  assert {
    condition     = try(module.inputs.welcome_email.verified_only, false) ? local.pre_sign_up_function_arn == "" : true
    error_message = "User pool ${var.user_pool_id} has the pre-sign-up trigger ${local.pre_sign_up_function_arn}. If this function sets autoVerifyEmail, Cognito marks addresses as verified without proof, and welcome_email.verified_only does not exclude these addresses. Make sure that the function sets autoVerifyEmail only for addresses that belong to the user."
  }
}

check "invited_users_get_the_welcome_email" {
  assert {
    condition     = try(module.inputs.welcome_email.on_first_sign_in, true) ? true : !try(one(data.aws_cognito_user_pool.this.admin_create_user_config).allow_admin_create_user_only, false)
    error_message = "User pool ${var.user_pool_id} allows only administrators to create users. Cognito then invokes the post-confirmation trigger only for users of identity providers, and users that administrators create get no welcome email. Set welcome_email.on_first_sign_in and track_changes to true, or ignore this warning if all users come from identity providers."
  }
}
