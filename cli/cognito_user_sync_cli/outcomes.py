"""What came of executions that a command has started or redriven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import typer

from cognito_user_sync_cli import executions, users
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.terminal import INTERRUPTED, counted, out, problems


def follow(deployment: Deployment, redrives: Mapping[str, int], wait_seconds: float) -> bool:
    """Wait until executions end, and print their outcomes. Returns whether none has failed, as far as is known.

    Args:
        deployment: Whose executions.
        redrives: How often each execution, by ARN, has been redriven.
        wait_seconds: How long to wait. Ctrl-C ends the command: the executions go on.
    """
    outcomes: Counter[str] = Counter()
    failed, interrupted = 0, False
    with problems.status("Waiting for the executions") as spinner:
        try:
            for described in executions.ended(deployment.states, redrives, wait_seconds):
                execution = users.look(deployment.states, described)
                if execution.status == "SUCCEEDED":
                    outcomes[f"succeeded{_of_welcome(execution.welcome_email)}"] += 1
                else:
                    failed += 1
                    outcomes[f"failed: {execution.outcome}"] += 1
                spinner.update(f"{outcomes.total():,} of {counted(len(redrives), 'execution')} ended")
        except KeyboardInterrupt:
            interrupted = True
    for outcome, number in outcomes.most_common():
        out.print(f"{number:,} {outcome}.")
    if running := len(redrives) - outcomes.total():
        out.print(f"{running:,} still running. Later, those that fail are listed by: cognito-user-sync failures")
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    return not failed


def _of_welcome(welcome_email: Mapping[str, str] | None) -> str:
    match welcome_email or {}:
        case {"message_id": _}:
            return ", welcome email sent"
        case {"why_not": _}:
            return f", welcome email {users.welcome_in_words(welcome_email)}"
    return ""
