"""The first step of a user_sync execution: one request in, one read of Cognito, one item, one outcome."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync import sync_request
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import sync_user
from cognito_user_sync.item_layout import ItemLayout, marshal
from cognito_user_sync.user import UnusableUserError, timestamp
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import EPOCH, Clock, FakeContext
from tests.fakes.cognito_pool import LONG_AGO, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.fakes.simulated_table import plain
from tests.samples import OTHER_SUB, POOL_ID, SUB, TABLE, environment, table_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

OCCURRED_AT = timestamp(EPOCH)
FORGED = "9999-12-31T23:59:59.999Z"
MISSING: Any = object()
LAYOUT = ItemLayout(POOL_ID, ("name", "email", "custom:plan"), index_keys={"email"})
READ, WRITE = "dynamodb.BatchGetItem", "dynamodb.UpdateItem"
GET, LIST = f"{COGNITO}.AdminGetUser", f"{COGNITO}.ListUsers"


def an_input(**changes: Any) -> dict[str, Any]:
    fields = {
        "sub": SUB,
        "username": "ada.l",
        "reason": "sign_up",
        "occurred_at": OCCURRED_AT,
        "client_id": "app1",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not MISSING}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(["email"], ATTRIBUTES='["name","email","custom:plan"]').items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory(a_user())


@pytest.fixture
def pool(users: UsersInMemory) -> CognitoPool:
    return CognitoPool(users)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the code under test: the request was made a second ago."""
    clock = Clock(1)
    monkeypatch.setattr(sync_request, "datetime", clock.datetime)
    clock.replace_now(monkeypatch)
    return clock


@pytest.fixture
def cognito(pool: CognitoPool, session: boto3.Session) -> Iterator[FakeAws]:
    """Cognito alone, since DynamoDB is moto's."""
    fake = FakeAws(session)
    fake.serve(pool)
    # In the session that the other fixtures know.
    with fake.answering(COGNITO), mock_aws(config={"core": {"reset_boto3_session": False}}):
        boto3.client("dynamodb").create_table(**table_definition(email_index=True))
        yield fake


def a_user(**changes: Any) -> CognitoUser:
    return CognitoUser(**{"sub": SUB, "username": "ada.l", "attributes": {"name": "Ada"}, **changes})


def sync(**changes: Any) -> Any:
    return sync_user.handler(an_input(**changes), FakeContext())


def outcome(**changes: Any) -> str:
    return str(sync(**changes)["outcome"])


def put(sub: str = SUB, **values: str) -> None:
    marshalled: Any = {name: {"S": value} for name, value in {"id": sub, **values}.items()}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=marshalled)


def items() -> dict[str, dict[str, Any]]:
    found = boto3.client("dynamodb").scan(TableName=TABLE, ConsistentRead=True)["Items"]
    return {item["id"]["S"]: {name: plain(value) for name, value in item.items()} for item in found}


def item(sub: str = SUB) -> dict[str, Any]:
    return items().get(sub, {})


# What is read, written and returned.


def test_sync_user_returns_the_request_with_the_outcome(cognito: FakeAws) -> None:
    assert sync() == {"sub": SUB, "username": "ada.l", "reason": "sign_up", "client_id": "app1", "outcome": "created"}
    assert sync(client_id=MISSING, reason="password_reset") == {
        "sub": SUB,
        "username": "ada.l",
        "reason": "password_reset",
        "client_id": "",
        "outcome": "unchanged",
    }


def test_sync_user_does_not_return_unknown_fields(cognito: FakeAws) -> None:
    """As in an execution that was started by hand: the output goes to SendWelcome and to EventBridge."""
    assert sync(attributes={"email": "eve@example.com"}, sent=True).keys() == {*an_input(), "outcome"} - {"occurred_at"}


@pytest.mark.parametrize("reason", ["sign_up", "password_reset"])
def test_sync_user_reads_the_user_once_by_username(cognito: FakeAws, reason: str) -> None:
    # ListUsers may not show a new user yet.
    sync(reason=reason)
    assert [(call.operation, call.body) for call in cognito.calls] == [
        (GET, {"UserPoolId": POOL_ID, "Username": "ada.l"})
    ]


def test_sync_user_writes_all_values_of_cognito(cognito: FakeAws, clock: Clock) -> None:
    sync()
    assert item() == {
        "id": SUB,
        "name": "Ada",
        "username": "ada.l",
        "status": "CONFIRMED",
        "enabled": True,
        "cognito_created_at": timestamp(LONG_AGO),
        "cognito_modified_at": timestamp(LONG_AGO),
        "observed_at": "2026-01-01T00:00:01.001Z",
        "synced_at": "2026-01-01T00:00:01.002Z",
        "shard": f"{POOL_ID}#b",
        "user_pool_id": POOL_ID,
        "synced_attributes": ["cognito_created_at", "cognito_modified_at", "enabled", "name", "status", "username"],
    }


def test_sync_user_writes_the_status_of_a_federated_user(cognito: FakeAws, users: UsersInMemory) -> None:
    users.add(a_user(username="Google_1", status="EXTERNAL_PROVIDER"))
    assert outcome(username="Google_1") == "created"
    assert item()["status"] == "EXTERNAL_PROVIDER"


def test_sync_user_writes_the_current_state(cognito: FakeAws, users: UsersInMemory) -> None:
    sync()
    users[SUB].change(attributes={"name": "Countess"}, enabled=False)
    assert outcome() == "updated"
    assert (item()["name"], item()["enabled"]) == ("Countess", False)


def test_sync_user_keeps_a_newer_item(cognito: FakeAws) -> None:
    put(username="ada.l", name="Countess", user_pool_id=POOL_ID, cognito_modified_at="2026-01-02T00:00:00.000Z")
    before = item()
    assert outcome() == "stale"
    assert item() == before


@pytest.mark.parametrize("occurred_at", [MISSING, FORGED, "0001-01-01T00:00:00.000Z"], ids=["none", "late", "early"])
def test_sync_user_does_not_write_the_time_of_the_request(
    cognito: FakeAws, users: UsersInMemory, occurred_at: Any
) -> None:
    """A forged time must not freeze the item."""
    sync(occurred_at=occurred_at)
    users[SUB].change(attributes={"name": "Countess"})
    assert outcome() == "updated"
    users.remove(SUB)
    assert outcome() == "deleted"


# A user whom Cognito does not show as confirmed.


@pytest.mark.parametrize("seconds", [0, 1, 299], ids=str)
def test_sync_user_retries_a_recently_unconfirmed_user(
    cognito: FakeAws, users: UsersInMemory, clock: Clock, seconds: int
) -> None:
    clock.seconds = seconds
    users.add(a_user(status="UNCONFIRMED"))
    with pytest.raises(sync_user.NotConsistentYetError) as raised:
        sync()
    assert str(raised.value) == SUB
    assert item() == {}
    users.add(a_user())
    assert outcome() == "created"


@pytest.mark.parametrize(
    ("seconds", "occurred_at"),
    [
        (300, OCCURRED_AT),
        (90 * 24 * 3600, OCCURRED_AT),
        (1, MISSING),
        (1, FORGED),
        (1, "2026-01-01T00:02:01.001Z"),
        (1, "0001-01-01T00:00:00.000Z"),
    ],
    ids=["5 minutes", "90 days", "none", "year 9999", "future", "year 1"],
)
def test_sync_user_returns_unconfirmed_after_five_minutes(
    cognito: FakeAws, users: UsersInMemory, clock: Clock, seconds: int, occurred_at: Any
) -> None:
    """No retry, whatever time a request claims."""
    clock.seconds = seconds
    users.add(a_user(status="UNCONFIRMED"))
    assert outcome(occurred_at=occurred_at) == "unconfirmed"
    assert item() == {}


# A user who is not there.


@pytest.mark.parametrize("reason", ["sign_up", "password_reset"])
def test_sync_user_marks_a_deleted_user(cognito: FakeAws, users: UsersInMemory, reason: str) -> None:
    sync()
    before = item()
    users.remove(SUB)
    assert outcome(reason=reason) == "deleted"
    del before["shard"]
    after = item()
    says = {"status": "DELETED", "enabled": False}
    assert after == {**before, **says, "deleted_at": after["deleted_at"], "synced_at": after["synced_at"]}
    assert before["observed_at"] < after["deleted_at"]
    assert outcome(reason=reason) == "unchanged"
    assert item() == after


@pytest.mark.parametrize(
    ("action", "result"), [("mark", "deleted"), ("delete", "deleted"), ("delete_item", "deleted"), ("keep", "kept")]
)
def test_sync_user_applies_the_deletion_policy(
    cognito: FakeAws, users: UsersInMemory, monkeypatch: pytest.MonkeyPatch, action: str, result: str
) -> None:
    monkeypatch.setenv("DELETED_USERS", action)
    sync()
    before = item()
    users.remove(SUB)
    assert outcome() == result
    kept = {
        "mark": {*before, "deleted_at"} - {"shard"},
        "delete": {"id", "user_pool_id", "deleted_at"},
        "delete_item": {"id", "user_pool_id", "synced_attributes", "deleted_at", "expires_at"},
        "keep": before.keys(),
    }
    assert item().keys() == kept[action]


@pytest.mark.parametrize("action", ["mark", "delete", "keep"])
def test_sync_user_writes_nothing_for_a_deleted_user_without_an_item(
    cognito: FakeAws, users: UsersInMemory, clock: Clock, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setenv("DELETED_USERS", action)
    clock.seconds = 300
    users.remove(SUB)
    assert outcome() == "not_ours"
    assert item() == {}
    assert cognito.operations == [GET]


@pytest.mark.parametrize("seconds", [1, 299])
def test_sync_user_retries_an_unknown_new_user(
    cognito: FakeAws, users: UsersInMemory, clock: Clock, seconds: int
) -> None:
    """As a federated user, who is created in the moment of the trigger."""
    clock.seconds = seconds
    users.remove(SUB)
    with pytest.raises(sync_user.NotConsistentYetError, match=SUB):
        sync()
    users.add(a_user(status="EXTERNAL_PROVIDER"))
    assert outcome() == "created"


def test_an_item_of_the_application_stays(cognito: FakeAws, users: UsersInMemory, clock: Clock) -> None:
    put(theme="dark")
    clock.seconds = 300
    users.remove(SUB)
    assert outcome() == "not_ours"
    assert item() == {"id": SUB, "theme": "dark"}


def test_sync_user_detects_a_reused_username(cognito: FakeAws, users: UsersInMemory, clock: Clock) -> None:
    clock.seconds = 300
    users.remove(SUB)
    users.add(a_user(sub=OTHER_SUB, attributes={"name": "Eve"}))
    assert outcome() == "not_ours"
    assert (item(), item(OTHER_SUB)) == ({}, {})


def test_sync_user_marks_a_user_whose_username_is_reused(cognito: FakeAws, users: UsersInMemory) -> None:
    sync()
    users.remove(SUB)
    users.add(a_user(sub=OTHER_SUB, attributes={"name": "Eve"}))
    assert outcome() == "deleted"
    assert (item()["name"], item(OTHER_SUB)) == ("Ada", {})


@pytest.mark.parametrize("username", ["unknown", "eve"])
def test_sync_user_deletes_no_user_with_a_wrong_username(cognito: FakeAws, users: UsersInMemory, username: str) -> None:
    """The item has the right one, of whom Cognito is asked before anything is deleted."""
    users.add(a_user(sub=OTHER_SUB, username="eve"))
    sync()
    before = item()
    with pytest.raises(CognitoUnavailableError, match="does not confirm the deletion"):
        sync(username=username)
    assert item() == before


def test_no_request_makes_an_item_differ_from_cognito(cognito: FakeAws, users: UsersInMemory, clock: Clock) -> None:
    """A caller of StartExecution can name any sub, username and time."""
    eve, unconfirmed, deleted = (f"b{digit}c8d9e0-1234-4abc-8def-001122334455" for digit in (5, 6, 7))
    users.add(a_user(sub=eve, username="eve"), a_user(sub=unconfirmed, username="new", status="UNCONFIRMED"))
    users.add(a_user(sub=deleted, username="bob"))
    sync(sub=deleted, username="bob")
    users.remove(deleted)
    ended = set()
    # Twice: before and after the users have items.
    for _, sub, username, occurred_at in product(
        range(2), (SUB, eve, unconfirmed, deleted), ("ada.l", "eve", "new", "bob"), (OCCURRED_AT, FORGED)
    ):
        try:
            ended.add(outcome(sub=sub, username=username, occurred_at=occurred_at))
        except (CognitoUnavailableError, sync_user.NotConsistentYetError) as error:
            ended.add(type(error).__name__)
        moment = clock.now()
        found = items()
        assert found.pop(deleted).get("deleted_at", "") <= moment
        for known, each in found.items():
            assert each["observed_at"] <= moment
            wanted = {name: plain(marshal(value)) for name, value in LAYOUT.to_item(users[known].seen()).items()}
            own = {"id": known, "synced_at": each["synced_at"], "observed_at": each["observed_at"]}
            assert each == {**wanted, **own}
    assert found.keys() == {SUB, eve}
    assert ended >= {
        "created",
        "unchanged",
        "unconfirmed",
        "not_ours",
        "deleted",
        "CognitoUnavailableError",
        "NotConsistentYetError",
    }


# How it fails.


@pytest.mark.parametrize(
    "bad",
    [None, [], {}, {"sub": "ada"}, an_input(occurred_at="yesterday"), an_input(username="")],
    ids=range(6),
)
def test_bad_input_is_an_invalid_sync_request_and_nothing_is_called(aws: FakeAws, bad: Any) -> None:
    with pytest.raises(InvalidEventError):
        sync_user.handler(bad, FakeContext())
    assert aws.calls == []


def test_sync_user_does_not_retry_a_throttled_pool(aws: FakeAws) -> None:
    aws.on(GET, error_response("InternalErrorException", 500))
    with pytest.raises(CognitoUnavailableError, match="InternalErrorException"):
        sync()
    assert aws.operations == [GET]


def test_sync_user_does_not_retry_a_rejected_read(aws: FakeAws) -> None:
    aws.on(GET, error_response("ResourceNotFoundException"))
    with pytest.raises(CognitoRejectedError, match="ResourceNotFoundException"):
        sync()
    assert aws.operations == [GET]


def test_a_user_who_is_unusable_is_named_by_sub(aws: FakeAws, pool: CognitoPool, users: UsersInMemory) -> None:
    users.add(a_user(missing=frozenset({"UserStatus"})))
    aws.serve(pool)
    with pytest.raises(UnusableUserError, match=SUB):
        sync()
    assert aws.operations == [GET]


def test_sync_user_tries_a_throttled_table_three_times(aws: FakeAws, pool: CognitoPool) -> None:
    aws.serve(pool)
    aws.on(WRITE, error_response("ThrottlingException"))
    with pytest.raises(TableUnavailableError, match="ThrottlingException"):
        sync()
    assert aws.operations == [GET, *[WRITE] * 3]


def test_sync_user_does_not_retry_a_rejected_write(aws: FakeAws, pool: CognitoPool) -> None:
    aws.serve(pool)
    aws.on(WRITE, error_response("ResourceNotFoundException"))
    with pytest.raises(TableRejectedError, match="ResourceNotFoundException"):
        sync()
    assert aws.operations == [GET, WRITE]


def test_sync_user_reads_the_item_consistently(
    aws: FakeAws, pool: CognitoPool, users: UsersInMemory, clock: Clock
) -> None:
    clock.seconds = 300
    # An item that was written a moment ago must be seen, or the user's deletion would be lost.
    users.remove(SUB)
    aws.serve(pool)
    aws.on(READ, Response({"Responses": {TABLE: []}, "UnprocessedKeys": {}}))
    assert outcome() == "not_ours"
    [read] = [call.body["RequestItems"][TABLE] for call in aws.calls if call.operation == READ]
    assert read["ConsistentRead"] is True


def test_no_personal_data_is_logged(cognito: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    users[SUB].attributes["email"] = "ada@example.com"
    sync()
    users.remove(SUB)
    sync()
    records = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [(record["sub"], record["reason"], record["outcome"]) for record in records] == [
        (SUB, "sign_up", "created"),
        (SUB, "sign_up", "deleted"),
    ]
    assert "ada" not in repr(records).lower()


def test_no_error_holds_an_attribute(cognito: FakeAws, users: UsersInMemory) -> None:
    """Errors are in the execution's history."""
    values = {"name": "canary", "email": "canary@example.com"}
    users.add(a_user(attributes=values, status="UNCONFIRMED"))
    with pytest.raises(sync_user.NotConsistentYetError) as raised:
        sync()
    assert "canary" not in repr(raised.value)
    users.add(a_user(attributes=values, missing=frozenset({"Enabled"})))
    with pytest.raises(UnusableUserError) as unusable:
        sync()
    assert "canary" not in repr(unusable.value)


def test_the_clock_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_request, "datetime", datetime)
    a_minute_ago = timestamp(datetime.now(UTC) - timedelta(minutes=1))
    assert sync_request.happened_within(timedelta(minutes=2), a_minute_ago)


# Groups


def test_sync_user_writes_the_groups(
    cognito: FakeAws, pool: CognitoPool, users: UsersInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_GROUPS", "true")
    pool.groups = ["staff"]
    users.add(a_user(groups={"staff"}))
    assert outcome() == "created"
    assert (item()["groups"], item()["groups_observed_at"]) == (["staff"], "2026-01-01T00:00:01.002Z")
    assert [call.operation for call in cognito.calls] == [GET, f"{COGNITO}.AdminListGroupsForUser"]
    assert cognito.calls[1].body["Username"] == "ada.l"
