output "state_machine_arn" {
  description = "ARN of the reconciliation state machine."
  value       = module.state_machine.arn
}
