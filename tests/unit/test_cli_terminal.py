"""Text from outside is printed as text: without control sequences of the terminal, and without markup."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from rich.table import Table
from typer.testing import CliRunner

from cognito_user_sync_cli import terminal
from cognito_user_sync_cli.app import app
from cognito_user_sync_cli.terminal import PlainConsole, styled
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.fakes.healthy_deployment import OUTPUTS, answer_healthy
from tests.samples import RECONCILIATION, SUB, TABLE, USER_SYNC, environment, outputs

# Control sequences by name, each with the text that is printed.
STEERING = {
    "clear the screen": ("\x1b[2J", "\\u001b[2J"),
    "OSC 8 link": ("\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x07", "\\u001b]8;;http://evil.example\\u001b\\here"),
    "C1 color": ("\x9b31m", "\\u009b31m"),
    "C1 title": ("\x9d0;title\x9c", "\\u009d0;title\\u009c"),
    "backspace": ("a\b\x7f", "a\\u0008\\u007f"),
    "carriage return": ("\rhealthy.", "\\u000dhealthy."),
    "bidirectional": ("\u202e\u2066\u061c\u200f", "\\u202e\\u2066\\u061c\\u200f"),
    "invisible": ("\u200b\ufeff\U000e0041", "\\u200b\\ufeff\\ue0041"),
    "blank": ("\u3164\u2800\ufe0f", "\\u3164\\u2800\\ufe0f"),
    "surrogate": ("\ud800", "\\ud800"),
}
MARKUP = "[bold]loud[/bold] [link=http://evil.example]here[/link] [/red] \\[x] :skull:"
HOSTILE = "".join(steers for steers, _ in STEERING.values()) + MARKUP


def assert_steers_nothing(output: str) -> None:
    """Check that the output has no control characters, and shows markup as text."""
    assert [line for line in output.split("\n") if not line.isprintable()] == []
    assert "[bold]loud[/bold]" in output


def assert_is_text(output: str, *, times: int = 1) -> None:
    """Check that the hostile text is printed this many times as text. A table folds it."""
    assert_steers_nothing(output)
    shown = "".join(output.replace("│", "").split())
    assert shown.count("".join(MARKUP.split())) == times
    for _, expected in STEERING.values():
        assert shown.count("".join(expected.split())) == times


@pytest.mark.parametrize(("steers", "shown"), STEERING.values(), ids=STEERING)
def test_console_replaces_control_characters(steers: str, shown: str) -> None:
    console = PlainConsole()
    table = Table(steers, title=steers)
    table.add_row(steers)
    for printed in (steers, styled(steers), table):
        with console.capture() as capture:
            console.print(printed)
        assert shown in capture.get()
        assert [line for line in capture.get().split("\n") if not line.isprintable()] == []


def test_console_prints_markup_as_text() -> None:
    console = PlainConsole()
    table = Table(MARKUP, title=MARKUP)
    table.add_row(MARKUP)
    for printed, times in ((MARKUP, 1), (styled(MARKUP), 1), (table, 3)):
        with console.capture() as capture:
            console.print(printed)
        assert capture.get().count(MARKUP) == times


# --- each place that prints text from outside


def test_banner_shows_outputs_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """An outputs file or a state can hold any text."""
    aws.on("sfn.ListExecutions", Response({"executions": []}))
    aws.on("sqs.GetQueueAttributes", error_response("AccessDenied"))
    name = HOSTILE.replace(":", "")
    result = invoke(
        tmp_path, outputs(user_sync_state_machine_arn=USER_SYNC.replace("user-sync", f"{name}-user-sync")), "failures"
    )
    assert_steers_nothing(result.output)


def test_aws_error_is_shown_as_text(aws: FakeAws, tmp_path: Path) -> None:
    aws.on("sfn.ListExecutions", error_response("AccessDenied", message=HOSTILE))
    result = invoke(tmp_path, outputs(), "failures")
    assert result.exit_code == 2
    assert "AWS error: " in result.output
    assert_is_text(result.output)


def test_outage_is_not_shown_as_aws_error(aws: FakeAws, tmp_path: Path) -> None:
    aws.on("sfn.ListExecutions", EndpointConnectionError(endpoint_url="https://states"))
    result = invoke(tmp_path, outputs(), "failures")
    assert result.exit_code == 2
    assert "AWS did not respond: " in result.output


def test_further_lines_of_an_error_are_indented(aws: FakeAws, tmp_path: Path) -> None:
    """Otherwise a line could look like one of the command."""
    aws.on("sfn.ListExecutions", error_response("AccessDenied", message="no\nThe deployment is healthy."))
    lines = invoke(tmp_path, outputs(), "failures").output.splitlines()
    assert "  The deployment is healthy." in lines
    assert "The deployment is healthy." not in lines


def test_status_shows_reason_of_unread_section_as_text(aws: FakeAws, tmp_path: Path) -> None:
    answer_healthy(aws)
    aws.on("scheduler.GetSchedule", error_response("AccessDenied", message=HOSTILE))
    result = invoke(tmp_path, OUTPUTS, "status")
    assert result.exit_code == 2
    assert_steers_nothing(result.output)


def test_terraform_error_is_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Diagnostics of Terraform have names from the configuration and the state."""
    terraform = tmp_path / "terraform"
    hostile = HOSTILE.replace("\ud800", "")
    (tmp_path / "said").write_text(f"no state\n{hostile}", encoding="utf-8")
    terraform.write_text(f"#!/bin/sh\ncat '{tmp_path}/said' >&2\nexit 1\n")
    terraform.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(terminal.stderr, "width", 200)
    result = CliRunner().invoke(app, ["--chdir", str(tmp_path), "status"])
    assert result.exit_code == 2
    assert f"Error: terraform output failed in {tmp_path}. " in result.output
    assert_steers_nothing(result.output)


def test_status_shows_names_of_resources_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """The trigger, twice, the alarm, twice, and the dashboard."""
    answer_healthy(aws)
    aws.on(f"{COGNITO}.DescribeUserPool", Response({"UserPool": {"LambdaConfig": {"PostConfirmation": HOSTILE}}}))
    found = {**OUTPUTS, "dashboard_url": HOSTILE}
    assert_is_text(invoke(tmp_path, found, "status").output, times=3)
    in_json = invoke(tmp_path, found, "status", "--json").stdout
    assert in_json.isascii()
    assert json.loads(in_json)["dashboard_url"] == HOSTILE


def test_reconcile_shows_reason_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """For example, the error of a function, or the cause of an abort."""
    arn = f"{RECONCILIATION.replace(':stateMachine:', ':execution:')}:by-hand-1"
    described = {"executionArn": arn, "stateMachineArn": RECONCILIATION, "startDate": 1767225600, "input": "{}"}
    aws.on(f"{COGNITO}.DescribeUserPool", Response({"UserPool": {}}))
    aws.on("sfn.StartExecution", Response({"executionArn": arn, "startDate": 1}))
    aws.on("sfn.DescribeExecution", Response({**described, "status": "ABORTED", "cause": HOSTILE}))
    assert_is_text(invoke(tmp_path, outputs(), "reconcile").output)


def test_failures_show_names_and_errors_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """Any caller of StartExecution chooses the name, and a function chooses its errors."""
    execution = {"executionArn": f"arn:{HOSTILE}", "stateMachineArn": USER_SYNC, "name": HOSTILE, "status": "FAILED"}
    times = {"startDate": 4102444800, "stopDate": 4102444800}
    aws.answers["sfn.ListExecutions"] = lambda request: Response(
        {"executions": [{**execution, **times}] if request["statusFilter"] == "FAILED" else []}
    )
    event = {"timestamp": 1, "id": 9, "type": "ExecutionFailed", "executionFailedEventDetails": {"error": HOSTILE}}
    entered = {"timestamp": 1, "id": 8, "type": "TaskStateEntered", "stateEnteredEventDetails": {"name": HOSTILE}}
    aws.on("sfn.GetExecutionHistory", Response({"events": [event, entered]}))
    aws.on("cloudwatch-logs.DescribeLogStreams", Response({"logStreams": []}))
    aws.on("sqs.GetQueueAttributes", error_response("AccessDenied"))
    output = invoke(tmp_path, outputs(), "failures").output
    assert [line for line in output.split("\n") if not line.isprintable()] == []
    assert "\\u" in output


def test_user_shows_attributes_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """A user chooses the attributes and the username."""
    attributes = [{"Name": "sub", "Value": SUB}, {"Name": "email", "Value": "a@example.com"}]
    listed = {
        "Username": HOSTILE.replace("\ud800", ""),
        "Attributes": [*attributes, {"Name": "name", "Value": MARKUP}],
        "UserCreateDate": 1767225600,
        "UserLastModifiedDate": 1767225600,
        "Enabled": True,
        "UserStatus": "CONFIRMED",
    }
    aws.on(f"{COGNITO}.ListUsers", Response({"Users": [listed]}))
    aws.on("lambda.GetFunctionConfiguration", Response({"Environment": {"Variables": environment()}}))
    aws.on("dynamodb.BatchGetItem", Response({"Responses": {TABLE: []}, "UnprocessedKeys": {}}))
    aws.on("sfn.ListExecutions", Response({"executions": []}))
    assert_steers_nothing(invoke(tmp_path, outputs(), "user", SUB).output)


def test_unknown_user_is_shown_as_text(aws: FakeAws, tmp_path: Path) -> None:
    """The operator may have pasted the name."""
    aws.on(f"{COGNITO}.ListUsers", Response({"Users": []}))
    aws.on("lambda.GetFunctionConfiguration", Response({"Environment": {"Variables": environment()}}))
    assert_is_text(invoke(tmp_path, outputs(), "user", HOSTILE.replace("\ud800", "\\ud800")).output)


def test_preview_email_shows_the_subject_as_text(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.write_text("{{username}}")
    given = ["--username", "ada", "--subject", f"Hello {HOSTILE}", "--folder", str(tmp_path)]
    result = CliRunner().invoke(app, ["preview-email", *given, "--text", str(template), "--html", str(template)])
    assert result.exit_code == 0, result.output
    assert_steers_nothing(result.output)
