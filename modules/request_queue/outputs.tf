output "queue" {
  description = "ARN, URL and name of the queue."
  value       = { arn = aws_sqs_queue.this.arn, url = aws_sqs_queue.this.url, name = aws_sqs_queue.this.name }
}

output "dead_letter_queue" {
  description = "ARN, URL and name of the dead-letter queue."
  value       = { arn = aws_sqs_queue.dead_letter.arn, url = aws_sqs_queue.dead_letter.url, name = aws_sqs_queue.dead_letter.name }
}

output "function" {
  description = "Function that processes the messages: outputs of the module lambda_function."
  value       = module.function
}

output "policy_id" {
  description = "ID of the policy of the function's role."
  value       = module.function.policy_id
}
