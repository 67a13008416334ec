# The module with its required variables alone, for `terraform test`. All else is in tests/terraform.

mock_provider "archive" {}

mock_provider "aws" {
  source = "./tests/mocks"
}

run "defaults_are_planned" {
  command = plan

  variables {
    user_pool_id = "eu-west-1_AbCdEfGhI"
    stage        = "dev"
  }
}
