"""`cognito-user-sync reconcile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Column, Table

from cognito_user_sync_cli import reconciliation
from cognito_user_sync_cli.deployment import Deployment, DeploymentError
from cognito_user_sync_cli.progress_bar import users_done
from cognito_user_sync_cli.terminal import EXIT_INTERRUPTED, EXIT_PROBLEM, stderr, stdout, styled


def reconcile(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count the changes, and write nothing to the table.")
    ] = False,
    allow_deletes: Annotated[
        int,
        typer.Option(
            metavar="NUMBER", min=0, help="Maximum deletions per shard for this run, if higher than the deletion limit."
        ),
    ] = 0,
    deletions_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="With --dry-run: write the subs of all users that would be deleted to this file, without the limit.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Follow the running reconciliation instead of starting one.")
    ] = False,
) -> None:
    """Run the reconciliation: sync all users, show the progress, and print the counts.

    Ctrl-C ends only the command: the run continues.

    Example: cognito-user-sync reconcile --dry-run
    """
    if follow and (dry_run or allow_deletes):
        raise typer.BadParameter("starts no run: remove --dry-run and --allow-deletes", param_hint="--follow")
    if deletions_file and not dry_run:
        raise typer.BadParameter("only allowed with --dry-run: add --dry-run", param_hint="--deletions-file")
    deployment: Deployment = context.obj()
    machine = deployment.reconciliation_state_machine_arn
    if machine is None:
        raise DeploymentError(
            "this deployment has no reconciliation, since reconciliation.enabled is false: set it to true, and apply"
        )
    if follow:
        arn = _newest_run(deployment, machine)
    else:
        arn = reconciliation.start(deployment.states, machine, allow_deletes, dry_run)
        stdout.print(f"Started {arn}")
    run = _follow(deployment, arn)
    _print_run(run)
    if deletions_file and run.summary:
        _write_deletions(deployment, run, deletions_file)
    if run.status != "SUCCEEDED":
        raise typer.Exit(EXIT_PROBLEM)


def _newest_run(deployment: Deployment, machine: str) -> str:
    newest = next(reconciliation.list_runs(deployment.states, machine), None)
    if newest is None:
        raise DeploymentError("no reconciliation has run yet. To start one: cognito-user-sync reconcile")
    return newest.arn


def _follow(deployment: Deployment, arn: str) -> reconciliation.Run:
    """Return the run when it has ended. If the command ends before, print how to follow the run again."""
    try:
        return _show_progress(deployment, arn)
    except (KeyboardInterrupt, BotoCoreError, ClientError) as error:
        stdout.print()
        stdout.print("The run continues. To follow it again: cognito-user-sync reconcile --follow")
        if isinstance(error, KeyboardInterrupt):
            raise typer.Exit(EXIT_INTERRUPTED) from None
        raise


def _show_progress(deployment: Deployment, arn: str) -> reconciliation.Run:
    pool = deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id)["UserPool"]
    with users_done(pool.get("EstimatedNumberOfUsers", 0), 0, "listed") as report:
        for found in reconciliation.follow(deployment.states, deployment.logs, _log_group(deployment), arn):
            if isinstance(found, reconciliation.Run):
                return found
            report(found)
    raise AssertionError("a run is followed to its end")


def _log_group(deployment: Deployment) -> str:
    return f"/aws/lambda/{deployment.prefix}-reconcile-shards"


def _write_deletions(deployment: Deployment, run: reconciliation.Run, file: Path) -> None:
    subs = reconciliation.read_deletions(deployment.logs, _log_group(deployment), run)
    file.write_text("".join(f"{sub}\n" for sub in subs), encoding="utf-8")
    stdout.print(f"{len(subs):,} subs of users that would be deleted: {file}")
    if run.over_limit:
        stdout.print(f"{run.over_limit:,} of them are over the deletion limit. Their deletions are not verified.")
    if len(subs) < run.missing:
        missing = run.missing - len(subs)
        stderr.print(styled("Problem:"), f"{file} lacks {missing:,} subs: CloudWatch does not show them yet.")
        raise typer.Exit(EXIT_PROBLEM)


def _print_run(run: reconciliation.Run) -> None:
    if run.status == "NOT_RUN":
        stderr.print(styled("Not run:"), f"{run.reason}. To follow that run: cognito-user-sync reconcile --follow")
        return
    if run.summary is None:
        stderr.print(styled(f"{run.status}:"), run.reason)
        return
    if run.dry_run:
        stdout.print("A dry run: nothing was written. Would change:")
    table = Table("", Column(justify="right"), show_header=False)
    for name, value in {**reconciliation.user_counts(run.summary), "seconds": run.summary["seconds"]}.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    stdout.print(table)
    print_examples(run)
    if run.summary["deletion_check_skipped"]:
        stdout.print(f"Deletion check skipped: {run.summary['deletion_check_skipped']}.")
    for problem in run.problems:
        stderr.print(styled("Problem:"), problem)


def print_examples(run: reconciliation.Run) -> None:
    """Print examples of the items that a dry run would write."""
    kinds = ("adds", "replaces", "removes")
    table = Table("for example", "", *(Column(kind, overflow="fold") for kind in kinds))
    for each in run.examples:
        names = (", ".join(each[kind]) or "-" for kind in kinds)
        table.add_row(each["sub"], each["outcome"], *names)
    if run.examples:
        stdout.print(table)
