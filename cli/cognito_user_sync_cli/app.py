"""The commands. Each asks Terraform what is deployed, calls a function or two, and prints what came of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text
from typer.core import TyperGroup

from cognito_user_sync.email_values import is_invisible
from cognito_user_sync.user import SUB, UNCONFIRMED, UnusableUser
from cognito_user_sync.user_pool import PoolRefused, PoolUnavailable
from cognito_user_sync.user_table import Outcome, TableRefused, TableUnavailable
from cognito_user_sync.welcome_email import UnknownPlaceholder, WelcomeEmail
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import erasure, reconciliation, users, welcome
from cognito_user_sync_cli.deployment import Deployment, NotDeployed
from cognito_user_sync_cli.failures import Failure, dead_letter_queue, redrive, requeue
from cognito_user_sync_cli.failures import failures as failed_executions
from cognito_user_sync_cli.status import Status, messages, status
from cognito_user_sync_cli.welcome import NoWelcome, SampleUser

# What a command ends with.
NOT_WELL = 1
CANNOT_TELL = 2
INTERRUPTED = 130

# Where there is no terminal for a progress bar, a line says now and then how far a run is.
_SAY_SECONDS = 30.0


def plain(text: str) -> str:
    """Show each character that steers the terminal, or is invisible, as its code: controls, also bidirectional ones."""
    return "".join(each if each.isprintable() and not is_invisible(each) else f"\\u{ord(each):04x}" for each in text)


class PlainConsole(Console):
    """A console that takes no string as markup, and no character of one as a command to the terminal.

    Most of what is printed was not written here: users choose names, and outputs, state files and the messages of AWS
    are somebody else's, too. A string is one line. What has a style is made by `styled`.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, emoji=False, markup=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)


def styled(text: str, style: str = "red") -> Text:
    return Text(plain(text), style)


out, problems = PlainConsole(), PlainConsole(stderr=True)


class Commands(TyperGroup):
    """The commands, whose errors each end with one message."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NotDeployed as error:
            _end("Nothing to work on", str(error))
        except NoCredentialsError:
            _end("No AWS credentials", "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in")
        except (PoolRefused, PoolUnavailable, TableRefused, TableUnavailable) as error:
            # Of the table and the pool only the code is said; its cause is AWS's own message.
            _end("AWS refused", str(error.__cause__ or error))
        except (BotoCoreError, ClientError) as error:
            _end("AWS refused", str(error))
        except UnusableUser as error:
            _end("Not a user", str(error))
        except UnknownPlaceholder as error:
            _end(
                "No preview",
                f"nothing fills {{{{{error}}}}}: it must be a synced attribute, or, of templates that are not deployed,"
                " be given by --attribute",
            )
        except NoWelcome as error:
            _end("No preview", str(error))


def _end(what: str, why: str) -> NoReturn:
    first, *others = why.split("\n")
    problems.print(styled(f"{what}:"), first)
    for line in others:
        problems.print(f"  {line}")
    raise typer.Exit(CANNOT_TELL)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Operate terraform-aws-cognito-user-sync, in the Terraform folder and workspace that deployed it.",
    epilog="Status 0: all is well. 1: it is not, or something failed. 2: it cannot be told. 130: interrupted.",
)
failures_app = typer.Typer(help="What failed, and how to try it again.")
app.add_typer(failures_app, name="failures")


@app.callback()
def of_deployment(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--chdir", help="Terraform folder that deployed it, with its workspace selected.")
    ] = Path(),
    outputs: Annotated[
        Path | None, typer.Option("--outputs", help="File with `terraform output -json`, instead of a folder.")
    ] = None,
) -> None:
    def deployment() -> Deployment:
        found = Deployment.from_file(outputs) if outputs else Deployment.from_terraform(folder)
        found.check()
        problems.print(f"{found.prefix} in account {found.account}, {found.region}", style="dim")
        return found

    # Called by the commands, so that --help needs no deployment.
    context.obj = deployment


# --- status


@app.command("status")
def show_status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say whether all is well: the trigger, the counts, the last reconciliation, what failed, what waits, alarms.

    Example: cognito-user-sync status --json | jq .problems
    """
    found = status(context.obj())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _print_status(found)
    if not found.is_healthy:
        raise typer.Exit(NOT_WELL)


def _print_status(found: Status) -> None:
    table = Table("", Column(overflow="fold"), show_header=False)
    trigger = found.trigger or "none"
    table.add_row("trigger", f"attached: {trigger}" if found.is_attached else styled(f"not attached: {trigger}"))
    table.add_row("users in the pool", f"{found.users_in_pool:,} (Cognito's estimate, with unconfirmed ones)")
    table.add_row(
        "users in the table", f"{found.users_in_table:,} (as DynamoDB counted within six hours, of all pools)"
    )
    table.add_row("last reconciliation", _of_run(found.last_run))
    if found.run_going_on:
        table.add_row("", "one is going on: cognito-user-sync reconcile --follow")
    table.add_row(
        "failed executions", f"{found.failed_in_one_day:,} in 24 hours, {found.failed_in_14_days:,} in 14 days"
    )
    for name, queue in found.queues.items():
        table.add_row(f"queue {name}", f"{queue.waiting:,} waiting, {queue.given_up:,} given up")
    table.add_row("alarms", ", ".join(found.alarms) or "none in ALARM")
    table.add_row("dashboard", found.dashboard_url)
    out.print(table)
    if found.last_run:
        _print_examples(found.last_run)
    if found.is_healthy:
        out.print(styled("All is well.", "green"))
    for problem in found.problems:
        out.print(styled("Problem:"), f"{problem}.")


def _of_run(run: reconciliation.Run | None) -> str:
    if run is None:
        return "none has ended yet"
    counts = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in _counts(run.summary).items() if value)
    ended = f"{run.status}, a dry run" if run.dry_run else run.status
    return f"{ended}, begun {run.started_at:%Y-%m-%d %H:%M} UTC: {counts or run.reason or 'no user listed'}"


def _counts(summary: dict[str, Any] | None) -> dict[str, int]:
    """The numbers of users in a run's summary."""
    return {
        name: value
        for name, value in (summary or {}).items()
        if isinstance(value, int) and not isinstance(value, bool) and name not in ("batches", "seconds")
    }


# --- reconcile


@app.command()
def reconcile(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be written and deleted; write nothing.")
    ] = False,
    allow_deletes: Annotated[
        int, typer.Option(min=0, help="Delete so many users of a shard, even if that is more than max_delete_percent.")
    ] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Start none: follow the run that goes on.")] = False,
) -> None:
    """Run the reconciliation, follow it to its end, and print its counts. Ctrl-C leaves the run going.

    Example: cognito-user-sync reconcile --dry-run
    """
    if follow and (dry_run or allow_deletes):
        raise typer.BadParameter("starts no run: leave out --dry-run and --allow-deletes", param_hint="--follow")
    deployment: Deployment = context.obj()
    machine = deployment.reconciliation_state_machine_arn
    if machine is None:
        raise NotDeployed("this deployment has no reconciliation: reconciliation.enabled is false")
    if follow:
        newest = next(reconciliation.runs(deployment.states, machine), None)
        if newest is None:
            raise NotDeployed("no reconciliation has run yet")
        arn = newest.arn
    else:
        arn = reconciliation.start(deployment.states, machine, allow_deletes, dry_run)
        out.print(f"Started {arn}")
    try:
        run = _followed(deployment, arn)
    except (KeyboardInterrupt, BotoCoreError, ClientError) as left:
        out.print()
        out.print("The run goes on. To follow it again: cognito-user-sync reconcile --follow")
        if isinstance(left, KeyboardInterrupt):
            raise typer.Exit(INTERRUPTED) from None
        raise
    _print_run(run)
    if run.status != "SUCCEEDED":
        raise typer.Exit(NOT_WELL)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} users/s" if task.speed else "")


def _followed(deployment: Deployment, arn: str) -> reconciliation.Run:
    """The run as it ended, with a progress bar until then."""
    pool = deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id)["UserPool"]
    columns = (
        TextColumn("{task.completed:,.0f} of about {task.total:,.0f} users listed"),
        BarColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    log_group = f"/aws/lambda/{deployment.prefix}-reconcile-shards"
    estimate = pool.get("EstimatedNumberOfUsers", 0)
    task, said_at = None, time.monotonic()
    with Progress(*columns, console=problems, transient=True) as bar:
        for found in reconciliation.follow(deployment.states, deployment.logs, log_group, arn):
            if isinstance(found, reconciliation.Run):
                return found
            total = max(estimate, found, 1)
            if task is None:
                task = bar.add_task("", completed=found, total=total)
            bar.update(task, completed=found, total=total)
            if not problems.is_terminal and time.monotonic() - said_at >= _SAY_SECONDS:
                said_at = time.monotonic()
                problems.print(f"{found:,} of about {total:,} users listed")
    raise AssertionError("a run is followed to its end")


def _print_run(run: reconciliation.Run) -> None:
    if run.status == "NOT_RUN":
        problems.print(styled("Not run:"), f"{run.reason}. Follow that one: cognito-user-sync reconcile --follow")
        return
    if run.summary is None:
        problems.print(styled(f"{run.status}:"), run.reason)
        return
    if run.dry_run:
        out.print("A dry run: nothing was written. So many would be:")
    table = Table("", Column(justify="right"), show_header=False)
    for name, value in {**_counts(run.summary), "seconds": run.summary["seconds"]}.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    out.print(table)
    _print_examples(run)
    if run.summary["not_swept"]:
        out.print(f"Deletion check skipped: {run.summary['not_swept']}.")
    for problem in run.summary["problems"]:
        problems.print(styled("Problem:"), problem)


def _print_examples(run: reconciliation.Run) -> None:
    kinds = ("adds", "replaces", "removes")
    table = Table("for example", "", *(Column(kind, overflow="fold") for kind in kinds))
    for each in run.examples:
        names = (", ".join(each[kind]) or "-" for kind in kinds)
        table.add_row(each["sub"], each["outcome"], *names)
    if run.examples:
        out.print(table)


# --- user


@app.command()
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
        problems.print(
            styled("No such user:"),
            f"neither the pool {deployment.user_pool_id} nor the table {deployment.user_table.name}"
            f" has {who}. Deleted users are found by sub, and by email address if the table has an index on it",
        )
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


def _to_json(value: object) -> object:
    """A value that `json` does not know: the type of a number or a set in DynamoDB, or a time."""
    if isinstance(value, set):
        return sorted(value, key=str)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _sync(deployment: Deployment, sub: str) -> None:
    try:
        outcome = users.sync(deployment, sub)
    except (PoolRefused, PoolUnavailable, TableRefused, TableUnavailable, UnusableUser) as error:
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


# --- erase


@app.command()
def erase(
    context: typer.Context,
    sub: Annotated[str, typer.Argument(metavar="SUB", help="The deleted user's sub.")],
    whole_item: Annotated[
        bool,
        typer.Option("--whole-item", help="In an existing table: the application's attributes, too."),
    ] = False,
) -> None:
    """Erase a user who was deleted in Cognito: remove what this module holds, and list the copies that remain.

    docs/operations.md lists the permissions that it needs.

    Example: cognito-user-sync erase d4386408-5001-70fa-9a3c-1a2b3c4d5e6f
    """
    sub = sub.lower()
    if not SUB.fullmatch(sub):
        example = "d4386408-5001-70fa-9a3c-1a2b3c4d5e6f"
        raise typer.BadParameter(f"{plain(sub)} is not a sub, like {example}", param_hint="SUB")
    deployment: Deployment = context.obj()
    try:
        outcome = erasure.erase(deployment, sub, whole_item)
    except erasure.StillInPool:
        problems.print(
            styled("Not erased:"),
            f"the user is in the pool {deployment.user_pool_id}, and the next sync would write the item again."
            " Delete the user in Cognito first, then run this command again",
        )
        raise typer.Exit(NOT_WELL) from None
    if outcome is Outcome.STALE:
        problems.print(styled("Not erased:"), "the item was synced a moment ago. Run this command again")
        raise typer.Exit(NOT_WELL)
    out.print(_ERASED[outcome])
    table = Table(Column("what may remain", overflow="fold"), Column("holds", overflow="fold"), "until")
    for copy in erasure.copies(deployment):
        table.add_row(copy.where, copy.what, copy.until)
    out.print(table)


_ERASED = {
    Outcome.DELETED: "Erased: the item holds nothing more of this module than the key and the time of the deletion.",
    Outcome.UNCHANGED: "Nothing left to erase in the table.",
    Outcome.NOT_OURS: "The table has no item that this module has written for this user and this pool.",
}


# --- failures


@failures_app.callback(invoke_without_command=True)
def list_failures(context: typer.Context) -> None:
    """List the executions that failed in the last 14 days, by state and error, and what is in the dead-letter queue.

    Example: cognito-user-sync failures
    """
    if context.invoked_subcommand is not None:
        return
    deployment: Deployment = context.obj()
    found = _failed(deployment)
    counts = Counter((each.end, each.may_have_greeted) for each in found)
    examples = {(each.end, each.may_have_greeted): each.name for each in reversed(found)}
    table = Table(
        *(
            Column(name, overflow="fold")
            for name in ("executions", "failed in", "error", "may have greeted", "for example")
        )
    )
    for key, count in counts.most_common():
        end, may_have_greeted = key
        greeted = "yes" if may_have_greeted else "no"
        table.add_row(f"{count:,}", end.state or "-", end.error, greeted, examples[key])
    out.print(table if found else "No execution has failed in 14 days.")
    if found:
        out.print("When the cause is mended: cognito-user-sync failures redrive")
    if lost := messages(deployment.queues, dead_letter_queue(deployment.queues, deployment.unstarted_queue_url)):
        out.print(f"{lost:,} sign-ups in the dead-letter queue. Move them back: cognito-user-sync failures requeue")


@failures_app.command("redrive")
def redrive_failures(
    context: typer.Context,
    include_greeted: Annotated[
        bool, typer.Option("--all", help="Also those that may have sent their welcome: some people are greeted twice.")
    ] = False,
) -> None:
    """Let failed executions go on from the state where they failed.

    Example: cognito-user-sync failures redrive
    """
    deployment: Deployment = context.obj()
    redriven, left, hopeless = 0, 0, 0
    try:
        # All of them first: one that is redriven moves the pages of the rest.
        for failure in _failed(deployment):
            if failure.is_hopeless:
                hopeless += 1
            elif failure.may_have_greeted and not include_greeted:
                left += 1
            elif refused := redrive(deployment.states, failure):
                problems.print(f"{failure.name}: not redriven: {refused}")
            else:
                redriven += 1
    finally:
        out.print(f"{redriven:,} redriven.")
    if left:
        out.print(f"{left:,} left alone: their welcome may have been sent. Redrive them, too, with --all.")
    if hopeless:
        out.print(f"{hopeless:,} left alone: their input is none, and would fail again.")


def _failed(deployment: Deployment) -> list[Failure]:
    """The failed executions, each asked how it ended: that takes a while where there are many."""
    found: list[Failure] = []
    with problems.status("Looking for failed executions") as spinner:
        for failure in failed_executions(deployment.states, deployment.user_sync_state_machine_arn):
            found.append(failure)
            spinner.update(f"{len(found):,} failed executions found")
    return found


@failures_app.command("requeue")
def requeue_failures(context: typer.Context) -> None:
    """Move sign-ups from the dead-letter queue back into the unstarted queue.

    Example: cognito-user-sync failures requeue
    """
    deployment: Deployment = context.obj()
    out.print(f"{requeue(deployment.queues, deployment.unstarted_queue_url)} sign-ups moved back.")


# --- preview-email


@app.command("preview-email")
def preview_email(
    context: typer.Context,
    username: Annotated[str | None, typer.Option(help="The user's username.")] = None,
    name: Annotated[str, typer.Option(help="The user's name.")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A further attribute, such as custom:plan=gold.")
    ] = None,
    locale: Annotated[
        str | None, typer.Option(help="The user's locale, such as de: it chooses the translation.")
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with users, such as emails/sample_users.json."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="A subject, in place of the deployed ones.")] = None,
    text: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the text, in place of the deployed one."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the HTML, in place of the deployed one."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where to write welcome-preview.html and welcome-preview.txt.")
    ] = Path(),
) -> None:
    """Write the welcome email as a user would get it, as HTML and text. With --samples, as each user of a file would.
    With --subject, --text and --html, of templates that are not deployed, nothing has to be deployed.

    Example: cognito-user-sync preview-email --username ada --name "Ada Lovelace" --html emails/welcome.html
    """
    if (username is None) == (samples is None):
        raise typer.BadParameter("exactly one of --username and --samples is needed")
    attributes = dict(_pair(each) for each in attribute or [])
    if locale is not None:
        attributes["locale"] = locale
    if samples is not None:
        shown = [replace(user, attributes={**user.attributes, **attributes}) for user in _samples(samples)]
    else:
        email = f"{username}@example.com"
        shown = [SampleUser("", str(username), {"name": name, "email": email, **attributes})]
    new_text, new_html = _content(text, "--text"), _content(html, "--html")
    if subject is not None and new_text is not None and new_html is not None:
        mail = welcome.not_deployed(subject, new_text, new_html)
        names = tuple({name for user in shown for name in user.attributes})
    else:
        deployment: Deployment = context.obj()
        found = welcome.deployed(deployment.functions, f"{deployment.prefix}-send-welcome")
        mail = welcome.with_templates(found, subject, new_text, new_html)
        names = deployment.user_table.layout.attributes
    for user in shown:
        _show_email(mail, user, names, folder)


def _show_email(mail: WelcomeEmail, user: SampleUser, names: tuple[str, ...], folder: Path) -> None:
    if user.case:
        address = mail.recipient(user.attributes)
        if isinstance(address, WhyNot):
            out.print(f"{user.case}: no email: {users.WHY_NOT[address]}")
            return
        out.print(f"{user.case}, to {address}")
    email = welcome.render(mail, user, names)
    if locale := user.attributes.get("locale"):
        out.print(f"Language: {mail.translation(locale) or 'the default'} (locale {locale})")
    out.print(f"Subject: {email.subject}")
    for path in welcome.write(email, folder, user.case):
        out.print(f"Written: {path}")


def _samples(file: Path) -> list[SampleUser]:
    try:
        return welcome.read_samples(_content(file, "--samples") or "")
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"{plain(str(file))}: {error}", param_hint="--samples") from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE, such as custom:plan=gold", param_hint="--attribute")
    return name, value


def _content(file: Path | None, option: str) -> str | None:
    try:
        return None if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{plain(str(file))} is not text in UTF-8", param_hint=option) from None
