output "result" {
  description = "What attaching did, in words."
  value       = jsondecode(aws_lambda_invocation.attach.result).result
}
