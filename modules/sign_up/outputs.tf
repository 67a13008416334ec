output "post_confirmation_function_arn" {
  description = "ARN of the post-confirmation trigger."
  value       = module.post_confirmation.arn
}

output "permission_id" {
  description = "ID of the permission with which Cognito invokes the trigger."
  value       = aws_lambda_permission.cognito.id
}

output "retry_queue_url" {
  description = "URL of the retry queue, for sign-ups whose execution could not be started."
  value       = module.retry_queue.queue.url
}

output "functions" {
  description = "Functions of this module, by short name."
  value = {
    post-confirmation = module.post_confirmation
    retry-sign-ups    = module.retry_queue.function
  }
}

output "queues" {
  description = "Queues of this module, by short name."
  value = {
    retry             = module.retry_queue.queue
    retry-dead-letter = module.retry_queue.dead_letter_queue
  }
}
