# `terraform test` needs no account: the provider is a stand-in, and the plan is what is looked at.
mock_provider "aws" {
  override_during = plan # Terraform 1.11: what AWS would answer is known before anything is made

  mock_resource "aws_s3_bucket" {
    defaults = {
      arn = "arn:aws:s3:::shop-lake"
      id  = "shop-lake"
    }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket = "shop-lake"
}

run "a_lake_of_s3s_own_keys" {
  command = plan

  assert {
    condition     = length(aws_iam_policy.lake) == 5
    error_message = "a policy for each of five users"
  }

  assert {
    condition     = strcontains(aws_iam_policy.lake["bronze"].policy, "arn:aws:s3:::shop-lake/bronze/*")
    error_message = "bronze writes its layer in this bucket"
  }

  assert {
    condition     = !strcontains(join("", [for each in aws_iam_policy.lake : each.policy]), "arn:aws:s3:::lake")
    error_message = "no policy names the local cluster's bucket"
  }

  assert {
    condition     = !strcontains(join("", [for each in aws_iam_policy.lake : each.policy]), "kms:")
    error_message = "no key, no right to one"
  }
}

run "a_lake_with_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/a"
  }

  assert {
    condition     = strcontains(aws_iam_policy.lake["silver"].policy, "kms:GenerateDataKey")
    error_message = "a writer encrypts"
  }

  assert {
    condition     = !strcontains(aws_iam_policy.lake["reader"].policy, "kms:GenerateDataKey")
    error_message = "a reader only decrypts"
  }
}

run "a_name_with_dots_is_refused" {
  command = plan

  variables {
    bucket = "shop.lake"
  }

  expect_failures = [var.bucket]
}
