output "welcome_email" {
  description = "Variable `welcome_email` with its defaults."
  value       = var.welcome_email
}

output "table" {
  description = "Variable `table` with its defaults."
  value       = var.table
}

output "user_events" {
  description = "Variable `user_events` with its defaults."
  value       = var.user_events
}

output "deleted_users" {
  description = "Variable `deleted_users` with its defaults."
  value       = var.deleted_users
}

output "reconciliation" {
  description = "Variable `reconciliation` with its defaults."
  value       = var.reconciliation
}

output "alarms" {
  description = "Variable `alarms` with its defaults."
  value       = var.alarms
}

output "lambda" {
  description = "Variable `lambda` with its defaults."
  value       = var.lambda
}
