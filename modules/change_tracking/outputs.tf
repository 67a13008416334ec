output "rule_name" {
  description = "Name of the rule on CloudTrail's events."
  value       = aws_cloudwatch_event_rule.changes.name
}

output "queue_url" {
  description = "URL of the queue that holds changes until they are synced."
  value       = module.queue.queue.url
}

output "queue_names" {
  description = "Names of that queue, and of the one that holds changes which could not be synced."
  value       = { queue = module.queue.queue.name, dead_letter_queue = module.queue.dead_letter_queue.name }
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
  description = "IDs of the policies of the roles that read or write the table."
  value       = [module.queue.policy_id]
}
