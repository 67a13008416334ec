"""`cognito-user-sync status`."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli import reconciliation
from cognito_user_sync_cli.commands.reconcile import print_examples, user_counts
from cognito_user_sync_cli.status import Status, status
from cognito_user_sync_cli.terminal import NOT_WELL, out, styled


def show_status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say whether all is well: the trigger, the counts, the last reconciliation, what failed, what waits, alarms.

    Example: cognito-user-sync status --json | jq .problems
    """
    found = status(context.obj())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print_status(found)
    if not found.is_healthy:
        raise typer.Exit(NOT_WELL)


def _print_status(found: Status) -> None:
    table = Table("", Column(overflow="fold"), show_header=False)
    trigger = found.trigger or "none"
    table.add_row("trigger", f"attached: {trigger}" if found.is_attached else styled(f"not attached: {trigger}"))
    table.add_row("users in the pool", f"{found.users_in_pool:,} (Cognito's estimate, with unconfirmed ones)")
    table.add_row(
        "users in the table", f"{found.users_in_table:,} (as DynamoDB counted within six hours, of all pools)"
    )
    table.add_row("last reconciliation", _of_run(found.last_run))
    if found.run_going_on:
        table.add_row("", "one is going on: cognito-user-sync reconcile --follow")
    table.add_row(
        "failed executions", f"{found.failed_in_one_day:,} in 24 hours, {found.failed_in_14_days:,} in 14 days"
    )
    table.add_row("retried executions", f"{found.retried:,} for more than 10 minutes")
    for name, queue in found.queues.items():
        table.add_row(f"queue {name}", f"{queue.waiting:,} waiting, {queue.given_up:,} given up")
    table.add_row("alarms", ", ".join(found.alarms) or "none in ALARM")
    table.add_row("paused", ", ".join(each.part for each in found.paused) or "nothing")
    table.add_row("dashboard", found.dashboard_url)
    out.print(table)
    if found.last_run:
        print_examples(found.last_run)
    if found.is_healthy:
        out.print(styled("All is well.", "green"))
    for problem in found.problems:
        # No period behind it: most end with a command.
        out.print(styled("Problem:"), problem)


def _of_run(run: reconciliation.Run | None) -> str:
    if run is None:
        return "none has ended yet"
    counts = ", ".join(
        f"{value:,} {name.replace('_', ' ')}" for name, value in user_counts(run.summary).items() if value
    )
    ended = f"{run.status}, a dry run" if run.dry_run else run.status
    return f"{ended}, begun {run.started_at:%Y-%m-%d %H:%M} UTC: {counts or run.reason or 'no user listed'}"
