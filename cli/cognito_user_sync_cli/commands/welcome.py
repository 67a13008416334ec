"""`cognito-user-sync welcome`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cognito_user_sync.user import User
from cognito_user_sync.welcome_email import WelcomeEmail
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import deployed_email, missed_welcome_emails
from cognito_user_sync_cli.deployed_email import NoWelcomeEmailError
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.execution_outcomes import WHY_NOT
from cognito_user_sync_cli.executions import FAILED, describe_sign_up, sign_up_arn
from cognito_user_sync_cli.failures import unacknowledged
from cognito_user_sync_cli.terminal import (
    EXIT_PROBLEM,
    counted,
    exit_with_error,
    parse_sub,
    parse_time,
    stderr,
    stdout,
    styled,
)
from cognito_user_sync_cli.waiting import wait_and_print

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef


def send_welcome(
    context: typer.Context,
    subs: Annotated[
        list[str] | None, typer.Argument(parser=parse_sub, metavar="SUB", help="The subs of users.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            metavar="TIME",
            help="Users who confirmed since this time, such as 2026-01-31T12:00 (UTC) or 12h.",
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(parser=parse_time, metavar="TIME", help="Users who confirmed until this time. Default: now."),
    ] = None,
    client_id: Annotated[
        str,
        typer.Option(metavar="ID", help="The app client of these users. Needed with welcome_email.app_client_ids."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the users who would get the email, and send nothing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Do not ask about users who signed up more than 89 days ago, and may get a second email."
        ),
    ] = False,
    wait_seconds: Annotated[
        int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the outcomes.")
    ] = 120,
) -> None:
    """Send the welcome email to users who confirmed their sign-up and got none, for example after an outage.

    Starts the execution that the sign-up did not start. No user gets two emails within 90 days.

    docs/operations.md describes which users count as confirmed since TIME.

    Example: cognito-user-sync welcome --since 2026-01-31T12:00 --until 2026-01-31T15:00 --dry-run
    """
    if bool(subs) == (since is not None):
        raise typer.BadParameter("both or none of SUB and --since are set: use exactly one")
    if until and (since is None or until <= since):
        raise typer.BadParameter("not later than --since: it must be a later time", param_hint="--until")
    deployment: Deployment = context.obj()
    email = _read_email(deployment, client_id)
    if since is None:
        found = [user for sub in subs or [] if (user := _find(deployment, sub))]
    else:
        found = _find_confirmed(deployment, since, until or datetime.now(UTC))
    without_email, none_failed = _without_email(deployment, email, found)
    old = [user for user in without_email if missed_welcome_emails.may_have_expired_execution(user)]
    if old:
        stderr.print(
            styled("Warning:"),
            f"{counted(len(old), 'user')} signed up more than 89 days ago. Step Functions deletes executions after 90"
            " days, so these users may have got the email already, and may get a second one",
        )
    if dry_run:
        for user in without_email:
            stdout.print(f"  {user.sub}")
        stdout.print(f"{counted(len(without_email), 'user')} would get the welcome email. A dry run: nothing was sent.")
    else:
        if old and not yes:
            typer.confirm("Send the email to these users, too?", abort=True)
        none_failed = _start(deployment, without_email, client_id, wait_seconds) and none_failed
    if not none_failed or len(found) < len(subs or []):
        raise typer.Exit(EXIT_PROBLEM)


def _read_email(deployment: Deployment, client_id: str) -> WelcomeEmail:
    try:
        email = deployed_email.read_deployed_email(deployment.functions, f"{deployment.prefix}-send-welcome")
    except NoWelcomeEmailError as error:
        exit_with_error("No welcome email", str(error))
    if email.app_client_ids and client_id not in email.app_client_ids:
        raise typer.BadParameter(
            "this deployment sends the email only to users of some app clients, and Cognito does not return the app"
            " client of a sign-up. If all of these users signed up through one of the app clients, set it:"
            f" {', '.join(sorted(email.app_client_ids))}",
            param_hint="--client-id",
        )
    return email


def _find(deployment: Deployment, sub: str) -> User | None:
    user = deployment.user_pool.find(sub)
    if user is None:
        stderr.print(styled("No such user:"), f"the pool {deployment.user_pool_id} has no user {sub}")
    return user


def _find_confirmed(deployment: Deployment, since: datetime, until: datetime) -> list[User]:
    found = []
    with stderr.status("Listing the users of the pool") as spinner:
        for number, user in enumerate(missed_welcome_emails.list_users(deployment.user_pool), 1):
            if missed_welcome_emails.may_have_confirmed(user, since, until):
                found.append(user)
            spinner.update(f"{counted(number, 'user')} of the pool listed")
    stdout.print(f"{counted(len(found), 'user')} may have confirmed in this period.")
    return found


def _without_email(deployment: Deployment, email: WelcomeEmail, found: list[User]) -> tuple[list[User], bool]:
    """Return the users who have got no email and can get one, and whether no execution of the others has failed."""
    without_email: list[User] = []
    skipped: Counter[str] = Counter()
    failed: list[DescribeExecutionOutputTypeDef] = []
    for user in found:
        recipient: Any = email.recipient(user.attributes)
        if not missed_welcome_emails.is_confirmed(user):
            skipped[f"status {user.status} is not a confirmed sign-up"] += 1
        elif execution := describe_sign_up(deployment.states, deployment.user_sync_state_machine_arn, user.sub):
            if execution["status"] in FAILED:
                failed.append(execution)
            else:
                skipped["the sign-up has an execution: see cognito-user-sync user SUB"] += 1
        elif isinstance(recipient, WhyNot):
            skipped[WHY_NOT[recipient]] += 1
        else:
            without_email.append(user)
    open_failures = unacknowledged(deployment, failed)
    if acknowledged := len(failed) - len(open_failures):
        skipped["the failed execution is acknowledged"] = acknowledged
    for reason, number in skipped.most_common():
        stdout.print(f"{number:,} skipped: {reason}.")
    if open_failures:
        stdout.print(f"{counted(len(open_failures), 'execution')} failed. When the cause is fixed:")
    for execution in open_failures:
        stdout.print(f"  cognito-user-sync failures redrive --execution {execution['name']}")
    return without_email, not open_failures


def _start(deployment: Deployment, users: list[User], client_id: str, wait_seconds: int) -> bool:
    """Start the executions and wait. Return whether none that ended has failed."""
    started: dict[str, int] = {}
    try:
        for user in users:
            if missed_welcome_emails.start_sign_up(deployment, user, client_id):
                started[sign_up_arn(deployment.user_sync_state_machine_arn, user.sub)] = 0
    finally:
        stdout.print(f"{counted(len(started), 'execution')} started.")
    return wait_and_print(deployment, started, wait_seconds)
