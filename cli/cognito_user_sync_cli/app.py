"""The command line: which command is where, the options of all of them, and the message that each error ends with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from typer.core import TyperGroup

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.user import UnusableUserError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError
from cognito_user_sync.welcome_email import UnknownPlaceholderError
from cognito_user_sync_cli.aws_errors import what_to_do
from cognito_user_sync_cli.commands.erase import erase
from cognito_user_sync_cli.commands.failures import failures_app
from cognito_user_sync_cli.commands.pause import pause, resume
from cognito_user_sync_cli.commands.preview_email import preview_email
from cognito_user_sync_cli.commands.reconcile import reconcile
from cognito_user_sync_cli.commands.rollback import rollback
from cognito_user_sync_cli.commands.status import show_status
from cognito_user_sync_cli.commands.types import print_types
from cognito_user_sync_cli.commands.user import user
from cognito_user_sync_cli.commands.welcome import send_welcome
from cognito_user_sync_cli.deployment import Deployment, NotDeployedError
from cognito_user_sync_cli.terminal import end, problems
from cognito_user_sync_cli.welcome import NoWelcomeEmailError


class Commands(TyperGroup):
    """The commands, whose errors each end with one message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_options_first(args, self.get_params(ctx)))

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NotDeployedError as error:
            end("Nothing to work on", str(error))
        except NoCredentialsError:
            end("No AWS credentials", "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in")
        except (
            AccessDeniedError,
            CognitoRejectedError,
            CognitoUnavailableError,
            TableRejectedError,
            TableUnavailableError,
        ) as error:
            # Of the table and the pool only the code is said; its cause is AWS's own message.
            cause = error.__cause__
            advice = what_to_do(cause) if isinstance(cause, ClientError | BotoCoreError) else "Try again"
            end("AWS refused", f"{cause or error}\n{advice}")
        except ClientError as error:
            end("AWS refused", f"{error}\n{what_to_do(error)}")
        except BotoCoreError as error:
            end("AWS did not answer", f"{error}\n{what_to_do(error)}")
        except UnusableUserError as error:
            end("Not a user", str(error))
        except UnknownPlaceholderError as error:
            end(
                "No preview",
                f"nothing fills {{{{{error}}}}}: it must be a synced attribute, or, of templates that are not deployed,"
                " be given by --attribute",
            )
        except NoWelcomeEmailError as error:
            end("No preview", str(error))


def with_options_first(args: Sequence[str], params: Sequence[Any]) -> list[str]:
    """Move the options of all commands to the front, from anywhere on the line: status --chdir FOLDER."""
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
    help="Operate terraform-aws-cognito-user-sync: in the Terraform folder and workspace that deployed it, or anywhere"
    " by --prefix.",
    epilog="Status 0: no problem. 1: a problem, or something failed. 2: it cannot be told. 130: interrupted.",
)
app.command("status")(show_status)
app.command("reconcile")(reconcile)
app.command("user")(user)
app.command("erase")(erase)
app.command("welcome")(send_welcome)
app.add_typer(failures_app, name="failures")
app.command("pause")(pause)
app.command("resume")(resume)
app.command("rollback")(rollback)
app.command("preview-email")(preview_email)
app.command("types")(print_types)


@app.callback()
def of_deployment(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option("--chdir", help="Terraform folder that deployed it, with its workspace selected.")
    ] = Path(),
    outputs: Annotated[
        Path | None, typer.Option("--outputs", help="File with `terraform output -json`, instead of a folder.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="NAME-STAGE of the deployment: needs no Terraform state.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="With --prefix: its region, instead of that of the environment.")
    ] = None,
) -> None:
    if region and not prefix:
        raise typer.BadParameter(
            "goes with --prefix only: leave it out, since outputs name their region", param_hint="--region"
        )

    def deployment() -> Deployment:
        if prefix:
            # The parameter is in the account and the region of the deployment.
            found = Deployment.from_parameter(prefix, region)
        else:
            found = Deployment.from_file(outputs) if outputs else Deployment.from_terraform(folder)
            found.check()
        problems.print(f"{found.prefix} in account {found.account}, {found.region}", style="dim")
        return found

    # Called by the commands, so that --help needs no deployment.
    context.obj = deployment
