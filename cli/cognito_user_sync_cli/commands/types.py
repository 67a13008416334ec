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
    sync_groups: Annotated[
        bool, typer.Option("--sync-groups", help="With --attribute: the deployment has sync_groups = true.")
    ] = False,
) -> None:
    """Print types for the items of the user table: TypedDicts for Python, or interfaces for TypeScript.

    Example: cognito-user-sync types --language python > user_item.py
    """
    if sync_groups and not attribute:
        raise typer.BadParameter(
            "only allowed with --attribute: remove it, since the deployment has the setting", param_hint="--sync-groups"
        )
    if attribute:
        layout = ItemLayout(user_pool_id="", attributes=tuple(attribute), sync_groups=sync_groups)
    else:
        deployment: Deployment = context.obj()
        layout = deployment.user_table.layout
    for line in item_types.source(layout, language).split("\n"):
        stdout.print(line)
