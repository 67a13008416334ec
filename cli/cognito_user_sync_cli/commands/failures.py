"""`cognito-user-sync failures`: failed executions, and messages of the dead-letter queues."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any

import typer

from cognito_user_sync_cli import dead_letter_queues, failures
from cognito_user_sync_cli.dead_letter_queues import Message
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.failures import Failure
from cognito_user_sync_cli.sent_emails import LogGroup, Verdict, verdict
from cognito_user_sync_cli.status_sections.queues import count_messages
from cognito_user_sync_cli.terminal import EXIT_PROBLEM, counted, parse_time, print_error, stderr, stdout, styled
from cognito_user_sync_cli.waiting import wait_and_print

failures_app = typer.Typer(help="List and redrive failed executions. Requeue sign-ups of the dead-letter queue.")

# Options that select failed executions. Without them, a command works on all.
Names = Annotated[list[str] | None, typer.Option("--execution", metavar="NAME", help="Only this execution.")]
Errors = Annotated[
    list[str] | None, typer.Option("--error", metavar="ERROR", help="Only executions that failed with this error.")
]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time, metavar="TIME", help="Only failures since this time, such as 2026-01-31T12:00 (UTC) or 12h."
    ),
]
Wait = Annotated[int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the outcomes.")]


@failures_app.callback(invoke_without_command=True)
def list_by_default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_failures(context)


# --- failed executions


@failures_app.command("list")
def list_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the executions that failed in the last 14 days, by error, and count the messages of the dead-letter queues.

    Example: cognito-user-sync failures list --json | jq -r '.failures[].sub'
    """
    deployment: Deployment = context.obj()
    found = _select(deployment, names, errors, since)
    if not as_json:
        _print_failures(found, is_limited=bool(names or errors or since))
    url = dead_letter_queues.dead_letter_queue_url(deployment.queues, deployment.retry_queue_url)
    dead_letters = count_messages(deployment.queues, url)
    events_url = deployment.user_events_dead_letter_queue_url
    lost_events = count_messages(deployment.queues, events_url) if events_url else 0
    if as_json:
        listing = {
            "failures": [each.to_json() for each in found],
            "sign_ups_in_dead_letter_queue": dead_letters,
            "messages_about_lost_user_events": lost_events,
        }
        typer.echo(json.dumps(listing, indent=2))
        return
    if dead_letters:
        stdout.print(
            f"{counted(dead_letters, 'sign-up')} in the dead-letter queue. To show them: cognito-user-sync failures"
            " show. To move them back to the retry queue: cognito-user-sync failures requeue"
        )
    if lost_events:
        stdout.print(
            f"{counted(lost_events, 'message')} about lost user events in the dead-letter queue. To show when these"
            " occurred: cognito-user-sync failures show. To repair this:"
            " docs/operations.md#events-about-users-are-late-or-lost"
        )


def _select(
    deployment: Deployment, names: list[str] | None, errors: list[str] | None, since: datetime | None
) -> list[Failure]:
    """Return the selected failures, with a spinner: one request for each takes some time."""
    found: list[Failure] = []
    with stderr.status("Listing failed executions") as spinner:
        for failure in failures.list_failures(deployment, names or (), errors or (), since):
            found.append(failure)
            spinner.update(f"{counted(len(found), 'failed execution')} found")
    for name in sorted({*(names or ())} - {failure.name for failure in found}):
        stderr.print(f"No execution named {name} has failed in 14 days{', with that error' if errors else ''}.")
    return found


def _print_failures(found: list[Failure], is_limited: bool) -> None:
    if not found:
        stdout.print(f"No execution has failed in 14 days{', with these options' if is_limited else ''}.")

    def kind(failure: Failure) -> tuple[Any, ...]:
        cause = failure.cause
        return failure.is_acknowledged, cause.state or "", cause.error, cause.may_have_sent

    for _, alike in groupby(sorted(found, key=kind), kind):
        _print_group(list(alike))
    waiting = [each for each in found if not each.is_acknowledged and not each.cause.is_permanent]
    if any(not each.cause.may_have_sent for each in waiting):
        stdout.print("When the cause is fixed: cognito-user-sync failures redrive")
    if any(each.cause.may_have_sent for each in waiting):
        stdout.print("To find out which welcome emails were sent: cognito-user-sync failures resolve")


def _print_group(group: list[Failure]) -> None:
    first, cause = group[0], group[0].cause
    state = f" in {cause.state}" if cause.state else ""
    message = f": {cause.message}" if cause.message else ""
    stdout.print(styled(f"{counted(len(group), 'execution')}: {cause.error}{state}{message}", "bold"))
    sent = "may have been sent" if cause.may_have_sent else "was not sent"
    stdout.print(f"The welcome email {sent}.{' Acknowledged.' if first.is_acknowledged else ''}")
    for failure in group:
        stdout.print(f"  {failure.name}  ended {failure.ended_at:%Y-%m-%d %H:%M:%S} UTC")


@failures_app.command("redrive")
def redrive_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    include_sent: Annotated[
        bool,
        typer.Option(
            "--all", help="Include failures whose welcome email may have been sent. Some users may get a second one."
        ),
    ] = False,
    wait_seconds: Wait = 120,
) -> None:
    """Continue failed executions from the step that failed, and print their outcomes.

    Example: cognito-user-sync failures redrive --error Runtime.ImportModuleError --since 2h
    """
    deployment: Deployment = context.obj()
    selected: list[Failure] = []
    skipped: Counter[str] = Counter()
    for failure in _select(deployment, names, errors, since):
        if failure.is_acknowledged and not names:
            skipped["acknowledged. To redrive one: --execution NAME"] += 1
        elif failure.cause.is_permanent:
            skipped["the input is not valid, so a redrive would fail again"] += 1
        elif failure.cause.may_have_sent and not include_sent:
            skipped[
                "the welcome email may have been sent. To find out: cognito-user-sync failures resolve. To redrive"
                " them, too: --all"
            ] += 1
        else:
            selected.append(failure)
    none_failed = _redrive(deployment, selected, wait_seconds)
    for reason, number in skipped.most_common():
        stdout.print(f"{number:,} skipped: {reason}")
    if not none_failed:
        raise typer.Exit(EXIT_PROBLEM)


def _redrive(deployment: Deployment, selected: list[Failure], wait_seconds: int) -> bool:
    """Redrive and wait. Return whether all were redriven, and none that ended has failed again."""
    redriven: dict[str, int] = {}
    try:
        for failure in selected:
            if reason := failures.redrive(deployment.states, failure):
                stderr.print(f"{failure.name}: not redriven: {reason}")
            else:
                redriven[failure.arn] = failure.redrives + 1
    finally:
        stdout.print(f"{len(redriven):,} redriven.")
    return wait_and_print(deployment, redriven, wait_seconds) and len(redriven) == len(selected)


@failures_app.command("acknowledge")
def acknowledge_failures(
    context: typer.Context, names: Names = None, errors: Errors = None, since: Since = None
) -> None:
    """Leave failures as they are: `status` does not report them any more, and `redrive` skips them.

    If an acknowledged execution fails again, it is reported again.

    Example: cognito-user-sync failures acknowledge --execution sign-up-d4386408-5001-70fa-9a3c-1a2b3c4d5e6f
    """
    deployment: Deployment = context.obj()
    selected = [each for each in _select(deployment, names, errors, since) if not each.is_acknowledged]
    failures.acknowledge(deployment, selected)
    stdout.print(f"{counted(len(selected), 'failure')} acknowledged.")


@failures_app.command("resolve")
def resolve_failures(
    context: typer.Context,
    names: Names = None,
    errors: Errors = None,
    since: Since = None,
    events_log_group: Annotated[
        str | None,
        typer.Option(metavar="NAME|ARN", help="Log group with the events of SES. Its ARN, if in another region."),
    ] = None,
    events_within: Annotated[
        int, typer.Option(metavar="MINUTES", min=0, help="How long after a failure an event may still arrive.")
    ] = 15,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the result, and change nothing.")] = False,
    wait_seconds: Wait = 120,
) -> None:
    """Find out whether welcome emails with an unknown outcome were sent.

    If an email was sent, this acknowledges the failure. If it was not sent, this redrives the execution.

    Without --events-log-group, this finds only emails that are logged as sent, and redrives nothing.
    docs/operations.md has the Terraform code of the log group.

    Example: cognito-user-sync failures resolve --events-log-group /aws/events/welcome --dry-run
    """
    deployment: Deployment = context.obj()
    unknown = [
        each
        for each in _select(deployment, names, errors, since)
        if each.cause.may_have_sent and not each.is_acknowledged
    ]
    log = LogGroup(deployment.logs, f"/aws/lambda/{deployment.prefix}-send-welcome")
    events = LogGroup.of(deployment, events_log_group) if events_log_group else None
    found: dict[Verdict, list[Failure]] = {each: [] for each in Verdict}
    for failure in unknown:
        found[verdict(failure, log, events, timedelta(minutes=events_within))].append(failure)
    stdout.print(f"{counted(len(unknown), 'welcome email')} with an unknown outcome.")
    _print_verdicts(found, events_within, has_events=events is not None)
    none_failed = dry_run or _apply_verdicts(deployment, found, wait_seconds)
    if not none_failed or found[Verdict.TOO_EARLY] or found[Verdict.UNKNOWN]:
        raise typer.Exit(EXIT_PROBLEM)


def _print_verdicts(found: dict[Verdict, list[Failure]], events_within: int, has_events: bool) -> None:
    for each, group in found.items():
        if group:
            stdout.print(f"{len(group):,} {each}:")
        for failure in group:
            stdout.print(f"  {failure.name}")
    if found[Verdict.TOO_EARLY]:
        stdout.print(f"Events may arrive until {events_within} minutes after the failure: run this command again then.")
    if found[Verdict.UNKNOWN]:
        stdout.print(
            "Unknown: there is no event of any welcome email within a day of the failure."
            if has_events
            else "Unknown: the events of SES are needed. See --events-log-group, and docs/operations.md."
        )


def _apply_verdicts(deployment: Deployment, found: dict[Verdict, list[Failure]], wait_seconds: int) -> bool:
    """Acknowledge or redrive. Return whether no redriven execution has failed again."""
    sent, not_sent = found[Verdict.SENT], found[Verdict.NOT_SENT]
    failures.acknowledge(deployment, sent)
    if sent:
        stdout.print(f"{counted(len(sent), 'failure')} acknowledged: the welcome email was sent.")
    return not not_sent or _redrive(deployment, not_sent, wait_seconds)


# --- dead-letter queues


@failures_app.command("requeue")
def requeue_sign_ups(context: typer.Context) -> None:
    """Move sign-ups from the dead-letter queue back to the retry queue. Invalid messages stay.

    Example: cognito-user-sync failures requeue
    """
    deployment: Deployment = context.obj()
    moved, invalid = dead_letter_queues.requeue(deployment.queues, deployment.retry_queue_url)
    stdout.print(f"{counted(moved, 'sign-up')} moved back.")
    if invalid:
        stdout.print(
            f"{counted(len(invalid), 'message')} not moved: invalid, and would return after 12 hours. To show the"
            " messages: cognito-user-sync failures show. To delete one: cognito-user-sync failures drop MESSAGE_ID"
        )
        for message in invalid:
            stdout.print(f"  {message.id}: {message.invalid_because}")
        raise typer.Exit(EXIT_PROBLEM)


@failures_app.command("show")
def show_messages(context: typer.Context) -> None:
    """Show the messages of the dead-letter queues, including subs and usernames.

    Example: cognito-user-sync failures show
    """
    deployment: Deployment = context.obj()
    for url, messages in dead_letter_queues.read_all(deployment).items():
        stdout.print(styled(f"{url.rpartition('/')[2]}: {counted(len(messages), 'message')}", "bold"))
        _print_messages(messages)


def _print_messages(messages: Iterable[Message]) -> None:
    for message in messages:
        invalid = f"  invalid: {message.invalid_because}" if message.invalid_because else ""
        stdout.print(f"  {message.id}  sent {message.sent_at:%Y-%m-%d %H:%M:%S} UTC{invalid}")
        stdout.print(f"    {message.body}")


@failures_app.command("drop")
def drop_message(
    context: typer.Context,
    message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="The ID, from `failures show`.")],
) -> None:
    """Delete one message from its dead-letter queue. Its sign-up or change is not processed.

    Example: cognito-user-sync failures drop 5fea7756-0ea4-451a-a703-a558b933e274
    """
    url = dead_letter_queues.delete(context.obj(), message_id)
    if url is None:
        print_error(
            "No such message",
            f"no dead-letter queue has {message_id}. To list the messages: cognito-user-sync failures show",
        )
        raise typer.Exit(EXIT_PROBLEM)
    stdout.print(f"Deleted from {url.rpartition('/')[2]}.")
