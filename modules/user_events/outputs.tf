output "functions" {
  description = "Functions of this module, by short name."
  value       = { publish-user-events = module.function }
}

output "queues" {
  description = "Queues of this module, by short name."
  value = {
    user-events-dead-letter = {
      arn  = aws_sqs_queue.dead_letter.arn
      url  = aws_sqs_queue.dead_letter.url
      name = aws_sqs_queue.dead_letter.name
    }
  }
}

output "table_policy_ids" {
  description = "IDs of the policies of roles that use the table."
  value       = [module.function.policy_id]
}
