# Replace the user pool ID, and the sender with an address whose identity is verified in SES.
user_pool_id = "eu-west-1_StagPool1"
stage        = "staging"

welcome_email = {
  from = "Example staging <welcome@staging.example.com>"
}

log_retention_days = 14

tags = {
  stage = "staging"
}
