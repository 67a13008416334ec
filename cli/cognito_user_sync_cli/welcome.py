"""The welcome email as it would be sent: what is deployed, or templates that are not yet."""

from __future__ import annotations

import io
import json
import re
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cognito_user_sync.welcome_email import Email, WelcomeEmail, placeholder_values

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# As main.tf names it in the layer of the function.
_FILE = "python/welcome_email.json"


class NoWelcomeEmailError(Exception):
    """There is none to look at; the message says why."""


def deployed(functions: LambdaClient, function_name: str) -> WelcomeEmail:
    """What the function `function_name` sends. Raises NoWelcomeEmailError."""
    try:
        layers = functions.get_function_configuration(FunctionName=function_name).get("Layers", [])
    except functions.exceptions.ResourceNotFoundException:
        raise NoWelcomeEmailError(
            "this deployment sends no welcome email, since welcome_email is null: set it, and apply"
        ) from None
    try:
        name, version = layers[0]["Arn"].split(":")[-2:]
        location = functions.get_layer_version(LayerName=name, VersionNumber=int(version))["Content"]["Location"]
        with urllib.request.urlopen(location, timeout=30) as answer:  # noqa: S310 - a signed address that AWS gave
            content = answer.read()
        with zipfile.ZipFile(io.BytesIO(content)) as layer:
            return WelcomeEmail.from_json(layer.read(_FILE).decode())
    except (OSError, zipfile.BadZipFile, LookupError, ValueError) as error:
        raise NoWelcomeEmailError(f"the layer of {function_name} could not be read: {error}") from error


def not_deployed(subject: str, text: str, html: str) -> WelcomeEmail:
    """One of which nothing but what it says is known."""
    return WelcomeEmail("", subject, text, html, None, None, frozenset())


def with_templates(welcome: WelcomeEmail, subject: str | None, text: str | None, html: str | None) -> WelcomeEmail:
    """The welcome with these templates in place of its own, in each language; None keeps its own."""

    def changed(own: Email) -> Email:
        return Email(
            subject=own.subject if subject is None else subject,
            text=own.text if text is None else text,
            html=own.html if html is None else html,
        )

    translations = {tag: changed(own) for tag, own in welcome.translations.items()}
    default = changed(Email(welcome.subject, welcome.text, welcome.html))
    return replace(welcome, subject=default.subject, text=default.text, html=default.html, translations=translations)


@dataclass(frozen=True)
class SampleUser:
    """A user to show the email for."""

    case: str
    username: str
    attributes: Mapping[str, str]
    status: str = "CONFIRMED"
    sub: str = ""


def read_samples(content: str) -> list[SampleUser]:
    """Return the users in a file like emails/sample_users.json. Raises ValueError: the message says what is wrong."""
    samples = [SampleUser(**each) for each in json.loads(content)]
    for sample in samples:
        if not re.fullmatch("[a-z0-9-]+", sample.case):
            raise ValueError(f"case {sample.case!r} must be lower-case letters, digits and hyphens")
    return samples


def render(welcome: WelcomeEmail, user: SampleUser, names: tuple[str, ...]) -> Email:
    """The mail to a user. `names` are the attributes that are synced: no others can be named. Raises
    UnknownPlaceholderError."""
    values = placeholder_values(user.sub, user.username, user.status, user.attributes, names)
    return welcome.render(values, user.attributes.get("locale", ""))


def write(email: Email, folder: Path, case: str = "") -> tuple[Path, Path]:
    """Write it as welcome-preview.html and welcome-preview.txt: other names than a template is likely to have.

    With a case, as welcome-preview-<case>.html and .txt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"welcome-preview-{case}" if case else "welcome-preview"
    html, text = folder / f"{name}.html", folder / f"{name}.txt"
    html.write_text(email.html, encoding="utf-8")
    text.write_text(email.text, encoding="utf-8")
    return html, text
