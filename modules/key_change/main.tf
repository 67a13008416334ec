# Fails a plan that takes the key from the roles while messages and executions are still encrypted with it. Terraform does
# not keep earlier values of a variable: here ignore_changes keeps the key, and triggers_replace stores the new one.
#   at_change   detects that one key replaces another. It is stored again when a key is added or removed.
#   at_removal  detects that the key is removed. It is stored again only when previous_kms_key_arns changes.
# docs/security.md lists what it cannot detect.
resource "terraform_data" "key" {
  for_each = { at_change = [var.kms_key_arn != null], at_removal = [] }

  input            = var.kms_key_arn
  triggers_replace = concat([var.deployment], each.value, var.previous_kms_key_arns)

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition = (
        contains(concat(["none", coalesce(var.kms_key_arn, "none")], var.previous_kms_key_arns), coalesce(self.input, "none"))
        || (each.key == "at_removal" && var.kms_key_arn != null)
      )
      error_message = "kms_key_arn was ${coalesce(self.input, "null")} and is now ${coalesce(var.kms_key_arn, "null")}. Messages in the queues and running executions are still encrypted with the previous key. Add it to previous_kms_key_arns, and remove it from there 14 days after the apply."
    }
  }
}
