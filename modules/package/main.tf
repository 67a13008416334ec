# One zip for Lambda, made of a folder's Python sources or of one file. Its name has the hash of what is in it: a zip of
# other files, left by an earlier run or made for another deployment, cannot be taken for it.

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

  # A folder, and not `source` blocks, which write their content into every plan and state.
  source_dir = var.source_dir
  excludes   = var.source_dir == null ? null : setsubtract(fileset(var.source_dir, "**"), local.sources)

  source_content_filename = try(var.file.name, null)
  source_content          = try(var.file.content, null)
}

# Carries the zip's bytes in the plan. Terraform calls functions such as filebase64 again at apply, where the zip may not
# exist; what a data source has read at plan, arguments included, is a part of the plan.
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
  content_base64 = sensitive(one(data.archive_file.in_plan).source_content) # sensitive: a plan does not print it
  content_type   = "application/zip"
  tags           = var.tags

  # An object takes 10 tags at most: default tags of the provider could be too many.
  override_provider {
    default_tags {
      tags = {}
    }
  }
}
