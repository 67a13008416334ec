"""`cognito-user-sync user`."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from cognito_user_sync.user import SUB, UNCONFIRMED, UnusableUserError
from cognito_user_sync_cli import users
from cognito_user_sync_cli.aws_errors import TRANSLATED_ERRORS
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.execution_outcomes import welcome_email_in_words, welcome_email_of_user
from cognito_user_sync_cli.terminal import EXIT_PROBLEM, print_error, stderr, stdout, styled


def user(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="SUB|USERNAME|EMAIL", help="The user.")],
    sync: Annotated[
        bool,
        typer.Option(
            "--sync",
            help="Sync this user now. Sends no email. Needs cognito-idp:AdminGetUser and dynamodb:UpdateItem, or"
            " dynamodb:PutItem if deleted_users.action is delete_item and the user is deleted.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all data about the user as JSON, for scripts.")
    ] = False,
) -> None:
    """Compare a user in Cognito with the item in the table, and list the executions for this user.

    Exit status: 0: the table is in sync with Cognito; 1: it is not.

    Example: cognito-user-sync user ada@example.com --sync
    """
    deployment: Deployment = context.obj()
    subs = users.find_subs(deployment, text)
    if len(subs) > 1:
        stderr.print(f"{len(subs)} users match {text}. Run this command with one of their subs: {', '.join(subs)}")
        raise typer.Exit(EXIT_PROBLEM)
    compared = users.compare(deployment, subs[0]) if subs else None
    if compared is None or (compared.user is None and compared.found is None):
        _print_not_found(deployment, text)
        raise typer.Exit(EXIT_PROBLEM)
    if sync:
        _sync(deployment, compared.sub)
        compared = users.compare(deployment, compared.sub)
    if as_json:
        typer.echo(json.dumps(users.export(deployment, compared), indent=2, default=_to_json))
    else:
        _print_comparison(compared)
        _print_executions(deployment, compared)
        stdout.print(*_verdict(compared))
    if not compared.is_in_sync:
        raise typer.Exit(EXIT_PROBLEM)


def _sync(deployment: Deployment, sub: str) -> None:
    try:
        outcome = users.sync(deployment, sub)
    except (*TRANSLATED_ERRORS, UnusableUserError) as error:
        stderr.print(styled("Not synced:"), str(error.__cause__ or error))
        raise typer.Exit(EXIT_PROBLEM) from error
    stdout.print(f"Synced: {outcome}.")


def _print_not_found(deployment: Deployment, text: str) -> None:
    table = deployment.user_table
    if SUB.fullmatch(text.lower()):
        print_error(
            "No such user",
            f"neither the pool {deployment.user_pool_id} nor the table {table.name} has {text}. Check the sub, and that"
            " the user belongs to this pool",
        )
        return
    stderr.print(
        styled("Not in the user pool:"),
        f"{deployment.user_pool_id} has no user with the username or email address {text}. If the user was deleted, use"
        " the sub: the table has no index on the username or email address.",
    )
    # Other characters need quoting for the shell and JSON.
    if not re.fullmatch(r"[\w.@+-]+", text):
        return
    names = {
        "#name": table.layout.name("email" if "@" in text else "username"),
        "#key": table.layout.partition_key.name,
    }
    stderr.print("To find the sub (reads the whole table):")
    stderr.print(
        f"aws dynamodb scan --region {deployment.region} --table-name {table.name} --filter-expression '#name = :value'"
        f" --expression-attribute-names '{json.dumps(names)}'"
        f" --expression-attribute-values '{json.dumps({':value': {'S': text}}, ensure_ascii=False)}'"
        " --projection-expression '#key'"
    )


def _to_json(value: object) -> object:
    """Convert values that `json` does not know: numbers and sets of DynamoDB, and times."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _print_comparison(compared: users.Comparison) -> None:
    table = Table("", Column("Cognito", overflow="fold"), Column("table", overflow="fold"), "", title=compared.sub)
    cognito, item, differing = compared.cognito, compared.item, compared.differing
    for name in {**cognito, **item}:
        differs = name in differing
        cells = [_cell(side.get(name, "-")) for side in (cognito, item)]
        table.add_row(name, *cells, "≠" if differs else "", style="red" if differs else None)
    stdout.print(table)


def _cell(value: object) -> str:
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_executions(deployment: Deployment, compared: users.Comparison) -> None:
    executions, more = users.list_executions(deployment, compared.sub)
    name, outcome, email = (Column(each, overflow="fold") for each in ("execution", "outcome", "welcome email"))
    table = Table(name, "started, UTC", "status", outcome, email)
    for each in executions:
        started = f"{each.started_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(each.name, started, each.status, each.outcome, welcome_email_in_words(each.welcome_email))
    stdout.print(table if executions else "No execution for a sign-up or password reset of this user.")
    if more:
        stdout.print(
            f"There may be older ones: only the newest {users.SEARCHED:,} executions of all users were searched, and at"
            f" most {users.SHOWN} are shown."
        )
    stdout.print(f"Welcome email: {welcome_email_of_user(compared.user, executions)}.")


def _verdict(compared: users.Comparison) -> tuple[Text | str, ...]:
    """Return the last line: whether the table is in sync, and what to do."""
    hint = f"To sync now: cognito-user-sync user {compared.sub} --sync"
    if compared.other_pool:
        return styled(f"The item belongs to the user pool {compared.other_pool}:"), "use the deployment of that pool."
    if compared.user is None:
        if not compared.is_in_sync:
            return styled("Not in Cognito's user list, but active in the table."), hint
        if not compared.is_of_pool:
            return ("Not in Cognito. The item belongs to the application: it was never synced.",)
        if compared.is_deleted:
            return ("Deleted in Cognito and in the table.",)
        return ("Deleted in Cognito. The item is left unchanged, since deleted_users.action is keep.",)
    if compared.user.status == UNCONFIRMED and compared.is_in_sync:
        return ("The sign-up is not confirmed: the user is not in the table until then.",)
    if compared.is_in_sync:
        return ("The table is in sync with Cognito.",)
    if compared.found is None:
        return styled("Missing in the table."), hint
    if not compared.is_of_pool:
        return styled("The item belongs to the application: it was never synced."), hint
    if compared.is_deleted:
        return styled("Active in Cognito, but deleted in the table."), hint
    return styled("The table differs."), hint
