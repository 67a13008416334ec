"""`cognito-user-sync types`."""

from __future__ import annotations

from typing import Annotated

import typer

from cognito_user_sync.item_layout import ItemLayout
from cognito_user_sync_cli import item_types
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.item_types import Language
from cognito_user_sync_cli.terminal import stdout


def print_types(
    context: typer.Context,
    language: Annotated[Language, typer.Option(help="The language of the types.")],
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A synced attribute, such as custom:plan. With this option, no deployment is needed: the types are for"
            " a table that the module creates, with default names and without extra attributes.",
        ),
    ] = None,
) -> None:
    """Print types for the items of the user table: TypedDicts for Python, or interfaces for TypeScript.

    Example: cognito-user-sync types --language python > user_item.py
    """
    if attribute:
        layout = ItemLayout(user_pool_id="", attributes=tuple(attribute))
    else:
        deployment: Deployment = context.obj()
        layout = deployment.user_table.layout
    for line in item_types.source(layout, language).split("\n"):
        stdout.print(line)
