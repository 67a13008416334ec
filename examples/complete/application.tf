# IAM policies for an application that uses the table. Attach them to its role. docs/using-the-table.md has the code.

data "aws_iam_policy_document" "user_table_reader" {
  statement {
    sid       = "GetUserBySub"
    actions   = ["dynamodb:GetItem"]
    resources = [module.user_sync.user_table_arn]
  }

  statement {
    sid       = "FindUserByEmail"
    actions   = ["dynamodb:Query"]
    resources = ["${module.user_sync.user_table_arn}/index/by_email"]
  }

  # Required only with kms_key_arn.
  statement {
    sid       = "DecryptUserTable"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.user_sync.arn]

    condition {
      test     = "StringLike"
      variable = "kms:ViaService"
      values   = ["dynamodb.*.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "user_table_reader" {
  name   = "user-table-reader"
  policy = data.aws_iam_policy_document.user_table_reader.json
}

# Limits updates to the key, the attributes of the application, and the attributes in its condition expressions.
data "aws_iam_policy_document" "user_table_writer" {
  statement {
    sid       = "UpdateOwnAttributes"
    actions   = ["dynamodb:UpdateItem"]
    resources = [module.user_sync.user_table_arn]

    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:Attributes"
      values   = ["id", "deleted_at", "trial_started_at"]
    }
  }
}

resource "aws_iam_policy" "user_table_writer" {
  name   = "user-table-writer"
  policy = data.aws_iam_policy_document.user_table_writer.json
}
