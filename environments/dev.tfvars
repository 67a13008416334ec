# Replace the user pool ID, and the sender with an address whose identity is verified in SES.
user_pool_id = "eu-west-1_DevPool01"
stage        = "dev"

welcome_email = {
  from = "Example dev <welcome@dev.example.com>"
}

# terraform destroy also deletes the table of this environment.
table = {
  deletion_protection    = false
  point_in_time_recovery = false
}

log_retention_days = 7

tags = {
  stage = "dev"
}
