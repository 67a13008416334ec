"""Terraform and operators start a reconciliation."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cognito_user_sync.handlers import start_run
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.fake_aws import FakeAws
from tests.samples import RECONCILIATION

EXECUTION = "arn:aws:states:eu-central-1:111122223333:execution:reconciliation:1"
START = "sfn.StartExecution"
STARTED = Response({"executionArn": EXECUTION, "startDate": 1767225600})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILIATION_STATE_MACHINE_ARN", RECONCILIATION)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def start(event: dict[str, Any]) -> dict[str, str]:
    return start_run.handler(event, FakeContext())


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({}, {}),
        ({"input": {}}, {}),
        ({"input": {"allow_deletes": 500}}, {"allow_deletes": 500}),
        # As Terraform's aws_lambda_invocation calls it.
        ({"input": {}, "tf": {"action": "create", "prev_input": None}}, {}),
    ],
    ids=["nothing", "empty", "allowance", "terraform"],
)
def test_start_run_passes_the_input(aws: FakeAws, event: dict[str, Any], expected: dict[str, Any]) -> None:
    aws.on(START, STARTED)
    assert start(event) == {"execution_arn": EXECUTION}
    [call] = aws.calls
    assert call.body.keys() - {"name"} == {"stateMachineArn", "input"}
    assert call.body["stateMachineArn"] == RECONCILIATION
    assert json.loads(call.body["input"]) == expected


def test_start_run_retries_throttled_starts(aws: FakeAws) -> None:
    aws.on(START, error_response("ThrottlingException"), error_response("InternalFailure", 500), STARTED)
    assert start({}) == {"execution_arn": EXECUTION}
    assert aws.operations == [START] * 3


@pytest.mark.parametrize(
    ("error", "attempts"), [("ThrottlingException", 5), ("StateMachineDoesNotExist", 1), ("AccessDeniedException", 1)]
)
def test_start_run_raises_if_the_run_does_not_start(aws: FakeAws, error: str, attempts: int) -> None:
    aws.on(START, error_response(error))
    with pytest.raises(ClientError, match=error):
        start({})
    assert aws.operations == [START] * attempts


def test_start_run_logs_the_execution_arn(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    aws.on(START, STARTED)
    start({})
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert record["execution_arn"] == EXECUTION


@pytest.mark.parametrize("event", [None, [], "{}", 7], ids=repr)
def test_handler_rejects_an_event_that_is_not_an_object(aws: FakeAws, event: Any) -> None:
    with pytest.raises(start_run.InvalidEventError):
        start(event)
    assert aws.calls == []
