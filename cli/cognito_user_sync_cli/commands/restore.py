"""`cognito-user-sync restore`."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cognito_user_sync_cli.deployment import Deployment, DeploymentError, cognito_of
from cognito_user_sync_cli.export_formats import csv_line
from cognito_user_sync_cli.file_lock import locked
from cognito_user_sync_cli.progress_bar import users_done
from cognito_user_sync_cli.restoration import Options, Outcome, Restoration, check_target
from cognito_user_sync_cli.restore_map import RestoreMap
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
from cognito_user_sync_cli.user_records import FileSource, TableSource, UserRecord


def restore(
    context: typer.Context,
    into: Annotated[
        str, typer.Option("--into", parser=parse_pool_id, metavar="POOL_ID", help="The pool that gets the users.")
    ],
    users_file: Annotated[
        Path | None,
        typer.Option(
            "--users",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Restore the users of a file from export --format jsonl, instead of those of the table. Needs no"
            " deployment.",
        ),
    ] = None,
    map_file: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE",
            dir_okay=False,
            help="CSV file for the old and new subs, with which a restore continues. Default: restored-POOL_ID.csv",
        ),
    ] = None,
    skip_attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An attribute that is not restored.")
    ] = None,
    assume_verified: Annotated[
        bool,
        typer.Option(
            "--assume-verified",
            help="If email_verified or phone_number_verified is not synced: restore each address as verified.",
        ),
    ] = False,
    random_passwords: Annotated[
        bool,
        typer.Option(
            "--random-passwords",
            help="Give each user a random password that is not shown, so that 'forgot password' works.",
        ),
    ] = False,
    rate: Annotated[
        float, typer.Option(metavar="NUMBER", min=0.1, max=50, help="Users per second. The account's quota is 50.")
    ] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Create the users of the table, or of an exported file, in another pool, without sending messages.

    Passwords, MFA and subs are not restored. After an interruption, run the same command again: it continues.

    Example: cognito-user-sync restore --into eu-west-1_AbCdEfGhI --dry-run
    """
    origin = _of_file(users_file) if users_file else _of_table(context.obj(), into)
    client = cognito_of(into)
    described = client.describe_user_pool(UserPoolId=into)["UserPool"]
    target = TargetPool.of(described)
    assumed = unknown_contacts(origin.attributes) if assume_verified else ()
    options = Options(tuple(skip_attribute or ()), assumed, random_passwords)
    check_target(target, origin.attributes, options.skipped)
    map_file = map_file or Path(f"restored-{into}.csv")
    with nullcontext() if dry_run else locked(map_file):
        job = Restoration(client, target, RestoreMap(map_file, into), options, rate, dry_run)
        _announce(job, origin, described)
        if not dry_run and not yes:
            typer.confirm(f"Create these users in {into}?", abort=True)
        _run(job, origin)
    _print_result(job)
    if job.counts.problems:
        raise typer.Exit(EXIT_PROBLEM)


@dataclass(frozen=True)
class _Origin:
    """Where the users are from, how many there are, which attributes they have, and whether their groups are known."""

    name: str
    source: TableSource | FileSource
    users: int
    attributes: tuple[str, ...]
    has_groups: bool


def _of_table(deployment: Deployment, into: str) -> _Origin:
    if into == deployment.user_pool_id:
        raise DeploymentError(f"{into} is the pool of this deployment: --into must be another pool")
    source = TableSource(deployment.user_table)
    source.estimated_users()  # checks that the index exists
    layout = source.table.layout
    return _Origin(f"the table {source.table.name}", source, source.count(), layout.attributes, layout.sync_groups)


def _of_file(path: Path) -> _Origin:
    if path.with_name(f"{path.name}.progress").exists():
        raise DeploymentError(f"{path} is an unfinished export: finish it first, with the same export command")
    source = FileSource(path)
    names, users, has_groups = set[str](), 0, False
    for record in source.records():
        names |= record.attributes.keys()
        users += 1
        has_groups |= bool(record.groups)
    return _Origin(str(path), source, users, tuple(sorted(names - {"identities"})), has_groups)


def _announce(job: Restoration, origin: _Origin, described: Any) -> None:
    """Print what cannot be restored, what will happen, and to how many users."""
    options, target = job.options, job.target
    left = max(origin.users - len(job.map), 0)
    would, existing = "would" if job.dry_run else "will", described.get("EstimatedNumberOfUsers", 0)
    stdout.print(
        f"{counted(left, 'user')} of {origin.name} {would} be created in the pool {target.id}, which has about"
        f" {counted(existing, 'user')}, in at least {counted(max(round(left / job.rate / 60), 1), 'minute')}."
    )
    if len(job.map):
        stdout.print(f"{counted(len(job.map), 'user')} were restored before: {job.map.path}")
    stdout.print(
        "Not restored: passwords, MFA, passkeys, devices, the sub (each user gets a new one), federated users and links"
        " to identity providers, the date of creation, and attributes that are not synced."
    )
    if options.sets_passwords:
        stdout.print(
            "Each user gets a random password and the status CONFIRMED. The user sets a new password with 'forgot"
            " password', which needs a verified email address or phone number."
        )
    else:
        stdout.print(
            "Each user gets the status FORCE_CHANGE_PASSWORD, and no message. The user cannot sign in, or use 'forgot"
            " password', until you invite the user or set a password: docs/export-and-restore.md. --random-passwords"
            " makes 'forgot password' work."
        )
    for contact in unknown_contacts(origin.attributes):
        how = "verified, whether it is or not" if contact in options.assumed else "not verified"
        stdout.print(f"{contact}_verified is unknown: each {contact} is restored as {how}.")
    if origin.has_groups:
        stdout.print("Missing groups are created without a role, description and precedence.")
    else:
        stdout.print("Groups are not restored: these users have none. The variable sync_groups syncs them.")
    triggers = described.get("LambdaConfig", {})
    if "PreSignUp" in triggers:
        stdout.print(
            f"The pre-sign-up trigger of the pool runs for each user, and can reject users: {triggers['PreSignUp']}"
        )
    if "CustomMessage" in triggers:
        stdout.print("The custom message trigger of the pool should not run, since no message is sent.")
    if "PostConfirmation" in triggers:
        stdout.print("The post-confirmation trigger of the pool does not run: users are created, and not confirmed.")


def _run(job: Restoration, origin: _Origin) -> None:
    """Run the restore. If it ends early, print how to continue it."""
    try:
        with ExitStack() as files, users_done(origin.users, 0, "restored") as show:
            problems = None if job.dry_run else _Problems(job.map.path, files)
            number = 0

            def report(record: UserRecord, outcome: Outcome, reason: str) -> None:
                nonlocal number
                number += 1
                if outcome is Outcome.PROBLEM and problems:
                    problems.add(record.sub, reason)
                show(number)

            job.run(origin.source.records(), report)
    except KeyboardInterrupt:
        stdout.print(_UNFINISHED)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        exit_with_error("Not written", f"{error}\n{_UNFINISHED}")
    except Exception:
        stdout.print(_UNFINISHED)
        raise


_UNFINISHED = "The restore is not finished. To continue it, run the same command again."


class _Problems:
    """A CSV file beside the map, with the users of this run who could not be restored. It is created by the first."""

    def __init__(self, map_path: Path, files: ExitStack) -> None:
        self.path = problems_path(map_path)
        self.path.unlink(missing_ok=True)
        self._files = files
        self._file: Any = None

    def add(self, sub: str, reason: str) -> None:
        if self._file is None:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = self._files.enter_context(os.fdopen(descriptor, "wb"))
            self._file.write(csv_line(["old_sub", "reason"]))
        self._file.write(csv_line([sub, reason]))
        self._file.flush()


def problems_path(map_path: Path) -> Path:
    return map_path.with_name(f"{map_path.name}.problems.csv")


def _print_result(job: Restoration) -> None:
    counts, outcomes = job.counts, job.counts.outcomes
    verb = "would be restored" if job.dry_run else "restored"
    stdout.print(f"{counted(outcomes[Outcome.RESTORED] + outcomes[Outcome.ADOPTED], 'user')} {verb}.")
    for number, text in (
        (outcomes[Outcome.ADOPTED], "of them existed already, as a restore creates them"),
        (counts.disabled, "of them disabled, as before"),
        (counts.memberships, "memberships in groups"),
        (len(counts.new_groups), f"groups created: {', '.join(sorted(counts.new_groups))}"),
        (outcomes[Outcome.DONE_BEFORE], "users restored before"),
        (
            outcomes[Outcome.FEDERATED],
            "federated users skipped: their identity provider creates them at the next sign-in",
        ),
        (outcomes[Outcome.DELETED], "deleted users skipped"),
    ):
        if number:
            stdout.print(f"  {number:,} {text}")
    if job.dry_run:
        stdout.print("A dry run: nothing was changed. It does not check which users the pool has already.")
    elif len(job.map):
        stdout.print(f"Old and new subs: {job.map.path}")
    if counts.problems:
        where = "" if job.dry_run else f": {problems_path(job.map.path)}"
        stderr.print(styled("Problem:"), f"{counted(counts.problems.total(), 'user')} not restored{where}")
        for reason, number in _shown(counts.problems):
            stderr.print(f"  {number:,}: {reason}")


def _shown(problems: Counter[str]) -> list[tuple[str, int]]:
    return problems.most_common(10)
