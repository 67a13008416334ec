# Creates a zip file for Lambda, from the Python sources in a folder or from one file. The file name has the hash of the
# content, so that a zip file of an earlier run or of another deployment is never used instead.

locals {
  sources = var.source_dir == null ? [] : fileset(var.source_dir, "**/*.py")
  content_sha256 = sha256(
    var.source_dir == null
    ? jsonencode(var.file)
    : jsonencode({ for source in local.sources : source => filesha256("${var.source_dir}/${source}") })
  )
  path = "${var.directory}/${var.name}-${substr(local.content_sha256, 0, 16)}"
}

data "archive_file" "this" {
  type             = "zip"
  output_path      = "${local.path}.zip"
  output_file_mode = "0644"

  # Not `source` blocks, which write the content into each plan and state.
  source_dir = var.source_dir
  excludes   = var.source_dir == null ? null : setsubtract(fileset(var.source_dir, "**"), local.sources)

  source_content_filename = try(var.file.name, null)
  source_content          = try(var.file.content, null)
}

# Stores the content of the zip file in the plan, for an apply on another machine, where the file does not exist. Terraform
# evaluates functions such as filebase64 again at apply, but a data source that is read at plan is stored in the plan, with
# its arguments.
data "archive_file" "in_plan" {
  count = var.bucket == null ? 0 : 1

  type                    = "zip"
  output_path             = "${local.path}.base64.zip"
  source_content_filename = "base64"
  source_content          = filebase64(data.archive_file.this.output_path)
}

resource "aws_s3_object" "this" {
  count = var.bucket == null ? 0 : 1

  bucket         = var.bucket.name
  key            = "${var.bucket.key_prefix}/${var.name}-${data.archive_file.this.output_sha256}.zip"
  content_base64 = sensitive(one(data.archive_file.in_plan).source_content) # sensitive, so that a plan does not print it
  content_type   = "application/zip"
  tags           = var.tags

  # An S3 object has at most 10 tags: with the default tags of the provider, there could be more.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
