output "zip_path" {
  description = "Path of the zip file on the machine that ran the plan."
  value       = data.archive_file.this.output_path
}

output "package" {
  description = "Location and hash of the zip file, as arguments of aws_lambda_function and aws_lambda_layer_version."
  value = {
    filename         = var.bucket == null ? data.archive_file.this.output_path : null
    s3_bucket        = one(aws_s3_object.this[*].bucket)
    s3_key           = one(aws_s3_object.this[*].key)
    source_code_hash = data.archive_file.this.output_base64sha256
  }
}
