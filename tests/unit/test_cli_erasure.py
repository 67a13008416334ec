"""The command `erase`, and `user --json`: the data about one user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync.item_layout import ItemLayout
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import FakeAws
from tests.samples import SUB, TABLE, USER_SYNC
from tests.unit.test_cli_users import (
    GET,
    LISTED,
    OTHER_POOL,
    OWN,
    REPLACE,
    SINGLE,
    WRITE,
    answer_with,
    item_of,
    tombstone,
)
from tests.unit.test_cli_users import OUTPUTS as OUTPUTS_OF_USERS

LOGS = "arn:aws:logs:eu-central-1:111122223333:log-group:"
OUTPUTS = OUTPUTS_OF_USERS | {"log_group_arns": {"sync-user": f"{LOGS}/aws/lambda/user-sync-sync-user"}}


def answer_with_copies(aws: FakeAws, **table: Any) -> None:
    aws.on("dynamodb.DescribeTable", Response({"Table": {"TableName": TABLE, **table}}))
    recovery = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 7}}
    aws.on("dynamodb.DescribeContinuousBackups", Response({"ContinuousBackupsDescription": recovery}))
    aws.on("dynamodb.ListBackups", Response({"BackupSummaries": [{"BackupName": "before-release"}]}))
    groups = {"/aws/lambda/user-sync-sync-user": 30, "/aws/lambda/user-sync-2-sync-user": 90}
    found = [{"logGroupName": name, "retentionInDays": days} for name, days in groups.items()]
    aws.on("cloudwatch-logs.DescribeLogGroups", Response({"logGroups": found}))


@pytest.mark.parametrize(
    ("layout", "own", "policy", "options", "write"),
    [
        (OWN, True, "keep", [], REPLACE),
        (SINGLE, False, "keep", [], WRITE),
        (SINGLE, False, "delete_item", [], REPLACE),
        (SINGLE, False, "keep", ["--whole-item"], REPLACE),
    ],
    ids=["own", "existing", "delete_item", "whole-item"],
)
def test_erase_removes_what_the_module_wrote(
    aws: FakeAws, tmp_path: Path, layout: ItemLayout, own: bool, policy: str, options: list[str], write: str
) -> None:
    """For any value of `deleted_users`: this item was only marked, and the policy is keep."""
    answer_with(aws, items=(item_of(layout, deleted_at="2026"),), layout=layout, is_own=own, DELETED_USERS=policy)
    aws.on(GET, error_response("UserNotFoundException"))
    aws.on(write, Response({}))
    answer_with_copies(aws)
    result = invoke(tmp_path, OUTPUTS, "erase", SUB.upper(), *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Erased: ")
    [call] = [call for call in aws.calls if call.operation == write]
    assert "ada" not in str(call.body).lower()


def test_erase_lists_copies_that_remain(aws: FakeAws, tmp_path: Path) -> None:
    answer_with(aws, items=(tombstone(OWN),))
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    answer_with_copies(aws, StreamSpecification=stream, Replicas=[{"RegionName": "eu-central-1"}])
    result = invoke(tmp_path, OUTPUTS, "erase", SUB)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Nothing left to erase in the table.")
    lines = [line.strip("│ ").split("│") for line in result.output.splitlines()]
    until = {line[0].strip(): line[2].strip() for line in lines if len(line) == 3}
    expected = {
        "replica in eu-central-1": "replication, usually within a second; its own backups are not listed here",
        "stream of the table": "24 hours, and as long as its consumers keep it",
        "point-in-time recovery": "7 days",
        "backup before-release": "you delete the backup",
        "logs of functions and state machines": "30 days",
        "executions of user_sync": "90 days after the end of each",
    }
    assert expected.items() <= until.items()


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "known by username"])
def test_erase_rejects_user_in_pool(aws: FakeAws, tmp_path: Path, listed: bool) -> None:
    """ListUsers is eventually consistent."""
    answer_with(aws, *([LISTED] if listed else []), items=(item_of(OWN),))
    aws.on(GET, Response({**LISTED, "UserAttributes": LISTED["Attributes"]}))
    result = invoke(tmp_path, OUTPUTS, "erase", SUB)
    assert (result.exit_code, "Not erased: the user is in the pool" in result.output) == (1, True), result.output
    assert not {WRITE, REPLACE} & set(aws.operations)


def test_erase_rejects_outputs_of_another_pool(aws: FakeAws, tmp_path: Path) -> None:
    """The pool of the outputs does not have the users of the pool of the functions."""
    answer_with(aws, items=(item_of(OWN),))
    result = invoke(tmp_path, OUTPUTS | {"user_pool_id": OTHER_POOL}, "erase", SUB)
    assert (result.exit_code, f"the outputs have the user pool {OTHER_POOL}" in result.output) == (2, True)
    assert not {WRITE, REPLACE} & set(aws.operations)


@pytest.mark.parametrize("pool", [OTHER_POOL, None], ids=["other pool", "application"])
def test_erase_skips_item_of_another_owner(aws: FakeAws, tmp_path: Path, pool: str | None) -> None:
    answer_with(aws, items=(item_of(SINGLE, user_pool_id=pool),), layout=SINGLE)
    aws.on(GET, error_response("UserNotFoundException"))
    answer_with_copies(aws)
    result = invoke(tmp_path, OUTPUTS, "erase", SUB, "--whole-item")
    assert "The table has no item that this module wrote" in result.output
    assert not {WRITE, REPLACE} & set(aws.operations)


def test_erase_rejects_invalid_sub(aws: FakeAws, tmp_path: Path) -> None:
    result = invoke(tmp_path, OUTPUTS, "erase", "ada@example.com")
    assert (result.exit_code, "ada@example.com is not a sub" in result.output) == (2, True), result.output
    assert aws.calls == []


def test_user_json_has_all_data_of_user(aws: FakeAws, tmp_path: Path) -> None:
    found = {**item_of(OWN), "expires_at": {"N": "7"}, "locale": {"S": "de"}, "theme": {"S": "dark"}}
    found["synced_attributes"] = {"SS": [*OWN.synced(found), "locale"]}
    answer_with(aws, LISTED, items=(found,))
    aws.on("dynamodb.GetItem", Response({"Item": found}))
    request = {"sub": SUB, "username": "ada", "reason": "sign_up", "client_id": "c"}
    arn = f"{USER_SYNC.replace(':stateMachine:', ':execution:')}:sign-up-{SUB}"
    described = {"executionArn": arn, "name": f"sign-up-{SUB}", "startDate": 1767225600, "status": "SUCCEEDED"}
    aws.on("sfn.ListExecutions", Response({"executions": [described]}))
    aws.on(
        "sfn.DescribeExecution",
        Response({**described, "input": json.dumps(request), "output": json.dumps({"outcome": "created"})}),
    )
    result = invoke(tmp_path, OUTPUTS, "user", SUB, "--json")
    held = json.loads(result.stdout)
    # An attribute that is no longer synced stays in the item until the next sync.
    assert (result.exit_code, held["sub"], held["in_sync"]) == (1, SUB, False)
    assert (held["item"]["locale"], "theme" in held["item"]) == ("de", False)
    assert held["cognito"]["email"] == held["item"]["email"] == "Ada@example.com"
    assert held["item"]["expires_at"] == "7"
    assert held["executions"] == [
        {
            "name": f"sign-up-{SUB}",
            "started_at": "2026-01-01T00:00:00+00:00",
            "status": "SUCCEEDED",
            "outcome": "created",
            "welcome_email": None,
            "input": request,
            "output": {"outcome": "created"},
        }
    ]
