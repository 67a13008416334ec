output "arn" {
  description = "ARN of the state machine."
  value       = aws_sfn_state_machine.this.arn
}

output "definition" {
  description = "Rendered definition."
  value       = aws_sfn_state_machine.this.definition
}

output "role_arn" {
  description = "ARN of the state machine's role."
  value       = aws_iam_role.this.arn
}

output "log_group_arn" {
  description = "ARN of the state machine's log group."
  value       = aws_cloudwatch_log_group.this.arn
}
