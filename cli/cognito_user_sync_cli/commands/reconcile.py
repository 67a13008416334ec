"""`cognito-user-sync reconcile`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from cognito_user_sync_cli import reconciliation
from cognito_user_sync_cli.deployment import Deployment, NotDeployedError
from cognito_user_sync_cli.terminal import INTERRUPTED, NOT_WELL, out, problems, styled

# Where there is no terminal for a progress bar, a line says now and then how far a run is.
_SAY_SECONDS = 30.0


def reconcile(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be written and deleted; write nothing.")
    ] = False,
    allow_deletes: Annotated[
        int, typer.Option(min=0, help="Delete up to this many users of each shard, even if max_delete_percent is less.")
    ] = 0,
    deletions_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="With --dry-run: write the subs of the users that would be deleted to this file, whatever the limit.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Start none: follow the run that goes on.")] = False,
) -> None:
    """Run the reconciliation, follow it to its end, and print its counts. Ctrl-C leaves the run going.

    Example: cognito-user-sync reconcile --dry-run
    """
    if follow and (dry_run or allow_deletes):
        raise typer.BadParameter("starts no run: leave out --dry-run and --allow-deletes", param_hint="--follow")
    if deletions_file and not dry_run:
        raise typer.BadParameter("is for a dry run: add --dry-run", param_hint="--deletions-file")
    deployment: Deployment = context.obj()
    machine = deployment.reconciliation_state_machine_arn
    if machine is None:
        raise NotDeployedError(
            "this deployment has no reconciliation, since reconciliation.enabled is false: set it to true, and apply"
        )
    if follow:
        newest = next(reconciliation.runs(deployment.states, machine), None)
        if newest is None:
            raise NotDeployedError("no reconciliation has run yet. Start one: cognito-user-sync reconcile")
        arn = newest.arn
    else:
        arn = reconciliation.start(deployment.states, machine, allow_deletes, dry_run)
        out.print(f"Started {arn}")
    try:
        run = _followed(deployment, arn)
    except (KeyboardInterrupt, BotoCoreError, ClientError) as left:
        out.print()
        out.print("The run goes on. To follow it again: cognito-user-sync reconcile --follow")
        if isinstance(left, KeyboardInterrupt):
            raise typer.Exit(INTERRUPTED) from None
        raise
    _print_run(run)
    if deletions_file and run.summary:
        _write_deletions(deployment, run, deletions_file)
    if run.status != "SUCCEEDED":
        raise typer.Exit(NOT_WELL)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} users/s" if task.speed else "")


def _followed(deployment: Deployment, arn: str) -> reconciliation.Run:
    """The run as it ended, with a progress bar until then."""
    pool = deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id)["UserPool"]
    columns = (
        TextColumn("{task.completed:,.0f} of about {task.total:,.0f} users listed"),
        BarColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    estimate = pool.get("EstimatedNumberOfUsers", 0)
    task, said_at = None, time.monotonic()
    with Progress(*columns, console=problems, transient=True) as bar:
        for found in reconciliation.follow(deployment.states, deployment.logs, _log_group(deployment), arn):
            if isinstance(found, reconciliation.Run):
                return found
            total = max(estimate, found, 1)
            if task is None:
                task = bar.add_task("", completed=found, total=total)
            bar.update(task, completed=found, total=total)
            if not problems.is_terminal and time.monotonic() - said_at >= _SAY_SECONDS:
                said_at = time.monotonic()
                problems.print(f"{found:,} of about {total:,} users listed")
    raise AssertionError("a run is followed to its end")


def _log_group(deployment: Deployment) -> str:
    return f"/aws/lambda/{deployment.prefix}-reconcile-shards"


def _write_deletions(deployment: Deployment, run: reconciliation.Run, file: Path) -> None:
    subs = reconciliation.deletions(deployment.logs, _log_group(deployment), run)
    file.write_text("".join(f"{sub}\n" for sub in subs), encoding="utf-8")
    out.print(f"{len(subs):,} subs of users that would be deleted: {file}")
    if run.over_limit:
        out.print(f"Over the deletion limit: {run.over_limit:,} of them. Cognito was not asked about these.")
    if len(subs) < run.missing:
        lacking = run.missing - len(subs)
        problems.print(styled("Problem:"), f"{file} lacks {lacking:,}: CloudWatch does not show them yet.")
        raise typer.Exit(NOT_WELL)


def _print_run(run: reconciliation.Run) -> None:
    if run.status == "NOT_RUN":
        problems.print(styled("Not run:"), f"{run.reason}. Follow that one: cognito-user-sync reconcile --follow")
        return
    if run.summary is None:
        problems.print(styled(f"{run.status}:"), run.reason)
        return
    if run.dry_run:
        out.print("A dry run: nothing was written. So many would be:")
    table = Table("", Column(justify="right"), show_header=False)
    for name, value in {**reconciliation.user_counts(run.summary), "seconds": run.summary["seconds"]}.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    out.print(table)
    print_examples(run)
    if run.summary["deletion_check_skipped"]:
        out.print(f"Deletion check skipped: {run.summary['deletion_check_skipped']}.")
    for problem in run.problems:
        problems.print(styled("Problem:"), problem)


def print_examples(run: reconciliation.Run) -> None:
    kinds = ("adds", "replaces", "removes")
    table = Table("for example", "", *(Column(kind, overflow="fold") for kind in kinds))
    for each in run.examples:
        names = (", ".join(each[kind]) or "-" for kind in kinds)
        table.add_row(each["sub"], each["outcome"], *names)
    if run.examples:
        out.print(table)
