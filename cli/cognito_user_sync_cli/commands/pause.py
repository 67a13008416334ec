"""`cognito-user-sync pause` and `cognito-user-sync resume`."""

from __future__ import annotations

from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.pauses import PartName, SwitchError, part, show_on_dashboard
from cognito_user_sync_cli.terminal import NOT_WELL, out, problems, styled

_Name = Annotated[PartName, typer.Argument(metavar="welcomes|changes|reconciliation|trigger")]


def pause(context: typer.Context, name: _Name) -> None:
    """Pause a part of the sync, until it is resumed or Terraform applies again. Repeating it changes nothing.

    Example: cognito-user-sync pause welcomes
    """
    deployment: Deployment = context.obj()
    paused = part(deployment, name)
    try:
        paused.pause()
    except SwitchError as error:
        _fail(f"{error}. To try again: cognito-user-sync pause {name}; to leave it: cognito-user-sync resume {name}")
    out.print(f"{name} paused: {paused.effect}.")
    out.print(f"To end it: cognito-user-sync resume {name}. A Terraform apply ends it, too, and its plan shows that.")
    _show(deployment)


def resume(context: typer.Context, name: _Name) -> None:
    """End a pause, and say what to do about what happened meanwhile. Repeating it changes nothing.

    Example: cognito-user-sync resume welcomes
    """
    deployment: Deployment = context.obj()
    try:
        afterwards = part(deployment, name).resume()
    except SwitchError as error:
        _fail(str(error))
    out.print(f"{name} resumed.")
    if afterwards:
        out.print(f"{afterwards}.")
    _show(deployment)


def _fail(why: str) -> None:
    problems.print(styled("Failed:"), why)
    raise typer.Exit(NOT_WELL)


def _show(deployment: Deployment) -> None:
    """Update the dashboard. The pause does not depend on it."""
    try:
        found = show_on_dashboard(deployment)
    except (BotoCoreError, ClientError, StopIteration) as error:
        problems.print(f"The dashboard could not be changed, so it may not show what is paused: {error}")
        return
    out.print(f"Paused now, and shown on the dashboard: {', '.join(each.part for each in found) or 'nothing'}.")
