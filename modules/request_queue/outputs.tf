output "queue" {
  description = "The queue that takes SyncRequests."
  value       = { arn = aws_sqs_queue.this.arn, url = aws_sqs_queue.this.url, name = aws_sqs_queue.this.name }
}

output "dead_letter_queue" {
  description = "The queue that holds what could not be started."
  value       = { arn = aws_sqs_queue.dead_letter.arn, url = aws_sqs_queue.dead_letter.url, name = aws_sqs_queue.dead_letter.name }
}

output "function" {
  description = "The function that reads the queue: the outputs of lambda_function."
  value       = module.function
}

output "policy_id" {
  description = "ID of the policy of the function's role."
  value       = module.function.policy_id
}
