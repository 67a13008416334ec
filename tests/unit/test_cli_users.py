"""The command `user`: whether the table says of a user what Cognito says, the user's executions, and the sync."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cognito_user_sync_cli import app as command_line
from cognito_user_sync_cli import users
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.users import Comparison
from tests.samples import POOL_ID, QUEUE_URL, SUB, TABLE, USER_SYNC
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import COGNITO, FakeAws

CONFIRMED = {"username": "ada", "status": "CONFIRMED", "email": "ada@example.com", "cognito_modified_at": "2026"}
OF_TABLE = {"observed_at": "2026", "synced_at": "2026", "shard": "b"}
SYNCED = {**CONFIRMED, **OF_TABLE}
UNDATED = {name: value for name, value in SYNCED.items() if name != "cognito_modified_at"}
GONE = {**SYNCED, "deleted_at": "2026"}
UNCONFIRMED = {**CONFIRMED, "status": "UNCONFIRMED"}

LIST, GET = f"{COGNITO}.ListUsers", f"{COGNITO}.AdminGetUser"
READ, WRITE, DESCRIBE = "dynamodb.BatchGetItem", "dynamodb.UpdateItem", "dynamodb.DescribeTable"
LISTED = {
    "Username": "ada",
    "Attributes": [{"Name": "sub", "Value": SUB}, {"Name": "email", "Value": "ada@example.com"}],
    "UserCreateDate": 1767225600,
    "UserLastModifiedDate": 1767225600,
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}
ITEM = {"id": {"S": SUB}, "username": {"S": "ada"}, "observed_at": {"S": "2026-01-01T00:00:00.000Z"}}
OUTPUTS: dict[str, Any] = {
    "user_pool_id": POOL_ID,
    "attributes": ["email"],
    "user_table_name": TABLE,
    "user_sync_state_machine_arn": USER_SYNC,
    "post_confirmation_function_arn": "arn",
    "unstarted_queue_url": QUEUE_URL,
    "alarm_names": [],
    "dashboard_url": "https://example.com",
    "deleted_users": {"action": "mark", "retention_days": None},
    "user_pool_trigger": {"attached_function_arn": None, "chained_function_arn": None},
}


@pytest.mark.parametrize(
    ("cognito", "item", "is_kept", "is_in_step"),
    [
        (CONFIRMED, SYNCED, False, True),
        (CONFIRMED, UNDATED, False, False),
        (CONFIRMED, {**SYNCED, "cognito_modified_at": "2025"}, False, False),
        (CONFIRMED, {**SYNCED, "email": ""}, False, False),
        ({**CONFIRMED, "email": ""}, SYNCED, False, False),
        (CONFIRMED, None, False, False),
        (CONFIRMED, GONE, False, False),
        (UNCONFIRMED, None, False, True),
        (UNCONFIRMED, SYNCED, False, False),
        (None, None, False, True),
        (None, SYNCED, False, False),
        (None, SYNCED, True, True),
        (None, GONE, False, True),
        (None, {"deleted_at": "2026", "expires_at": 1}, False, True),
    ],
)
def test_a_user_is_in_step_exactly_where_nothing_is_left_to_do(
    cognito: dict[str, Any] | None, item: dict[str, Any] | None, is_kept: bool, is_in_step: bool
) -> None:
    assert Comparison(SUB, cognito, item, is_kept).is_in_step is is_in_step


def test_only_what_cognito_says_and_the_item_says_otherwise_differs() -> None:
    item = {**SYNCED, "email": "", "status": "RESET_REQUIRED", "observed_at": "2027"}
    assert Comparison(SUB, CONFIRMED, item, False).differing == ["status", "email"]


@pytest.mark.parametrize(
    ("output", "outcome"),
    [
        ({"outcome": "created", "sent": True, "message_id": "m"}, "created, welcome email sent"),
        (
            {"outcome": "created", "sent": False, "why_not": "the user is disabled"},
            "created, welcome email not sent: the user is disabled",
        ),
        ({"outcome": "updated"}, "updated"),
    ],
    ids=["sent", "not sent", "without a welcome email"],
)
def test_look_shows_outcome_of_execution(aws: FakeAws, output: dict[str, Any], outcome: str) -> None:
    described = {"executionArn": "arn", "stateMachineArn": USER_SYNC, "name": "sign-up-1", "startDate": 1}
    request = {"sub": SUB, "username": "ada", "reason": "sign_up", "client_id": ""}
    text = json.dumps({**request, **output})
    aws.on("sfn.DescribeExecution", Response({**described, "status": "SUCCEEDED", "output": text}))
    found = users.look(aws.session.client("stepfunctions"), "arn")
    assert (found.name, found.outcome) == ("sign-up-1", outcome)


def answer_with(aws: FakeAws, *listed: dict[str, Any], items: tuple[dict[str, Any], ...] = ()) -> None:
    aws.on(LIST, Response({"Users": list(listed)}))
    aws.on(DESCRIBE, Response({"Table": {"TableName": TABLE}}))
    aws.on(READ, Response({"Responses": {TABLE: list(items)}, "UnprocessedKeys": {}}))


@pytest.mark.parametrize("changes_queue_url", [None, QUEUE_URL], ids=["without track_changes", "with track_changes"])
def test_sync_writes_item_without_state_machine(aws: FakeAws, changes_queue_url: str | None) -> None:
    answer_with(aws, LISTED)
    aws.on(WRITE, Response({}))
    assert users.sync(Deployment(**OUTPUTS, changes_queue_url=changes_queue_url), SUB) == "created"
    assert aws.operations == [DESCRIBE, LIST, WRITE]
    assert aws.calls[-1].body["Key"] == {"id": {"S": SUB}}


def test_sync_applies_deletion_policy_to_deleted_user(aws: FakeAws) -> None:
    answer_with(aws, items=(ITEM,))
    aws.on(GET, refusal("UserNotFoundException"))
    aws.on(WRITE, Response({}))
    deletion = {"action": "delete", "retention_days": 7}
    assert users.sync(Deployment(**OUTPUTS | {"deleted_users": deletion}), SUB) == "deleted"
    assert aws.operations == [DESCRIBE, LIST, READ, GET, WRITE]
    assert ":expires_at" in aws.calls[-1].body["ExpressionAttributeValues"]


def test_user_sync_says_which_permission_is_missing(
    aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(aws, LISTED)
    aws.on(WRITE, refusal("AccessDeniedException", message="not authorized to perform: dynamodb:UpdateItem"))
    monkeypatch.setattr(Deployment, "check", lambda _: None)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"user_sync": {"value": OUTPUTS}}))
    result = CliRunner().invoke(command_line.app, ["--outputs", str(outputs), "user", SUB, "--sync"])
    assert result.exit_code == 1
    assert "Not synced: " in result.output
    assert "not authorized to perform: dynamodb:UpdateItem" in result.output
