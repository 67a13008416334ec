locals {
  name = "${var.settings.prefix}-${var.name}"

  code_options = (
    var.settings.package.filename == null
    ? "--s3-bucket ${var.settings.package.s3_bucket} --s3-key ${var.settings.package.s3_key}"
    : "--zip-file fileb://${var.settings.package.filename}"
  )

  # Previous keys, too: messages in a queue remain encrypted with them.
  kms_key_arns = compact(concat([var.settings.kms_key_arn], var.settings.previous_kms_key_arns))
}

# Created by Terraform and not by the function, so that it has a retention and is deleted with the deployment.
resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: the caller decides (log_retention_days); logs contain subs, which must not be kept permanently
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.settings.log_retention_days
  log_group_class   = var.settings.log_group_class
  kms_key_id        = var.settings.kms_key_arn
  tags              = var.settings.tags
}

data "aws_iam_policy_document" "assume_role" {
  statement {
    sid     = "LambdaAssumesRole"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  # With the region, because IAM role names are unique in all regions.
  name                 = "${var.settings.prefix}-${var.settings.region}-${var.name}"
  path                 = var.settings.role_path
  description          = "Role of the function ${local.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.settings.permissions_boundary_arn
  tags                 = var.settings.tags

  # Other tools can attach policies to the role: they must not fail a destroy.
  force_detach_policies = true

  lifecycle {
    # With a depends_on on the root module, the region in the name is unknown at plan, which would replace the role.
    ignore_changes = [name]
  }
}

data "aws_iam_policy_document" "this" {
  source_policy_documents = [var.policy_json]

  # For the environment variables, and for the items, messages and executions that the function uses. DynamoDB, SQS and
  # Step Functions use the key with the permissions of the caller:
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
  # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
  dynamic "statement" {
    for_each = length(local.kms_key_arns) > 0 ? [local.kms_key_arns] : []
    content {
      sid       = "UseKey"
      actions   = var.encrypts ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      resources = statement.value
    }
  }

  # For an existing table with another key. DynamoDB uses the key with the permissions of the function.
  dynamic "statement" {
    for_each = var.table_kms_key_arn[*]
    content {
      sid       = "UseTableKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["dynamodb.${var.settings.region}.${var.settings.dns_suffix}"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.settings.vpc_config[*]
    content {
      sid = "UseVpc"
      actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
      ]
      # Lambda requires these permissions on all resources: https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.settings.tracing ? [1] : []
    content {
      sid     = "WriteTraces"
      actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      # X-Ray has no resource type for these actions:
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = local.name
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

data "aws_iam_policy_document" "log" {
  statement {
    sid     = "WriteOwnLog"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    # The log streams of the group:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

# A separate policy, so that a function without its other policy can still log its errors, which alarms count.
resource "aws_iam_role_policy" "log" {
  name   = "${local.name}-log"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.log.json
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116: only asynchronous invocations use it; these callers are synchronous, retry, or are a queue with a dead-letter queue
  # checkov:skip=CKV_AWS_117: the caller decides (lambda.vpc_config); the functions call only AWS APIs
  # checkov:skip=CKV_AWS_272: the Terraform run that deploys the zip also creates it from the sources, without a build step
  function_name                  = local.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  runtime                        = var.settings.runtime
  architectures                  = [var.settings.architecture]
  handler                        = "cognito_user_sync.handlers.${var.handler}.handler"
  filename                       = var.settings.package.filename
  s3_bucket                      = var.settings.package.s3_bucket
  s3_key                         = var.settings.package.s3_key
  source_code_hash               = var.settings.package.source_code_hash
  layers                         = var.layer_arn[*]
  memory_size                    = var.settings.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)
  kms_key_arn                    = var.settings.kms_key_arn
  tags                           = var.settings.tags

  # Each release is kept as a version, so that `cognito-user-sync rollback` can deploy its code. No caller invokes a version.
  publish = true

  environment {
    variables = var.environment
  }

  dynamic "vpc_config" {
    for_each = var.settings.vpc_config[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  logging_config {
    log_format            = "JSON"
    log_group             = aws_cloudwatch_log_group.this.name
    application_log_level = "INFO"
    system_log_level      = "WARN"
  }

  tracing_config {
    mode = var.settings.tracing ? "Active" : "PassThrough"
  }

  # The function has its permissions as long as it exists, also during a destroy.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.log]

  lifecycle {
    # Provider 5 stores the new hash even if AWS rejects the code, and then plans no change:
    # https://github.com/hashicorp/terraform-provider-aws/issues/42826. This condition compares the deployed code.
    postcondition {
      # In a plan that changes the code, last_modified is unknown and code_sha256 still has the old value. The condition is
      # then unknown, and is checked at apply.
      condition     = self.last_modified == null ? false : self.code_sha256 == var.settings.package.source_code_hash
      error_message = "The function ${local.name} does not run the code of this module: its SHA-256 is ${self.code_sha256}, and must be ${var.settings.package.source_code_hash}. Either an upload failed, the code was rolled back or changed outside Terraform, or (with -refresh-only) this release is not applied yet. To end a rollback: cognito-user-sync rollback --undo. Otherwise, to upload the code of this module: aws lambda update-function-code --publish --region ${var.settings.region} --function-name ${local.name} ${local.code_options}"
    }
  }
}
