# Read by `cognito-user-sync --prefix NAME-STAGE --region REGION`. It holds names only, no secret and no data of users, so it
# is not encrypted with a key that its readers would need.
resource "aws_ssm_parameter" "this" {
  # checkov:skip=CKV2_AWS_34: it holds no secret
  # checkov:skip=CKV_AWS_337: it holds no secret
  name           = var.name
  description    = "What cognito-user-sync is deployed here, for its command line"
  type           = "String"
  insecure_value = jsonencode(var.record)
  tags           = var.tags
}
