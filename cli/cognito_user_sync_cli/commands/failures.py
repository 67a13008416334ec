"""`cognito-user-sync failures`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any

import typer

from cognito_user_sync_cli.dead_letters import DeadLetter, dead_letter_queue, dead_letters, drop, requeue
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.failures import Failure, acknowledge, redrive
from cognito_user_sync_cli.failures import failures as failed_executions
from cognito_user_sync_cli.outcomes import follow
from cognito_user_sync_cli.sent_emails import LogGroup, Verdict, verdict
from cognito_user_sync_cli.status import messages
from cognito_user_sync_cli.terminal import NOT_WELL, counted, moment, out, problems, styled

failures_app = typer.Typer(help="What failed, and how to try it again.")

# Which failed executions a command works on: all, without these options.
Names = Annotated[list[str] | None, typer.Option("--execution", metavar="NAME", help="Only this execution.")]
Errors = Annotated[list[str] | None, typer.Option("--error", help="Only executions that failed with this error.")]
Since = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="TIME", help="Only what failed since then: 2026-01-31T12:00 (UTC), or 12h."),
]
Wait = Annotated[int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the outcomes.")]

_MAY_HAVE_SENT = (
    "the welcome email may have been sent. To find out: cognito-user-sync failures resolve. To redrive them, too: --all"
)


@failures_app.callback(invoke_without_command=True)
def of_failures(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_failures(context)


@failures_app.command("list")
def list_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """List the executions that failed in the last 14 days, by step and error, and count the dead-letter queue.

    Example: cognito-user-sync failures list --json | jq -r '.failures[].sub'
    """
    deployment: Deployment = context.obj()
    found = _failed(deployment, names, errors, since)
    if not as_json:
        _print_failures(found, is_limited=bool(names or errors or since))
    lost = messages(deployment.queues, dead_letter_queue(deployment.queues, deployment.retry_queue_url))
    if as_json:
        listing = {"failures": [each.to_json() for each in found], "sign_ups_in_dead_letter_queue": lost}
        typer.echo(json.dumps(listing, indent=2))
    elif lost:
        out.print(
            f"{counted(lost, 'sign-up')} in the dead-letter queue. To look at them: cognito-user-sync failures show."
            " To move them back: cognito-user-sync failures requeue"
        )


def _print_failures(found: list[Failure], is_limited: bool) -> None:
    if not found:
        out.print(f"No execution has failed in 14 days{', with these options' if is_limited else ''}.")

    def kind(failure: Failure) -> tuple[Any, ...]:
        end = failure.end
        return failure.is_acknowledged, end.state or "", end.error, end.may_have_sent

    for _, alike in groupby(sorted(found, key=kind), kind):
        group = list(alike)
        first = group[0]
        where = f" in {first.end.state}" if first.end.state else ""
        message = f": {first.end.message}" if first.end.message else ""
        out.print(styled(f"{counted(len(group), 'execution')}: {first.end.error}{where}{message}", "bold"))
        sent = "may have been sent" if first.end.may_have_sent else "was not sent"
        out.print(f"The welcome email {sent}.{' Acknowledged.' if first.is_acknowledged else ''}")
        for failure in group:
            out.print(f"  {failure.name}  ended {failure.ended_at:%Y-%m-%d %H:%M:%S} UTC")
    waiting = [each for each in found if not each.is_acknowledged and not each.end.is_hopeless]
    if any(not each.end.may_have_sent for each in waiting):
        out.print("When the cause is fixed: cognito-user-sync failures redrive")
    if any(each.end.may_have_sent for each in waiting):
        out.print("To find out which welcome emails were sent: cognito-user-sync failures resolve")


@failures_app.command("redrive")
def redrive_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    include_sent: Annotated[
        bool,
        typer.Option("--all", help="Also those whose welcome email may have been sent: some users get a second one."),
    ] = False,
    wait_seconds: Wait = 120,
) -> None:
    """Let failed executions go on from the state where they failed, and say what came of them.

    Example: cognito-user-sync failures redrive --error Runtime.ImportModuleError --since 2h
    """
    deployment: Deployment = context.obj()
    found = _failed(deployment, names, errors, since)
    wanted: list[Failure] = []
    left: Counter[str] = Counter()
    for failure in found:
        if failure.is_acknowledged and not names:
            left["acknowledged. To redrive one: --execution NAME"] += 1
        elif failure.end.is_hopeless:
            left["the input is not that of a sign-up, and would fail again"] += 1
        elif failure.end.may_have_sent and not include_sent:
            left[_MAY_HAVE_SENT] += 1
        else:
            wanted.append(failure)
    all_well = _redrive(deployment, wanted, wait_seconds)
    for why, number in left.most_common():
        out.print(f"{number:,} left alone: {why}")
    if not all_well:
        raise typer.Exit(NOT_WELL)


def _redrive(deployment: Deployment, wanted: list[Failure], wait_seconds: int) -> bool:
    """Returns whether none has failed again, as far as is known."""
    redriven: dict[str, int] = {}
    try:
        for failure in wanted:
            if refused := redrive(deployment.states, failure):
                problems.print(f"{failure.name}: not redriven: {refused}")
            else:
                redriven[failure.arn] = failure.redrives + 1
    finally:
        out.print(f"{len(redriven):,} redriven.")
    return follow(deployment, redriven, wait_seconds) and len(redriven) == len(wanted)


@failures_app.command("acknowledge")
def acknowledge_failures(
    context: typer.Context, names: Names = None, errors: Errors = None, since: Since = None
) -> None:
    """Leave failed executions as they are: they are not redriven, and `status` does not name them as a problem.

    An execution that fails again is a problem again.

    Example: cognito-user-sync failures acknowledge --execution sign-up-d4386408-5001-70fa-9a3c-1a2b3c4d5e6f
    """
    deployment: Deployment = context.obj()
    found = [each for each in _failed(deployment, names, errors, since) if not each.is_acknowledged]
    acknowledge(deployment, found)
    out.print(f"{counted(len(found), 'failure')} acknowledged.")


@failures_app.command("resolve")
def resolve_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    events_log_group: Annotated[
        str | None,
        typer.Option(metavar="NAME|ARN", help="The log group with the events of SES; its ARN, if in another region."),
    ] = None,
    events_within: Annotated[
        int, typer.Option(metavar="MINUTES", min=0, help="How long after a failure an event may still arrive.")
    ] = 15,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is known; change nothing.")] = False,
    wait_seconds: Wait = 120,
) -> None:
    """Find out which welcome emails of an unknown outcome were sent. Acknowledge those, and redrive the others.

    Without --events-log-group, only emails that the function's log has as sent are found, and nothing is redriven.
    docs/operations.md has the Terraform lines for the log group.

    Example: cognito-user-sync failures resolve --events-log-group /aws/events/welcome --dry-run
    """
    deployment: Deployment = context.obj()
    unknown = [
        each
        for each in _failed(deployment, names, errors, since)
        if each.end.may_have_sent and not each.is_acknowledged
    ]
    log = LogGroup(deployment.logs, f"/aws/lambda/{deployment.prefix}-send-welcome")
    events = LogGroup.of(deployment, events_log_group) if events_log_group else None
    found: dict[Verdict, list[Failure]] = {each: [] for each in Verdict}
    for failure in unknown:
        found[verdict(failure, log, events, timedelta(minutes=events_within))].append(failure)
    out.print(f"{counted(len(unknown), 'welcome email')} of an unknown outcome.")
    for each, failures in found.items():
        if failures:
            out.print(f"{len(failures):,} {each}:")
        for failure in failures:
            out.print(f"  {failure.name}")
    if found[Verdict.TOO_EARLY]:
        out.print(f"Events may arrive for {events_within} minutes: run this command again then.")
    if found[Verdict.UNKNOWN]:
        out.print(
            "Without a sign of the email, and without events of others from that day, it stays unknown."
            if events
            else "To find out about these, events of SES are needed: see docs/operations.md, and --events-log-group."
        )
    all_well = True
    if not dry_run:
        acknowledge(deployment, found[Verdict.SENT])
        if found[Verdict.SENT]:
            out.print(f"{counted(len(found[Verdict.SENT]), 'failure')} acknowledged: the welcome email was sent.")
        if not_sent := found[Verdict.NOT_SENT]:
            all_well = _redrive(deployment, not_sent, wait_seconds)
    if not all_well or found[Verdict.TOO_EARLY] or found[Verdict.UNKNOWN]:
        raise typer.Exit(NOT_WELL)


@failures_app.command("requeue")
def requeue_failures(context: typer.Context) -> None:
    """Move sign-ups from the dead-letter queue back into the retry queue. Unreadable messages stay.

    Example: cognito-user-sync failures requeue
    """
    deployment: Deployment = context.obj()
    moved, left = requeue(deployment.queues, deployment.retry_queue_url)
    out.print(f"{counted(moved, 'sign-up')} moved back.")
    if left:
        out.print(
            f"{counted(len(left), 'message')} left: unreadable, so it would come back after 12 hours. To look:"
            " cognito-user-sync failures show. To delete one: cognito-user-sync failures drop MESSAGE_ID"
        )
        for letter in left:
            out.print(f"  {letter.id}: {letter.why_unreadable}")
        raise typer.Exit(NOT_WELL)


@failures_app.command("show")
def show_dead_letters(context: typer.Context) -> None:
    """Show the messages of the dead-letter queues, with the subs and usernames in them.

    Example: cognito-user-sync failures show
    """
    deployment: Deployment = context.obj()
    for url, letters in dead_letters(deployment).items():
        out.print(styled(f"{url.rpartition('/')[2]}: {counted(len(letters), 'message')}", "bold"))
        _print_letters(letters)


def _print_letters(letters: Iterable[DeadLetter]) -> None:
    for letter in letters:
        unreadable = f"  unreadable: {letter.why_unreadable}" if letter.why_unreadable else ""
        out.print(f"  {letter.id}  sent {letter.sent_at:%Y-%m-%d %H:%M:%S} UTC{unreadable}")
        out.print(f"    {letter.body}")


@failures_app.command("drop")
def drop_dead_letter(
    context: typer.Context,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="As `failures show` has it.")],
) -> None:
    """Delete one message from its dead-letter queue: what it asks for is never done.

    Example: cognito-user-sync failures drop 5fea7756-0ea4-451a-a703-a558b933e274
    """
    url = drop(context.obj(), message_id)
    if url is None:
        problems.print(
            styled("No such message:"), f"no dead-letter queue has {message_id}. See: cognito-user-sync failures show"
        )
        raise typer.Exit(NOT_WELL)
    out.print(f"Deleted from {url.rpartition('/')[2]}.")


def _failed(
    deployment: Deployment, names: list[str] | None, errors: list[str] | None, since: datetime | None
) -> list[Failure]:
    """The failed executions, each asked how it ended: that takes a while where there are many."""
    found: list[Failure] = []
    with problems.status("Looking for failed executions") as spinner:
        for failure in failed_executions(deployment, names or (), errors or (), since):
            found.append(failure)
            spinner.update(f"{counted(len(found), 'failed execution')} found")
    for name in sorted({*(names or ())} - {failure.name for failure in found}):
        problems.print(f"No execution named {name} has failed in 14 days{', with that error' if errors else ''}.")
    return found
