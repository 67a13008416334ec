# Remembers the deployment's key, so that a plan cannot take it from the roles while messages and executions are still
# encrypted with it. Terraform knows no earlier value of a variable: here ignore_changes keeps it, and triggers_replace
# takes the new one. There are two instances, because each sees one kind of change:
#   at_change   one key follows another. It is replaced when a key comes or goes, so it remembers a key that came later.
#   at_removal  a key goes. It is replaced only with previous_kms_key_arns, so it still remembers that key.
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
