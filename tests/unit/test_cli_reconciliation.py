"""A run is followed to its end, whatever the log or a moment's hiccup says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cognito_user_sync_cli.reconciliation import Run, follow, read_deletions, read_run, start
from tests.fakes.answers import Response, error_response
from tests.fakes.fake_aws import FakeAws
from tests.samples import RECONCILIATION

RUN = "arn:aws:states:eu-central-1:111122223333:execution:reconciliation:by-hand-1"
BEGAN = 1767225600  # 2026-01-01T00:00:00Z
START, DESCRIBE, READ = "sfn.StartExecution", "sfn.DescribeExecution", "cloudwatch-logs.FilterLogEvents"


def described(status: str, **more: Any) -> Response:
    return Response({"executionArn": RUN, "status": status, "startDate": BEGAN, "input": "{}", **more})


SUMMARY: dict[str, Any] = {"listed": 3, "deletion_check_skipped": None, "problems": []}
DONE = described("SUCCEEDED", output=json.dumps(SUMMARY))


def said(*lines: tuple[str, int], newest_ms: int = BEGAN * 1000, next_token: str | None = None) -> Response:
    events = [
        {"timestamp": newest_ms, "message": json.dumps({"requestId": request, "listed": listed})}
        for request, listed in lines
    ]
    return Response({"events": events, **({"nextToken": next_token} if next_token else {})})


@pytest.fixture(autouse=True)
def _nothing_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the command line between two looks, nor botocore between two attempts."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def followed(aws: FakeAws) -> list[int | Run]:
    client = aws.session.client
    return list(follow(client("stepfunctions"), client("logs"), "/aws/lambda/reconcile-shards", RUN))


def test_the_users_that_each_worker_has_listed_are_added_up(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("RUNNING"), described("RUNNING"), DONE)
    aws.on(READ, said(("a", 60), ("b", 60), next_token="more"), said(("a", 120)), said(("b", 100), ("c", 7)))
    *numbers, run = followed(aws)
    assert numbers == [180, 227]
    assert isinstance(run, Run)
    assert (run.status, run.summary) == ("SUCCEEDED", SUMMARY)


def test_only_new_lines_and_those_that_may_have_come_late_are_read(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("RUNNING"), described("RUNNING"), DONE)
    aws.on(READ, said(("a", 60), newest_ms=(BEGAN + 600) * 1000), said())
    followed(aws)
    assert [call.body["startTime"] for call in aws.calls if call.operation == READ] == [
        BEGAN * 1000,
        (BEGAN + 600) * 1000 - 60_000,
    ]


def test_lines_that_are_none_of_a_worker_s_are_passed_over(aws: FakeAws) -> None:
    odd = [
        {"timestamp": 1, "message": text}
        for text in ("text", "[]", '{"listed": 5}', '{"requestId": "a", "listed": "x"}')
    ]
    aws.on(DESCRIBE, described("RUNNING"), DONE)
    aws.on(READ, Response({"events": odd}))
    assert followed(aws)[0] == 0


def test_deletions_of_a_dry_run_are_read_until_all_are_shown(aws: FakeAws) -> None:
    """Each once: a worker whose answer was lost logs its users again. Those over the limit are among them."""
    aws.on(DESCRIBE, described("SUCCEEDED", output=json.dumps(SUMMARY | {"deleted": 1, "over_limit": 2})))
    run = read_run(aws.session.client("stepfunctions"), RUN)

    def shown(*lines: list[str]) -> Response:
        return Response({"events": [{"timestamp": 1, "message": json.dumps({"subs": subs})} for subs in lines]})

    aws.on(READ, shown(["b"]), shown(["b"], ["a"], ["a", "c"]))
    assert read_deletions(aws.session.client("logs"), "/aws/lambda/reconcile-shards", run) == ["a", "b", "c"]
    assert aws.operations.count(READ) == 2


def test_deletions_that_the_log_does_not_show_are_left_out(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("SUCCEEDED", output=json.dumps(SUMMARY | {"deleted": 1})))
    aws.on(READ, Response({"events": []}))
    run = read_run(aws.session.client("stepfunctions"), RUN)
    assert read_deletions(aws.session.client("logs"), "/aws/lambda/reconcile-shards", run) == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
def test_without_the_log_a_run_is_followed_all_the_same(aws: FakeAws, code: str) -> None:
    aws.on(DESCRIBE, described("RUNNING"), DONE)
    aws.on(READ, error_response(code))
    number, run = followed(aws)
    assert number == 0
    assert isinstance(run, Run)


def test_a_run_that_is_not_known_yet_is_asked_for_again(aws: FakeAws) -> None:
    aws.on(DESCRIBE, error_response("ExecutionDoesNotExist"), DONE)
    assert read_run(aws.session.client("stepfunctions"), RUN).status == "SUCCEEDED"


def test_a_run_that_does_not_exist_is_said_to_be_none(aws: FakeAws) -> None:
    states = aws.session.client("stepfunctions")
    aws.on(DESCRIBE, error_response("ExecutionDoesNotExist"))
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        read_run(states, RUN)
    assert len(aws.calls) == 5


@pytest.mark.usefixtures("in_berlin")
def test_times_are_utc_wherever_the_operator_is(aws: FakeAws) -> None:
    aws.on(DESCRIBE, DONE)
    assert f"{read_run(aws.session.client('stepfunctions'), RUN).started_at:%H:%M %Z}" == "00:00 UTC"


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (described("FAILED", error="OutOfTimeError", cause='{"errorMessage": "9"}'), "FAILED", "OutOfTimeError: 9"),
        (described("FAILED", error="States.Timeout"), "FAILED", "States.Timeout"),
        (described("TIMED_OUT"), "TIMED_OUT", "TIMED_OUT"),
        (described("ABORTED", cause="by hand"), "ABORTED", "ABORTED: by hand"),
        (
            described("SUCCEEDED", output='{"result": "not run: another run", "running_execution_arn": "arn:1"}'),
            "NOT_RUN",
            "another run: arn:1",
        ),
    ],
)  # fmt: skip
def test_a_run_without_counts_says_why(aws: FakeAws, answer: Response, status: str, reason: str) -> None:
    aws.on(DESCRIBE, answer)
    run = read_run(aws.session.client("stepfunctions"), RUN)
    assert (run.status, run.reason, run.summary) == (status, reason, None)


def test_a_start_that_is_sent_again_starts_no_second_run(aws: FakeAws) -> None:
    aws.on(START, Response({"__type": "InternalFailure"}, 500), Response({"executionArn": RUN, "startDate": BEGAN}))
    start(aws.session.client("stepfunctions"), RECONCILIATION, allow_deletes=5, dry_run=True)
    first, again = aws.calls
    assert first.body == again.body
    assert first.body["name"]
    assert json.loads(first.body["input"]) == {"allow_deletes": 5, "dry_run": True}
