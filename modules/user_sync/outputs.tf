output "state_machine_arn" {
  description = "ARN of the user_sync state machine."
  value       = module.state_machine.arn
}

output "send_welcome_function_name" {
  description = "Name of the function that sends the welcome email; null without a welcome email."
  value       = one(module.send_welcome[*].name)
}

output "functions" {
  description = "Functions of this module, by short name."
  value = merge(
    { sync-user = module.sync_user },
    { for function in module.send_welcome : "send-welcome" => function },
  )
}

output "state_machines" {
  description = "State machines of this module, by short name."
  value       = { user-sync = module.state_machine }
}

output "table_policy_ids" {
  description = "IDs of the policies of roles that use the table."
  value       = [module.sync_user.policy_id]
}
