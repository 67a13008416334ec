output "alarms" {
  description = "The alarms, by what their names end with."
  value       = local.created_alarms
}

output "dashboard_url" {
  description = "Where the dashboard is, in the console."
  value       = "https://${var.region}.${local.console}/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}
