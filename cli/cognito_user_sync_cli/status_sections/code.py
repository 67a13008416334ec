"""Section `code`: functions that an operator has rolled back."""

from __future__ import annotations

from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.rollback import read_code
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem
from cognito_user_sync_cli.terminal import counted


def check_code(deployment: Deployment) -> Findings:
    found = none_if_missing(lambda: read_code(deployment))
    rolled_back = found.rolled_back if found else []
    yield Fact("rolled_back", rolled_back, f"{counted(len(rolled_back), 'function')} rolled back")
    if rolled_back:
        yield Problem(
            f"the code of {', '.join(rolled_back)} is not the code that Terraform deployed last. To end a rollback:"
            " cognito-user-sync rollback --undo"
        )
