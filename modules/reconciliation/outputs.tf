output "state_machine_arn" {
  description = "ARN of the reconciliation state machine."
  value       = module.state_machine.arn
}

output "functions" {
  description = "Functions of this module, by short name."
  value = merge(
    { plan-shards = module.plan_shards, reconcile-shards = module.reconcile_shards },
    { for function in module.start_run : "start-run" => function },
  )
}

output "state_machines" {
  description = "State machines of this module, by short name."
  value       = { reconciliation = module.state_machine }
}

output "schedule_role_arns" {
  description = "ARN of the schedule's role, by short name; empty if there is no schedule."
  value       = { for schedule in module.schedule : "schedule" => schedule.role_arn }
}

output "table_policy_ids" {
  description = "IDs of the policies of roles that use the table."
  value       = [module.plan_shards.policy_id, module.reconcile_shards.policy_id]
}

output "first_run" {
  description = "Last run that an apply started; null if run_on_apply is none."
  value = one([for started in aws_lambda_invocation.first_run : {
    execution_arn = jsondecode(started.result).execution_arn
    dry_run       = var.reconciliation.run_on_apply == "dry_run"
    show_result   = "cognito-user-sync status"
  }])
}
