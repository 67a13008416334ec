"""The welcome email as it would be sent: what is deployed, or templates that are not yet."""

from __future__ import annotations

import io
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cognito_user_sync.welcome_email import Email, WelcomeEmail, placeholder_values

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# As main.tf names it in the layer of the function.
_FILE = "python/welcome_email.json"


class NoWelcome(Exception):
    """There is none to look at; the message says why."""


def deployed(functions: LambdaClient, function_name: str) -> WelcomeEmail:
    """What the function `function_name` sends. Raises NoWelcome."""
    try:
        layers = functions.get_function_configuration(FunctionName=function_name)["Layers"]
    except functions.exceptions.ResourceNotFoundException:
        raise NoWelcome("this deployment sends no welcome: its variable welcome_email is null") from None
    try:
        location = functions.get_layer_version_by_arn(Arn=layers[0]["Arn"])["Content"]["Location"]
        with urllib.request.urlopen(location, timeout=30) as answer:  # noqa: S310 - a signed address that AWS gave
            content = answer.read()
        with zipfile.ZipFile(io.BytesIO(content)) as layer:
            return WelcomeEmail.from_json(layer.read(_FILE).decode())
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise NoWelcome(f"the layer of {function_name} could not be read: {error}") from error


def not_deployed(subject: str, text: str, html: str) -> WelcomeEmail:
    """One of which nothing but what it says is known."""
    return WelcomeEmail("", subject, text, html, None, None, frozenset())


def with_templates(welcome: WelcomeEmail, subject: str | None, text: str | None, html: str | None) -> WelcomeEmail:
    """The welcome with these templates in place of its own; None keeps its own."""
    return replace(
        welcome,
        subject=welcome.subject if subject is None else subject,
        text=welcome.text if text is None else text,
        html=welcome.html if html is None else html,
    )


def render(welcome: WelcomeEmail, username: str, attributes: Mapping[str, str], names: tuple[str, ...]) -> Email:
    """The mail to a user. `names` are the attributes that are synced: no others can be named. Raises
    UnknownPlaceholder."""
    return welcome.render(placeholder_values("", username, "", attributes, names))


def write(email: Email, folder: Path) -> tuple[Path, Path]:
    """Write it as welcome-preview.html and welcome-preview.txt: other names than a template is likely to have."""
    folder.mkdir(parents=True, exist_ok=True)
    html, text = folder / "welcome-preview.html", folder / "welcome-preview.txt"
    html.write_text(email.html, encoding="utf-8")
    text.write_text(email.text, encoding="utf-8")
    return html, text
