output "state_machine_arn" {
  description = "ARN of the reconciliation state machine."
  value       = module.state_machine.arn
}

output "table_policy_ids" {
  description = "IDs of the policies of the roles that read or write the table."
  value       = [module.plan_shards.policy_id, module.reconcile_shards.policy_id]
}
