"""`python -m cognito_user_sync_cli`: the same as `cognito-user-sync`."""

from cognito_user_sync_cli.app import app

app(prog_name="cognito-user-sync")
