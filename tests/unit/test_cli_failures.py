"""What failed is told apart: what may be tried again, and what may have greeted already."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cognito_user_sync_cli.executions import End
from cognito_user_sync_cli.failures import Failure, failures, redrive
from tests.unit.fakes import FakeAws, Response, refusal

MACHINE = "arn:aws:states:eu-central-1:111122223333:stateMachine:user-sync"
EXECUTION = "arn:aws:states:eu-central-1:111122223333:execution:user-sync:sign-up-1"
LIST, HISTORY, REDRIVE = "sfn.ListExecutions", "sfn.GetExecutionHistory", "sfn.RedriveExecution"
NONE = Response({"executions": []})


def listed(*arns: str, next_token: str | None = None, days_ago: float = 0) -> Response:
    ended = time.time() - days_ago * 24 * 3600
    execution = {
        "stateMachineArn": MACHINE,
        "name": "sign-up-1",
        "status": "FAILED",
        "startDate": ended,
        "stopDate": ended,
    }
    answer: dict[str, Any] = {"executions": [{**execution, "executionArn": arn} for arn in arns]}
    return Response({**answer, "nextToken": next_token} if next_token else answer)


def history(*events: dict[str, Any]) -> Response:
    """Newest first."""
    return Response({"events": [{"timestamp": 1, "id": 9, "type": "ExecutionFailed", **event} for event in events]})


def entered(state: str) -> dict[str, Any]:
    return {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}}


def failed(error: str) -> dict[str, Any]:
    return {"type": "ExecutionFailed", "executionFailedEventDetails": {"error": error, "cause": "a stack trace"}}


def found(aws: FakeAws) -> list[Failure]:
    return list(failures(aws.session.client("stepfunctions"), MACHINE))


@pytest.mark.parametrize(
    ("events", "state", "error", "may_have_greeted"),
    [
        ([failed("TableRefused"), entered("SyncUser")], "SyncUser", "TableRefused", False),
        ([failed("States.Timeout"), entered("SyncUser")], "SyncUser", "States.Timeout", False),
        ([failed("WelcomeNotSent"), entered("SendWelcome")], "SendWelcome", "WelcomeNotSent", False),
        ([failed("WelcomeRefused"), entered("SendWelcome")], "SendWelcome", "WelcomeRefused", False),
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
    aws.on(LIST, listed(EXECUTION), NONE)
    aws.on(HISTORY, history(*events))
    (failure,) = found(aws)
    assert (failure.name, failure.end) == ("sign-up-1", End(state, error))
    assert failure.may_have_greeted is may_have_greeted


def test_every_page_and_every_bad_end_is_looked_at(aws: FakeAws) -> None:
    aws.on(LIST, listed(EXECUTION, next_token="more"), listed(EXECUTION), listed(EXECUTION), listed(EXECUTION))
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 4
    assert [call.body.get("statusFilter") for call in aws.calls if call.operation == LIST] == [
        "FAILED",
        "FAILED",
        "TIMED_OUT",
        "ABORTED",
    ]


def test_what_ended_more_than_14_days_ago_is_left_out(aws: FakeAws) -> None:
    aws.on(LIST, listed(EXECUTION, days_ago=15), listed(EXECUTION, days_ago=13.9), NONE)
    aws.on(HISTORY, history(failed("A")))
    assert len(found(aws)) == 1


def test_pages_of_what_is_older_still_are_not_asked_for(aws: FakeAws) -> None:
    aws.on(LIST, listed(EXECUTION, next_token="more", days_ago=29), NONE, NONE)
    assert found(aws) == []
    assert [call.body.get("nextToken") for call in aws.calls] == [None, None, None]


def test_what_cannot_be_redriven_any_more_says_why(aws: FakeAws) -> None:
    states = aws.session.client("stepfunctions")
    failure = Failure(EXECUTION, End("SyncUser", "TableRefused"))
    aws.on(REDRIVE, Response({"redriveDate": 1}), refusal("ExecutionNotRedrivable"))
    assert redrive(states, failure) is None
    assert "more than 14 days ago" in str(redrive(states, failure))
