"""`cognito-user-sync rollback`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.rollback import Code, CodeError, Release, code, download, run_code
from cognito_user_sync_cli.terminal import end, out


def rollback(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option("--to", metavar="HASH", help="The release with this code hash, or the begin of one.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Back to the release that Terraform deployed last.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the releases; change nothing.")] = False,
) -> None:
    """Let the functions run the code of the previous release, in seconds. Repeating it changes nothing.

    The configuration, the permissions and the state machines stay those of the last apply.

    Example: cognito-user-sync rollback
    """
    if sum((to is not None, undo, show)) > 1:
        raise typer.BadParameter("more than one of them is given: give one only", param_hint="--to, --undo, --list")
    deployment: Deployment = context.obj()
    found = code(deployment)
    if show:
        _print(found)
        return
    release = found.previous(0 if undo else 1) if to is None else found.release(to)
    try:
        _run(deployment, found, release)
    except CodeError as error:
        end("Not rolled back", str(error))
    if release == found.releases[0]:
        out.print("This is the code that Terraform deployed last.")
    else:
        out.print(
            "Terraform's plan fails until you apply another release, or end the roll-back:"
            " cognito-user-sync rollback --undo"
        )


def _print(found: Code) -> None:
    table = Table("code hash", "last published, UTC", Column("functions that run it", justify="right"))
    for release in found.releases:
        runs = sum(each["CodeSha256"] == release.code_sha256 for each in found.running.values())
        table.add_row(
            release.code_sha256[:12], f"{release.published_at:%Y-%m-%d %H:%M:%S}", f"{runs} of {len(found.running)}"
        )
    out.print(table)


def _run(deployment: Deployment, found: Code, release: Release) -> None:
    out.print(f"To {release.code_sha256[:12]}, published {release.published_at:%Y-%m-%d %H:%M:%S} UTC.")
    content = None
    for name, running in found.running.items():
        if running["CodeSha256"] == release.code_sha256:
            out.print(f"{name}: runs it already")
        elif name not in release.versions:
            out.print(f"{name}: left as it is: no version of it has that code")
        else:
            content = content or download(deployment.functions, release)
            run_code(deployment.functions, running, content)
            out.print(f"{name}: runs it now")
