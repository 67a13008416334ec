"""The command `welcome`: which users get the welcome email that they missed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cognito_user_sync.sync_request import parse
from cognito_user_sync.user import User, timestamp
from cognito_user_sync.welcome_email import WelcomeEmail
from cognito_user_sync_cli import deployed_email, executions
from cognito_user_sync_cli.deployed_email import NoWelcomeEmailError
from cognito_user_sync_cli.missed_welcome_emails import may_have_confirmed
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OTHER_SUB, SUB, USER_SYNC, outputs

LIST, START, DESCRIBE = f"{COGNITO}.ListUsers", "sfn.StartExecution", "sfn.DescribeExecution"
NONE = error_response("ExecutionDoesNotExist")
EXISTS = error_response("ExecutionAlreadyExists")
SENT = {"outcome": "unchanged", "sent": True, "message_id": "m1"}
EMAIL = WelcomeEmail("Shop <hello@example.com>", "Welcome", "Hello", "<p>Hello</p>", None, None, frozenset())


def listed(sub: str = SUB, days_ago: float = 1, status: str = "CONFIRMED", verified: str = "true") -> dict[str, Any]:
    """Return a user as ListUsers returns it."""
    attributes = {"sub": sub, "email": "ada@example.com", "email_verified": verified}
    at = datetime.now(UTC) - timedelta(days=days_ago)
    return {
        "Username": f"user-{sub}",
        "Attributes": [{"Name": name, "Value": value} for name, value in attributes.items()],
        "UserCreateDate": at,
        "UserLastModifiedDate": at,
        "Enabled": True,
        "UserStatus": status,
    }


def described(status: str = "SUCCEEDED") -> Response:
    output = {"output": json.dumps(SENT)} if status == "SUCCEEDED" else {}
    arn = f"{USER_SYNC.replace(':stateMachine:', ':execution:')}:sign-up-{SUB}"
    answer = {
        "executionArn": arn,
        "name": f"sign-up-{SUB}",
        "stateMachineArn": USER_SYNC,
        "startDate": 1,
        "status": status,
        **output,
    }
    return Response({**answer, "input": "{}"})


@pytest.fixture
def pool(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """A pool with one user who confirmed yesterday and has no execution."""
    monkeypatch.setattr(executions, "_PAUSE_SECONDS", 0)
    deploy(monkeypatch, EMAIL)
    aws.on(LIST, Response({"Users": [listed()]}))
    aws.on(DESCRIBE, NONE, described())
    aws.on(START, Response({"executionArn": "arn", "startDate": 1}))
    return aws


def deploy(monkeypatch: pytest.MonkeyPatch, email: WelcomeEmail) -> None:
    monkeypatch.setattr(deployed_email, "read_deployed_email", lambda *_: email)


def run(folder: Path, *arguments: str) -> Result:
    return invoke(folder, outputs(), "welcome", *arguments)


def started(aws: FakeAws) -> list[Any]:
    return [call.body for call in aws.calls if call.operation == START]


def words(result: Result) -> str:
    return " ".join(result.output.replace("│", " ").split())


def test_welcome_starts_missing_execution_of_sign_up(pool: FakeAws, tmp_path: Path) -> None:
    result = run(tmp_path, "--since", "2d")
    assert result.stdout.endswith("1 execution started.\n1 succeeded, welcome email sent.\n")
    assert result.exit_code == 0
    [start] = started(pool)
    assert (start["name"], start["stateMachineArn"]) == (f"sign-up-{SUB}", USER_SYNC)
    request = parse(json.loads(start["input"]))
    assert (request.sub, request.username, request.reason, request.client_id) == (SUB, f"user-{SUB}", "sign_up", "")


def test_welcome_starts_nothing_in_dry_run(pool: FakeAws, tmp_path: Path) -> None:
    said = run(tmp_path, "--since", "2d", "--dry-run").stdout
    assert f"  {SUB}\n1 user would get the welcome email." in said
    assert started(pool) == []


def test_welcome_reads_every_page(pool: FakeAws, tmp_path: Path) -> None:
    pages: list[Any] = [{"Users": [listed()], "PaginationToken": "a"}, {"Users": [], "PaginationToken": "b"}]
    pool.on(LIST, *(Response(page) for page in [*pages, {"Users": [listed(OTHER_SUB)]}]))
    pool.on(DESCRIBE, NONE, NONE, described())
    run(tmp_path, "--since", "2d")
    assert [each["name"] for each in started(pool)] == [f"sign-up-{SUB}", f"sign-up-{OTHER_SUB}"]


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (listed(status="RESET_REQUIRED"), "1 skipped: status RESET_REQUIRED"),
        (listed(status="FORCE_CHANGE_PASSWORD"), "1 skipped: status FORCE_CHANGE_PASSWORD"),
        (listed(status="UNCONFIRMED"), "1 skipped: status UNCONFIRMED"),
        (listed(verified="false"), "1 skipped: the email address is not verified."),
        (listed(days_ago=4), "0 users may have confirmed in this period"),
    ],
)
def test_welcome_counts_skipped_users(pool: FakeAws, tmp_path: Path, user: dict[str, Any], said: str) -> None:
    pool.on(LIST, Response({"Users": [user]}))
    result = run(tmp_path, "--since", "2d")
    assert said in result.output
    assert (started(pool), result.exit_code) == ([], 0)


@pytest.mark.parametrize("status", ["SUCCEEDED", "RUNNING"])
def test_welcome_skips_user_with_execution(pool: FakeAws, tmp_path: Path, status: str) -> None:
    pool.on(DESCRIBE, described(status))
    assert "1 skipped: the sign-up has an execution" in run(tmp_path, "--since", "2d").output
    assert started(pool) == []


def test_welcome_accepts_execution_started_by_another(pool: FakeAws, tmp_path: Path) -> None:
    pool.on(START, EXISTS)
    assert "0 executions started." in run(tmp_path, "--since", "2d").output


def test_welcome_skips_acknowledged_failure(pool: FakeAws, tmp_path: Path) -> None:
    pool.on(DESCRIBE, described("FAILED"))
    acknowledged = {"logStreamName": f"acknowledged/sign-up-{SUB}/0", "creationTime": 1}
    pool.on("cloudwatch-logs.DescribeLogStreams", Response({"logStreams": [acknowledged]}))
    result = run(tmp_path, "--since", "2d")
    assert "1 skipped: the failed execution is acknowledged" in result.output
    assert (started(pool), result.exit_code) == ([], 0)


def test_welcome_prints_redrive_of_failed_execution(pool: FakeAws, tmp_path: Path) -> None:
    pool.on(DESCRIBE, described("TIMED_OUT"))
    pool.on("cloudwatch-logs.DescribeLogStreams", Response({"logStreams": []}))
    result = run(tmp_path, SUB)
    assert f"cognito-user-sync failures redrive --execution sign-up-{SUB}" in result.output
    assert (started(pool), result.exit_code) == ([], 1)


def test_welcome_sends_to_given_sub_without_period(pool: FakeAws, tmp_path: Path) -> None:
    pool.on(LIST, Response({"Users": [listed(days_ago=80)]}))
    run(tmp_path, SUB.upper())
    assert pool.calls[0].body["Filter"] == f'sub = "{SUB}"'
    assert [each["name"] for each in started(pool)] == [f"sign-up-{SUB}"]


def test_welcome_reports_unknown_user(pool: FakeAws, tmp_path: Path) -> None:
    pool.on(LIST, Response({"Users": []}))
    result = run(tmp_path, SUB)
    assert f"has no user {SUB}" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(("arguments", "is_sent"), [((), False), (("--yes",), True)])
def test_welcome_asks_when_execution_may_have_expired(
    pool: FakeAws, tmp_path: Path, arguments: tuple[str, ...], is_sent: bool
) -> None:
    """Step Functions deletes executions after 90 days, so the user may have got the email."""
    pool.on(LIST, Response({"Users": [listed(days_ago=91)]}))
    result = run(tmp_path, SUB, *arguments)
    assert "1 user signed up more than 89 days ago" in result.output
    assert bool(started(pool)) is is_sent
    assert result.exit_code == (0 if is_sent else 1)


def test_welcome_needs_client_id_with_app_client_ids(
    pool: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(monkeypatch, replace(EMAIL, app_client_ids=frozenset({"app1", "app2"})))
    for given in ((), ("--client-id", "app3")):
        result = run(tmp_path, SUB, *given)
        assert "Cognito does not return the app client of a sign-up" in words(result)
        assert "app1, app2" in words(result)
        assert result.exit_code == 2
    run(tmp_path, SUB, "--client-id", "app1")
    assert [json.loads(each["input"])["client_id"] for each in started(pool)] == ["app1"]


def test_welcome_reports_deployment_without_email(
    pool: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object) -> WelcomeEmail:
        raise NoWelcomeEmailError("this deployment sends no welcome email")

    monkeypatch.setattr(deployed_email, "read_deployed_email", none)
    result = run(tmp_path, SUB)
    assert "No welcome email: this deployment sends no welcome" in result.output
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "none of SUB and --since"),
        ((SUB, "--since", "2d"), "none of SUB and --since"),
        (("ada",), "ada is not a sub"),
        ((SUB, "--until", "1d"), "not later than --since"),
        (("--since", "1d", "--until", "2d"), "not later than --since"),
        (("--since", "monday"), "monday is not a time"),
    ],
)
def test_welcome_rejects_invalid_arguments(
    pool: FakeAws, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run(tmp_path, *arguments)
    assert said in words(result)
    assert result.exit_code == 2
    assert pool.calls == []


# --- the period: hours from --since (0) to --until (10)

SINCE = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created", "modified", "may_have"),
    [
        (0, 0, True),
        (5, 5, True),
        (10, 10, True),
        (5, 500, True),
        # The code of a sign-up is valid for a day.
        (-23, 1, True),
        (-25, 1, False),
        # Confirmed before.
        (-23, -1, False),
        (11, 11, False),
    ],
)
def test_may_have_confirmed_covers_period_and_day_before(created: float, modified: float, may_have: bool) -> None:
    created_at, modified_at = (timestamp(SINCE + timedelta(hours=hours)) for hours in (created, modified))
    user = User(SUB, "", "ada", {}, "CONFIRMED", True, created_at, modified_at)
    assert may_have_confirmed(user, SINCE, SINCE + timedelta(hours=10)) is may_have
