# `cognito-user-sync --prefix NAME-STAGE --region REGION` reads this parameter. It contains only names, no secrets and no user
# data, so it is not encrypted, and operators need no permission to use a key.
resource "aws_ssm_parameter" "this" {
  # checkov:skip=CKV2_AWS_34: it contains no secret
  # checkov:skip=CKV_AWS_337: it contains no secret
  name           = var.name
  description    = "Deployment of cognito-user-sync, for its command line"
  type           = "String"
  insecure_value = jsonencode(var.record)
  tags           = var.tags
}
