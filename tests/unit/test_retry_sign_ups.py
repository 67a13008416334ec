"""What waits in the retry queue is started, or stays there."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import retry_sign_ups
from cognito_user_sync.sync_request import SyncRequest
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.fake_aws import FakeAws
from tests.samples import USER_SYNC

SUBS = [f"b4c8d9e0-1234-4abc-8def-00112233445{number}" for number in range(3)]
START = "sfn.StartExecution"
STARTED = Response({"executionArn": "arn", "startDate": 1767225600})
REQUESTS = [SyncRequest(sub, "ada.l", "sign_up", "2026-01-01T00:00:00.000Z", "app1") for sub in SUBS]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_SYNC_STATE_MACHINE_ARN", USER_SYNC)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def handle(*bodies: str) -> list[str]:
    """The ids of the messages to be delivered again."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    answer = retry_sign_ups.handler({"Records": records}, FakeContext(30))
    assert answer.keys() == {"batchItemFailures"}
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_retry_sign_ups_starts_an_execution_per_message(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    assert handle(*[request.to_json() for request in REQUESTS]) == []
    assert [call.body for call in aws.calls] == [
        {"stateMachineArn": USER_SYNC, "name": f"sign-up-{request.sub}", "input": request.to_json()}
        for request in REQUESTS
    ]


def test_retry_sign_ups_accepts_a_started_execution(aws: FakeAws) -> None:
    # StartExecution took effect and its answer was lost: the trigger queued the request nevertheless.
    aws.on(START, error_response("ExecutionAlreadyExists"))
    assert handle(REQUESTS[0].to_json()) == []


def test_only_the_messages_that_failed_are_delivered_again(aws: FakeAws) -> None:
    aws.on(START, STARTED, error_response("AccessDeniedException"), STARTED)
    assert handle(*[request.to_json() for request in REQUESTS]) == ["m1"]
    assert len(aws.calls) == 3


@pytest.mark.parametrize(
    "failure",
    [
        error_response("ThrottlingException"),
        error_response("InternalFailure", 500),
        ConnectTimeoutError(endpoint_url="https://states"),
        ReadTimeoutError(endpoint_url="https://states"),
    ],
    ids=["throttled", "500", "connect-timeout", "read-timeout"],
)
def test_retry_sign_ups_retries_throttled_starts(aws: FakeAws, failure: Answer) -> None:
    aws.on(START, failure)
    assert handle(REQUESTS[0].to_json()) == ["m0"]
    assert aws.operations == [START] * 3

    aws.on(START, failure, STARTED)
    assert handle(REQUESTS[0].to_json()) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "ada@example.com",
        "null",
        "[]",
        "7",
        "{}",
        '{"sub": "ada@example.com"}',
        json.dumps({"sub": SUBS[0]}),
        # A message of the change queue.
        json.dumps({"sub": SUBS[0], "event_name": "AdminDisableUser", "occurred_at": "2026-01-01T00:00:00Z"}),
        '{"sub',
    ],
    ids=range(10),
)
def test_retry_sign_ups_returns_only_a_malformed_message(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    aws.on(START, STARTED)
    assert handle(REQUESTS[0].to_json(), body, REQUESTS[1].to_json()) == ["m1"]
    assert aws.operations == [START, START]
    [record] = [vars(record) for record in caplog.records if record.levelno >= logging.WARNING]
    assert record["message_id"] == "m1"
    assert "ada" not in repr(record)


def test_no_personal_data_is_logged(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    personal: Any = error_response("AccessDeniedException", message="ada@example.com")
    aws.on(START, STARTED, error_response("ExecutionAlreadyExists", message="ada@example.com"), personal)
    handle(*[request.to_json() for request in REQUESTS])
    ours = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [record["msg"] for record in ours] == ["started", "was started before", "message not handled"]
    assert "ada" not in repr(ours)


def test_retry_sign_ups_returns_messages_without_time(aws: FakeAws) -> None:
    records = [{"messageId": "m0", "body": REQUESTS[0].to_json()}]
    answer = retry_sign_ups.handler({"Records": records}, FakeContext(14))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert aws.calls == []


def test_retry_sign_ups_rejects_an_event_that_is_not_a_batch(aws: FakeAws) -> None:
    with pytest.raises(InvalidEventError, match="SQS message"):
        retry_sign_ups.handler({}, FakeContext(30))
    assert aws.calls == []


def test_retry_sign_ups_drops_attributes_of_an_earlier_release(aws: FakeAws) -> None:
    """Messages wait in the queue for up to 14 days."""
    aws.on(START, STARTED)
    earlier = {**json.loads(REQUESTS[0].to_json()), "attributes": {"email": "ada@example.com"}}
    assert handle(json.dumps(earlier)) == []
    assert [call.body["input"] for call in aws.calls] == [REQUESTS[0].to_json()]
