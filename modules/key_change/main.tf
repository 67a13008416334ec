# Fails a plan that removes the key from the roles while messages and executions are still encrypted with it. Terraform does
# not store previous values of a variable. So ignore_changes keeps the stored key, and triggers_replace stores the new one.
#   at_change   detects that another key replaces the key. The key is stored again if a key is set for the first time or
#               removed.
#   at_removal  detects that the key is removed. The key is stored again only if previous_kms_key_arns changes.
# docs/security.md lists the changes that this cannot detect.
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
      error_message = "kms_key_arn was ${coalesce(self.input, "null")} and is now ${coalesce(var.kms_key_arn, "null")}. Messages in the queues and running executions are still encrypted with the previous key. Add it to previous_kms_key_arns, and remove it 14 days after the apply."
    }
  }
}
