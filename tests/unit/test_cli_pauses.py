"""The commands `pause` and `resume`: the settings of AWS that they change, and their output."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import Result

from cognito_user_sync_cli.commands import pause
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import FakeAws
from tests.samples import OURS, POOL_ID, SUB, outputs

ARNS = {
    name: f"{OURS.rpartition(':')[0]}:people-{name}"
    for name in ("send-welcome", "sync-changes", "publish-user-events", "pool-trigger")
}
SINCE = "2026-01-01T00:00:00Z"
SCHEDULE = {
    "Name": "reconciliation",
    "ScheduleExpression": "cron(17 3 * * ? *)",
    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
    "Target": {"Arn": "arn:of:machine", "RoleArn": "arn:of:role", "RetryPolicy": {"MaximumRetryAttempts": 10}},
    "Description": "Starts the reconciliation",
}
MAPPINGS, UPDATE_MAPPING = "lambda.ListEventSourceMappings", "lambda.UpdateEventSourceMapping"
CONFIGURATION, UPDATE = "lambda.GetFunctionConfiguration", "lambda.UpdateFunctionConfiguration"


@pytest.fixture(autouse=True)
def _no_dashboard_and_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pause, "show_on_dashboard", lambda _: [])
    monkeypatch.setattr(time, "sleep", lambda _: None)


def command(folder: Path, *arguments: str, **changes: Any) -> Result:
    return invoke(folder, outputs(**{"function_arns": ARNS, **changes}), *arguments)


def sent(aws: FakeAws, operation: str) -> list[Any]:
    return [call.body for call in aws.calls if call.operation == operation]


@pytest.mark.parametrize(
    ("part", "changes", "why"),
    [
        ("welcomes", {"function_arns": {}}, "welcome_email is null"),
        ("changes", {"function_arns": {}}, "track_changes is false"),
        ("user-events", {"function_arns": {}}, "user_events is null"),
        ("trigger", {"function_arns": {}}, "attach_trigger is false"),
        ("reconciliation", {}, 'reconciliation.schedule is "none"'),
    ],
)
def test_pause_reports_setting_that_disables_the_part(
    aws: FakeAws, tmp_path: Path, part: str, changes: dict[str, Any], why: str
) -> None:
    aws.on("scheduler.GetSchedule", error_response("ResourceNotFoundException", 404))
    for action in ("pause", "resume"):
        result = command(tmp_path, action, part, **changes)
        assert (result.exit_code, why in result.output) == (2, True), result.output


def test_pause_succeeds_when_dashboard_update_fails(
    aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no PutDashboard"}}, "PutDashboard")

    monkeypatch.setattr(pause, "show_on_dashboard", denied)
    aws.on("lambda.PutFunctionConcurrency", Response({"ReservedConcurrentExecutions": 0}))
    result = command(tmp_path, "pause", "welcomes")
    assert result.exit_code == 0
    assert "welcomes paused: " in result.output
    assert "may not show what is paused" in result.output


# --- changes


def mapping(state: str) -> Response:
    return Response({"EventSourceMappings": [{"UUID": SUB, "State": state}]})


def test_pause_changes_waits_until_mapping_is_disabled(aws: FakeAws, tmp_path: Path) -> None:
    """Until then, Lambda rejects other updates."""
    aws.on(MAPPINGS, *map(mapping, ["Enabling", "Enabled", "Disabling", "Disabled"]))
    aws.on(UPDATE_MAPPING, Response({"UUID": SUB, "State": "Disabling"}))
    result = command(tmp_path, "pause", "changes")
    assert result.exit_code == 0, result.output
    assert sent(aws, UPDATE_MAPPING) == [{"Enabled": False}]


def test_resume_user_events_enables_their_mapping(aws: FakeAws, tmp_path: Path) -> None:
    aws.on(MAPPINGS, mapping("Disabled"))
    aws.on(UPDATE_MAPPING, Response({"UUID": SUB, "State": "Enabled"}))
    result = command(tmp_path, "resume", "user-events")
    assert (result.exit_code, "Waiting events are published now." in result.output) == (0, True), result.output
    assert sent(aws, UPDATE_MAPPING) == [{"Enabled": True}]


def test_pause_changes_fails_when_mapping_does_not_change(aws: FakeAws, tmp_path: Path) -> None:
    aws.on(MAPPINGS, mapping("Updating"))
    result = command(tmp_path, "pause", "changes")
    assert (result.exit_code, "is Updating. Run this command again" in result.output) == (1, True)


# --- reconciliation


@pytest.mark.parametrize(("action", "state"), [("pause", "DISABLED"), ("resume", "ENABLED")])
def test_pause_reconciliation_keeps_other_schedule_settings(
    aws: FakeAws, tmp_path: Path, action: str, state: str
) -> None:
    """UpdateSchedule resets settings that are not in the request."""
    facts = {"Arn": "arn:aws:scheduler:eu-central-1:111122223333:schedule/default/x", "CreationDate": 1}
    aws.on("scheduler.GetSchedule", Response({**SCHEDULE, **facts, "LastModificationDate": 2, "State": "ENABLED"}))
    aws.on("scheduler.UpdateSchedule", Response({"ScheduleArn": facts["Arn"]}))
    assert command(tmp_path, action, "reconciliation").exit_code == 0
    (request,) = sent(aws, "scheduler.UpdateSchedule")
    request.pop("ClientToken", None)
    expected = {name: value for name, value in SCHEDULE.items() if name != "Name"}
    assert request == {**expected, "State": state}


# --- trigger


def answer_pool_trigger(aws: FakeAws, result: Response, **environment: str) -> None:
    variables = {"USER_POOL_ID": POOL_ID, **environment}
    aws.on(CONFIGURATION, Response({"Environment": {"Variables": variables}, "RevisionId": "r1"}))
    aws.on(UPDATE, Response())
    aws.on("lambda.GetFunction", Response({"Configuration": {"LastUpdateStatus": "Successful"}}))
    aws.on("lambda.Invoke", result)


DONE = Response({"action": "detach", "result": "detached"})
FAILED = Response(
    json.dumps({"errorType": "ForeignTriggerError", "errorMessage": "the pool has another one"}).encode(),
    headers={"X-Amz-Function-Error": "Unhandled"},
)


def test_pause_trigger_prevents_attach_before_it_detaches(aws: FakeAws, tmp_path: Path) -> None:
    answer_pool_trigger(aws, DONE)
    assert command(tmp_path, "pause", "trigger").exit_code == 0
    (request,) = sent(aws, UPDATE)
    variables = request["Environment"]["Variables"]
    assert "TRIGGER_PAUSED_SINCE" in variables
    assert (variables["USER_POOL_ID"], request["RevisionId"]) == (POOL_ID, "r1")
    order = [call.operation for call in aws.calls]
    assert order == [CONFIGURATION, UPDATE, "lambda.GetFunction", "lambda.Invoke"]
    (event,) = sent(aws, "lambda.Invoke")
    assert event == {"action": "detach", "user_pool_id": POOL_ID, "function_arn": OURS}


def test_pause_trigger_keeps_time_of_first_pause(aws: FakeAws, tmp_path: Path) -> None:
    answer_pool_trigger(aws, DONE, TRIGGER_PAUSED_SINCE=SINCE)
    assert command(tmp_path, "pause", "trigger").exit_code == 0
    assert sent(aws, UPDATE) == []
    assert len(sent(aws, "lambda.Invoke")) == 1


def test_resume_trigger_prints_command_with_time_of_pause(aws: FakeAws, tmp_path: Path) -> None:
    answer_pool_trigger(aws, DONE, TRIGGER_PAUSED_SINCE=SINCE)
    result = command(tmp_path, "resume", "trigger")
    assert f"cognito-user-sync welcome --since {SINCE}." in result.output
    assert [request["Environment"]["Variables"] for request in sent(aws, UPDATE)] == [{"USER_POOL_ID": POOL_ID}]
    assert sent(aws, "lambda.Invoke")[0]["action"] == "attach"


def test_resume_trigger_prints_command_when_attach_fails(aws: FakeAws, tmp_path: Path) -> None:
    answer_pool_trigger(aws, FAILED, TRIGGER_PAUSED_SINCE=SINCE)
    result = command(tmp_path, "resume", "trigger")
    assert result.exit_code == 1
    assert "attach failed: the pool has another one. Fix the cause, then: cognito-user-sync reconcile" in result.output
    assert f"welcome --since {SINCE}" in result.output


def test_pause_trigger_prints_next_step_when_detach_fails(aws: FakeAws, tmp_path: Path) -> None:
    answer_pool_trigger(aws, FAILED)
    result = command(tmp_path, "pause", "trigger")
    assert result.exit_code == 1
    assert "detach failed: the pool has another one. To try again: cognito-user-sync pause trigger" in result.output


def test_pause_trigger_fails_when_environment_is_unreadable(aws: FakeAws, tmp_path: Path) -> None:
    aws.on(CONFIGURATION, Response({"Environment": {"Error": {"Message": "no kms:Decrypt"}}, "RevisionId": "r1"}))
    result = command(tmp_path, "pause", "trigger")
    assert (result.exit_code, "cannot be read: no kms:Decrypt" in result.output) == (2, True)
