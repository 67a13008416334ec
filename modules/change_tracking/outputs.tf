output "dead_letter_queue_name" {
  description = "Name of the queue that holds changes which could not be synced."
  value       = module.queue.dead_letter_queue.name
}
