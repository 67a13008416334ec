output "state_machine_arn" {
  description = "ARN of the user_sync state machine."
  value       = module.state_machine.arn
}
