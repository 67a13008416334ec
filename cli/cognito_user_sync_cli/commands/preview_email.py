"""`cognito-user-sync preview-email`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cognito_user_sync.welcome_email import WelcomeEmail
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import users, welcome
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.terminal import out, plain
from cognito_user_sync_cli.welcome import SampleUser


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
        raise typer.BadParameter("both or none of --username and --samples are given: give one of them")
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
        raise typer.BadParameter(
            f"{text!r} is not an attribute: it must be NAME=VALUE, such as custom:plan=gold", param_hint="--attribute"
        )
    return name, value


def _content(file: Path | None, option: str) -> str | None:
    try:
        return None if file is None else file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter(
            f"{plain(str(file))} is not text in UTF-8: save it in that encoding", param_hint=option
        ) from None
