"""Terraform's providers for tests, checks and the demo. Nothing that deploys to AWS uses this package.

- `terraform_providers`: finds providers on a machine that cannot reach the registry.
- `archive_provider`: a substitute for hashicorp/archive on such a machine.
- `provider_processes`, `provider_relay`: start providers once for many commands, to save time.
"""
