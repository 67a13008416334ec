output "arn" {
  description = "ARN of the state machine."
  value       = aws_sfn_state_machine.this.arn
}

output "definition" {
  description = "The rendered definition."
  value       = aws_sfn_state_machine.this.definition
}
