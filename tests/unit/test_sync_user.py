"""The first step of a user_sync execution: one request in, one item, one outcome."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync import departure, user_pool, user_table
from cognito_user_sync.handlers import sync_user
from cognito_user_sync.sync_request import InvalidSyncRequest
from cognito_user_sync.user import UnusableUser, timestamp
from cognito_user_sync.user_pool import PoolRefused, PoolUnavailable
from cognito_user_sync.user_table import TableRefused, TableUnavailable
from tests.samples import OTHER_SUB, POOL_ID, SUB, TABLE, environment, table_definition
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import COGNITO, FakeAws
from tests.stand_ins.clock import FakeContext
from tests.stand_ins.cognito_pool import LIST as LIST_USERS
from tests.stand_ins.cognito_pool import LONG_AGO, CognitoPool, CognitoUser, UsersInMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

OCCURRED_AT = "2026-01-02T00:00:00.000Z"
WRITE = "dynamodb.UpdateItem"
LIST = f"{COGNITO}.ListUsers"
# CloudTrail's event names, as modules/change_tracking lists them.
DELETIONS = ("AdminDeleteUser", "DeleteUser")
MOVES_MODIFIED_DATE = (
    "AdminDeleteUserAttributes",
    "AdminDisableUser",
    "AdminEnableUser",
    "AdminUpdateUserAttributes",
    "DeleteUserAttributes",
    "UpdateUserAttributes",
    "VerifyUserAttribute",
)
GET = f"{COGNITO}.AdminGetUser"


def an_input(**changes: Any) -> dict[str, Any]:
    return {
        "sub": SUB,
        "reason": "sign_up",
        "occurred_at": OCCURRED_AT,
        "username": "ada.l",
        "attributes": {"name": "Ada", "email": ""},
        **changes,
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(ATTRIBUTES='["name","email","custom:plan"]', INDEX_KEYS='["email"]').items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory()


@pytest.fixture
def pool(users: UsersInMemory) -> CognitoPool:
    return CognitoPool(users)


@pytest.fixture
def cognito(pool: CognitoPool, session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """Cognito alone, since DynamoDB is moto's; and a clock that shows how many calls of Cognito have been made."""
    fake = FakeAws(session)
    fake.serve(pool)
    for module in (departure, sync_user, user_pool, user_table):
        monkeypatch.setattr(module, "now", lambda: after_calls(len(fake.calls)))
    with fake.answering(COGNITO):
        yield fake


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


@pytest.fixture
def _table() -> Iterator[None]:
    # In the session that the other fixtures know.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        boto3.client("dynamodb").create_table(**table_definition(email_index=True))
        yield


def sync(**changes: Any) -> Any:
    return sync_user.handler(an_input(**changes), FakeContext())


def change(event_name: str, **changes: Any) -> Any:
    """A change as CloudTrail tells of it."""
    request = {"sub": SUB, "reason": "changed", "occurred_at": OCCURRED_AT, "event_name": event_name, **changes}
    return sync_user.handler(request, FakeContext())


def put(**values: str) -> None:
    item: Any = {name: {"S": value} for name, value in {"id": SUB, **values}.items()}
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=item)


def item() -> dict[str, Any]:
    found = boto3.client("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": SUB}}).get("Item", {})
    return {name: next(iter(value.values())) for name, value in found.items()}


def after_calls(count: int) -> str:
    return f"2026-02-01T00:00:00.{count:03}Z"


EARLIER = "2026-01-01T23:59:59.999Z"


def a_user(modified_at: str = OCCURRED_AT, **changes: Any) -> CognitoUser:
    members = {"attributes": {"name": "Countess"}, "enabled": False, **changes}
    return CognitoUser(SUB, "ada.l", modified_at=datetime.fromisoformat(modified_at), **members)


@pytest.mark.usefixtures("_table")
def test_the_outcome_of_the_write_is_returned() -> None:
    assert sync() == {"outcome": "created"}
    assert sync() == {"outcome": "unchanged"}
    assert sync(occurred_at="2026-01-03T00:00:00.000Z", reason="password_reset") == {"outcome": "updated"}
    assert sync() == {"outcome": "stale"}


@pytest.mark.usefixtures("_table")
def test_a_user_deleted_since_is_reported_so_that_no_welcome_is_sent() -> None:
    boto3.client("dynamodb").put_item(
        TableName=TABLE, Item={"id": {"S": SUB}, "deleted_at": {"S": "2026-01-02T00:00:00.000Z"}}
    )
    assert sync() == {"outcome": "deleted"}


@pytest.mark.usefixtures("_table")
def test_the_item_has_the_configured_attributes_and_index_keys() -> None:
    sync()
    item = boto3.client("dynamodb").get_item(TableName=TABLE, Key={"id": {"S": SUB}})["Item"]
    assert item["name"] == {"S": "Ada"}
    assert item["custom:plan"] == {"S": ""}
    assert item["username"] == {"S": "ada.l"}
    assert item["status"] == {"S": "CONFIRMED"}
    assert item["observed_at"] == {"S": "2026-01-02T00:00:00.000Z"}
    assert "email" not in item


@pytest.mark.parametrize("bad", [None, [], {}, {"sub": "ada"}, an_input(occurred_at="yesterday")], ids=range(5))
def test_bad_input_is_an_invalid_sync_request_and_nothing_is_written(aws: FakeAws, bad: Any) -> None:
    with pytest.raises(InvalidSyncRequest):
        sync_user.handler(bad, FakeContext())
    assert aws.calls == []


def test_a_throttled_table_is_asked_three_times_and_then_left_to_the_state_machine(aws: FakeAws) -> None:
    aws.on(WRITE, refusal("ThrottlingException"))
    with pytest.raises(TableUnavailable, match="ThrottlingException"):
        sync()
    assert aws.operations == [WRITE] * 3


def test_a_refused_write_is_not_repeated(aws: FakeAws) -> None:
    aws.on(WRITE, refusal("AccessDeniedException"))
    with pytest.raises(TableRefused, match="AccessDeniedException"):
        sync()
    assert aws.operations == [WRITE]


@pytest.mark.usefixtures("_table")
def test_no_personal_data_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sync(attributes={"name": "Ada", "email": "ada@example.com"})
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert (record["sub"], record["reason"], record["outcome"]) == (SUB, "sign_up", "created")
    assert "ada" not in repr(record).lower()


# A change is read anew.


@pytest.mark.usefixtures("_table")
def test_a_changed_user_is_read_from_cognito_and_written(cognito: FakeAws, users: UsersInMemory) -> None:
    users.add(a_user())
    assert change("AdminDisableUser") == {"outcome": "created"}
    assert item() == {
        "id": SUB,
        "name": "Countess",
        "custom:plan": "",
        "username": "ada.l",
        "status": "CONFIRMED",
        "enabled": False,
        "cognito_created_at": timestamp(LONG_AGO),
        "cognito_modified_at": OCCURRED_AT,
        "observed_at": after_calls(0),
        "synced_at": after_calls(1),
        "shard": "b",
    }
    assert [call.body for call in cognito.calls] == [{"UserPoolId": POOL_ID, "Limit": 1, "Filter": f'sub = "{SUB}"'}]


@pytest.mark.usefixtures("_table")
def test_a_change_that_is_known_already_is_unchanged(cognito: FakeAws, users: UsersInMemory) -> None:
    users.add(a_user())
    change("AdminDisableUser")
    assert change("AdminDisableUser") == {"outcome": "unchanged"}


@pytest.mark.usefixtures("_table")
def test_a_user_who_has_never_confirmed_is_not_written(cognito: FakeAws, users: UsersInMemory) -> None:
    users.add(a_user(status="UNCONFIRMED"))
    assert change("AdminUpdateUserAttributes") == {"outcome": "unconfirmed"}
    assert item() == {}


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("event_name", MOVES_MODIFIED_DATE)
def test_a_read_older_than_the_change_is_tried_again(
    cognito: FakeAws, pool: CognitoPool, users: UsersInMemory, pauses: list[float], event_name: str
) -> None:
    users.add(a_user(EARLIER, enabled=True))
    pool.calls.after(LIST_USERS, 1, lambda: users.add(a_user()))
    assert change(event_name) == {"outcome": "created"}
    assert item()["enabled"] is False
    assert item()["observed_at"] == after_calls(1)
    assert (cognito.operations, pauses) == ([LIST] * 2, [1.0])


@pytest.mark.usefixtures("_table")
def test_a_read_that_stays_older_than_the_change_is_written_as_it_is(
    cognito: FakeAws, users: UsersInMemory, pauses: list[float]
) -> None:
    # What this module takes for a change of the date need not be one.
    users.add(a_user(EARLIER))
    assert change("AdminDisableUser") == {"outcome": "created"}
    assert item()["cognito_modified_at"] == EARLIER
    assert (cognito.operations, pauses) == ([LIST] * 3, [1.0, 2.0])


@pytest.mark.usefixtures("_table")
def test_a_read_in_the_second_of_the_change_is_not_older(cognito: FakeAws, users: UsersInMemory) -> None:
    # CloudTrail's times have whole seconds.
    users.add(a_user("2026-01-02T00:00:00.400Z"))
    change("AdminDisableUser", occurred_at="2026-01-02T00:00:00Z")
    assert cognito.operations == [LIST]


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("event_name", ["AdminConfirmSignUp", "AdminSetUserPassword", "AdminCreateUser"])
def test_an_event_that_may_not_move_the_date_is_read_once(
    cognito: FakeAws, users: UsersInMemory, pauses: list[float], event_name: str
) -> None:
    users.add(a_user(EARLIER))
    assert change(event_name) == {"outcome": "created"}
    assert (cognito.operations, pauses) == ([LIST], [])


@pytest.mark.usefixtures("_table")
def test_a_user_who_is_not_listed_yet_is_looked_for_again(
    cognito: FakeAws, pool: CognitoPool, users: UsersInMemory, pauses: list[float]
) -> None:
    pool.calls.after(LIST_USERS, 1, lambda: users.add(a_user()))
    assert change("AdminCreateUser") == {"outcome": "created"}
    assert pauses == [1.0]


# A user who is not there.


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("event_name", DELETIONS)
def test_a_deleted_user_is_marked_once_cognito_knows_the_user_no_more(cognito: FakeAws, event_name: str) -> None:
    sync()
    before = item()
    assert change(event_name) == {"outcome": "deleted"}
    del before["shard"]
    # Gone by the moment of the question: what was seen after it is newer.
    assert item() == {**before, "deleted_at": after_calls(0), "synced_at": after_calls(1)}
    # The list may show a deleted user for a while.
    assert [(call.operation, call.body) for call in cognito.calls] == [
        (GET, {"UserPoolId": POOL_ID, "Username": "ada.l"})
    ]


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("event_name", ["DeleteUser", "AdminDisableUser"])
def test_a_user_who_is_deleted_already_stays_as_found(cognito: FakeAws, event_name: str) -> None:
    sync()
    change("AdminDeleteUser")
    before = item()
    assert change(event_name) == {"outcome": "unchanged"}
    assert item() == before
    assert cognito.operations.count(GET) == 1


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("event_name", DELETIONS)
def test_a_deletion_leaves_a_tombstone_where_the_sign_up_has_not_arrived(cognito: FakeAws, event_name: str) -> None:
    assert change(event_name) == {"outcome": "deleted"}
    assert item().keys() == {"id", "deleted_at", "expires_at"}
    assert item()["deleted_at"] == after_calls(0)
    assert sync() == {"outcome": "deleted"}
    assert cognito.calls == []


@pytest.mark.usefixtures("_table")
def test_a_deletion_while_cognito_knows_the_user_is_tried_again_later(cognito: FakeAws, users: UsersInMemory) -> None:
    sync()
    before = item()
    users.add(a_user())
    with pytest.raises(PoolUnavailable):
        change("AdminDeleteUser")
    assert item() == before
    users.remove(SUB)
    assert change("AdminDeleteUser") == {"outcome": "deleted"}


@pytest.mark.usefixtures("_table")
def test_a_deleted_user_whose_name_was_taken_over_is_marked(cognito: FakeAws, users: UsersInMemory) -> None:
    sync()
    users.add(CognitoUser(OTHER_SUB, "ada.l"))
    assert change("AdminDeleteUser") == {"outcome": "deleted"}
    assert "deleted_at" in item()


@pytest.mark.usefixtures("_table")
def test_an_item_without_a_username_is_marked_on_the_word_of_the_event(cognito: FakeAws) -> None:
    put(theme="dark")
    assert change("AdminDeleteUser") == {"outcome": "deleted"}
    assert item()["theme"] == "dark"
    assert "deleted_at" in item()
    assert cognito.operations == []


@pytest.mark.usefixtures("_table")
def test_a_user_seen_after_the_question_is_not_deleted(cognito: FakeAws) -> None:
    # And the execution comes back to it, since the deletion is a fact.
    put(username="ada.l", observed_at=after_calls(9))
    with pytest.raises(PoolUnavailable):
        change("AdminDeleteUser")
    assert "deleted_at" not in item()


@pytest.mark.usefixtures("_table")
def test_a_changed_user_who_was_deleted_since_is_marked(cognito: FakeAws, pauses: list[float]) -> None:
    sync()
    assert change("AdminDisableUser") == {"outcome": "deleted"}
    assert "deleted_at" in item()
    assert (cognito.operations, pauses) == ([LIST, GET], []), "who has left costs no more than one look"


@pytest.mark.usefixtures("_table")
def test_a_changed_user_who_is_neither_listed_nor_known_is_looked_for_later(cognito: FakeAws) -> None:
    # Cognito cannot be asked whether the user is gone, and a tombstone would hold off the sign-up.
    with pytest.raises(PoolUnavailable):
        change("AdminCreateUser")
    assert item() == {}


@pytest.mark.usefixtures("_table")
def test_a_changed_user_who_is_not_listed_but_known_is_looked_for_later(
    cognito: FakeAws, users: UsersInMemory, pauses: list[float]
) -> None:
    sync()
    before = item()
    users.add(a_user())
    users.unlisted = {SUB}
    with pytest.raises(PoolUnavailable):
        change("AdminDisableUser")
    assert item() == before
    assert (cognito.operations, pauses) == ([LIST, GET] * 3, [1.0, 2.0])


@pytest.mark.usefixtures("_table")
def test_users_who_are_gone_are_kept_where_they_are_to_be(cognito: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELETED_USERS", "keep")
    assert change("AdminDeleteUser") == {"outcome": "kept"}
    sync()
    before = item()
    assert change("AdminDeleteUser") == {"outcome": "kept"}
    assert item() == before


# How it fails.


def test_a_busy_pool_is_asked_once_and_then_left_to_the_state_machine(aws: FakeAws, pauses: list[float]) -> None:
    aws.on(LIST, refusal("InternalErrorException", 500))
    with pytest.raises(PoolUnavailable, match="InternalErrorException"):
        change("AdminDisableUser")
    assert (aws.operations, pauses) == ([LIST], [])


def test_a_refused_read_is_not_repeated(aws: FakeAws) -> None:
    aws.on(LIST, refusal("AccessDeniedException"))
    with pytest.raises(PoolRefused, match="AccessDeniedException"):
        change("AdminDisableUser")
    assert aws.operations == [LIST]


def test_a_user_who_is_unusable_is_named_by_sub(aws: FakeAws) -> None:
    aws.on(LIST, Response({"Users": [a_user().listed() | {"UserStatus": None}]}))
    with pytest.raises(UnusableUser, match=SUB):
        change("AdminDisableUser")
    assert aws.operations == [LIST]


def test_a_sign_up_asks_cognito_nothing(aws: FakeAws) -> None:
    # ListUsers may not show the user yet.
    aws.on(WRITE, Response())
    sync()
    assert aws.operations == [WRITE]


@pytest.mark.usefixtures("_table")
def test_no_personal_data_of_a_changed_user_is_logged(
    cognito: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    users.add(a_user())
    change("AdminDisableUser")
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert (record["sub"], record["reason"], record["outcome"]) == (SUB, "changed", "created")
    assert not any(value in repr(record).lower() for value in ("ada", "countess"))
