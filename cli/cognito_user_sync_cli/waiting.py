"""Wait for executions that a command has started or redriven, and print their outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import typer

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.execution_outcomes import Execution, read_execution, welcome_email_in_words
from cognito_user_sync_cli.executions import wait_for_ends
from cognito_user_sync_cli.terminal import EXIT_INTERRUPTED, counted, stderr, stdout


def wait_and_print(deployment: Deployment, redrives: Mapping[str, int], wait_seconds: float) -> bool:
    """Wait until executions end, and print their outcomes. Ctrl-C ends the command, and the executions continue.

    Args:
        deployment: The deployment.
        redrives: How often each execution was redriven, by ARN.
        wait_seconds: How long to wait.

    Returns:
        Whether none of the executions that ended has failed.
    """
    outcomes: Counter[str] = Counter()
    failed, interrupted = 0, False
    with stderr.status("Waiting for the executions") as spinner:
        try:
            for described in wait_for_ends(deployment.states, redrives, wait_seconds):
                execution = read_execution(deployment.states, described)
                failed += execution.status != "SUCCEEDED"
                outcomes[_in_words(execution)] += 1
                spinner.update(f"{outcomes.total():,} of {counted(len(redrives), 'execution')} ended")
        except KeyboardInterrupt:
            interrupted = True
    for outcome, number in outcomes.most_common():
        stdout.print(f"{number:,} {outcome}.")
    if running := len(redrives) - outcomes.total():
        stdout.print(f"{running:,} still running. To list those that fail later: cognito-user-sync failures")
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    return not failed


def _in_words(execution: Execution) -> str:
    if execution.status != "SUCCEEDED":
        return f"failed: {execution.outcome}"
    match execution.welcome_email or {}:
        case {"message_id": _}:
            return "succeeded, welcome email sent"
        case {"why_not": _}:
            return f"succeeded, welcome email {welcome_email_in_words(execution.welcome_email)}"
    return "succeeded"
