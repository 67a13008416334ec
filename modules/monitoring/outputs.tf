output "alarms" {
  description = "The alarms, by what their names end with."
  value       = local.created_alarms
}

output "dashboard_url" {
  description = "Where the dashboard is, in the console."
  value       = "https://${data.aws_region.current.id}.${local.console}/cloudwatch/home?region=${data.aws_region.current.id}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}
