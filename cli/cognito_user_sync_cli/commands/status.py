"""`cognito-user-sync status`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli.commands.reconcile import print_examples
from cognito_user_sync_cli.status import Section, Status, status
from cognito_user_sync_cli.terminal import CANNOT_TELL, NOT_WELL, out, styled


def show_status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say whether all is well, section by section. What cannot be read hides nothing else.

    Status 1: something is certainly wrong. 2: nothing is, but not everything could be read.

    Example: cognito-user-sync status --json | jq .problems
    """
    found = status(context.obj())
    if as_json:
        typer.echo(found.to_json())
    else:
        _print_status(found)
    if not found.is_healthy:
        raise typer.Exit(NOT_WELL if found.problems else CANNOT_TELL)


def _print_status(found: Status) -> None:
    table = Table("", Column(overflow="fold"), show_header=False)
    for section in found.sections:
        table.add_row(section.name.replace("_", " "), _in_one_line(section))
    table.add_row("dashboard", found.deployment.dashboard_url)
    out.print(table)
    if found.last_run:
        print_examples(found.last_run)
    if found.is_healthy:
        # Not more than that: a user whose email was skipped for a reason is no problem of the deployment.
        out.print(styled("The deployment is healthy.", "green"), "One user: cognito-user-sync user USER")
    for problem in found.problems:
        # No period behind it: most end with a command.
        out.print(styled("Problem:"), problem)
    for why in found.cannot_tell:
        out.print(styled("Cannot tell:", "yellow"), why)


def _in_one_line(section: Section) -> str:
    shown = [fact.shown for fact in section.facts if fact.shown]
    return ", ".join([*shown, "cannot tell: see below"] if section.cannot_tell else shown) or "see below"
