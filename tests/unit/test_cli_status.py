"""The commands `status` and `reconcile`: which run counts as the last one, and what is shown of it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.samples import COUNTS, OURS, QUEUE_URL, RECONCILIATION, SUB, TABLE, USER_SYNC, environment, outputs
from tests.stand_ins.answers import Response
from tests.stand_ins.carriers import COGNITO, FakeAws
from tests.stand_ins.command_line import invoke

OUTPUTS = outputs()
EXAMPLE = {
    "sub": SUB,
    "outcome": "updated",
    "adds": ["cognito_shard"],
    "replaces": ["email", "name"],
    "removes": ["plan"],
}
REVIEW = (
    "the last reconciliation was a dry run and wrote nothing. Review its counts and examples, run cognito-user-sync"
    ' reconcile, then set reconciliation.run_on_apply = "sync" and apply, so that scheduled runs write, too'
)

# Runs, by the begin of their names.
REAL, DRY, DRY_BY_HAND, GOING_ON, FAILED_DRY = "by-hand-1", "8f2d", "by-hand-2", "by-hand-3", "9a3c"
OVER_LIMIT, NOT_SYNCED = "7b1e", "6c0f"
PROBLEMS = {
    OVER_LIMIT: "95 users are missing. If they are really deleted: cognito-user-sync reconcile --allow-deletes 35",
    NOT_SYNCED: f"1 users could not be synced, for example {SUB}",
}


def run(name: str) -> dict[str, Any]:
    """Return what DescribeExecution says of a run."""
    dry_run = name in (DRY, DRY_BY_HAND, FAILED_DRY)
    counts = {**dict.fromkeys(COUNTS, 0), "listed": 1237, "updated": 1234, "other_pool": 3}
    summary = {
        "dry_run": dry_run,
        **counts,
        "batches": 1,
        "seconds": 9,
        "not_swept": None,
        "allow_deletes_needed": 35 if name == OVER_LIMIT else 0,
        "problems": [PROBLEMS[name]] if name in PROBLEMS else [],
        "examples": [EXAMPLE] if dry_run else [],
    }
    described = {
        "executionArn": f"{RECONCILIATION.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": RECONCILIATION,
        "startDate": 1767225600,
        "input": json.dumps({"dry_run": True} if dry_run else {}),
    }
    if name == GOING_ON:
        return {**described, "status": "RUNNING"}
    if name == FAILED_DRY:
        return {**described, "status": "FAILED", "error": "PoolRefused", "cause": "of 9"}
    if name in PROBLEMS:
        return {**described, "status": "FAILED", "error": "EndedWithProblems", "cause": json.dumps(summary)}
    return {**described, "status": "SUCCEEDED", "output": json.dumps(summary)}


def command(
    aws: FakeAws,
    folder: Path,
    runs: list[str],
    *arguments: str,
    failed: Sequence[dict[str, Any]] = (),
    running: Sequence[dict[str, Any]] = (),
) -> Result:
    """Run a command for a deployment that is well but for `failed` and `running` executions of user_sync, and that has
    had these runs, the newest first."""
    aws.on(f"{COGNITO}.DescribeUserPool", Response({"UserPool": {"LambdaConfig": {"PostConfirmation": OURS}}}))
    aws.on("lambda.GetFunctionConfiguration", Response({"Environment": {"Variables": environment()}}))
    aws.on("dynamodb.DescribeTable", Response({"Table": {"TableName": TABLE, "ItemCount": 5}}))
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead"})
    aws.answers["sqs.GetQueueAttributes"] = lambda request: Response(
        {"Attributes": {name: policy if name == "RedrivePolicy" else "0" for name in request["AttributeNames"]}}
    )
    aws.on("sqs.GetQueueUrl", Response({"QueueUrl": f"{QUEUE_URL}-dead"}))
    aws.on("scheduler.GetSchedule", Response({"State": "ENABLED"}))
    described = {each["executionArn"]: each for each in map(run, runs)}

    def executions(request: dict[str, Any]) -> Response:
        if request["stateMachineArn"] == USER_SYNC:
            return Response(
                {"executions": list({"FAILED": failed, "RUNNING": running}.get(request["statusFilter"], ()))}
            )
        found = described.values() if request["stateMachineArn"] == RECONCILIATION else ()
        names = ("executionArn", "stateMachineArn", "startDate", "status")
        return Response({"executions": [{"name": "x", **{name: each[name] for name in names}} for each in found]})

    aws.answers["sfn.ListExecutions"] = executions
    aws.answers["sfn.DescribeExecution"] = lambda request: Response(described[request["executionArn"]])
    return invoke(folder, OUTPUTS, *arguments)


@pytest.mark.parametrize(
    ("runs", "last", "problems"),
    [
        ([], None, []),
        ([GOING_ON], None, []),
        ([REAL, DRY], REAL, []),
        ([GOING_ON, DRY], DRY, [REVIEW]),
        # The operator looks again before the first run that writes.
        ([DRY_BY_HAND, DRY], DRY_BY_HAND, [REVIEW]),
        ([DRY_BY_HAND, FAILED_DRY], DRY_BY_HAND, [REVIEW]),
        ([DRY_BY_HAND], DRY_BY_HAND, [REVIEW]),
        # run_on_apply is still "dry_run".
        ([DRY, REAL], DRY, [REVIEW]),
        ([DRY_BY_HAND, REAL], REAL, []),
        (
            [FAILED_DRY],
            FAILED_DRY,
            ["the last reconciliation ended as FAILED: see above, then: cognito-user-sync reconcile --dry-run"],
        ),
        ([OVER_LIMIT, REAL], OVER_LIMIT, [f"the last reconciliation: {PROBLEMS[OVER_LIMIT]}"]),
        (
            [NOT_SYNCED],
            NOT_SYNCED,
            [
                f"the last reconciliation: {PROBLEMS[NOT_SYNCED]}",
                "the last reconciliation ended as FAILED: see above, then: cognito-user-sync reconcile",
            ],
        ),
    ],
)
def test_status_reports_the_last_run(
    aws: FakeAws, tmp_path: Path, runs: list[str], last: str | None, problems: list[str]
) -> None:
    result = command(aws, tmp_path, runs, "status", "--json")
    found = json.loads(result.stdout)
    assert (found["last_run"] and found["last_run"]["arn"].rpartition(":")[2], found["problems"]) == (last, problems)
    assert result.exit_code == (1 if problems else 0)
    assert (found["run_going_on"] is not None) == (GOING_ON in runs)


def test_status_counts_executions_that_are_retried(aws: FakeAws, tmp_path: Path) -> None:
    """Running for more than 10 minutes, since the start or the last redrive."""
    now = time.time()
    times = [{"startDate": now}, {"startDate": now - 660}, {"startDate": 1767225600, "redriveDate": now}]
    running = [
        {"executionArn": f"arn{n}", "stateMachineArn": USER_SYNC, "name": f"sign-up-{n}", "status": "RUNNING", **each}
        for n, each in enumerate(times)
    ]
    result = command(aws, tmp_path, [], "status", "--json", running=running)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["retried"]) == (1, 1)
    [problem] = found["problems"]
    assert problem.startswith("1 executions have been retried for more than 10 minutes: see why in the logs of ")


@pytest.mark.parametrize(
    ("redrives", "problems"), [(0, []), (1, ["1 executions failed in 24 hours: cognito-user-sync failures"])]
)
def test_status_leaves_acknowledged_failures_out(
    aws: FakeAws, tmp_path: Path, redrives: int, problems: list[str]
) -> None:
    """Until the execution is redriven, and fails again."""
    failed = {"executionArn": "arn", "stateMachineArn": USER_SYNC, "name": "sign-up-1", "status": "FAILED"}
    times = {"startDate": time.time(), "stopDate": time.time()}
    stream = {"logStreamName": "acknowledged/sign-up-1/0", "creationTime": 1}
    aws.on("cloudwatch-logs.DescribeLogStreams", Response({"logStreams": [stream]}))
    result = command(aws, tmp_path, [REAL], "status", "--json", failed=[{**failed, **times, "redriveCount": redrives}])
    found = json.loads(result.stdout)
    assert (found["problems"], found["failed_in_14_days"]) == (problems, 1)


def words(said: str) -> str:
    return " ".join(said.replace("│", " ").split())


def test_status_shows_counts_and_examples_of_a_dry_run(aws: FakeAws, tmp_path: Path) -> None:
    said = words(command(aws, tmp_path, [DRY], "status").output)
    assert "SUCCEEDED, a dry run, begun 2026-01-01 00:00 UTC: 1,237 listed, 1,234 updated, 3 other pool" in said
    assert f"{SUB} updated cognito_shard email, name" in said
    assert f"Problem: {REVIEW}" in said


def test_status_shows_no_examples_of_a_run_that_writes(aws: FakeAws, tmp_path: Path) -> None:
    result = command(aws, tmp_path, [REAL], "status")
    assert (result.exit_code, "for example" in result.output) == (0, False), result.output


@pytest.mark.parametrize("dry_run", [False, True])
def test_reconcile_prints_examples_of_a_dry_run_only(aws: FakeAws, tmp_path: Path, dry_run: bool) -> None:
    name = DRY_BY_HAND if dry_run else REAL
    aws.on("sfn.StartExecution", Response({"executionArn": run(name)["executionArn"], "startDate": 1}))
    result = command(aws, tmp_path, [name], "reconcile", *(["--dry-run"] if dry_run else []))
    said = words(result.output)
    assert result.exit_code == 0, result.output
    assert "other pool 3" in said
    assert (f"{SUB} updated cognito_shard email, name" in said) is dry_run


def test_reconcile_ends_with_the_command_that_allows_the_deletions(aws: FakeAws, tmp_path: Path) -> None:
    aws.on("sfn.StartExecution", Response({"executionArn": run(OVER_LIMIT)["executionArn"], "startDate": 1}))
    result = command(aws, tmp_path, [OVER_LIMIT], "reconcile")
    assert result.exit_code == 1
    assert words(result.output).endswith(f"Problem: {PROBLEMS[OVER_LIMIT]}")
