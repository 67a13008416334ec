"""`cognito-user-sync failures`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.failures import Failure, dead_letter_queue, redrive, requeue
from cognito_user_sync_cli.failures import failures as failed_executions
from cognito_user_sync_cli.status import messages
from cognito_user_sync_cli.terminal import out, problems

failures_app = typer.Typer(help="What failed, and how to try it again.")


@failures_app.callback(invoke_without_command=True)
def list_failures(context: typer.Context) -> None:
    """List the executions that failed in the last 14 days, by state and error, and what is in the dead-letter queue.

    Example: cognito-user-sync failures
    """
    if context.invoked_subcommand is not None:
        return
    deployment: Deployment = context.obj()
    found = _failed(deployment)
    counts = Counter((each.end, each.may_have_greeted) for each in found)
    examples = {(each.end, each.may_have_greeted): each.name for each in reversed(found)}
    table = Table(
        *(
            Column(name, overflow="fold")
            for name in ("executions", "failed in", "error", "may have greeted", "for example")
        )
    )
    for key, count in counts.most_common():
        end, may_have_greeted = key
        greeted = "yes" if may_have_greeted else "no"
        table.add_row(f"{count:,}", end.state or "-", end.error, greeted, examples[key])
    out.print(table if found else "No execution has failed in 14 days.")
    if found:
        out.print("When the cause is mended: cognito-user-sync failures redrive")
    if lost := messages(deployment.queues, dead_letter_queue(deployment.queues, deployment.unstarted_queue_url)):
        out.print(f"{lost:,} sign-ups in the dead-letter queue. Move them back: cognito-user-sync failures requeue")


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
    redriven, left, hopeless = 0, 0, 0
    try:
        # All of them first: one that is redriven moves the pages of the rest.
        for failure in _failed(deployment):
            if failure.is_hopeless:
                hopeless += 1
            elif failure.may_have_greeted and not include_greeted:
                left += 1
            elif refused := redrive(deployment.states, failure):
                problems.print(f"{failure.name}: not redriven: {refused}")
            else:
                redriven += 1
    finally:
        out.print(f"{redriven:,} redriven.")
    if left:
        out.print(f"{left:,} left alone: their welcome may have been sent. Redrive them, too, with --all.")
    if hopeless:
        out.print(f"{hopeless:,} left alone: their input is none, and would fail again.")


def _failed(deployment: Deployment) -> list[Failure]:
    """The failed executions, each asked how it ended: that takes a while where there are many."""
    found: list[Failure] = []
    with problems.status("Looking for failed executions") as spinner:
        for failure in failed_executions(deployment.states, deployment.user_sync_state_machine_arn):
            found.append(failure)
            spinner.update(f"{len(found):,} failed executions found")
    return found


@failures_app.command("requeue")
def requeue_failures(context: typer.Context) -> None:
    """Move sign-ups from the dead-letter queue back into the unstarted queue.

    Example: cognito-user-sync failures requeue
    """
    deployment: Deployment = context.obj()
    out.print(f"{requeue(deployment.queues, deployment.unstarted_queue_url)} sign-ups moved back.")
