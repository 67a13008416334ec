"""What failed is told apart: what may be tried again, and what may have greeted already."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cognito_user_sync.sync_request import SyncRequest, parse
from cognito_user_sync_cli.executions import End
from cognito_user_sync_cli.failures import Failure, failures, redrive, requeue
from tests.samples import QUEUE_URL, SUB, USER_SYNC
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import FakeAws

EXECUTION = "arn:aws:states:eu-central-1:111122223333:execution:user-sync:sign-up-1"
LIST, HISTORY, REDRIVE = "sfn.ListExecutions", "sfn.GetExecutionHistory", "sfn.RedriveExecution"
NONE = Response({"executions": []})


def execution(ended_days_ago: float = 0, began_days_ago: float | None = None, arn: str = EXECUTION) -> dict[str, Any]:
    began = ended_days_ago if began_days_ago is None else began_days_ago
    return {
        "executionArn": arn,
        "stateMachineArn": USER_SYNC,
        "name": "sign-up-1",
        "status": "FAILED",
        "startDate": time.time() - began * 24 * 3600,
        "stopDate": time.time() - ended_days_ago * 24 * 3600,
    }


def listed(*executions: dict[str, Any], next_token: str | None = None) -> Response:
    answer: dict[str, Any] = {"executions": list(executions)}
    return Response({**answer, "nextToken": next_token} if next_token else answer)


def history(*events: dict[str, Any]) -> Response:
    """Newest first."""
    return Response({"events": [{"timestamp": 1, "id": 9, "type": "ExecutionFailed", **event} for event in events]})


def entered(state: str) -> dict[str, Any]:
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}}


def failed(error: str) -> dict[str, Any]:
    return {"type": "ExecutionFailed", "executionFailedEventDetails": {"error": error, "cause": "a stack trace"}}


def found(aws: FakeAws) -> list[Failure]:
    return list(failures(aws.session.client("stepfunctions"), USER_SYNC))


@pytest.mark.parametrize(
    ("events", "state", "error", "may_have_greeted"),
    [
        ([failed("TableRefused"), entered("SyncUser")], "SyncUser", "TableRefused", False),
        ([failed("States.Timeout"), entered("SyncUser")], "SyncUser", "States.Timeout", False),
        ([failed("WelcomeNotSent"), entered("SendWelcome")], "SendWelcome", "WelcomeNotSent", False),
        ([failed("WelcomeRefused"), entered("SendWelcome")], "SendWelcome", "WelcomeRefused", False),
        # SendWelcome reads the user before it sends.
        ([failed("PoolUnavailable"), entered("SendWelcome")], "SendWelcome", "PoolUnavailable", False),
        ([failed("PoolRefused"), entered("SendWelcome")], "SendWelcome", "PoolRefused", False),
        ([failed("UnusableUser"), entered("SendWelcome")], "SendWelcome", "UnusableUser", False),
        ([failed("WelcomeOutcomeUnknown"), entered("SendWelcome")], "SendWelcome", "WelcomeOutcomeUnknown", True),
        ([failed("Lambda.Unknown"), entered("SendWelcome")], "SendWelcome", "Lambda.Unknown", True),
        # Stopped, or out of time, during a second try: what the first one ended with says nothing of it.
        (
            [{"type": "ExecutionAborted"}, entered("SendWelcome"), failed("WelcomeNotSent"), entered("SendWelcome")],
            "SendWelcome",
            "FAILED",
            True,
        ),
        (
            [{"type": "ExecutionTimedOut", "executionTimedOutEventDetails": {}}, entered("SendWelcome"), failed("A")],
            "SendWelcome",
            "FAILED",
            True,
        ),
        ([failed("States.Runtime")], None, "States.Runtime", False),
    ],
)
def test_a_failure_is_known_by_its_last_state_and_its_last_end(
    aws: FakeAws, events: list[dict[str, Any]], state: str | None, error: str, may_have_greeted: bool
) -> None:
    aws.on(LIST, listed(execution()), NONE)
    aws.on(HISTORY, history(*events))
    (failure,) = found(aws)
    assert (failure.name, failure.end) == ("sign-up-1", End(state, error))
    assert failure.may_have_greeted is may_have_greeted


def test_every_page_and_every_bad_end_is_looked_at(aws: FakeAws) -> None:
    aws.on(LIST, listed(execution(), next_token="more"), listed(execution()), listed(execution()), listed(execution()))
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 4
    assert [call.body.get("statusFilter") for call in aws.calls if call.operation == LIST] == [
        "FAILED",
        "FAILED",
        "TIMED_OUT",
        "ABORTED",
    ]


def test_pages_of_what_cannot_be_redriven_any_more_are_not_asked_for(aws: FakeAws) -> None:
    aws.on(LIST, listed(execution(13.9), execution(14.1), next_token="more"), NONE, NONE)
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 1
    asked = [call.body for call in aws.calls if call.operation == LIST]
    assert [each.get("nextToken") for each in asked] == [None, None, None]
    assert {each["maxResults"] for each in asked} == {1000}


def test_one_that_began_long_ago_and_was_redriven_hides_none_behind_it(aws: FakeAws) -> None:
    # Those that are over are listed by their end.
    aws.on(LIST, listed(execution(1, began_days_ago=40), execution(2)), NONE, NONE)
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 2


def test_what_cannot_be_redriven_any_more_says_why(aws: FakeAws) -> None:
    states = aws.session.client("stepfunctions")
    failure = Failure(EXECUTION, End("SyncUser", "TableRefused"))
    aws.on(REDRIVE, Response({"redriveDate": 1}), refusal("ExecutionNotRedrivable"))
    assert redrive(states, failure) is None
    assert "more than 14 days ago" in str(redrive(states, failure))


def test_requeue_moves_request_as_it_is(aws: FakeAws) -> None:
    request = SyncRequest(SUB, "ada", "sign_up", "2026-01-31T12:00:00.000Z", "app1")
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead", "maxReceiveCount": 5})
    aws.on("sqs.GetQueueAttributes", Response({"Attributes": {"RedrivePolicy": policy}}))
    aws.on("sqs.GetQueueUrl", Response({"QueueUrl": f"{QUEUE_URL}-dead"}))
    message = {"MessageId": "m1", "ReceiptHandle": "r1", "Body": request.to_json()}
    aws.on("sqs.ReceiveMessage", Response({"Messages": [message]}), Response({}))
    aws.on("sqs.SendMessage", Response({"MessageId": "m2"}))
    aws.on("sqs.DeleteMessage", Response({}))
    assert requeue(aws.session.client("sqs"), QUEUE_URL) == 1
    [sent] = [call.body for call in aws.calls if call.operation == "sqs.SendMessage"]
    assert sent["QueueUrl"] == QUEUE_URL
    assert parse(json.loads(sent["MessageBody"])) == request
