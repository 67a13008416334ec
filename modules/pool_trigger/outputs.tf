output "result" {
  description = "What attaching did, in words."
  value       = jsondecode(aws_lambda_invocation.attach.result).result
}

output "function_arn" {
  description = "ARN of the function that attaches and detaches."
  value       = module.function.arn

  # Whoever calls it goes before the trigger is detached for good.
  depends_on = [aws_lambda_invocation.attach]
}

output "request" {
  description = "What an event names besides its action."
  value       = local.request
}

output "schedule_role_arns" {
  description = "ARN of the schedule's role, by short name."
  value       = { trigger-check = module.check.role_arn }
}

output "functions" {
  description = "Functions of this module, by short name."
  value       = { pool-trigger = module.function }
}
