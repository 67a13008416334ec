"""A change starts an execution, and a bulk change does not start too many at once."""

from __future__ import annotations

import json
import re
import time

import pytest

from cognito_user_sync.handlers import start_changes
from tests.samples import SUB, USER_SYNC
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import FakeAws
from tests.stand_ins.clock import FakeContext

START = "sfn.StartExecution"
STARTED = Response({"executionArn": "arn", "startDate": 1767225600})
# As the rule's input transformer makes it of CloudTrail's event.
CHANGE = json.dumps(
    {"sub": SUB, "reason": "changed", "occurred_at": "2026-01-02T00:00:00Z", "event_name": "AdminDisableUser"}
)


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    monkeypatch.setenv("USER_SYNC_STATE_MACHINE_ARN", USER_SYNC)
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def start(*bodies: str) -> list[str]:
    """The ids of the messages to be delivered again."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    answer = start_changes.handler({"Records": records}, FakeContext(30))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_change_starts_an_execution_without_a_fixed_name(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    assert start(CHANGE) == []
    [call] = aws.calls
    assert re.fullmatch(r"changed-" + json.loads(CHANGE)["sub"] + "-[0-9a-f]{16}", call.body["name"])
    assert call.body["stateMachineArn"] == USER_SYNC
    assert json.loads(call.body["input"]) == {**json.loads(CHANGE), "occurred_at": "2026-01-02T00:00:00.000Z"}


def test_two_functions_at_once_start_at_most_ten_executions_a_second(aws: FakeAws, slept: list[float]) -> None:
    aws.on(START, STARTED)
    assert start(*[CHANGE] * 10) == []
    assert len(aws.calls) == 10
    assert 2 * len(aws.calls) / sum(slept) <= 10.001


def test_what_is_no_change_comes_back_and_stops_no_other(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    assert start("{}", CHANGE, "[") == ["m0", "m2"]
    assert len(aws.calls) == 1


def test_a_change_that_cannot_be_started_comes_back(aws: FakeAws) -> None:
    aws.on(START, refusal("AccessDeniedException"), STARTED)
    assert start(CHANGE, CHANGE) == ["m0"]
