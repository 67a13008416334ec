"""`cognito-user-sync welcome`."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cognito_user_sync.user import SUB, User
from cognito_user_sync.welcome_email import WelcomeEmail
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import late_welcomes, users, welcome
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import FAILED, sign_up_arn
from cognito_user_sync_cli.failures import unacknowledged
from cognito_user_sync_cli.outcomes import follow
from cognito_user_sync_cli.terminal import NOT_WELL, counted, end, moment, out, plain, problems, styled

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef


def send_welcome(
    context: typer.Context,
    subs: Annotated[list[str] | None, typer.Argument(metavar="[SUB]...", help="Users, by sub.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="Users who confirmed since then: 2026-01-31T12:00, or 12h."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="... until then; by default, until now.")
    ] = None,
    client_id: Annotated[
        str,
        typer.Option(metavar="ID", help="The app client of these users, if welcome_email.app_client_ids names any."),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List who would get the email; send nothing.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also to users of more than 89 days ago, who may have got one.")
    ] = False,
    wait_seconds: Annotated[
        int, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the outcomes.")
    ] = 120,
) -> None:
    """Send the welcome email to users who confirmed their sign-up and have got none, for example after an outage.

    Starts the execution that their sign-up would have started: Step Functions rejects a second one for 90 days.
    docs/operations.md says who counts as confirmed since TIME.

    Example: cognito-user-sync welcome --since 2026-01-31T12:00 --until 2026-01-31T15:00 --dry-run
    """
    given = [sub.lower() for sub in subs or []]
    if bool(given) == (since is not None):
        raise typer.BadParameter("both or none of SUBs and --since are given: give one of them")
    if unusable := [sub for sub in given if not SUB.fullmatch(sub)]:
        raise typer.BadParameter(
            f"{plain(unusable[0])} is not a sub: it must be like d4386408-5001-70fa-9a3c-1a2b3c4d5e6f"
        )
    if until and (since is None or until <= since):
        raise typer.BadParameter("it is not after --since: give a later time", param_hint="--until")
    deployment: Deployment = context.obj()
    mail = _deployed(deployment, client_id)
    if since is None:
        found = [user for sub in given if (user := _found(deployment, sub))]
    else:
        found = _confirmed(deployment, since, until or datetime.now(UTC))
    wanted, all_well = _without_email(deployment, mail, found)
    old = [user for user in wanted if late_welcomes.may_be_forgotten(user)]
    if old:
        problems.print(
            styled("Careful:"),
            f"{counted(len(old), 'user')} signed up more than 89 days ago. Step Functions forgets executions after 90"
            " days, so they may have got the email then, and would get a second one",
        )
    if dry_run:
        for user in wanted:
            out.print(f"  {user.sub}")
        out.print(f"{counted(len(wanted), 'user')} would get the welcome email. A dry run: nothing was sent.")
    else:
        if old and not yes:
            typer.confirm("Send it to them, too?", abort=True)
        all_well = _start(deployment, wanted, client_id, wait_seconds) and all_well
    if not all_well or len(found) < len(given):
        raise typer.Exit(NOT_WELL)


def _deployed(deployment: Deployment, client_id: str) -> WelcomeEmail:
    try:
        mail = welcome.deployed(deployment.functions, f"{deployment.prefix}-send-welcome")
    except welcome.NoWelcomeEmailError as error:
        end("No welcome email", str(error))
    if mail.app_client_ids and client_id not in mail.app_client_ids:
        raise typer.BadParameter(
            "Cognito does not tell through which app client a user signed up, and this deployment sends the email to"
            " users of some app clients only. If all of these users signed up through one of them, name it:"
            f" {', '.join(sorted(mail.app_client_ids))}",
            param_hint="--client-id",
        )
    return mail


def _found(deployment: Deployment, sub: str) -> User | None:
    user = deployment.user_pool.find(sub)
    if user is None:
        problems.print(styled("No such user:"), f"the pool {deployment.user_pool_id} has no user {sub}")
    return user


def _confirmed(deployment: Deployment, since: datetime, until: datetime) -> list[User]:
    found = []
    with problems.status("Listing the users of the pool") as spinner:
        for number, user in enumerate(late_welcomes.users_of(deployment.user_pool), 1):
            if late_welcomes.may_have_confirmed(user, since, until):
                found.append(user)
            spinner.update(f"{counted(number, 'user')} of the pool listed")
    out.print(f"{counted(len(found), 'user')} of the pool signed up in that time, or the day before and changed since.")
    return found


def _without_email(deployment: Deployment, mail: WelcomeEmail, found: list[User]) -> tuple[list[User], bool]:
    """Those of these users who have got no email, and can get one; and whether no other execution has failed."""
    wanted: list[User] = []
    skipped: Counter[str] = Counter()
    failed: list[DescribeExecutionOutputTypeDef] = []
    for user in found:
        recipient: Any = mail.recipient(user.attributes)
        if not late_welcomes.is_confirmed(user):
            skipped[f"with the status {user.status}: not a confirmed sign-up"] += 1
        elif execution := late_welcomes.execution(deployment, user):
            if execution["status"] in FAILED:
                failed.append(execution)
            else:
                skipped["with an execution already: see cognito-user-sync user SUB"] += 1
        elif isinstance(recipient, WhyNot):
            skipped[f"without an email: {users.WHY_NOT[recipient]}"] += 1
        else:
            wanted.append(user)
    open_failures = unacknowledged(deployment, failed)
    if acknowledged := len(failed) - len(open_failures):
        skipped["with a failed execution that is acknowledged"] = acknowledged
    for why, number in skipped.most_common():
        out.print(f"{number:,} {why}.")
    if open_failures:
        out.print(f"{counted(len(open_failures), 'execution')} failed. When the cause is fixed:")
    for execution in open_failures:
        out.print(f"  cognito-user-sync failures redrive --execution {execution['name']}")
    return wanted, not open_failures


def _start(deployment: Deployment, wanted: list[User], client_id: str, wait_seconds: int) -> bool:
    """Returns whether none has failed, as far as is known."""
    started: dict[str, int] = {}
    try:
        for user in wanted:
            if late_welcomes.start(deployment, user, client_id):
                started[sign_up_arn(deployment.user_sync_state_machine_arn, user.sub)] = 0
    finally:
        out.print(f"{counted(len(started), 'execution')} started.")
    return follow(deployment, started, wait_seconds)
