output "role_arn" {
  description = "ARN of the schedule's role."
  value       = aws_iam_role.this.arn
}
