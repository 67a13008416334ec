"""The command `user`: the comparison of Cognito and the table, the user's executions, and the sync."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cognito_user_sync.item_layout import Item, ItemLayout, Key, marshal
from cognito_user_sync.user import User
from cognito_user_sync.welcome_outcome import WhyNot
from cognito_user_sync_cli import execution_outcomes, users
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import describe
from cognito_user_sync_cli.users import Comparison
from tests.fakes.answers import Response, error_response
from tests.fakes.command_line import invoke
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import POOL_ID, QUEUE_URL, SUB, TABLE, USER_SYNC, environment, outputs

MOMENT = "2026-01-01T00:00:00.000Z"
ADA = User(SUB, MOMENT, "ada", {"email": "Ada@example.com"}, "CONFIRMED", True, MOMENT, MOMENT)
UNCONFIRMED = replace(ADA, status="UNCONFIRMED")
OTHER_POOL = "eu-central-1_other"

# A table of the module, and a single-table design of an application.
OWN = ItemLayout(POOL_ID, ("email", "nickname"))
SINGLE = ItemLayout(
    POOL_ID,
    ("email", "nickname"),
    partition_key=Key("PK", "USER#{sub}"),
    sort_key=Key("SK", "PROFILE"),
    attribute_prefix="cognito_",
    attribute_names={"email": "emailAddress", "status": "state"},
    extra_attributes={"entity": "User", "GSI1PK": "EMAIL#{email|lower}"},
    ttl_attribute="ttl",
)
LAYOUTS = pytest.mark.parametrize("layout", [OWN, SINGLE], ids=["own", "single-table"])


def item_of(layout: ItemLayout, **fields: str | None) -> Item:
    """Return the item of ADA as a sync writes it, with some fields replaced. None removes a field."""
    item: dict[str, Any] = {name: marshal(value) for name, value in layout.to_item(ADA).items()}
    changed = {"synced_at": MOMENT, **fields}
    item |= {layout.name(field): {"S": value} for field, value in changed.items() if value is not None}
    removed = [layout.name(field) for field, value in changed.items() if value is None]
    return layout.key(SUB) | {name: value for name, value in item.items() if name not in removed}


def tombstone(layout: ItemLayout) -> Item:
    fields = {layout.name("deleted_at"): {"S": MOMENT}, layout.name("user_pool_id"): {"S": POOL_ID}}
    return {**layout.key(SUB), **fields, layout.ttl_attribute: {"N": "1"}}


LIST, GET = f"{COGNITO}.ListUsers", f"{COGNITO}.AdminGetUser"
GROUPS = f"{COGNITO}.AdminListGroupsForUser"
READ, WRITE, REPLACE = "dynamodb.BatchGetItem", "dynamodb.UpdateItem", "dynamodb.PutItem"
DESCRIBE, QUERY = "dynamodb.DescribeTable", "dynamodb.Query"
CONFIGURATION = "lambda.GetFunctionConfiguration"
LISTED = {
    "Username": "ada",
    "Attributes": [{"Name": "sub", "Value": SUB}, {"Name": "email", "Value": "Ada@example.com"}],
    "UserCreateDate": 1767225600,
    "UserLastModifiedDate": 1767225600,
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}
OUTPUTS = outputs()


@LAYOUTS
@pytest.mark.parametrize(
    ("user", "fields", "is_kept", "is_in_sync"),
    [
        (ADA, {}, False, True),
        (ADA, {"observed_at": "2027"}, False, True),
        (ADA, {"cognito_modified_at": None}, False, False),
        (ADA, {"cognito_modified_at": "2025"}, False, False),
        (ADA, {"email": None}, False, False),
        (replace(ADA, attributes={}), {}, False, False),
        (ADA, None, False, False),
        (ADA, {"user_pool_id": None}, False, False),
        (ADA, {"user_pool_id": OTHER_POOL}, False, False),
        (ADA, {"deleted_at": "2026"}, False, False),
        (UNCONFIRMED, None, False, True),
        (UNCONFIRMED, {}, False, False),
        (None, None, False, True),
        (None, {}, False, False),
        (None, {}, True, True),
        (None, {"user_pool_id": None}, False, True),
        (None, {"user_pool_id": OTHER_POOL}, False, False),
        (None, {"deleted_at": "2026"}, False, True),
    ],
)
def test_comparison_is_in_sync_if_a_sync_changes_nothing(
    layout: ItemLayout, user: User | None, fields: dict[str, str | None] | None, is_kept: bool, is_in_sync: bool
) -> None:
    found = None if fields is None else item_of(layout, **fields)
    assert Comparison(SUB, layout, user, found, is_kept).is_in_sync is is_in_sync


@LAYOUTS
def test_comparison_accepts_a_tombstone_of_a_deleted_user(layout: ItemLayout) -> None:
    assert Comparison(SUB, layout, None, tombstone(layout), False).is_in_sync
    assert not Comparison(SUB, layout, ADA, tombstone(layout), False).is_in_sync


def test_comparison_uses_attribute_names_of_the_item() -> None:
    found = item_of(SINGLE, email=None, status="RESET_REQUIRED", observed_at="2027")
    compared = Comparison(SUB, SINGLE, ADA, found, False)
    assert compared.differing == ["emailAddress", "state"]
    assert compared.cognito == {
        "emailAddress": "Ada@example.com",
        "entity": "User",
        "GSI1PK": "EMAIL#ada@example.com",
        "cognito_username": "ada",
        "state": "CONFIRMED",
        "cognito_enabled": True,
        "cognito_cognito_created_at": MOMENT,
        "cognito_cognito_modified_at": MOMENT,
    }
    assert list(compared.item.items())[:2] == [("PK", f"USER#{SUB}"), ("SK", "PROFILE")]


def test_comparison_ignores_values_of_the_application() -> None:
    """The application has an attribute of the same name, and Cognito has no value for it."""
    compared = Comparison(SUB, OWN, ADA, item_of(OWN, nickname="of the application"), False)
    assert compared.is_in_sync


def test_comparison_shows_attributes_that_are_no_longer_synced() -> None:
    found = {**item_of(OWN), "synced_attributes": {"SS": [*OWN.synced(item_of(OWN)), "nickname", "locale"]}}
    compared = Comparison(SUB, OWN, ADA, found, False)
    assert compared.differing == ["locale", "nickname"]
    assert compared.item["locale"] == "(no longer synced)"
    assert "synced_attributes" not in compared.item


def executed(
    aws: FakeAws, status: str, request: dict[str, Any] | None = None, **described: Any
) -> execution_outcomes.Execution:
    """Read an execution for a sign-up of ADA, or for another request."""
    given = {"sub": SUB, "username": "ada", "reason": "sign_up", **(request or {})}
    answer = {"executionArn": "arn", "stateMachineArn": USER_SYNC, "name": f"sign-up-{SUB}", "startDate": 1}
    aws.on("sfn.DescribeExecution", Response({**answer, "status": status, "input": json.dumps(given), **described}))
    states = aws.session.client("stepfunctions")
    return execution_outcomes.read_execution(states, describe(states, "arn"))


@pytest.mark.parametrize(
    ("output", "outcome", "welcome_email", "said"),
    [
        (
            {"outcome": "created", "sent": True, "message_id": "m-1"},
            "created",
            {"result": "sent", "message_id": "m-1"},
            "sent, message ID m-1",
        ),
        (
            {"outcome": "created", "sent": False, "why_not": "user_disabled"},
            "created",
            {"result": "skipped", "why_not": "user_disabled"},
            "skipped: the user is disabled",
        ),
        ({"outcome": "updated"}, "updated", None, ""),
    ],
    ids=["sent", "skipped", "without a welcome email"],
)
def test_read_execution_has_outcome(
    aws: FakeAws, output: dict[str, Any], outcome: str, welcome_email: dict[str, str] | None, said: str
) -> None:
    found = executed(aws, "SUCCEEDED", output=json.dumps(output))
    assert (found.name, found.outcome, found.welcome_email) == (f"sign-up-{SUB}", outcome, welcome_email)
    assert execution_outcomes.welcome_email_in_words(found.welcome_email) == said


@pytest.mark.parametrize(
    ("reason", "state", "error", "said"),
    [
        ("sign_up", "SendWelcome", "WelcomeOutcomeUnknownError", "unknown: it may have been sent"),
        ("sign_up", "SendWelcome", "States.Timeout", "unknown: it may have been sent"),
        ("sign_up", "SendWelcome", "WelcomeRejectedError", "not sent: the execution failed"),
        ("sign_up", "SyncUser", "TableRejectedError", "not sent: the execution failed"),
        ("password_reset", "SyncUser", "TableRejectedError", ""),
    ],
)
def test_read_execution_has_email_outcome_of_failure(
    aws: FakeAws, reason: str, state: str, error: str, said: str
) -> None:
    events = [
        {"type": "ExecutionFailed", "executionFailedEventDetails": {"error": error}},
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": state}},
    ]
    numbered = [{"id": 2 - n, "timestamp": 1, **event} for n, event in enumerate(events)]
    aws.on("sfn.GetExecutionHistory", Response({"events": numbered}))
    found = executed(aws, "FAILED", {"reason": reason})
    assert found.outcome == f"{error} in {state}"
    assert execution_outcomes.welcome_email_in_words(found.welcome_email) == said


@pytest.mark.parametrize("why_not", WhyNot)
def test_reasons_have_words_and_are_documented(why_not: WhyNot) -> None:
    said = execution_outcomes.welcome_email_in_words({"result": "skipped", "why_not": why_not})
    assert said.startswith("skipped: ")
    assert why_not not in said
    operations = Path(__file__).parents[2] / "docs" / "operations.md"
    assert f"| `{why_not}` | " in operations.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("status", "executions", "said"),
    [
        ("CONFIRMED", ["password-reset", "sign-up"], "skipped: not a sign-up"),
        ("CONFIRMED", ["password-reset"], "unknown: there is no execution of a sign-up. "),
        ("UNCONFIRMED", [], "none: the user has not confirmed the sign-up"),
        ("FORCE_CHANGE_PASSWORD", [], "none: an administrator created the user, and the user has not signed in yet"),
        (None, [], "unknown: there is no execution of a sign-up. "),
    ],
)
def test_welcome_email_of_user_is_that_of_the_sign_up(
    aws: FakeAws, status: str | None, executions: list[str], said: str
) -> None:
    sign_up = executed(aws, "SUCCEEDED", output='{"outcome": "created", "sent": false, "why_not": "not_a_sign_up"}')
    found = [replace(sign_up, name=f"{name}-{SUB}") for name in executions]
    user = status and replace(ADA, status=status)
    assert execution_outcomes.welcome_email_of_user(user or None, found).startswith(said)


@pytest.mark.parametrize(
    ("execution", "said"), [("RUNNING", "not decided yet"), ("SUCCEEDED", "none: the deployment had no welcome_email")]
)
def test_welcome_email_of_user_without_outcome(aws: FakeAws, execution: str, said: str) -> None:
    assert execution_outcomes.welcome_email_of_user(ADA, [executed(aws, execution, output="{}")]) == said


def answer_with(
    aws: FakeAws,
    *listed: dict[str, Any],
    items: tuple[Item, ...] = (),
    layout: ItemLayout = OWN,
    is_own: bool = False,
    **changes: str,
) -> None:
    user_table = json.loads(environment()["USER_TABLE"]) | {
        "is_own": is_own,
        "partition_key": vars(layout.partition_key),
        "sort_key": layout.sort_key and vars(layout.sort_key),
        **{name: getattr(layout, name) for name in ("attribute_prefix", "attribute_names", "extra_attributes")},
        "ttl_attribute": layout.ttl_attribute,
    }
    variables = environment(USER_TABLE=json.dumps(user_table), ATTRIBUTES=json.dumps(layout.attributes), **changes)
    aws.on(CONFIGURATION, Response({"Environment": {"Variables": variables}}))
    aws.on(LIST, Response({"Users": list(listed)}))
    aws.on(DESCRIBE, Response({"Table": {"TableName": TABLE}}))
    aws.on(READ, Response({"Responses": {TABLE: list(items)}, "UnprocessedKeys": {}}))
    aws.on("sfn.ListExecutions", Response({"executions": []}))


def user(folder: Path, *arguments: str) -> Result:
    """Run the command `user` for a deployment with these outputs."""
    return invoke(folder, OUTPUTS, "user", *arguments)


@LAYOUTS
@pytest.mark.parametrize("changes_queue_url", [None, QUEUE_URL], ids=["without track_changes", "with track_changes"])
def test_sync_writes_item_without_state_machine(
    aws: FakeAws, changes_queue_url: str | None, layout: ItemLayout
) -> None:
    answer_with(aws, LISTED, layout=layout)
    aws.on(WRITE, Response({}))
    assert users.sync(Deployment(**OUTPUTS, changes_queue_url=changes_queue_url), SUB) == "created"
    assert aws.operations == [CONFIGURATION, LIST, WRITE]
    assert aws.calls[-1].body["Key"] == layout.key(SUB)


@pytest.mark.parametrize(("action", "write"), [("mark", WRITE), ("delete", WRITE), ("delete_item", REPLACE)])
def test_sync_applies_deletion_policy_to_deleted_user(aws: FakeAws, action: str, write: str) -> None:
    answer_with(aws, items=(item_of(OWN),), DELETED_USERS=action)
    aws.on(GET, error_response("UserNotFoundException"))
    aws.on(write, Response({}))
    assert users.sync(Deployment(**OUTPUTS), SUB) == "deleted"
    assert aws.operations == [CONFIGURATION, LIST, READ, GET, write]


def test_user_sync_reports_missing_permission(aws: FakeAws, tmp_path: Path) -> None:
    answer_with(aws, LISTED)
    aws.on(WRITE, error_response("AccessDeniedException", message="not authorized to perform: dynamodb:UpdateItem"))
    result = user(tmp_path, SUB, "--sync")
    assert result.exit_code == 1
    assert "Not synced: " in result.output
    assert "not authorized to perform: dynamodb:UpdateItem" in result.output


@LAYOUTS
def test_user_shows_the_item_with_its_key(aws: FakeAws, tmp_path: Path, layout: ItemLayout) -> None:
    answer_with(aws, LISTED, items=(item_of(layout),), layout=layout)
    result = user(tmp_path, SUB)
    assert (result.exit_code, "≠" in result.output) == (0, False), result.output
    for name, value in layout.key(SUB).items():
        assert any(name in line and value["S"] in line for line in result.output.splitlines())
    assert "Welcome email: unknown: there is no execution of a sign-up. " in result.output
    assert "The table is in sync with Cognito." in result.output


@pytest.mark.parametrize(
    ("listed", "pool", "exit_code", "said"),
    [
        ((), OTHER_POOL, 1, f"The item belongs to the user pool {OTHER_POOL}: use the deployment of that pool."),
        ((LISTED,), OTHER_POOL, 1, f"The item belongs to the user pool {OTHER_POOL}: use the deployment of that pool."),
        ((), None, 0, "Not in Cognito. The item belongs to the application: it was never synced."),
        ((LISTED,), None, 1, "The item belongs to the application: it was never synced. To sync now: "),
    ],
)
def test_user_reports_owner_of_item(
    aws: FakeAws, tmp_path: Path, listed: tuple[dict[str, Any], ...], pool: str | None, exit_code: int, said: str
) -> None:
    answer_with(aws, *listed, items=(item_of(SINGLE, user_pool_id=pool),), layout=SINGLE)
    result = user(tmp_path, SUB)
    assert (result.exit_code, said in result.output) == (exit_code, True), result.output


@pytest.mark.parametrize(
    ("layout", "indexes", "asked"),
    [
        (OWN, {"by_email": "email"}, [("by_email", "email", "ADA@example.com")]),
        (OWN, {"by_shard": "shard"}, []),
        (
            SINGLE,
            {"GSI1": "GSI1PK", "by_entity": "entity", "by_address": "emailAddress", "by_other": "email"},
            [("GSI1", "GSI1PK", "EMAIL#ada@example.com"), ("by_address", "emailAddress", "ADA@example.com")],
        ),
    ],
)
def test_user_finds_deleted_user_by_email_index(
    aws: FakeAws, layout: ItemLayout, indexes: dict[str, str], asked: list[tuple[str, str, str]]
) -> None:
    answer_with(aws, layout=layout)
    keys = {name: [{"AttributeName": key, "KeyType": "HASH"}] for name, key in indexes.items()}
    described = [{"IndexName": name, "KeySchema": schema} for name, schema in keys.items()]
    aws.on(DESCRIBE, Response({"Table": {"TableName": TABLE, "GlobalSecondaryIndexes": described}}))
    # Another item of the application has the same address.
    other = {**layout.key(SUB), layout.partition_key.name: {"S": "ORDER#1"}}
    aws.on(QUERY, Response({"Items": [other, layout.key(SUB)]}))
    assert users.find_subs(Deployment(**OUTPUTS), "ADA@example.com") == ([SUB] if asked else [])
    queries = [call.body for call in aws.calls if call.operation == QUERY]
    assert asked == [
        (
            query["IndexName"],
            query["ExpressionAttributeNames"]["#key"],
            query["ExpressionAttributeValues"][":key"]["S"],
        )
        for query in queries
    ]


def test_comparison_compares_groups_in_any_order() -> None:
    layout = replace(OWN, sync_groups=True)
    user = replace(ADA, groups=frozenset({"a", "b"}), groups_observed_at="2027")
    item: dict[str, Any] = {name: marshal(value) for name, value in layout.to_item(user).items()}
    found = {**layout.key(SUB), **item, "groups": {"SS": ["b", "a"]}, "groups_observed_at": {"S": "2026"}}
    assert Comparison(SUB, layout, user, found, False).is_in_sync
    for groups in (frozenset({"a"}), frozenset[str]()):
        assert Comparison(SUB, layout, replace(user, groups=groups), found, False).differing == ["groups"]


def test_user_shows_and_compares_groups(aws: FakeAws, tmp_path: Path) -> None:
    layout = replace(OWN, sync_groups=True)
    seen = replace(ADA, groups=frozenset({"staff"}), groups_observed_at=MOMENT)
    item: dict[str, Any] = {name: marshal(value) for name, value in layout.to_item(seen).items()}
    answer_with(aws, LISTED, items=({**layout.key(SUB), **item},), layout=layout, SYNC_GROUPS="true")
    aws.on(GROUPS, Response({"Groups": [{"GroupName": "admin"}, {"GroupName": "staff"}]}))
    shown = user(tmp_path, SUB)
    assert re.search(r"groups +│ admin, staff +│ staff +│ ≠", shown.stdout), shown.stdout
    aws.on("dynamodb.GetItem", Response({"Item": item}))
    exported = json.loads(user(tmp_path, SUB, "--json").stdout)
    assert (exported["cognito"]["groups"], exported["in_sync"]) == (["admin", "staff"], False)
