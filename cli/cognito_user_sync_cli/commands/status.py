"""`cognito-user-sync status`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli.commands.reconcile import print_examples
from cognito_user_sync_cli.status import Section, Status, read_status
from cognito_user_sync_cli.terminal import EXIT_PROBLEM, EXIT_UNKNOWN, stdout, styled


def show_status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Check the health of the deployment, section by section.

    If a section cannot be read, all others are still shown.

    Exit status: 0: healthy; 1: there is a problem; 2: no problem was found, but not everything could be read.

    Example: cognito-user-sync status --json | jq .problems
    """
    found = read_status(context.obj())
    if as_json:
        typer.echo(found.to_json())
    else:
        _print_status(found)
    if not found.is_healthy:
        raise typer.Exit(EXIT_PROBLEM if found.problems else EXIT_UNKNOWN)


def _print_status(found: Status) -> None:
    table = Table("", Column(overflow="fold"), show_header=False)
    for section in found.sections:
        table.add_row(section.name.replace("_", " "), _in_one_line(section))
    table.add_row("dashboard", found.deployment.dashboard_url)
    stdout.print(table)
    if found.last_run:
        print_examples(found.last_run)
    if found.is_healthy:
        # The deployment, not each user: a welcome email that was skipped for a reason is no problem.
        stdout.print(styled("The deployment is healthy.", "green"), "To check one user: cognito-user-sync user USER")
    for problem in found.problems:
        # Without a period: most problems end with a command.
        stdout.print(styled("Problem:"), problem)
    for reason in found.not_checked:
        stdout.print(styled("Not checked:", "yellow"), reason)


def _in_one_line(section: Section) -> str:
    shown = [fact.shown for fact in section.facts if fact.shown]
    return ", ".join([*shown, "not checked: see below"] if section.not_checked else shown) or "see below"
