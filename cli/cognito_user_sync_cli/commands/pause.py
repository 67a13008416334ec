"""`cognito-user-sync pause` and `cognito-user-sync resume`."""

from __future__ import annotations

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.pauses import PartName, PauseError, part, show_on_dashboard
from cognito_user_sync_cli.terminal import EXIT_PROBLEM, print_error, stderr, stdout

_Name = Annotated[
    PartName, typer.Argument(metavar="PART", help="welcomes, changes, user-events, reconciliation or trigger.")
]


def pause(context: typer.Context, name: _Name) -> None:
    """Pause a part of the sync until `resume`, or until the next terraform apply.

    This is idempotent.

    Example: cognito-user-sync pause welcomes
    """
    deployment: Deployment = context.obj()
    paused = part(deployment, name)
    try:
        paused.pause()
    except PauseError as error:
        print_error(
            "Failed",
            f"{error}. To try again: cognito-user-sync pause {name}. To undo: cognito-user-sync resume {name}",
        )
        raise typer.Exit(EXIT_PROBLEM) from None
    stdout.print(f"{name} paused: {paused.effect}.")
    stdout.print(
        f"To end the pause: cognito-user-sync resume {name}. A terraform apply ends it, too: the plan shows the change."
    )
    _update_dashboard(deployment)


def resume(context: typer.Context, name: _Name) -> None:
    """End a pause, and print what to do next.

    This is idempotent.

    Example: cognito-user-sync resume welcomes
    """
    deployment: Deployment = context.obj()
    try:
        next_step = part(deployment, name).resume()
    except PauseError as error:
        print_error("Failed", str(error))
        raise typer.Exit(EXIT_PROBLEM) from None
    stdout.print(f"{name} resumed.")
    if next_step:
        stdout.print(f"{next_step}.")
    _update_dashboard(deployment)


def _update_dashboard(deployment: Deployment) -> None:
    """Show the pauses on the dashboard. An error here does not fail the command."""
    try:
        found = show_on_dashboard(deployment)
    except (BotoCoreError, ClientError, StopIteration) as error:
        stderr.print(f"The dashboard could not be updated, so it may not show what is paused: {error}")
        return
    stdout.print(f"Paused now, and shown on the dashboard: {', '.join(each.part for each in found) or 'nothing'}.")
