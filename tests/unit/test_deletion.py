"""A user becomes a deleted one only on Cognito's own word, and a user without an item leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import sentinel

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.deletion import delete_if_not_in_pool, sync_missing_user
from cognito_user_sync.item_layout import ItemLayout
from cognito_user_sync.user_pool import CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome, UserTable
from tests.fakes.answers import Response, error_response
from tests.fakes.calls import Calls
from tests.fakes.clock import Clock
from tests.fakes.cognito_pool import GET, LIST, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import cognito_client
from tests.fakes.simulated_table import READ, WRITE, SimulatedTable
from tests.samples import OTHER_SUB, POOL_ID, SUB

if TYPE_CHECKING:
    from collections.abc import Iterator

ADA = CognitoUser(SUB, "ada.l", {"name": "Ada"})


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def pool(users: UsersInMemory, calls: Calls) -> UserPool:
    return UserPool(cognito_client(CognitoPool(users, calls=calls)), POOL_ID)


class Table(SimulatedTable):
    def put_item(self, **arguments: Any) -> Any:
        return self._make("PutItem", lambda: self.client.put_item(**arguments))


@pytest.fixture
def table(calls: Calls) -> Iterator[Table]:
    # In the session that the other fixtures know.
    with mock_aws(config={"core": {"reset_boto3_session": False}}):
        yield Table(calls, boto3.client("dynamodb"))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.replace_now(monkeypatch)
    return clock


def delete(pool: UserPool, table: SimulatedTable, *, dry_run: bool = False) -> Outcome:
    item = table.users().read([SUB], consistent=True)[SUB]
    table.calls.forget()
    return delete_if_not_in_pool(pool, table.users(), SUB, item, dry_run)


def test_delete_if_not_in_pool_verifies_the_deletion_first(pool: UserPool, table: SimulatedTable, calls: Calls) -> None:
    table.put(ADA)
    assert delete(pool, table) == "deleted"
    assert table.items()[SUB]["deleted_at"] == "2026-01-01T00:00:00.001Z"
    assert calls.operations == [GET, WRITE]


def test_delete_if_not_in_pool_writes_nothing_in_a_dry_run(pool: UserPool, table: SimulatedTable, calls: Calls) -> None:
    table.put(ADA)
    before = table.items()
    assert delete(pool, table, dry_run=True) == "deleted"
    assert (table.items(), calls.operations) == (before, [GET])


def test_delete_if_not_in_pool_keeps_a_user_in_the_pool(
    pool: UserPool, users: UsersInMemory, table: SimulatedTable
) -> None:
    table.put(ADA)
    before = table.items()
    users.add(ADA)
    assert delete(pool, table) == "still_in_pool"
    assert table.items() == before


def test_delete_if_not_in_pool_keeps_a_user_observed_later(
    pool: UserPool, users: UsersInMemory, table: SimulatedTable, calls: Calls, clock: Clock
) -> None:
    """As one whose item another function wrote between Cognito's answer and the deletion."""
    table.put(ADA)

    def observed_later() -> None:
        clock.seconds = 5
        table.client.update_item(
            TableName=table.name,
            Key={"id": {"S": SUB}},
            UpdateExpression="SET observed_at = :now",
            ExpressionAttributeValues={":now": {"S": clock.now()}},
        )

    item = table.users().read([SUB])[SUB]
    calls.after(GET, 1, observed_later)
    assert delete_if_not_in_pool(pool, table.users(), SUB, item) == "stale"
    assert "deleted_at" not in table.items()[SUB]


@pytest.mark.parametrize("item", [{}, {"theme": {"S": "dark"}}, {"username": {"S": ""}}], ids=["empty", "app", "none"])
def test_delete_if_not_in_pool_keeps_an_item_without_a_username(
    pool: UserPool, table: SimulatedTable, calls: Calls, item: Any
) -> None:
    assert delete_if_not_in_pool(pool, table.users(), SUB, {"id": {"S": SUB}, **item}) == "still_in_pool"
    assert calls.operations == []


def test_delete_if_not_in_pool_uses_the_configured_name_of_username(
    pool: UserPool, users: UsersInMemory, calls: Calls
) -> None:
    # The application has a `username`, too.
    users.add(ADA)
    layout = ItemLayout(POOL_ID, (), attribute_prefix="cognito_", attribute_names={"username": "login"})
    renamed = UserTable(sentinel.client, "users", layout)
    item = {"login": {"S": "ada.l"}, "username": {"S": "theirs"}, "cognito_username": {"S": "theirs"}}
    assert delete_if_not_in_pool(pool, renamed, SUB, item) == "still_in_pool"
    assert calls.operations == [GET]
    assert delete_if_not_in_pool(pool, renamed, OTHER_SUB, {"username": {"S": "theirs"}}) == "still_in_pool"
    assert calls.operations == [GET]


@pytest.mark.parametrize(
    ("action", "outcome"),
    [(action, "kept" if action is DeletedUsers.KEEP else "deleted") for action in DeletedUsers],
    ids=list(DeletedUsers),
)
def test_sync_missing_user_applies_the_deletion_policy(
    pool: UserPool, table: SimulatedTable, action: DeletedUsers, outcome: str
) -> None:
    table.put(ADA)
    before = table.items()[SUB]
    assert sync_missing_user(pool, table.users(DeletionPolicy(action)), SUB) == outcome
    assert table.items()[SUB].keys() == {
        DeletedUsers.MARK: {*before, "deleted_at"} - {"shard"},
        DeletedUsers.DELETE: {"id", "user_pool_id", "deleted_at"},
        DeletedUsers.DELETE_ITEM: {"id", "user_pool_id", "synced_attributes", "deleted_at", "expires_at"},
        DeletedUsers.KEEP: before.keys(),
    }[action]  # fmt: skip


@pytest.mark.parametrize("action", DeletedUsers)
@pytest.mark.parametrize(
    "item",
    [
        None,
        {"theme": {"S": "dark"}},
        {"username": {"S": "ada.l"}, "observed_at": {"S": "2025-01-01T00:00:00.000Z"}, "shard": {"S": "b"}},
        {"username": {"S": "ada.l"}, "user_pool_id": {"S": "eu-central-1_other"}},
    ],
    ids=["no item", "item of the application", "item of the application with our names", "item of another pool"],
)
def test_sync_missing_user_writes_nothing_for_a_foreign_user(
    pool: UserPool, table: SimulatedTable, calls: Calls, action: DeletedUsers, item: Any
) -> None:
    if item:
        table.client.put_item(TableName=table.name, Item={"id": {"S": SUB}, **item})
    before = table.items()
    assert sync_missing_user(pool, table.users(DeletionPolicy(action)), SUB) == "not_ours"
    assert (table.items(), calls.operations) == (before, [READ])


@pytest.mark.parametrize("action", [DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.DELETE_ITEM])
def test_sync_missing_user_skips_a_known_deletion(
    pool: UserPool, table: SimulatedTable, calls: Calls, action: DeletedUsers
) -> None:
    table.put(ADA)
    deleting = table.users(DeletionPolicy(action))
    sync_missing_user(pool, deleting, SUB)
    before = table.items()
    calls.forget()
    assert sync_missing_user(pool, deleting, SUB) == "unchanged"
    assert (table.items(), calls.operations) == (before, [READ])


def test_sync_missing_user_raises_if_the_user_is_in_the_pool(
    pool: UserPool, users: UsersInMemory, table: SimulatedTable
) -> None:
    table.put(ADA)
    before = table.items()
    users.add(ADA)
    with pytest.raises(CognitoUnavailableError, match="does not confirm the deletion") as raised:
        sync_missing_user(pool, table.users(), SUB)
    assert "ada" not in str(raised.value).lower()
    assert table.items() == before


def test_sync_missing_user_checks_the_list_for_a_reused_username(
    pool: UserPool, users: UsersInMemory, table: SimulatedTable, calls: Calls
) -> None:
    table.put(ADA)
    users.add(CognitoUser(OTHER_SUB, "ada.l"))
    assert sync_missing_user(pool, table.users(), SUB) == "deleted"
    assert calls.operations == [READ, GET, LIST, WRITE]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (error_response("TooManyRequestsException"), CognitoUnavailableError),
        (error_response("AccessDeniedException"), AccessDeniedError),
        # Not clear enough to delete a user.
        (error_response("InvalidParameterException"), CognitoUnavailableError),
        (Response({"Username": "ada.l"}), CognitoUnavailableError),
    ],
    ids=["throttled", "denied", "invalid", "no sub"],
)
def test_sync_missing_user_deletes_only_on_a_clear_answer(
    pool: UserPool, table: SimulatedTable, calls: Calls, answer: Response, error: type[Exception]
) -> None:
    table.put(ADA)
    before = table.items()
    calls.fail(GET, answer, None)
    with pytest.raises(error):
        sync_missing_user(pool, table.users(), SUB)
    assert table.items() == before
