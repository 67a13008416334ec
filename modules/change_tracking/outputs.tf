output "queue_url" {
  description = "URL of the change queue."
  value       = module.queue.queue.url
}

output "functions" {
  description = "Functions of this module, by short name."
  value       = { sync-changes = module.queue.function }
}

output "queues" {
  description = "Queues of this module, by short name."
  value = {
    changes             = module.queue.queue
    changes-dead-letter = module.queue.dead_letter_queue
  }
}

output "table_policy_ids" {
  description = "IDs of the policies of roles that use the table."
  value       = [module.queue.policy_id]
}

output "rule_role_arns" {
  description = "ARN of the role that starts the reconciliation after a group was deleted, by short name; empty without sync_groups."
  value       = { for role in aws_iam_role.deleted_groups : "deleted-groups" => role.arn }
}
