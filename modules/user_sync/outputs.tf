output "state_machine_arn" {
  description = "ARN of the user_sync state machine."
  value       = module.state_machine.arn
}

output "send_welcome_function_name" {
  description = "Name of the function that greets; null where there is none."
  value       = one(module.send_welcome[*].name)
}
