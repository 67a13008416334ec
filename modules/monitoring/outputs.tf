output "alarms" {
  description = "The alarms, by what their names end with."
  value       = local.created_alarms
}

output "alarm_names" {
  description = "Names of the alarms, sorted. They are known before anything is made."
  value       = [for name in keys(local.alarms) : "${var.prefix}-${name}"]
}

output "dashboard_url" {
  description = "Where the dashboard is, in the console. It is known before anything is made."
  value       = "https://${var.region}.${local.console}/cloudwatch/home?region=${var.region}#dashboards/dashboard/${var.prefix}-${var.region}"
}
