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
