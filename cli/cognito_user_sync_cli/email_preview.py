"""The preview of the welcome email: templates, sample users, and the files that are written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from cognito_user_sync.welcome_email import Email, WelcomeEmail, placeholder_values


def email_of_templates(subject: str, text: str, html: str) -> WelcomeEmail:
    """Return a welcome email with these templates, without settings such as the sender."""
    return WelcomeEmail("", subject, text, html, None, None, frozenset())


def replace_templates(welcome: WelcomeEmail, subject: str | None, text: str | None, html: str | None) -> WelcomeEmail:
    """Replace the templates of each language. None leaves a template unchanged."""

    def replaced(deployed: Email) -> Email:
        return Email(
            subject=deployed.subject if subject is None else subject,
            text=deployed.text if text is None else text,
            html=deployed.html if html is None else html,
        )

    translations = {tag: replaced(deployed) for tag, deployed in welcome.translations.items()}
    default = replaced(Email(welcome.subject, welcome.text, welcome.html))
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
    """Return the users in a file like emails/sample_users.json.

    Raises:
        ValueError, TypeError: The file has another content. The message has the reason.
    """
    samples = [SampleUser(**each) for each in json.loads(content)]
    for sample in samples:
        if not re.fullmatch("[a-z0-9-]+", sample.case):
            raise ValueError(f"case {sample.case!r} must be lower-case letters, digits and hyphens")
    return samples


def render(welcome: WelcomeEmail, user: SampleUser, names: tuple[str, ...]) -> Email:
    """Return the email to a user.

    Args:
        welcome: The templates.
        user: The user.
        names: The synced attributes. Placeholders can name only these.

    Raises:
        UnknownPlaceholderError: A placeholder has another name.
    """
    values = placeholder_values(user.sub, user.username, user.status, user.attributes, names)
    return welcome.render(values, user.attributes.get("locale", ""))


def write(email: Email, folder: Path, case: str = "") -> tuple[Path, Path]:
    """Write welcome-preview.html and .txt, or welcome-preview-<case>.html and .txt.

    A template is unlikely to have these names, so the preview does not overwrite it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"welcome-preview-{case}" if case else "welcome-preview"
    html, text = folder / f"{name}.html", folder / f"{name}.txt"
    html.write_text(email.html, encoding="utf-8")
    text.write_text(email.text, encoding="utf-8")
    return html, text
