"""`cognito-user-sync erase`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync.user_table import Outcome
from cognito_user_sync_cli import erasure
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.terminal import EXIT_PROBLEM, parse_sub, print_error, stdout


def erase(
    context: typer.Context,
    sub: Annotated[str, typer.Argument(parser=parse_sub, metavar="SUB", help="The sub of the deleted user.")],
    whole_item: Annotated[
        bool,
        typer.Option("--whole-item", help="In an existing table: remove the application's attributes, too."),
    ] = False,
) -> None:
    """Erase the data of a user who was deleted in Cognito, and list the copies that remain.

    docs/operations.md lists the permissions that this command needs.

    Example: cognito-user-sync erase d4386408-5001-70fa-9a3c-1a2b3c4d5e6f
    """
    deployment: Deployment = context.obj()
    try:
        outcome = erasure.erase(deployment, sub, whole_item)
    except erasure.StillInPoolError:
        print_error(
            "Not erased",
            f"the user is in the pool {deployment.user_pool_id}, and the next sync would write the item again."
            " Delete the user in Cognito first, then run this command again",
        )
        raise typer.Exit(EXIT_PROBLEM) from None
    if outcome is Outcome.STALE:
        print_error("Not erased", "the item was synced a moment ago. Run this command again")
        raise typer.Exit(EXIT_PROBLEM)
    stdout.print(_ERASED[outcome])
    table = Table(Column("may remain in", overflow="fold"), Column("data", overflow="fold"), "until")
    for copy in erasure.copies(deployment):
        table.add_row(copy.location, copy.data, copy.until)
    stdout.print(table)


_ERASED = {
    Outcome.DELETED: "Erased: this module keeps only the key and the time of the deletion in the item.",
    Outcome.UNCHANGED: "Nothing left to erase in the table.",
    Outcome.NOT_OURS: "The table has no item that this module wrote for this user and this pool.",
}
