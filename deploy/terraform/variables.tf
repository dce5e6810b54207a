variable "bucket" {
  description = "Name of the lake's bucket, unique in all of S3."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "3 to 63 lower-case letters, digits and hyphens; no dots, which TLS to the bucket's own host name does not allow."
  }
}

variable "kms_key_arn" {
  description = "A KMS key to encrypt objects with; null takes S3's own keys (SSE-S3)."
  type        = string
  default     = null
}

variable "orphan_upload_days" {
  description = "Days after which the parts of an upload that was never finished are deleted: what a killed executor leaves."
  type        = number
  default     = 3

  validation {
    condition     = var.orphan_upload_days >= 1
    error_message = "At least one day: a shorter time could end an upload that is still going on."
  }
}

variable "old_version_days" {
  description = "Days for which a deleted or overwritten object can be brought back. VACUUM frees no space before they are over."
  type        = number
  default     = 14
}

variable "tags" {
  description = "Tags of everything that is made here."
  type        = map(string)
  default     = {}
}
