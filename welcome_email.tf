# The welcome email as send_welcome reads it. main.tf has the preconditions, and checks.tf the warnings.

locals {
  # SES sends from the region of the identity.
  welcome_region = try(coalesce(module.inputs.welcome_email.region, split(":", coalesce(module.inputs.welcome_email.identity_arn, "::::"))[3]), null)

  # Each part is its content, or a file with the content.
  template_parts = flatten([
    for given in concat(module.inputs.welcome_email[*], values(try(module.inputs.welcome_email.translations, {}))) : [
      { name = "text", content = given.text, file = given.text_file }, { name = "html", content = given.html, file = given.html_file },
    ]
  ])
  translations = {
    for tag, given in try(module.inputs.welcome_email.translations, {}) : tag => {
      subject = given.subject
      text    = given.text_file == null ? given.text : file("${path.root}/${given.text_file}")
      html    = given.html_file == null ? given.html : file("${path.root}/${given.html_file}")
    }
  }
  welcome_email = module.inputs.welcome_email == null ? null : merge(
    { for name, value in module.inputs.welcome_email : name => value if !endswith(name, "_file") },
    {
      region       = local.welcome_region
      text         = coalesce(module.inputs.welcome_email.text, file(try("${path.root}/${module.inputs.welcome_email.text_file}", "${path.module}/emails/welcome.txt")))
      html         = coalesce(module.inputs.welcome_email.html, file(try("${path.root}/${module.inputs.welcome_email.html_file}", "${path.module}/emails/welcome.html")))
      translations = local.translations
    }
  )
}

# --- placeholders

locals {
  placeholders = distinct(concat(["display_name", "username", "name"], var.attributes))
  # All templates, by the name that an error message shows.
  welcome_templates = merge(
    { welcome_email = join("\n", [for part in ["subject", "text", "html"] : try(local.welcome_email[part], "")]) },
    { for tag, each in local.translations : "welcome_email.translations[\"${tag}\"]" => join("\n", values(each)) },
  )
  # welcome_email.py has the same pattern.
  placeholder = "{{\\s*([^{}|\\s]+)\\s*(?:\\|[^{}]*)?}}"
  unknown_placeholders = {
    for place, template in local.welcome_templates : place => concat(
      [for name in setsubtract(flatten(regexall(local.placeholder, template)), local.placeholders) : "{{${name}}}"],
      # Text that starts like a placeholder but is not one: {{user name}}, {{email.
      regexall("{{[^{}\\r\\n]{0,30}(?:}})?", replace(template, "/${local.placeholder}/", "")),
    )
  }
}

# --- region

locals {
  # Regions that have Cognito user pools but not SES, from botocore 1.43.106. tests/unit/test_ses_regions.py compares them
  # with the botocore of the development environment.
  regions_without_ses = [
    "ap-east-1", "ap-east-2", "ap-southeast-4", "ap-southeast-6", "ap-southeast-7", "eu-south-2", "mx-central-1",
  ]
}
