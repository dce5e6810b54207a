# The lake's bucket, and one policy for each kind of user: a writer a layer, a reader, a maintainer. Attach them to the
# roles that jobs run under (IRSA on Kubernetes, the job runtime role of EMR Serverless); no key is made here.

locals {
  # The documents that the local cluster gives MinIO, and that tests/test_cluster.py holds jobs against; there the bucket is `lake`.
  policies = toset(["bronze", "silver", "gold", "reader", "maintainer"])
  writers  = setsubtract(local.policies, ["reader"])
  documents = {
    for name in local.policies :
    name => jsondecode(replace(file("${path.module}/../policies/${name}.json"), "arn:aws:s3:::lake", aws_s3_bucket.lake.arn))
  }
  key_actions = {
    for name in local.policies :
    name => contains(local.writers, name) ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
  }
}

resource "aws_s3_bucket" "lake" {
  bucket = var.bucket
  tags   = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

# Access by policies alone: no object has an owner or an ACL of its own.
resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  # S3 refuses rules for old versions where versioning is not yet on
  depends_on = [aws_s3_bucket_versioning.lake]
  bucket     = aws_s3_bucket.lake.id

  rule {
    id     = "orphan-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.orphan_upload_days
    }
  }

  # A sign of life is renewed every second and a half while a job runs: its old versions are worth nothing.
  rule {
    id     = "leases"
    status = "Enabled"

    filter {
      prefix = "_leases/"
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.old_version_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "lake" {
  # a policy written at the same moment as the public access block is refused
  depends_on = [aws_s3_bucket_public_access_block.lake]
  bucket     = aws_s3_bucket.lake.id
  policy     = data.aws_iam_policy_document.bucket.json
}

resource "aws_iam_policy" "lake" {
  for_each    = local.policies
  name        = "${var.bucket}-${each.key}"
  description = "What ${each.key} may do in the lake ${var.bucket}."
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.documents[each.key].Statement, var.kms_key_arn == null ? [] : [{
      Sid      = "ItsKey"
      Effect   = "Allow"
      Action   = local.key_actions[each.key]
      Resource = [var.kms_key_arn]
    }])
  })
}
