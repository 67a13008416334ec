# Replace the user pool ID, and the sender with an address whose identity is verified in SES.
user_pool_id = "eu-west-1_ProdPool1"
stage        = "production"

welcome_email = {
  from     = "Example <welcome@example.com>"
  reply_to = "support@example.com"
}

log_retention_days = 90
tracing            = true

tags = {
  stage = "production"
}
