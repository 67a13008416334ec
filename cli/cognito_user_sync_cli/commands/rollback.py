"""`cognito-user-sync rollback`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Column, Table

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.rollback import Code, CodeError, Release, deploy_code, download, read_code
from cognito_user_sync_cli.terminal import exit_with_error, stdout


def rollback(
    context: typer.Context,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="HASH", help="Roll back to the release with this code hash, or its first characters."
        ),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Return to the release that Terraform deployed last.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the releases, and change nothing.")] = False,
) -> None:
    """Roll the code of all functions back to the previous release, within seconds.

    Settings, permissions and state machines are not rolled back. The command is idempotent.

    Example: cognito-user-sync rollback
    """
    if sum((to is not None, undo, show)) > 1:
        raise typer.BadParameter("more than one of them is set: use only one", param_hint="--to, --undo, --list")
    deployment: Deployment = context.obj()
    code = read_code(deployment)
    if show:
        _print_releases(code)
        return
    release = code.previous(0 if undo else 1) if to is None else code.release(to)
    try:
        _deploy(deployment, code, release)
    except CodeError as error:
        exit_with_error("Not rolled back", str(error))
    if release == code.releases[0]:
        stdout.print("This is the code that Terraform deployed last.")
    else:
        stdout.print(
            "terraform plan fails until you apply another release, or end the rollback:"
            " cognito-user-sync rollback --undo"
        )


def _print_releases(code: Code) -> None:
    table = Table("code hash", "last published, UTC", Column("functions that run it", justify="right"))
    for release in code.releases:
        runs = sum(each["CodeSha256"] == release.code_sha256 for each in code.running.values())
        table.add_row(
            release.code_sha256[:12], f"{release.published_at:%Y-%m-%d %H:%M:%S}", f"{runs} of {len(code.running)}"
        )
    stdout.print(table)


def _deploy(deployment: Deployment, code: Code, release: Release) -> None:
    stdout.print(f"Release {release.code_sha256[:12]}, published {release.published_at:%Y-%m-%d %H:%M:%S} UTC.")
    content = None
    for name, running in code.running.items():
        if running["CodeSha256"] == release.code_sha256:
            stdout.print(f"{name}: already runs this release")
        elif name not in release.versions:
            stdout.print(f"{name}: unchanged, since it has no version with this code")
        else:
            content = content or download(deployment.functions, release)
            deploy_code(deployment.functions, running, content)
            stdout.print(f"{name}: runs this release now")
