"""The command `preview-email`, with templates that are not deployed, and with those of a deployment."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner, Result

from cognito_user_sync.welcome_email import Email, WelcomeEmail
from cognito_user_sync_cli import deployed_email
from cognito_user_sync_cli.app import app
from cognito_user_sync_cli.deployment import Deployment

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "emails" / "sample_users.json"


@pytest.fixture
def templates(tmp_path: Path) -> list[str]:
    """Options with templates, so that no deployment is needed."""
    text, html = tmp_path / "text", tmp_path / "html"
    text.write_text("Hello {{display_name|there}}, your email address is {{email}}.")
    html.write_text("<p>Hello {{display_name}}</p>")
    return ["--subject", "Welcome, {{display_name}}", "--text", str(text), "--html", str(html)]


def preview(*arguments: str, folder: Path) -> Result:
    return CliRunner().invoke(app, ["preview-email", *arguments, "--folder", str(folder)])


# The name in each sample user's email, or why there is no email.
EXPECTED = {
    "chosen-username": "ada.l",
    "full-name": "Ada Lovelace",
    "federated-google": "ada.lovelace",
    "federated-apple": "Ada",
    "alias": "countess",
    "email-as-username": "ada",
    "phone-only": "no email: no deliverable email address",
    "invited": "Grace Hopper",
    "imported": "alan",
    "unverified": "no email: the email address is not verified",
    "international-domain": "jörg",
    "german": "Jörg Müller",
    "brazilian": "Conceição",
    "right-to-left": "عمر الخيام",
    "emoji": "Zoë 👩🏽‍🚀",
    "markup": '<b>Ada</b> & "sons"',
    "link": "ada.l",
    "long-name": "Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios Cipriano de la Santísima T",
}


def test_preview_email_writes_email_of_each_sample(templates: list[str], tmp_path: Path) -> None:
    result = preview("--samples", str(SAMPLES), *templates, folder=tmp_path)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert [each["case"] for each in json.loads(SAMPLES.read_text(encoding="utf-8"))] == list(EXPECTED)
    for case, expected in EXPECTED.items():
        text = tmp_path / f"welcome-preview-{case}.txt"
        if expected.startswith("no email"):
            assert f"{case}: {expected}" in shown
            assert not text.exists()
        else:
            assert text.read_text(encoding="utf-8").startswith(f"Hello {expected}, ")
    assert "federated-google, to ada.lovelace@example.com Subject: Welcome, ada.lovelace Written:" in shown
    assert "international-domain, to joerg@xn--mller-kva.de" in shown
    assert "&lt;b&gt;Ada" in (tmp_path / "welcome-preview-markup.html").read_text(encoding="utf-8")


@pytest.fixture(name="german")
def _german(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment with a German translation."""
    translations = {"de": Email("Willkommen, {{name}}", "Hallo {{name}}", "<p>Hallo {{name}}</p>")}
    mail = WelcomeEmail(
        *("a@b.co", "Welcome, {{name}}", "Hello", "Hello", None, None, frozenset()), translations=translations
    )
    monkeypatch.setattr(deployed_email, "read_deployed_email", lambda *_: mail)
    found = Mock(prefix="cognito-user-sync-dev")
    found.user_table.layout.attributes = ("email",)
    monkeypatch.setattr(Deployment, "from_terraform", lambda _: found)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--locale", "de"], ["Language: de (locale de)", "Subject: Willkommen, Ada"]),
        (["--locale", "de_AT"], ["Language: de (locale de_AT)", "Subject: Willkommen, Ada"]),
        (["--locale", "fr"], ["Language: the default (locale fr)", "Subject: Welcome, Ada"]),
        ([], ["Subject: Welcome, Ada"]),
        (["--locale", "de", "--subject", "Servus, {{name}}"], ["Language: de", "Subject: Servus, Ada"]),
    ],
)
@pytest.mark.usefixtures("german")
def test_preview_email_selects_translation_by_locale(tmp_path: Path, options: list[str], expected: list[str]) -> None:
    result = preview("--username", "ada", "--name", "Ada", *options, folder=tmp_path)
    assert result.exit_code == 0, result.output
    assert [line for line in expected if line not in result.output] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "Expecting"),
        ('[{"case": "../x", "username": "ada", "attributes": {}}]', "lower-case letters, digits and hyphens"),
        ('[{"username": "ada", "attributes": {}}]', "case"),
    ],
)
def test_preview_email_rejects_invalid_samples(
    templates: list[str], tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "users.json"
    file.write_text(content)
    result = preview("--samples", str(file), *templates, folder=tmp_path)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize("options", [[], ["--username", "ada", "--samples", str(SAMPLES)]], ids=["none", "both"])
def test_preview_email_needs_username_or_samples(templates: list[str], tmp_path: Path, options: list[str]) -> None:
    result = preview(*options, *templates, folder=tmp_path)
    assert result.exit_code == 2
    assert "none of --username and --samples" in " ".join(result.output.replace("│", " ").split())
