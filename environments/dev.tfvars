# Replace the pool id, and the sender by an address or domain that is verified in SES.
user_pool_id = "eu-west-1_DevPool01"
stage        = "dev"

welcome_email = {
  from = "Example dev <welcome@dev.example.com>"
}

# A dev table may go with terraform destroy.
table = {
  deletion_protection    = false
  point_in_time_recovery = false
}

log_retention_days = 7

tags = {
  stage = "dev"
}
