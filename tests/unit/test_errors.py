"""Provoke the error situations of docs/errors.md, and compare them with the page."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cognito_user_sync_cli import terminal
from cognito_user_sync_cli.app import app
from local_aws.offline.terraform_providers import CONFIG_VARIABLE
from tests.errors import COMMAND_LINE, FILES, HEALTHY, LOCAL_AWS, MAKE, PAGE, PLANS, Situation, page, variables
from tests.fakes.fake_aws import FakeAws
from tests.mocked_terraform import ROOT

OF_DEPLOYMENT = ("--chdir", "--outputs", "--prefix", "--region")


def name(situation: Situation) -> str:
    return f"{situation.command}: {situation.wrong}"


def assert_has_message(situation: Situation, output: str) -> None:
    """Fail unless the output has the message, also if a box breaks it into lines."""
    text = " ".join(output.replace("│", " ").split())
    assert f"{situation.wrong} {situation.to_do}" in text


def run(command: str, folder: Path, **variables: str) -> str:
    """Run a command that fails in a shell. Return stderr."""
    unset = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "TF_WORKSPACE", "AWS_ENDPOINT_URL", CONFIG_VARIABLE)
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=inherited | variables, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize("situation", MAKE, ids=name)
def test_make_reports_what_is_wrong_and_what_to_do(tmp_path: Path, situation: Situation) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").touch()
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "environments", tmp_path / "environments")
    for name, text in situation.given.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    stderr = run(situation.command, tmp_path, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert_has_message(situation, stderr.replace(str(tmp_path), "<clone>"))


@pytest.mark.parametrize("situation", LOCAL_AWS, ids=name)
def test_local_aws_reports_what_is_wrong_and_what_to_do(situation: Situation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        stderr = run(situation.command.replace("4566", port), ROOT)
    assert_has_message(situation, stderr.replace(port, "4566"))


@pytest.mark.parametrize("situation", COMMAND_LINE, ids=name)
def test_command_line_reports_what_is_wrong_and_what_to_do(
    aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, situation: Situation
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    for console in (terminal.stdout, terminal.stderr):
        monkeypatch.setattr(console, "width", 200)
    for name, content in FILES.items():
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    for operation, answer in {**HEALTHY, **situation.given}.items():
        aws.on(operation, answer)
    _, *arguments = shlex.split(situation.command)
    if not set(arguments) & set(OF_DEPLOYMENT):
        arguments = ["--outputs", "outputs.json", *arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (1, 2), (result.output, result.exception)
    assert_has_message(situation, result.output)


@pytest.mark.parametrize("situation", MAKE + LOCAL_AWS + PLANS + COMMAND_LINE + variables(), ids=name)
def test_what_to_do_is_one_sentence(situation: Situation) -> None:
    assert not re.search(r"[.?!] [A-Z]", situation.to_do)


def test_errors_page_is_up_to_date_and_long_enough() -> None:
    assert page() == PAGE.read_text(encoding="utf-8"), "run: make docs"
    assert len(MAKE + LOCAL_AWS + PLANS + COMMAND_LINE) + len(variables()) >= 40
