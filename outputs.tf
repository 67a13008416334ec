locals {
  # By short name, which does not contain the prefix.
  features  = concat([module.sign_up, module.user_sync], module.pool_trigger, module.change_tracking, module.user_events, module.reconciliation)
  functions = merge(local.features[*].functions...)
  machines  = merge(module.user_sync.state_machines, one(module.reconciliation[*].state_machines))
  queues    = merge(module.sign_up.queues, one(module.change_tracking[*].queues), one(module.user_events[*].queues))
}

output "user_pool_id" {
  description = "ID of the user pool."
  value       = var.user_pool_id
}

output "attributes" {
  description = "Cognito attributes in the items of the user table."
  value       = var.attributes
}

output "user_table_name" {
  description = "Name of the user table."
  value       = module.user_table.name
}

output "user_table_layout" {
  description = "Keys, attribute names and templates of the items in the user table, as the functions and the command line use them."
  value       = module.user_table.layout
}

output "user_table_arn" {
  description = "ARN of the user table."
  value       = module.user_table.arn
}

output "user_table_stream_arn" {
  description = "ARN of the user table's stream; null without a stream."
  value       = module.user_table.stream_arn
}

output "user_sync_state_machine_arn" {
  description = "ARN of the state machine that syncs one user and sends the welcome email."
  value       = module.user_sync.state_machine_arn
}

output "reconciliation_state_machine_arn" {
  description = "ARN of the state machine that reconciles the table with the pool; null if reconciliation.enabled is false."
  value       = one(module.reconciliation[*].state_machine_arn)
}

output "reconciliation_schedule_arn" {
  description = "ARN of the EventBridge schedule that starts the reconciliation; null without a schedule."
  value       = local.reconciliation_schedule_arn
}

output "first_run" {
  description = "Last run of the reconciliation that an apply started: execution_arn, dry_run (whether the run only counts what it would change), and show_result (the command that shows its result). null if reconciliation.run_on_apply is none."
  value       = one(module.reconciliation[*].first_run)
}

output "post_confirmation_function_arn" {
  description = "ARN of the post-confirmation trigger, for a pool whose own configuration names the trigger (attach_trigger = false)."
  value       = module.sign_up.post_confirmation_function_arn
}

output "retry_queue_url" {
  description = "URL of the retry queue, which has the sign-ups whose execution could not be started. Normally it is empty."
  value       = module.sign_up.retry_queue_url
}

output "changes_queue_url" {
  description = "URL of the change queue, which has changes of users until they are synced; null without track_changes."
  value       = one(module.change_tracking[*].queue_url)
}

output "deleted_users" {
  description = "Variable deleted_users, with the effective value of retention_days."
  value       = merge(module.inputs.deleted_users, { retention_days = local.retention_days })
}

output "alarm_names" {
  description = "Names of the alarms, sorted."
  value       = module.monitoring.alarm_names
}

output "function_arns" {
  description = "ARNs of the Lambda functions. The keys are post-confirmation, retry-sign-ups, sync-user, send-welcome, pool-trigger, sync-changes, publish-user-events, plan-shards, reconcile-shards and start-run; a function that does not exist has no key. A pool in the same configuration must use post_confirmation_function_arn instead, which does not depend on the pool."
  value       = { for name, function in local.functions : name => function.arn }
}

output "role_arns" {
  description = "ARNs of the IAM roles. The keys are those of function_arns, user-sync and reconciliation for the state machines, schedule (of the reconciliation) and trigger-check for the schedules, and with sync_groups and track_changes deleted-groups."
  value = merge(
    { for name, each in merge(local.functions, local.machines) : name => each.role_arn },
    one(module.pool_trigger[*].schedule_role_arns),
    one(module.reconciliation[*].schedule_role_arns),
    one(module.change_tracking[*].rule_role_arns),
  )
}

output "log_group_arns" {
  description = "ARNs of the log groups. The keys are those of function_arns, and user-sync and reconciliation for the state machines."
  value       = { for name, each in merge(local.functions, local.machines) : name => each.log_group_arn }
}

output "queue_arns" {
  description = "ARNs of the SQS queues. The keys are retry and retry-dead-letter, with track_changes changes and changes-dead-letter, and with user_events user-events-dead-letter."
  value       = { for name, queue in local.queues : name => queue.arn }
}

output "alarm_arns" {
  description = "ARNs of the CloudWatch alarms. The keys are those of the variable alarms; an alarm that does not exist has no key."
  value       = { for name, alarm in module.monitoring.alarms : name => alarm.arn }
}

output "dashboard_url" {
  description = "URL of the CloudWatch dashboard."
  value       = module.monitoring.dashboard_url
}

output "user_pool_trigger" {
  description = "attached_function_arn: post-confirmation trigger that this module attached to the pool, null with attach_trigger = false. chained_function_arn: existing function that the trigger invokes, null for none."
  value       = local.user_pool_trigger
}
