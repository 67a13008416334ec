"""The commands `status` and `reconcile`: missing resources, unreadable sections, and the last run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import Result

from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.fakes.healthy_deployment import (
    BUS,
    OUTPUTS,
    ROLE,
    answer_healthy,
    answer_mappings,
    configuration,
    lose_function,
    lose_queue,
    mapping,
)
from tests.samples import COUNTS, OTHER_SUB, POOL_ID, RECONCILIATION, SUB, THEIRS, environment

USER_SYNC = OUTPUTS["user_sync_state_machine_arn"]
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
ENDED_AS_FAILED = (
    "the last reconciliation ended with status FAILED. Fix the cause above, then: cognito-user-sync reconcile"
)

# Runs, by the first characters of their names.
REAL, DRY, DRY_BY_HAND, GOING_ON, FAILED_DRY = "by-hand-1", "8f2d", "by-hand-2", "by-hand-3", "9a3c"
OVER_LIMIT, NOT_SYNCED = "7b1e", "6c0f"
PROBLEMS = {
    OVER_LIMIT: "95 users are missing. If they were really deleted: cognito-user-sync reconcile --allow-deletes 35",
    NOT_SYNCED: f"1 users could not be synced, for example {SUB}",
}


def run(name: str) -> dict[str, Any]:
    """Return the response of DescribeExecution for a run."""
    dry_run = name in (DRY, DRY_BY_HAND, FAILED_DRY)
    counts = {**dict.fromkeys(COUNTS, 0), "listed": 1237, "updated": 1234, "other_pool": 3}
    summary = {
        "dry_run": dry_run,
        **counts,
        "batches": 1,
        "seconds": 9,
        "deletion_check_skipped": None,
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
        return {**described, "status": "FAILED", "error": "CognitoRejectedError", "cause": "of 9"}
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
    """Run a command for a healthy deployment with these runs of the reconciliation.

    Args:
        aws: The fake AWS.
        folder: For the outputs.
        runs: The newest first.
        arguments: Of the command line.
        failed: Failed executions of user_sync.
        running: Running executions of user_sync.
    """
    answer_healthy(aws)
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
        # The operator checks again before the first run that writes.
        ([DRY_BY_HAND, DRY], DRY_BY_HAND, [REVIEW]),
        ([DRY_BY_HAND, FAILED_DRY], DRY_BY_HAND, [REVIEW]),
        ([DRY_BY_HAND], DRY_BY_HAND, [REVIEW]),
        # run_on_apply is still "dry_run".
        ([DRY, REAL], DRY, [REVIEW]),
        ([DRY_BY_HAND, REAL], REAL, []),
        (
            [FAILED_DRY],
            FAILED_DRY,
            [f"{ENDED_AS_FAILED} --dry-run"],
        ),
        ([OVER_LIMIT, REAL], OVER_LIMIT, [f"the last reconciliation: {PROBLEMS[OVER_LIMIT]}"]),
        (
            [NOT_SYNCED],
            NOT_SYNCED,
            [f"the last reconciliation: {PROBLEMS[NOT_SYNCED]}", ENDED_AS_FAILED],
        ),
    ],
)
def test_status_reports_the_last_run(
    aws: FakeAws, tmp_path: Path, runs: list[str], last: str | None, problems: list[str]
) -> None:
    result = command(aws, tmp_path, runs, "status", "--json")
    found = json.loads(result.stdout)
    facts = found["sections"]["reconciliation"]["facts"]
    assert (facts["last_run"] and facts["last_run"]["arn"].rpartition(":")[2], found["problems"]) == (last, problems)
    assert result.exit_code == (1 if problems else 0)
    assert (facts["running"] is not None) == (GOING_ON in runs)


def test_status_counts_executions_that_are_retried(aws: FakeAws, tmp_path: Path) -> None:
    """Running for more than 10 minutes, since the start or the last redrive."""
    now = time.time()
    times = [{"startDate": now}, {"startDate": now - 660}, {"startDate": 1767225600, "redriveDate": now}]
    running = [
        {
            "executionArn": f"arn{n}",
            "stateMachineArn": USER_SYNC,
            "name": f"sign-up-{n}",
            "status": "RUNNING",
            **each,
        }
        for n, each in enumerate(times)
    ]
    result = command(aws, tmp_path, [], "status", "--json", running=running)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["sections"]["executions"]["facts"]["retried"]) == (1, 1)
    [problem] = found["problems"]
    assert problem.startswith("1 execution retried for more than 10 minutes. To see the cause, read the logs of ")


@pytest.mark.parametrize(
    ("redrives", "problems"), [(0, []), (1, ["1 execution failed in 24 hours: cognito-user-sync failures"])]
)
def test_status_ignores_acknowledged_failures(aws: FakeAws, tmp_path: Path, redrives: int, problems: list[str]) -> None:
    """Until the execution fails again after a redrive."""
    failed = {
        "executionArn": "arn",
        "stateMachineArn": USER_SYNC,
        "name": "sign-up-1",
        "status": "FAILED",
    }
    times = {"startDate": time.time(), "stopDate": time.time()}
    stream = {"logStreamName": "acknowledged/sign-up-1/0", "creationTime": 1}
    aws.on("cloudwatch-logs.DescribeLogStreams", Response({"logStreams": [stream]}))
    result = command(aws, tmp_path, [REAL], "status", "--json", failed=[{**failed, **times, "redriveCount": redrives}])
    found = json.loads(result.stdout)
    assert (found["problems"], found["sections"]["executions"]["facts"]["failed_in_14_days"]) == (problems, 1)


def words(said: str) -> str:
    return " ".join(said.replace("│", " ").split())


def test_status_shows_counts_and_examples_of_a_dry_run(aws: FakeAws, tmp_path: Path) -> None:
    said = words(command(aws, tmp_path, [DRY], "status").output)
    assert "SUCCEEDED, a dry run, started 2026-01-01 00:00 UTC: 1,237 listed, 1,234 updated, 3 other pool" in said
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


def test_reconcile_prints_command_that_allows_deletions(aws: FakeAws, tmp_path: Path) -> None:
    aws.on("sfn.StartExecution", Response({"executionArn": run(OVER_LIMIT)["executionArn"], "startDate": 1}))
    result = command(aws, tmp_path, [OVER_LIMIT], "reconcile")
    assert result.exit_code == 1
    assert words(result.output).endswith(f"Problem: {PROBLEMS[OVER_LIMIT]}")


# --- missing resources, and unreadable sections

DENIED = error_response(
    "AccessDeniedException", message="User: arn:aws:iam::1:user/cron is not authorized to perform: x"
)
# The sections that need each operation.
READ_FOR = {
    f"{COGNITO}.DescribeUserPool": ["user_pool"],
    "cloudwatch-logs.DescribeLogGroups": ["lost_sign_ups", "welcome_emails"],
    "cloudwatch-logs.FilterLogEvents": ["lost_sign_ups", "welcome_emails"],
    "sfn.ListExecutions": ["executions", "reconciliation"],
    "sqs.GetQueueAttributes": ["retry", "changes", "user_events"],
    "lambda.ListEventSourceMappings": ["paused", "retry", "changes", "user_events"],
    "eventbridge.DescribeRule": ["changes"],
    "eventbridge.DescribeEventBus": ["user_events"],
    "scheduler.GetSchedule": ["paused", "schedule"],
    "dynamodb.DescribeTable": ["user_table"],
    "lambda.GetFunctionConfiguration": [
        *("paused", "user_pool", "trigger_policy", "user_events", "user_table", "users", "welcome_sender", "functions"),
    ],
    "lambda.GetFunctionConcurrency": ["paused"],
    "lambda.ListVersionsByFunction": ["code"],
    f"{COGNITO}.ListUsers": ["users"],
    "lambda.GetLayerVersion": ["welcome_sender"],
    "sesv2.GetEmailIdentity": ["welcome_sender"],
}


@pytest.fixture
def well(aws: FakeAws) -> FakeAws:
    answer_healthy(aws)
    return aws


def status(folder: Path, expect: int, **changes: Any) -> Any:
    result = invoke(folder, {**OUTPUTS, **changes}, "status", "--json")
    assert result.exit_code == expect, result.output
    return json.loads(result.stdout)


def test_status_is_healthy_without_problems(well: FakeAws, tmp_path: Path) -> None:
    found = status(tmp_path, expect=0)
    assert (found["healthy"], found["problems"], found["not_checked"]) == (True, [], [])
    assert {section for sections in READ_FOR.values() for section in sections} < found["sections"].keys()


@pytest.mark.parametrize(("operation", "sections"), READ_FOR.items(), ids=list(READ_FOR))
def test_status_reports_sections_that_cannot_be_read(
    well: FakeAws, tmp_path: Path, operation: str, sections: list[str]
) -> None:
    well.on(operation, DENIED)
    found = status(tmp_path, expect=2)
    assert [name for name, section in found["sections"].items() if section["not_checked"]] == sections
    why = (
        f"An error occurred (AccessDeniedException) when calling the {operation.partition('.')[2]} operation: User:"
        " arn:aws:iam::1:user/cron is not authorized to perform: x. These credentials need more permissions:"
        " docs/operations.md#read-only-permissions"
    )
    assert found["not_checked"] == [f"{section}: {why}" for section in sections]
    assert (found["healthy"], found["problems"]) == (False, [])
    said = words(invoke(tmp_path, OUTPUTS, "status").output)
    assert f"Not checked: {found['not_checked'][0]}" in said
    assert "healthy" not in said


def test_status_reports_outage(well: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    well.on("sfn.ListExecutions", EndpointConnectionError(endpoint_url="https://states"))
    found = status(tmp_path, expect=2)
    assert found["not_checked"][0] == (
        'executions: Could not connect to the endpoint URL: "https://states". See'
        " https://health.aws.amazon.com/health/status, and try again"
    )


def test_status_exits_1_with_problem_and_unread_section(well: FakeAws, tmp_path: Path) -> None:
    well.on("dynamodb.DescribeTable", DENIED)
    lose_queue(well, "changes")
    found = status(tmp_path, expect=1)
    assert (len(found["problems"]), len(found["not_checked"])) == (1, 1)


def test_status_keeps_facts_read_before_an_error(well: FakeAws, tmp_path: Path) -> None:
    well.on("lambda.ListEventSourceMappings", DENIED)
    assert status(tmp_path, expect=2)["sections"]["retry"]["facts"] == {"waiting": 0}


GONE = {
    f"{COGNITO}.DescribeUserPool": (
        f"the user pool {POOL_ID} does not exist, so nothing can be synced. The table still has the users of the last"
        " sync: leave it unchanged"
    ),
    "dynamodb.DescribeTable": (
        "the table dev-users does not exist. Do not apply: this would create an empty table. Restore it first:"
        " docs/operations.md#the-table-was-deleted-or-is-wrong"
    ),
    "eventbridge.DescribeRule": (
        "the EventBridge rule dev-changes does not exist: apply again, then cognito-user-sync reconcile"
    ),
    "eventbridge.DescribeEventBus": (
        f"the event bus {BUS} does not exist, and EventBridge drops all events about users without an error: create it"
        " again. To repair this: docs/operations.md#events-about-users-are-late-or-lost"
    ),
}


@pytest.mark.parametrize(("operation", "problem"), GONE.items(), ids=list(GONE))
def test_status_reports_missing_resource(well: FakeAws, tmp_path: Path, operation: str, problem: str) -> None:
    well.on(operation, error_response("ResourceNotFoundException"))
    assert status(tmp_path, expect=1)["problems"] == [problem]


@pytest.mark.parametrize(
    ("name", "answer", "problem"),
    [
        (
            "dev-reconciliation",
            error_response("ResourceNotFoundException"),
            "does not exist, so no reconciliation starts automatically",
        ),
        (
            "dev-trigger-check",
            error_response("ResourceNotFoundException"),
            "does not exist, so a removed trigger is not attached again",
        ),
        (
            "dev-trigger-check",
            Response({"ScheduleExpression": "rate(15 minutes)", "State": "DISABLED"}),
            "is disabled, so a removed trigger is not attached again",
        ),
    ],
    ids=["reconciliation missing", "trigger check missing", "trigger check disabled"],
)
def test_status_reports_missing_or_disabled_schedule(
    well: FakeAws, tmp_path: Path, name: str, answer: Answer, problem: str
) -> None:
    others = Response({"ScheduleExpression": "x", "State": "ENABLED"})
    well.answers["scheduler.GetSchedule"] = lambda _: answer if well.asked.path.endswith(f"/{name}") else others
    assert status(tmp_path, expect=1)["problems"] == [f"the schedule {name} {problem}: apply again"]


def test_status_reads_no_schedule_that_is_not_deployed(well: FakeAws, tmp_path: Path) -> None:
    functions = {name: arn for name, arn in OUTPUTS["function_arns"].items() if name != "pool-trigger"}
    status(tmp_path, expect=0, function_arns=functions, reconciliation_schedule_arn=None)
    asked = {call.path for call in well.calls if call.operation == "scheduler.GetSchedule"}
    assert asked == {"/schedules/dev-reconciliation"}, "the pause of the reconciliation"


def test_status_reports_missing_state_machines(well: FakeAws, tmp_path: Path) -> None:
    well.on("sfn.ListExecutions", error_response("StateMachineDoesNotExist"))
    assert status(tmp_path, expect=1)["problems"] == [
        f"the state machine {arn} does not exist: apply again"
        for arn in (OUTPUTS["user_sync_state_machine_arn"], RECONCILIATION)
    ]


@pytest.mark.parametrize(
    "name", ["retry", "retry-dead-letter", "changes", "changes-dead-letter", "user-events-dead-letter"]
)
def test_status_reports_missing_queue(well: FakeAws, tmp_path: Path, name: str) -> None:
    lose_queue(well, name)
    (problem,) = status(tmp_path, expect=1)["problems"]
    assert problem.startswith(f"the queue dev-{name} does not exist, and its messages are lost: apply again")


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([], "the event source mapping of the table's stream and dev-publish-user-events does not exist: apply again"),
        (
            [mapping("publish-user-events") | {"LastProcessingResult": "PROBLEM: Access denied"}],
            "Lambda does not read the table's stream for dev-publish-user-events: PROBLEM: Access denied",
        ),
    ],
    ids=["missing", "not-read"],
)
def test_status_reports_events_that_are_not_published(
    well: FakeAws, tmp_path: Path, found: list[dict[str, str]], problem: str
) -> None:
    answer_mappings(well, mapping("retry-sign-ups"), mapping("sync-changes"), *found)
    assert status(tmp_path, expect=1)["problems"] == [problem]


def test_status_skips_event_bus_of_another_account(well: FakeAws, tmp_path: Path) -> None:
    well.on("lambda.GetFunctionConfiguration", configuration(EVENT_BUS_ARN=BUS.replace("111122223333", "444455556666")))
    well.on("eventbridge.DescribeEventBus", DENIED)
    status(tmp_path, expect=0)


def test_status_reports_missing_function(well: FakeAws, tmp_path: Path) -> None:
    lose_function(well, "dev-sync-user")
    found = status(tmp_path, expect=1)
    assert found["problems"] == ["the function dev-sync-user does not exist: apply again"]
    assert found["sections"]["functions"]["facts"] == {"missing": ["dev-sync-user"]}


def iam_refusal(code: str) -> Response:
    return Response(f"<E><Error><Code>{code}</Code><Message>rejected</Message></Error></E>".encode(), 403)


def test_status_reports_missing_policy_of_trigger(well: FakeAws, tmp_path: Path) -> None:
    well.on("iam.GetRolePolicy", iam_refusal("NoSuchEntity"))
    (problem,) = status(tmp_path, expect=1)["problems"]
    assert problem == (
        f"the role {ROLE} has no policy dev-post-confirmation, so each sign-up is lost: apply again. Then:"
        " cognito-user-sync welcome --since 24h"
    )
    (asked,) = [call.body for call in well.calls if call.operation == "iam.GetRolePolicy"]
    assert (asked["RoleName"], asked["PolicyName"]) == (ROLE, "dev-post-confirmation")


def test_status_reports_policy_that_cannot_be_read(well: FakeAws, tmp_path: Path) -> None:
    well.on("iam.GetRolePolicy", iam_refusal("AccessDenied"))
    (why,) = status(tmp_path, expect=2)["not_checked"]
    assert why.startswith("trigger_policy: An error occurred (AccessDenied) when calling the GetRolePolicy operation")
    assert why.endswith("These credentials need more permissions: docs/operations.md#read-only-permissions")


def test_status_reports_missing_chained_function(well: FakeAws, tmp_path: Path) -> None:
    lose_function(well, THEIRS)
    trigger = {**OUTPUTS["user_pool_trigger"], "chained_function_arn": THEIRS}
    (problem,) = status(tmp_path, expect=1, user_pool_trigger=trigger)["problems"]
    assert problem.startswith(f"the chained function {THEIRS} does not exist, so every sign-up ends with an error")


@pytest.mark.parametrize(
    ("mappings", "problem"),
    [
        ([], "the event source mapping of dev-changes and dev-sync-changes does not exist: apply again"),
        (
            [mapping("sync-changes", "Disabled")],
            (
                "changes paused: changes of users wait in the change queue, for at most 14 days. The reconciliation"
                " still syncs these users. To end the pause: cognito-user-sync resume changes"
            ),
        ),
    ],
    ids=["missing", "disabled"],
)
def test_status_reports_queue_that_is_not_read(
    well: FakeAws, tmp_path: Path, mappings: list[dict[str, str]], problem: str
) -> None:
    answer_mappings(well, mapping("retry-sign-ups"), mapping("publish-user-events"), *mappings)
    assert status(tmp_path, expect=1)["problems"] == [problem]


@pytest.mark.parametrize(
    ("table", "has_index", "how"),
    [
        ("dev-users", None, "apply again"),
        ("users", "true", "terraform plan prints the command"),
        ("users", "false", None),
    ],
    ids=["own table", "existing table", "existing table without the index"],
)
def test_status_reports_missing_index(
    well: FakeAws, tmp_path: Path, table: str, has_index: str | None, how: str | None
) -> None:
    well.on("dynamodb.DescribeTable", Response({"Table": {"ItemCount": 3}}))
    well.on("lambda.GetFunctionConfiguration", configuration(HAS_SHARD_INDEX=has_index or ""))
    found = status(tmp_path, expect=1 if how else 0, user_table_name=table)
    problem = f"the table {table} has no index by_shard: the reconciliation does not find deleted users. To create it:"
    assert found["problems"] == ([f"{problem} {how}"] if how else [])


@pytest.mark.parametrize(
    ("attributes", "index_keys", "is_missing"),
    [
        ({"email_lower": "{email|lower}"}, ["email_lower", "id", "shard"], True),
        ({"email_lower": "{email|lower}"}, ["id", "shard"], False),
    ],
    ids=["with table.email_index", "without it"],
)
def test_status_reports_missing_email_index(
    well: FakeAws, tmp_path: Path, attributes: dict[str, str], index_keys: list[str], is_missing: bool
) -> None:
    table = {**json.loads(environment(index_keys)["USER_TABLE"]), "extra_attributes": attributes}
    well.on("lambda.GetFunctionConfiguration", configuration(USER_TABLE=json.dumps(table)))
    problem = (
        "the table dev-users has no index by_email: applications do not find users by email address. To create it:"
        " apply again"
    )
    assert status(tmp_path, expect=int(is_missing))["problems"] == [problem] * is_missing


@pytest.mark.parametrize(
    ("operation", "answer", "problem"),
    [
        ("eventbridge.DescribeRule", {"State": "DISABLED"}, "aws events enable-rule --name dev-changes"),
        ("scheduler.GetSchedule", {"ScheduleExpression": "x", "State": "DISABLED"}, "resume reconciliation"),
    ],
)
def test_status_reports_disabled_rule_or_schedule(
    well: FakeAws, tmp_path: Path, operation: str, answer: dict[str, str], problem: str
) -> None:
    well.on(operation, Response(answer))
    assert problem in status(tmp_path, expect=1)["problems"][0]


# --- lost sign-ups


def log_lines(well: FakeAws, *lines: dict[str, Any]) -> None:
    events = [{"message": json.dumps(line)} for line in lines]
    well.on("cloudwatch-logs.FilterLogEvents", Response({"events": [*events, {"message": "not JSON"}]}))


def lost(sub: str) -> dict[str, str]:
    return {"level": "ERROR", "message": "execution neither started nor queued for retry", "sub": sub}


def test_status_reports_lost_sign_ups(well: FakeAws, tmp_path: Path) -> None:
    log_lines(well, lost(SUB), lost(SUB), {**lost(OTHER_SUB), "level": "WARNING"})
    well.on("sfn.DescribeExecution", error_response("ExecutionDoesNotExist"))
    found = status(tmp_path, expect=1)
    (problem,) = found["problems"]
    assert problem == (
        f"1 sign-up lost in the last 24 hours, not synced and without a welcome email: {SUB}. To see the cause:"
        " aws logs tail /aws/lambda/dev-post-confirmation --since 1d --region eu-central-1. When the cause is fixed:"
        " cognito-user-sync welcome --since 24h"
    )
    assert found["sections"]["lost_sign_ups"]["facts"] == {"subs": [SUB], "other_errors": 0}


@pytest.mark.parametrize(("answer", "exit_status"), [(error_response("ExecutionDoesNotExist"), 1), (DENIED, 2)])
def test_status_counts_a_sign_up_until_it_is_started(
    well: FakeAws, tmp_path: Path, answer: Answer, exit_status: int
) -> None:
    log_lines(well, lost(SUB))
    well.on("sfn.DescribeExecution", answer)
    assert status(tmp_path, expect=exit_status)["sections"]["lost_sign_ups"]["facts"]["subs"] == [SUB]
    arn = OUTPUTS["user_sync_state_machine_arn"].replace(":stateMachine:", ":execution:")
    well.on("sfn.DescribeExecution", Response({"executionArn": f"{arn}:sign-up-{SUB}"}))
    assert status(tmp_path, expect=0)["sections"]["lost_sign_ups"]["facts"]["subs"] == []
    asked = [call.body for call in well.calls if call.operation == "sfn.DescribeExecution"]
    assert asked[-1] == {"executionArn": f"{arn}:sign-up-{SUB}"}


def test_status_shows_first_subs_and_has_all_in_json(well: FakeAws, tmp_path: Path) -> None:
    subs = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(120)]
    log_lines(well, *map(lost, subs))
    well.on("sfn.DescribeExecution", error_response("ExecutionDoesNotExist"))
    found = status(tmp_path, expect=1)
    assert found["sections"]["lost_sign_ups"]["facts"]["subs"] == subs
    assert f"{subs[9]} and 110 more. To see the cause" in found["problems"][0]
    assert well.operations.count("sfn.DescribeExecution") == 100


def test_status_counts_other_errors_of_the_trigger(well: FakeAws, tmp_path: Path) -> None:
    log_lines(well, {"level": "ERROR", "errorType": "Runtime.ImportModuleError"})
    (problem,) = status(tmp_path, expect=1)["problems"]
    assert problem.startswith("the function dev-post-confirmation logged 1 other error in 24 hours: aws logs tail ")


def test_status_counts_skipped_welcome_emails(well: FakeAws, tmp_path: Path) -> None:
    outcomes = ["user_disabled", "sent", "address_not_verified", "user_disabled"]
    log_lines(well, {"message": "no outcome"}, *({"welcome_email": each} for each in outcomes))
    skipped = {"user_disabled": 2, "address_not_verified": 1}
    assert status(tmp_path, expect=0)["sections"]["welcome_emails"]["facts"] == {"skipped": skipped}
    said = words(invoke(tmp_path, OUTPUTS, "status").output)
    assert "3 skipped in 24 hours: 2 user_disabled, 1 address_not_verified" in said


def test_status_reads_no_log_of_class_infrequent_access(well: FakeAws, tmp_path: Path) -> None:
    names = [f"/aws/lambda/dev-{function}" for function in ("post-confirmation", "send-welcome")]
    groups = [{"logGroupName": name, "logGroupClass": "INFREQUENT_ACCESS"} for name in names]
    well.on("cloudwatch-logs.DescribeLogGroups", Response({"logGroups": groups}))
    status(tmp_path, expect=0)
    assert "cloudwatch-logs.FilterLogEvents" not in well.operations


def listed(sub: str, status: str = "CONFIRMED", at: float = 1767225600) -> dict[str, Any]:
    attributes = [{"Name": "sub", "Value": sub}]
    dates = {"UserCreateDate": at, "UserLastModifiedDate": at}
    return {"Username": sub, "Attributes": attributes, "UserStatus": status, "Enabled": True, **dates}


def test_status_reports_users_missing_in_table(aws: FakeAws, tmp_path: Path) -> None:
    answer_healthy(aws)
    # A missing user, a user who confirmed a moment ago, and an unconfirmed user.
    users = [listed(SUB), listed(OTHER_SUB, at=time.time()), listed(OTHER_SUB, "UNCONFIRMED")]
    aws.on(f"{COGNITO}.ListUsers", Response({"Users": users}))
    found = json.loads(invoke(tmp_path, OUTPUTS, "status", "--json").stdout)
    assert found["sections"]["users"]["facts"] == {"checked": 1, "missing": [SUB]}
    [problem] = found["problems"]
    assert problem.startswith(f"1 of 1 checked user missing in the table, for example {SUB}. To sync")


def test_status_samples_users_of_a_random_shard(aws: FakeAws, tmp_path: Path) -> None:
    answer_healthy(aws)
    aws.answers[f"{COGNITO}.ListUsers"] = lambda request: Response(
        {"Users": []} if "Filter" in request else {"Users": [listed(SUB)], "PaginationToken": "next"}
    )
    found = json.loads(invoke(tmp_path, OUTPUTS, "status", "--json").stdout)
    assert found["sections"]["users"]["facts"] == {"checked": 0, "missing": []}
    asked = [call.body.get("Filter", "") for call in aws.calls if call.operation == f"{COGNITO}.ListUsers"]
    assert re.fullmatch('sub \\^= "[0-9a-f]"', asked[1])


@pytest.mark.parametrize(
    ("identities", "verified"),
    [
        ({"hello@mail.example.com": True}, True),
        ({"mail.example.com": True}, True),
        ({"example.com": True, "mail.example.com": False}, True),
        ({"mail.example.com": False}, False),
        ({"com": True}, False),
        ({}, False),
    ],
)
def test_status_reports_a_sender_that_is_not_verified(
    aws: FakeAws, tmp_path: Path, identities: dict[str, bool], verified: bool
) -> None:
    answer_healthy(aws)
    aws.answers["sesv2.GetEmailIdentity"] = lambda _: (
        Response({"VerifiedForSendingStatus": identities[name]})
        if (name := unquote(aws.asked.path.rpartition("/")[2])) in identities
        else error_response("NotFoundException", 404)
    )
    found = json.loads(invoke(tmp_path, OUTPUTS, "status", "--json").stdout)
    assert found["sections"]["welcome_sender"]["facts"] == {"verified": verified}
    assert bool(found["problems"]) is not verified
