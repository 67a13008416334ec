"""The commands. Each asks Terraform what is deployed, calls one function, and prints what came of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cognito_user_sync_cli.deployment import Deployment, NotDeployed
from cognito_user_sync_cli.failures import failures as failed_executions
from cognito_user_sync_cli.failures import redrive, requeue
from cognito_user_sync_cli.reconciliation import start, wait

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Operate terraform-aws-cognito-user-sync.")
failures_app = typer.Typer(help="What failed, and how to try it again.")
app.add_typer(failures_app, name="failures")

out = Console(soft_wrap=True, highlight=False)
problems = Console(stderr=True, soft_wrap=True, highlight=False)


@app.callback()
def of_deployment(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--chdir", help="Terraform folder that deployed it, with its workspace selected.")
    ] = Path(),
    outputs: Annotated[
        Path | None, typer.Option("--outputs", help="File with `terraform output -json`, instead of a folder.")
    ] = None,
) -> None:
    # Read by the commands, so that --help needs no deployment.
    context.obj = lambda: Deployment.from_file(outputs) if outputs else Deployment.from_terraform(folder)


@app.command()
def reconcile(
    context: typer.Context,
    allow_deletes: Annotated[
        int, typer.Option(min=0, help="Delete so many users of a shard, even if that is more than max_delete_percent.")
    ] = 0,
) -> None:
    """Run the reconciliation, wait for its end, and print its counts. Ctrl-C leaves the run going.

    Example: cognito-user-sync reconcile
    """
    deployment: Deployment = context.obj()
    if deployment.reconciliation_state_machine_arn is None:
        raise NotDeployed("this deployment has no reconciliation: reconciliation.enabled is false")
    execution_arn = start(deployment.states, deployment.reconciliation_state_machine_arn, allow_deletes)
    out.print(f"Started {execution_arn}")
    run = wait(deployment.states, execution_arn)
    if run.summary is None:
        problems.print(f"[red]{run.status}:[/red] {escape(run.reason)}")
        raise typer.Exit(1)
    table = Table("", Column(justify="right"), show_header=False)
    for name, value in run.summary.items():
        if isinstance(value, int):
            table.add_row(name, f"{value:,}")
    out.print(table)
    if run.summary["not_swept"]:
        out.print(f"Nobody was looked for who is gone: {escape(run.summary['not_swept'])}.")
    for problem in run.summary["problems"]:
        problems.print(f"[red]Problem:[/red] {escape(problem)}")
    if run.status != "SUCCEEDED":
        raise typer.Exit(1)


@failures_app.callback(invoke_without_command=True)
def list_failures(context: typer.Context) -> None:
    """List the failed executions, by state and error.

    Example: cognito-user-sync failures
    """
    if context.invoked_subcommand is not None:
        return
    deployment: Deployment = context.obj()
    found = list(failed_executions(deployment.states, deployment.user_sync_state_machine_arn))
    if not found:
        out.print("No execution has failed.")
        return
    counts = Counter((each.state or "-", each.error, each.may_have_greeted) for each in found)
    examples = {(each.state or "-", each.error, each.may_have_greeted): each.name for each in reversed(found)}
    table = Table("executions", "failed in", "error", "may have greeted", Column("for example", overflow="fold"))
    for key, count in counts.most_common():
        state, error, may_have_greeted = key
        table.add_row(str(count), state, error, "yes" if may_have_greeted else "no", examples[key])
    out.print(table)


@failures_app.command("redrive")
def redrive_failures(
    context: typer.Context,
    include_greeted: Annotated[
        bool, typer.Option("--all", help="Also those that may have sent their welcome: some people are greeted twice.")
    ] = False,
) -> None:
    """Let failed executions go on from the state where they failed.

    Example: cognito-user-sync failures redrive
    """
    deployment: Deployment = context.obj()
    redriven, left = 0, 0
    # All of them first: one that is redriven moves the pages of the rest.
    for failure in list(failed_executions(deployment.states, deployment.user_sync_state_machine_arn)):
        if failure.may_have_greeted and not include_greeted:
            left += 1
        elif refused := redrive(deployment.states, failure):
            problems.print(f"{failure.name}: not redriven: {refused}")
        else:
            redriven += 1
    out.print(f"{redriven} redriven.")
    if left:
        out.print(f"{left} left alone: their welcome may have been sent. Redrive them, too, with --all.")


@failures_app.command("requeue")
def requeue_failures(context: typer.Context) -> None:
    """Move sign-ups from the dead-letter queue back into the unstarted queue.

    Example: cognito-user-sync failures requeue
    """
    deployment: Deployment = context.obj()
    out.print(f"{requeue(deployment.queues, deployment.unstarted_queue_url)} sign-ups moved back.")


def main() -> None:
    try:
        app()
    except NotDeployed as error:
        problems.print(f"[red]Nothing to work on:[/red] {escape(str(error))}")
        raise SystemExit(2) from None
    except (BotoCoreError, ClientError) as error:
        problems.print(f"[red]AWS refused:[/red] {escape(str(error))}")
        raise SystemExit(1) from None
