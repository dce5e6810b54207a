output "lake" {
  description = "What LAKE is for jobs on this bucket."
  value       = "s3a://${aws_s3_bucket.lake.id}"
}

output "policy_arns" {
  description = "The policies by the name of their user: bronze, silver, gold, reader, maintainer."
  value       = { for name, policy in aws_iam_policy.lake : name => policy.arn }
}
