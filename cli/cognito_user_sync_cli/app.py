"""The commands of `cognito-user-sync`, the options of all of them, and the message for each error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from typer.core import TyperGroup

from cognito_user_sync.user import UnusableUserError
from cognito_user_sync.welcome_email import UnknownPlaceholderError
from cognito_user_sync_cli.aws_errors import TRANSLATED_ERRORS, what_to_do
from cognito_user_sync_cli.commands.erase import erase
from cognito_user_sync_cli.commands.export import export
from cognito_user_sync_cli.commands.failures import failures_app
from cognito_user_sync_cli.commands.pause import pause, resume
from cognito_user_sync_cli.commands.preview_email import preview_email
from cognito_user_sync_cli.commands.reconcile import reconcile
from cognito_user_sync_cli.commands.restore import restore
from cognito_user_sync_cli.commands.rollback import rollback
from cognito_user_sync_cli.commands.status import show_status
from cognito_user_sync_cli.commands.types import print_types
from cognito_user_sync_cli.commands.user import user
from cognito_user_sync_cli.commands.welcome import send_welcome
from cognito_user_sync_cli.deployed_email import NoWelcomeEmailError
from cognito_user_sync_cli.deployment import Deployment, DeploymentError
from cognito_user_sync_cli.terminal import exit_with_error, stderr


class Commands(TyperGroup):
    """The group of all commands. It accepts common options at any position, and prints one message per error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_common_options_first(args, self.get_params(ctx)))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DeploymentError as error:
            exit_with_error("Error", str(error))
        except NoCredentialsError:
            exit_with_error(
                "No AWS credentials", "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in"
            )
        except TRANSLATED_ERRORS as error:
            cause = error.__cause__
            advice = what_to_do(cause) if isinstance(cause, ClientError | BotoCoreError) else "Try again"
            exit_with_error("AWS error", f"{cause or error}\n{advice}")
        except ClientError as error:
            exit_with_error("AWS error", f"{error}\n{what_to_do(error)}")
        except BotoCoreError as error:
            exit_with_error("AWS did not respond", f"{error}\n{what_to_do(error)}")
        except UnusableUserError as error:
            exit_with_error("Invalid user", str(error))
        except UnknownPlaceholderError as error:
            exit_with_error(
                "No preview",
                f"the placeholder {{{{{error}}}}} has no value: it must be a synced attribute, or, for templates that"
                " are not deployed, be set with --attribute",
            )
        except NoWelcomeEmailError as error:
            exit_with_error("No preview", str(error))


def with_common_options_first(args: Sequence[str], params: Sequence[Any]) -> list[str]:
    """Move the common options to the front, so that they are accepted at any position: status --chdir FOLDER."""
    names = {name for each in params if not getattr(each, "is_flag", True) for name in each.opts}
    first, rest = [], []
    words = iter(args)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in names:
            first += [word, *islice(words, 1)]
        else:
            (first if word.partition("=")[0] in names else rest).append(word)
    return first + rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Operate terraform-aws-cognito-user-sync.\n\nRun the commands in the Terraform folder and workspace of the"
    " deployment, or anywhere with --prefix.",
    epilog="Exit status: 0: no problem; 1: a problem or a failure; 2: unknown, or the command could not run; 130:"
    " interrupted.",
)
_OBSERVE, _REPAIR, _CONTROL, _USERS, _MOVE, _DEVELOP = (
    "Observe",
    "Repair",
    "Pause and roll back",
    "Single users",
    "All users",
    "Templates and types",
)
app.command("status", rich_help_panel=_OBSERVE)(show_status)
app.add_typer(failures_app, name="failures", rich_help_panel=_OBSERVE)
app.command("reconcile", rich_help_panel=_REPAIR)(reconcile)
app.command("welcome", rich_help_panel=_REPAIR)(send_welcome)
app.command("pause", rich_help_panel=_CONTROL)(pause)
app.command("resume", rich_help_panel=_CONTROL)(resume)
app.command("rollback", rich_help_panel=_CONTROL)(rollback)
app.command("user", rich_help_panel=_USERS)(user)
app.command("erase", rich_help_panel=_USERS)(erase)
app.command("export", rich_help_panel=_MOVE)(export)
app.command("restore", rich_help_panel=_MOVE)(restore)
app.command("preview-email", rich_help_panel=_DEVELOP)(preview_email)
app.command("types", rich_help_panel=_DEVELOP)(print_types)


@app.callback()
def find_deployment(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Option(
            "--chdir", metavar="FOLDER", help="Terraform folder of the deployment, with its workspace selected."
        ),
    ] = Path(),
    outputs: Annotated[
        Path | None,
        typer.Option("--outputs", metavar="FILE", help="File with the output of `terraform output -json`."),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", metavar="NAME-STAGE", help="Name and stage of the deployment. Needs no Terraform state."
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option("--region", metavar="REGION", help="Only with --prefix: its region. Default: AWS_REGION."),
    ] = None,
) -> None:
    if region and not prefix:
        raise typer.BadParameter(
            "only allowed with --prefix: remove it, since the outputs have the region", param_hint="--region"
        )

    def deployment() -> Deployment:
        if prefix:
            # The parameter is in the account and region of the deployment, so no check is needed.
            found = Deployment.from_parameter(prefix, region)
        else:
            found = Deployment.from_file(outputs) if outputs else Deployment.from_terraform(folder)
            found.check()
        stderr.print(f"{found.prefix} in account {found.account}, {found.region}", style="dim")
        return found

    # The commands call it, so that --help needs no deployment.
    context.obj = deployment
