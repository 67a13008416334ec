data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  source_directory = "${path.module}/../../lambda_src"

  # Lambda encrypts the environment; a function without one has nothing to encrypt.
  kms_key_arn = length(var.environment) > 0 ? var.settings.kms_key_arn : null
  # A previous key, too: messages in a queue stay encrypted with it.
  kms_key_arns = var.decrypts ? compact(concat([var.settings.kms_key_arn], var.settings.previous_kms_key_arns)) : []
}

# The sources as they are: boto3 is in the Lambda runtime, so there is nothing to install or to build.
data "archive_file" "this" {
  type             = "zip"
  output_path      = "${path.root}/.terraform/cognito-user-sync/${var.name}.zip"
  output_file_mode = "0644"

  dynamic "source" {
    for_each = fileset(local.source_directory, "cognito_user_sync/**/*.py")
    content {
      filename = source.value
      content  = file("${local.source_directory}/${source.value}")
    }
  }

  dynamic "source" {
    for_each = var.files
    content {
      filename = source.key
      content  = source.value
    }
  }
}

# Terraform's, not the function's: so that it has a retention and goes with the rest.
resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_338: the user's decision (log_retention_days); logs with subs are not to be kept for ever
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.settings.log_retention_days
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
  name                 = var.name
  description          = "Of the function ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.assume_role.json
  permissions_boundary = var.settings.permissions_boundary_arn
  tags                 = var.settings.tags

  # An account may attach policies of its own to every role: they must not fail a destroy.
  force_detach_policies = true
}

data "aws_iam_policy_document" "this" {
  source_policy_documents = [var.policy_json]

  statement {
    sid     = "WriteOwnLog"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    # The streams in the group, which Lambda names:
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  # Its environment, and the items and messages that it reads:
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html (the table's key is
  # decrypted for each caller),
  # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html,
  # and https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html.
  dynamic "statement" {
    for_each = length(local.kms_key_arns) > 0 ? [local.kms_key_arns] : []
    content {
      sid       = "UseKey"
      actions   = var.encrypts ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
      resources = statement.value
    }
  }

  # The key of an existing table. DynamoDB uses it with the permissions of the function.
  dynamic "statement" {
    for_each = var.table_kms_key_arn[*]
    content {
      sid       = "UseTableKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["dynamodb.${data.aws_region.current.id}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.settings.tracing ? [1] : []
    content {
      sid     = "WriteTraces"
      actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      # X-Ray has no resource of its own for these actions:
      # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
      resources = ["*"]
    }
  }
}

resource "aws_iam_role_policy" "this" {
  name   = var.name
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_116: it is for asynchronous calls; these callers wait, or are a queue that has one
  # checkov:skip=CKV_AWS_117: it calls AWS APIs alone, and has nothing to reach in a VPC
  # checkov:skip=CKV_AWS_272: the zip is made of the sources by the Terraform that deploys it, with no build in between
  function_name                  = var.name
  description                    = var.description
  role                           = aws_iam_role.this.arn
  runtime                        = "python3.13"
  architectures                  = [var.settings.architecture]
  handler                        = "cognito_user_sync.handlers.${var.handler}.handler"
  filename                       = data.archive_file.this.output_path
  source_code_hash               = data.archive_file.this.output_base64sha256
  memory_size                    = var.settings.memory_mb
  timeout                        = var.timeout_seconds
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)
  kms_key_arn                    = local.kms_key_arn
  tags                           = var.settings.tags

  dynamic "environment" {
    for_each = length(var.environment) > 0 ? [var.environment] : []
    content {
      variables = environment.value
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

  # Whoever waits for the function gets one that may act; and on destroy it can act until it is gone.
  depends_on = [aws_iam_role_policy.this]
}
