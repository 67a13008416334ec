"""`cognito-user-sync export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cognito_user_sync.rate_limit import RateLimiter
from cognito_user_sync_cli.deployment import Deployment, DeploymentError, cognito_of
from cognito_user_sync_cli.export_formats import CsvLines, Format, ImportLines, JsonLines, Writer
from cognito_user_sync_cli.file_lock import locked
from cognito_user_sync_cli.progress_bar import users_done
from cognito_user_sync_cli.target_pool import TargetPool, unknown_contacts
from cognito_user_sync_cli.terminal import (
    EXIT_INTERRUPTED,
    EXIT_PROBLEM,
    counted,
    exit_with_error,
    parse_pool_id,
    stderr,
    stdout,
    styled,
)
from cognito_user_sync_cli.user_export import Export, Progress
from cognito_user_sync_cli.user_records import PoolSource, Source, TableSource


class From(StrEnum):
    """Where `export` reads users."""

    TABLE = "table"
    POOL = "pool"


def export(
    context: typer.Context,
    format_: Annotated[Format, typer.Option("--format", help="The format of the file.")],
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", dir_okay=False, help="The file. It must not exist yet.")
    ],
    from_: Annotated[
        From, typer.Option("--from", help="Read the items of the user table, or list the user pool.")
    ] = From.TABLE,
    pool_id: Annotated[
        str | None,
        typer.Option(
            "--pool",
            parser=parse_pool_id,
            metavar="POOL_ID",
            help="With cognito-import: the pool of the import job. Default: this pool.",
        ),
    ] = None,
    include_deleted: Annotated[
        bool,
        typer.Option(
            "--include-deleted", help="With --from table: export deleted users, too. Reads the whole table with a scan."
        ),
    ] = False,
    assume_verified: Annotated[
        bool,
        typer.Option(
            "--assume-verified",
            help="With cognito-import, if email_verified or phone_number_verified is not synced: import each address as"
            " verified.",
        ),
    ] = False,
    list_users_per_second: Annotated[
        float,
        typer.Option("--rate", metavar="NUMBER", min=0.1, max=30, help="With --from pool: ListUsers calls per second."),
    ] = 10,
) -> None:
    """Export all users to a file, as JSON Lines, as CSV, or as the CSV of a Cognito import job.

    The file has personal data. After an interruption, run the same command again: it continues where it ended.

    Example: cognito-user-sync export --format jsonl --output users.jsonl
    """
    if pool_id and format_ is not Format.COGNITO_IMPORT:
        raise typer.BadParameter("only allowed with --format cognito-import: remove it", param_hint="--pool")
    if assume_verified and (from_ is From.POOL or format_ is not Format.COGNITO_IMPORT):
        raise typer.BadParameter(
            "only allowed with --from table and --format cognito-import: remove it", param_hint="--assume-verified"
        )
    if include_deleted and (from_ is From.POOL or format_ is Format.COGNITO_IMPORT):
        raise typer.BadParameter(
            "only allowed with --from table and --format jsonl or csv: remove it", param_hint="--include-deleted"
        )
    deployment: Deployment = context.obj()
    source: Source
    if from_ is From.POOL:
        source = PoolSource(deployment.user_pool, RateLimiter(list_users_per_second))
    else:
        source = TableSource(deployment.user_table, include_deleted)
    writer, settings = _writer(deployment, format_, from_, pool_id, assume_verified)
    settings |= {
        "--format": format_,
        "--from": from_,
        "--include-deleted": include_deleted,
        "user pool": deployment.user_pool_id,
        "table": deployment.user_table_name,
    }
    users = source.estimated_users()
    with locked(output):
        job = Export(output, settings, is_limited=format_ is Format.COGNITO_IMPORT)
        _run(job, source, writer, users)
    _print_result(job)
    if job.progress.rejected:
        raise typer.Exit(EXIT_PROBLEM)


def _writer(
    deployment: Deployment, format_: Format, from_: From, pool_id: str | None, assume_verified: bool
) -> tuple[Writer, dict[str, Any]]:
    """Return the writer of a format, and the settings that its lines depend on."""
    attributes = deployment.user_table.layout.attributes if from_ is From.TABLE else ()
    if format_ is Format.JSONL:
        return JsonLines(), {"attributes": list(attributes)}
    if format_ is Format.CSV:
        if from_ is From.POOL:
            described = _describe(deployment.user_pool_id)
            attributes = tuple(sorted(name for name in described.schema if name != "sub"))
        return CsvLines(attributes), {"attributes": list(attributes)}
    target = _describe(pool_id or deployment.user_pool_id)
    if not target.verifies:
        raise DeploymentError(
            f"the pool {target.id} verifies neither email addresses nor phone numbers, so Cognito does not start an"
            " import job: set auto_verified_attributes of the pool, or create the users in another way"
        )
    known = {f"{contact}_verified" for contact in target.verifies}
    if from_ is From.TABLE and not assume_verified and known.isdisjoint(attributes):
        raise DeploymentError(
            f"the table does not have {' or '.join(sorted(known))}, and an import job rejects users without a verified"
            " address: add it to the variable attributes, apply and reconcile, or use --from pool or --assume-verified"
        )
    columns = cognito_of(target.id).get_csv_header(UserPoolId=target.id)["CSVHeader"]
    settings = {"--pool": target.id, "columns": columns, "--assume-verified": assume_verified}
    return ImportLines(columns, target, unknown_contacts(attributes) if assume_verified else ()), settings


def _describe(pool_id: str) -> TargetPool:
    return TargetPool.of(cognito_of(pool_id).describe_user_pool(UserPoolId=pool_id)["UserPool"])


def _run(job: Export, source: Source, writer: Writer, users: int) -> None:
    """Run the export. If it ends early, print how to continue it."""
    if job.is_continued:
        stderr.print(f"Continues the export after {counted(job.progress.done, 'user')}.")
    try:
        with users_done(users, job.progress.done, "exported") as report:

            def show(progress: Progress) -> None:
                report(progress.done)

            job.run(source, writer, show)
    except KeyboardInterrupt:
        stdout.print(_UNFINISHED)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        exit_with_error("Not written", f"{error}\n{_UNFINISHED}")
    except DeploymentError:
        # The files do not fit: the same command would fail again.
        raise
    except Exception:
        stdout.print(_UNFINISHED)
        raise


_UNFINISHED = "The export is not finished. To continue it, run the same command again."


def _print_result(job: Export) -> None:
    files = ", ".join(map(str, job.paths))
    stdout.print(f"{counted(job.progress.exported, 'user')} exported: {files}")
    stdout.print("It has personal data. Only your operating system user can read it.")
    if not job.progress.rejected:
        return
    number = job.progress.rejected.total()
    stderr.print(styled("Problem:"), f"{counted(number, 'user')} not exported: {job.rejected_file}")
    for reason, count in job.progress.rejected.most_common():
        stderr.print(f"  {count:,}: {reason}")
