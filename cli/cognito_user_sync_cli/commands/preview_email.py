"""`cognito-user-sync preview-email`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cognito_user_sync.welcome_email import WelcomeEmail
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import deployed_email, email_preview
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.email_preview import SampleUser
from cognito_user_sync_cli.execution_outcomes import WHY_NOT
from cognito_user_sync_cli.terminal import plain, stdout


def preview_email(
    context: typer.Context,
    username: Annotated[str | None, typer.Option(help="The user's username.")] = None,
    name: Annotated[str, typer.Option(help="The user's name.")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another attribute, such as custom:plan=gold.")
    ] = None,
    locale: Annotated[
        str | None, typer.Option(help="The user's locale, such as de. It selects the translation.")
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with users, such as emails/sample_users.json."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="A subject to use instead of the deployed ones.")] = None,
    text: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the text to use instead of the deployed one."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="A file with the HTML to use instead of the deployed one."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where to write welcome-preview.html and welcome-preview.txt.")
    ] = Path(),
) -> None:
    """Write the welcome email for one user, or for each user of --samples, as HTML and text files. Sends nothing.

    With --subject, --text and --html, no deployment is needed.

    Example: cognito-user-sync preview-email --username ada --name "Ada Lovelace" --html emails/welcome.html
    """
    if (username is None) == (samples is None):
        raise typer.BadParameter("both or none of --username and --samples are set: use exactly one")
    attributes = dict(_pair(each) for each in attribute or [])
    if locale is not None:
        attributes["locale"] = locale
    if samples is not None:
        users = [replace(user, attributes={**user.attributes, **attributes}) for user in _read_samples(samples)]
    else:
        email = f"{username}@example.com"
        users = [SampleUser("", str(username), {"name": name, "email": email, **attributes})]
    new_text, new_html = _read(text, "--text"), _read(html, "--html")
    if subject is not None and new_text is not None and new_html is not None:
        welcome = email_preview.email_of_templates(subject, new_text, new_html)
        names = tuple({name for user in users for name in user.attributes})
    else:
        deployment: Deployment = context.obj()
        deployed = deployed_email.read_deployed_email(deployment.functions, f"{deployment.prefix}-send-welcome")
        welcome = email_preview.replace_templates(deployed, subject, new_text, new_html)
        names = deployment.user_table.layout.attributes
    for user in users:
        _write_preview(welcome, user, names, folder)


def _write_preview(welcome: WelcomeEmail, user: SampleUser, names: tuple[str, ...], folder: Path) -> None:
    if user.case:
        address = welcome.recipient(user.attributes)
        if isinstance(address, WhyNot):
            stdout.print(f"{user.case}: no email: {WHY_NOT[address]}")
            return
        stdout.print(f"{user.case}, to {address}")
    email = email_preview.render(welcome, user, names)
    if locale := user.attributes.get("locale"):
        stdout.print(f"Language: {welcome.translation(locale) or 'the default'} (locale {locale})")
    stdout.print(f"Subject: {email.subject}")
    for path in email_preview.write(email, folder, user.case):
        stdout.print(f"Written: {path}")


def _read_samples(file: Path) -> list[SampleUser]:
    try:
        return email_preview.read_samples(_read(file, "--samples") or "")
    except (ValueError, TypeError) as error:
        raise typer.BadParameter(f"{plain(str(file))}: {error}", param_hint="--samples") from None


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise typer.BadParameter(
            f"{text!r} is not an attribute: it must be NAME=VALUE, such as custom:plan=gold", param_hint="--attribute"
        )
    return name, value


def _read(file: Path | None, option: str) -> str | None:
    try:
        return None if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{plain(str(file))} is not UTF-8 text: save it in UTF-8", param_hint=option) from None
