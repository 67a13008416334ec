output "result" {
  description = "Result of attaching the trigger, as text."
  value       = jsondecode(aws_lambda_invocation.attach.result).result
}

output "function_arn" {
  description = "ARN of the function that attaches and detaches the trigger."
  value       = module.function.arn

  # Callers of the function are deleted before the trigger is detached.
  depends_on = [aws_lambda_invocation.attach]
}

output "request" {
  description = "Fields of an event to the function, without the action."
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
