"""Runs of the reconciliation: followed to their end, also without the log and through short errors."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cognito_user_sync_cli.reconciliation import Run, follow, list_runs, read_deletions, read_run, start
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
    """Neither the command line nor botocore sleeps."""
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


def test_follow_adds_up_users_of_all_workers(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("RUNNING"), described("RUNNING"), DONE)
    aws.on(READ, said(("a", 60), ("b", 60), next_token="more"), said(("a", 120)), said(("b", 100), ("c", 7)))
    *numbers, run = followed(aws)
    assert numbers == [180, 227]
    assert isinstance(run, Run)
    assert (run.status, run.summary) == ("SUCCEEDED", SUMMARY)


def test_follow_reads_new_and_late_lines_only(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("RUNNING"), described("RUNNING"), DONE)
    aws.on(READ, said(("a", 60), newest_ms=(BEGAN + 600) * 1000), said())
    followed(aws)
    assert [call.body["startTime"] for call in aws.calls if call.operation == READ] == [
        BEGAN * 1000,
        (BEGAN + 600) * 1000 - 60_000,
    ]


def test_follow_ignores_other_lines(aws: FakeAws) -> None:
    odd = [
        {"timestamp": 1, "message": text}
        for text in ("text", "[]", '{"listed": 5}', '{"requestId": "a", "listed": "x"}')
    ]
    aws.on(DESCRIBE, described("RUNNING"), DONE)
    aws.on(READ, Response({"events": odd}))
    assert followed(aws)[0] == 0


def test_read_deletions_waits_until_all_are_shown(aws: FakeAws) -> None:
    """Each user once: a worker that is retried logs its users again. Users over the limit are included."""
    aws.on(DESCRIBE, described("SUCCEEDED", output=json.dumps(SUMMARY | {"deleted": 1, "over_limit": 2})))
    run = read_run(aws.session.client("stepfunctions"), RUN)

    def shown(*lines: list[str]) -> Response:
        return Response({"events": [{"timestamp": 1, "message": json.dumps({"subs": subs})} for subs in lines]})

    aws.on(READ, shown(["b"]), shown(["b"], ["a"], ["a", "c"]))
    assert read_deletions(aws.session.client("logs"), "/aws/lambda/reconcile-shards", run) == ["a", "b", "c"]
    assert aws.operations.count(READ) == 2


def test_read_deletions_omits_deletions_not_in_the_log(aws: FakeAws) -> None:
    aws.on(DESCRIBE, described("SUCCEEDED", output=json.dumps(SUMMARY | {"deleted": 1})))
    aws.on(READ, Response({"events": []}))
    run = read_run(aws.session.client("stepfunctions"), RUN)
    assert read_deletions(aws.session.client("logs"), "/aws/lambda/reconcile-shards", run) == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
def test_follow_works_without_the_log(aws: FakeAws, code: str) -> None:
    aws.on(DESCRIBE, described("RUNNING"), DONE)
    aws.on(READ, error_response(code))
    number, run = followed(aws)
    assert number == 0
    assert isinstance(run, Run)


def test_read_run_retries_run_that_is_not_found_yet(aws: FakeAws) -> None:
    aws.on(DESCRIBE, error_response("ExecutionDoesNotExist"), DONE)
    assert read_run(aws.session.client("stepfunctions"), RUN).status == "SUCCEEDED"


def test_read_run_raises_when_run_does_not_exist(aws: FakeAws) -> None:
    states = aws.session.client("stepfunctions")
    aws.on(DESCRIBE, error_response("ExecutionDoesNotExist"))
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        read_run(states, RUN)
    assert len(aws.calls) == 5


@pytest.mark.usefixtures("in_berlin")
def test_read_run_returns_time_in_utc(aws: FakeAws) -> None:
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
def test_read_run_has_reason_when_there_are_no_counts(aws: FakeAws, answer: Response, status: str, reason: str) -> None:
    aws.on(DESCRIBE, answer)
    run = read_run(aws.session.client("stepfunctions"), RUN)
    assert (run.status, run.reason, run.summary) == (status, reason, None)


def test_start_is_idempotent_when_sent_again(aws: FakeAws) -> None:
    aws.on(START, Response({"__type": "InternalFailure"}, 500), Response({"executionArn": RUN, "startDate": BEGAN}))
    start(aws.session.client("stepfunctions"), RECONCILIATION, allow_deletes=5, dry_run=True)
    first, again = aws.calls
    assert first.body == again.body
    assert first.body["name"]
    assert json.loads(first.body["input"]) == {"allow_deletes": 5, "dry_run": True}


def test_list_runs_leaves_out_runs_of_groups(aws: FakeAws) -> None:
    """One starts after each deleted group, and must not replace the last run of users in `status`."""
    aws.on("sfn.ListExecutions", Response({"executions": [{"executionArn": RUN, "name": "1"}] * 2}))
    of_groups = described("SUCCEEDED", output=json.dumps(SUMMARY), input='{"only_groups": true}')
    aws.on(DESCRIBE, of_groups, DONE)
    runs = list(list_runs(aws.session.client("stepfunctions"), RECONCILIATION))
    assert len(runs) == 1
