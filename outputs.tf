output "user_pool_id" {
  description = "Id of the user pool."
  value       = var.user_pool_id
}

output "attributes" {
  description = "Cognito attributes that the items of the user table carry."
  value       = var.attributes
}

output "user_table_name" {
  description = "Name of the user table."
  value       = module.user_table.name
}

output "user_table_arn" {
  description = "ARN of the user table."
  value       = module.user_table.arn
}

output "user_table_stream_arn" {
  description = "ARN of the user table's stream; null where it has none."
  value       = module.user_table.stream_arn
}

output "user_sync_state_machine_arn" {
  description = "ARN of the state machine that syncs and greets one user."
  value       = module.user_sync.state_machine_arn
}

output "reconciliation_state_machine_arn" {
  description = "ARN of the state machine that brings the table to what the pool is; null where there is none."
  value       = one(module.reconciliation[*].state_machine_arn)
}

output "post_confirmation_function_arn" {
  description = "ARN of the post-confirmation trigger, for a pool that names its triggers itself (attach_trigger = false)."
  value       = module.sign_up.post_confirmation_function_arn
}

output "unstarted_queue_url" {
  description = "URL of the queue that holds sign-ups whose execution could not be started; empty when all is well."
  value       = module.sign_up.unstarted_queue_url
}

output "changes_queue_url" {
  description = "URL of the queue that holds changes of users until they are synced; null without track_changes."
  value       = one(module.change_tracking[*].queue_url)
}

output "deleted_users" {
  description = "What becomes of the item of a user who is gone from the pool."
  value       = var.deleted_users
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = sort(values(module.monitoring.alarms)[*].alarm_name)
}

output "dashboard_url" {
  description = "Where the CloudWatch dashboard is: sign-ups, executions, items, mails, lag and failures."
  value       = module.monitoring.dashboard_url
}

output "user_pool_trigger" {
  description = "What this module attached to the pool as post-confirmation trigger (null with attach_trigger = false), and which function is called in turn."
  value = {
    attached_function_arn = var.attach_trigger ? module.sign_up.post_confirmation_function_arn : null
    chained_function_arn  = var.chained_function_arn
  }
}
