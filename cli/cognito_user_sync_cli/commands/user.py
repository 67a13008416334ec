"""`cognito-user-sync user`."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.user import SUB, UNCONFIRMED, UnusableUserError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError
from cognito_user_sync_cli import users
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.terminal import NOT_WELL, out, problems, styled


def user(
    context: typer.Context,
    who: Annotated[str, typer.Argument(metavar="SUB|USERNAME|EMAIL", help="Whom to look for.")],
    sync: Annotated[
        bool,
        typer.Option(
            "--sync",
            help="Sync this user now; sends no email. Needs cognito-idp:AdminGetUser and dynamodb:UpdateItem, or"
            " dynamodb:PutItem if deleted_users.action is delete_item and the user is deleted.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Everything that is held about the user, for scripts.")
    ] = False,
) -> None:
    """Show a user in Cognito and in the table, and the executions of the user's sign-up and password resets.

    Status 0 where the table says what Cognito says.

    Example: cognito-user-sync user ada@example.com --sync
    """
    deployment: Deployment = context.obj()
    subs = users.subs_of(deployment, who)
    if len(subs) > 1:
        problems.print(f"{len(subs)} users are meant by {who}. Ask for one of them by sub: {', '.join(subs)}")
        raise typer.Exit(NOT_WELL)
    compared = users.compare(deployment, subs[0]) if subs else None
    if compared is None or (compared.user is None and compared.found is None):
        _print_not_found(deployment, who)
        raise typer.Exit(NOT_WELL)
    if sync:
        _sync(deployment, compared.sub)
        compared = users.compare(deployment, compared.sub)
    if as_json:
        typer.echo(json.dumps(users.held(deployment, compared), indent=2, default=_to_json))
        raise typer.Exit(0 if compared.is_in_step else NOT_WELL)
    _print_comparison(compared)
    found, more = users.executions(deployment, compared.sub)
    execution, outcome, email = (Column(name, overflow="fold") for name in ("execution", "outcome", "welcome email"))
    table = Table(execution, "started, UTC", "status", outcome, email)
    for each in found:
        started = f"{each.started_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(each.name, started, each.status, each.outcome, users.welcome_in_words(each.welcome_email))
    out.print(table if found else "No execution of a sign-up or password reset of this user is known.")
    if more:
        out.print(
            f"There may be older ones: {users.LOOKED_AT:,} were looked through, and {users.SHOWN} at most are shown."
        )
    out.print(f"Welcome email: {users.welcome_verdict(compared.user, found)}.")
    out.print(*_verdict(compared))
    if not compared.is_in_step:
        raise typer.Exit(NOT_WELL)


def _print_not_found(deployment: Deployment, who: str) -> None:
    table = deployment.user_table
    if SUB.fullmatch(who.lower()):
        problems.print(
            styled("No such user:"),
            f"neither the pool {deployment.user_pool_id} nor the table {table.name} has {who}."
            " Check the sub, and whether the user is of this pool",
        )
        return
    problems.print(
        styled("Not in the user pool:"),
        f"{deployment.user_pool_id} has no user with the username or email address {who}. If the user was deleted, name"
        " the user by sub: the table has no index that finds it.",
    )
    # Other characters would have to be quoted for the shell and for JSON.
    if not re.fullmatch(r"[\w.@+-]+", who):
        return
    names = {"#name": table.layout.name("email" if "@" in who else "username"), "#key": table.layout.partition_key.name}
    problems.print("This command finds the sub, and reads the whole table:")
    problems.print(
        f"aws dynamodb scan --region {deployment.region} --table-name {table.name} --filter-expression '#name = :value'"
        f" --expression-attribute-names '{json.dumps(names)}'"
        f" --expression-attribute-values '{json.dumps({':value': {'S': who}}, ensure_ascii=False)}'"
        " --projection-expression '#key'"
    )


def _to_json(value: object) -> object:
    """A value that `json` does not know: the type of a number or a set in DynamoDB, or a time."""
    if isinstance(value, set):
        return sorted(value, key=str)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sync(deployment: Deployment, sub: str) -> None:
    try:
        outcome = users.sync(deployment, sub)
    except (
        AccessDeniedError,
        CognitoRejectedError,
        CognitoUnavailableError,
        TableRejectedError,
        TableUnavailableError,
        UnusableUserError,
    ) as error:
        problems.print(styled("Not synced:"), str(error.__cause__ or error))
        raise typer.Exit(NOT_WELL) from error
    out.print(f"Synced: {outcome}.")


def _print_comparison(compared: users.Comparison) -> None:
    table = Table("", Column("Cognito", overflow="fold"), Column("table", overflow="fold"), "", title=compared.sub)
    cognito, item, differing = compared.cognito, compared.item, compared.differing
    for name in {**cognito, **item}:
        differs = name in differing
        cells = [_shown(side.get(name, "-")) for side in (cognito, item)]
        table.add_row(name, *cells, "≠" if differs else "", style="red" if differs else None)
    out.print(table)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verdict(compared: users.Comparison) -> tuple[Text | str, ...]:
    hint = f"Sync now: cognito-user-sync user {compared.sub} --sync"
    if compared.other_pool:
        return styled(f"The item belongs to the user pool {compared.other_pool}:"), "use the deployment of that pool."
    if compared.user is None:
        if not compared.is_in_step:
            return styled("Cognito's list does not show this user, yet or any more."), hint
        if not compared.is_of_pool:
            return ("Not in Cognito, and the item is the application's: it was never synced.",)
        says = "says so" if compared.is_deleted else "keeps the item, as it is to"
        return (f"Gone from Cognito, and the table {says}.",)
    if compared.user.status == UNCONFIRMED and compared.is_in_step:
        return ("Has signed up and never confirmed: not in the table until then.",)
    if compared.is_in_step:
        return ("The table says what Cognito says.",)
    if compared.found is None:
        return styled("Missing in the table."), hint
    if not compared.is_of_pool:
        return styled("The item is the application's: it was never synced."), hint
    if compared.is_deleted:
        return styled("In Cognito, but deleted in the table."), hint
    return styled("The table differs."), hint
