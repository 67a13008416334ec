output "alarms" {
  description = "Alarms, by name without the prefix."
  value       = local.created_alarms
}

output "alarm_names" {
  description = "Names of the alarms, sorted. They are known at plan."
  value       = [for name in keys(local.alarms) : "${var.prefix}-${name}"]
}

output "dashboard_url" {
  description = "URL of the dashboard in the console. It is known at plan."
  value       = "https://${var.region}.${local.console}/cloudwatch/home?region=${var.region}#dashboards/dashboard/${var.prefix}-${var.region}"
}
