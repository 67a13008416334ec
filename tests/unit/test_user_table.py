"""Newer wins, deleted stays deleted, and what is not ours stays."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from cognito_user_sync import user_table
from cognito_user_sync.user import User, timestamp
from cognito_user_sync.user_table import (
    DeletedUsers,
    DeletionPolicy,
    Outcome,
    TableRefused,
    TableUnavailable,
    UserTable,
)
from tests.samples import SUB, table_definition
from tests.samples import TABLE as NAME
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import FakeAws
from tests.stand_ins.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

ATTRIBUTES = ("name", "email", "custom:plan")
MARK, DELETE, KEEP = DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.KEEP
NOW = 1_800_000_000
DAY = 24 * 3600


def at(hour: float) -> str:
    return timestamp(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour))


def read(hour: int, modified: int = 0, *, enabled: bool = True, status: str = "CONFIRMED", **attributes: Any) -> User:
    """The user as Cognito says at `hour`, last modified at `modified`."""
    return User(
        sub=SUB,
        observed_at=at(hour),
        username="ada",
        attributes=attributes,
        status=status,
        enabled=enabled,
        created_at=at(0),
        modified_at=at(modified),
    )


class Table:
    """The real table of modules/user_table in moto."""

    def __init__(
        self,
        client: DynamoDBClient,
        attributes: tuple[str, ...] = ATTRIBUTES,
        index_keys: frozenset[str] = frozenset(),
    ) -> None:
        self.client = client
        self.client.create_table(**table_definition(email_index="email" in index_keys))
        self.users = UserTable(self.client, NAME, attributes, index_keys)

    def write(self, *users: User) -> list[Outcome]:
        return [self.users.write(user) for user in users]

    def item(self, sub: str = SUB) -> dict[str, Any]:
        item = self.client.get_item(TableName=NAME, Key={"id": {"S": sub}}, ConsistentRead=True).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def put(self, **values: dict[str, Any]) -> None:
        self.client.put_item(TableName=NAME, Item={"id": {"S": SUB}, **values})

    def delete(self, hour: float, action: DeletedUsers = MARK, retention_days: int | None = None) -> Outcome:
        policy = DeletionPolicy(action, retention_days)
        return dataclasses.replace(self.users, deletion=policy).delete(SUB, at(hour))

    def living(self, shard: str) -> list[str]:
        found = self.client.query(
            TableName=NAME,
            IndexName="by_shard",
            KeyConditionExpression="#shard = :shard",
            ExpressionAttributeNames={"#shard": "shard"},
            ExpressionAttributeValues={":shard": {"S": shard}},
        )
        return [item["id"]["S"] for item in found["Items"]]


@pytest.fixture(autouse=True)
def _every_write_at_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # A repeat that writes nothing must show.
    monkeypatch.setattr(user_table, "now", Clock().now)
    monkeypatch.setattr(user_table, "time", SimpleNamespace(time=lambda: NOW + 0.9))


@pytest.fixture(scope="module")
def client(session: boto3.Session) -> DynamoDBClient:
    return session.client("dynamodb")


@pytest.fixture
def moto(client: DynamoDBClient) -> Iterator[DynamoDBClient]:
    with mock_aws():
        yield client


@pytest.fixture
def table(moto: DynamoDBClient) -> Table:
    return Table(moto)


@pytest.fixture
def indexed_table(moto: DynamoDBClient) -> Table:
    return Table(moto, index_keys=frozenset({"email"}))


def test_a_user_becomes_an_item_with_every_field_of_the_design(table: Table) -> None:
    assert table.write(read(2, 1, enabled=False, name="Ada", email="ada@example.com")) == [Outcome.CREATED]
    assert table.item() == {
        "id": SUB,
        "name": "Ada",
        "email": "ada@example.com",
        "custom:plan": "",
        "username": "ada",
        "status": "CONFIRMED",
        "enabled": False,
        "cognito_created_at": at(0),
        "cognito_modified_at": at(1),
        "observed_at": at(2),
        "synced_at": ANY,
        "shard": "b",
    }


def test_a_living_user_is_found_by_shard(table: Table) -> None:
    table.write(read(1))
    assert table.living("b") == [SUB]


def test_synced_at_is_the_moment_of_writing(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_table, "now", lambda: at(23))
    table.write(read(1))
    assert table.item()["synced_at"] == at(23)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (read(2, 1, name="Ada"), read(4, 3, name="Ada L.")),
        # Cognito's date does not move with every change of the status.
        (read(2, 1, name="Ada"), read(4, 1, name="Ada L.")),
        # The page showed the new state although it began at the same moment.
        (read(2, 1, name="Ada"), read(2, 2, name="Ada L.")),
        # ListUsers is eventually consistent: the answer asked for later shows the older state.
        (read(7, 3, name="Ada"), read(6, 5, name="Ada L.")),
    ],
    ids=["modified-later", "asked-later", "same-moment", "lagging-page"],
)
def test_the_newer_answer_wins_in_both_orders(table: Table, first: User, second: User) -> None:
    assert table.write(first, second) == [Outcome.CREATED, Outcome.UPDATED]
    assert table.item()["name"] == "Ada L."

    table.client.delete_item(TableName=NAME, Key={"id": {"S": SUB}})
    assert table.write(second, first) == [Outcome.CREATED, Outcome.STALE]
    assert table.item()["name"] == "Ada L."


def test_a_lagging_page_does_not_undo_a_password_reset(table: Table) -> None:
    table.write(read(1, 1, status="RESET_REQUIRED"))
    table.write(read(5, 5))
    before = table.item()
    assert before["status"] == "CONFIRMED"
    # Asked after the reset was written, and still from before it.
    assert table.write(read(6, 1, status="RESET_REQUIRED")) == [Outcome.STALE]
    assert table.item() == before


def test_an_item_without_a_date_is_written(table: Table) -> None:
    # Of an earlier version of this module, which wrote sign-ups without one.
    table.put(observed_at={"S": at(8)}, status={"S": "CONFIRMED"}, shard={"S": "b"})
    assert table.write(read(7, 1, status="EXTERNAL_PROVIDER")) == [Outcome.UPDATED]
    assert table.item()["status"] == "EXTERNAL_PROVIDER"


def test_a_repeat_leaves_the_item_identical(table: Table) -> None:
    user = read(2, 1, name="Ada")
    table.write(user)
    before = table.item()
    assert table.write(user, user) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert table.item() == before


def test_looking_again_at_an_unchanged_user_writes_nothing(table: Table) -> None:
    # A reconciliation of a million users of whom ten changed writes ten items.
    table.write(read(2, 1, name="Ada"))
    before = table.item()
    assert table.users.differs(read(9, 1, name="Ada"), table.users.read([SUB])[SUB]) is False
    assert table.write(read(9, 1, name="Ada")) == [Outcome.UNCHANGED]
    assert table.item() == before


def test_a_user_who_only_was_disabled_is_updated(table: Table) -> None:
    table.write(read(2, 1))
    assert table.write(read(4, 3, enabled=False)) == [Outcome.UPDATED]
    assert table.item()["enabled"] is False


def test_attributes_of_the_application_stay_as_they_are(table: Table) -> None:
    theirs: dict[str, Any] = {
        "theme": {"S": "dark"},
        "cart": {"L": [{"M": {"sku": {"S": "1"}, "count": {"N": "2"}}}]},
        "logins": {"N": "7"},
    }
    table.put(**theirs)
    table.write(read(1, name="Ada"), read(3, 2, name="Ada L."))
    item = table.client.get_item(TableName=NAME, Key={"id": {"S": SUB}})["Item"]
    assert item["name"] == {"S": "Ada L."}
    assert {name: item[name] for name in theirs} == theirs


def test_an_attribute_that_the_user_emptied_becomes_an_empty_string(table: Table) -> None:
    table.write(read(1, name="Ada"), read(2))
    assert table.item()["name"] == ""


@pytest.mark.parametrize("action", [MARK, DELETE])
@pytest.mark.parametrize("deleted", [2.001, 3, 4], ids=["deleted-before", "deleted-at-that-moment", "deleted-after"])
def test_answer_around_the_deletion_revives_no_user(table: Table, deleted: float, action: DeletedUsers) -> None:
    """ListUsers may show a deleted user for a while: here for almost an hour."""
    table.write(read(1))
    table.delete(deleted, action)
    before = table.item()
    assert table.write(read(3, 2, name="Ada")) == [Outcome.DELETED]
    assert table.item() == before
    assert table.living("b") == []


@pytest.mark.parametrize("action", [MARK, DELETE])
@pytest.mark.parametrize("modified", [1, 4], ids=["modified-before", "modified-after"])
def test_a_user_seen_after_the_deletion_is_alive_again(table: Table, modified: int, action: DeletedUsers) -> None:
    table.write(read(1))
    table.delete(4, action, retention_days=60)
    assert table.write(read(5, modified, name="Ada")) == [Outcome.UPDATED]
    assert table.item().keys().isdisjoint({"deleted_at", "expires_at"})
    assert table.living("b") == [SUB]


def test_a_user_who_differs_in_the_deletion_alone_is_alive_again(table: Table) -> None:
    user = read(2, 1, name="Ada")
    table.write(user)
    table.client.update_item(
        TableName=NAME,
        Key={"id": {"S": SUB}},
        UpdateExpression="SET deleted_at = :at",
        ExpressionAttributeValues={":at": {"S": at(4)}},
    )
    assert table.write(read(5, 1, name="Ada")) == [Outcome.UPDATED]
    assert "deleted_at" not in table.item()


def test_reserved_words_and_names_with_colons_are_written(moto: DynamoDBClient) -> None:
    # All of these break an expression that spells them out; #n0 and :v0 look like our own aliases.
    names = (
        "name",
        "zoneinfo",
        "locale",
        "address",
        "custom:x",
        "dev:custom:y",
        "custom:#n0",
        "custom::v0",
        "custom:é",
    )
    table = Table(moto, names)
    values: dict[str, Any] = {name: f"value of {name}" for name in names}
    table.write(read(1), read(2, **values))
    assert {name: table.item()[name] for name in names} == values


def test_seventy_attributes_fit_into_one_write(client: DynamoDBClient) -> None:
    # As many as the module's variable takes. DynamoDB allows 4 KB and 300 operators in an expression; moto any.
    names = tuple(f"custom:{number:020}" for number in range(70))
    user = read(2, 1)
    request = UserTable(client, NAME, names, frozenset())._update(user)
    for name in ("UpdateExpression", "ConditionExpression"):
        assert len(request[name].encode()) <= 4096
        assert len(re.findall(r"<>|<=|<|=|OR|AND|attribute_\w+|if_not_exists", request[name])) <= 300


def test_an_emptied_index_key_is_removed_from_the_item(indexed_table: Table) -> None:
    table = indexed_table
    table.write(read(1, email="ada@example.com"))
    assert table.write(read(2, name="Ada")) == [Outcome.UPDATED]
    assert "email" not in table.item()
    assert table.item()["name"] == "Ada"


def test_an_answer_that_differs_in_an_emptied_index_key_alone_is_written(indexed_table: Table) -> None:
    table = indexed_table
    table.put(
        **{name: {"S": str(value)} for name, value in {"name": "", "custom:plan": "", "username": "ada"}.items()},
        observed_at={"S": at(2)},
        shard={"S": "b"},
        status={"S": "CONFIRMED"},
        enabled={"BOOL": True},
        cognito_created_at={"S": at(0)},
        cognito_modified_at={"S": at(1)},
        email={"S": "ada@example.com"},
    )
    assert table.write(read(3, 1)) == [Outcome.UPDATED]
    assert "email" not in table.item()
    assert table.write(read(4, 1)) == [Outcome.UNCHANGED]


def test_an_index_key_too_long_for_the_index_is_left_out(indexed_table: Table) -> None:
    table = indexed_table
    table.write(read(1, email="a" * 1024))
    assert table.item()["email"] == "a" * 1024
    table.write(read(2, email="é" * 513))
    assert "email" not in table.item()


def test_the_longest_values_of_cognito_are_written(table: Table) -> None:
    longest: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "😀" * 2048)
    table.write(read(1, **longest))
    assert longest.items() <= table.item().items()


# What becomes of a user who is gone.


@pytest.mark.parametrize(
    ("retention_days", "ends"), [(None, {}), (60, {"expires_at": str(NOW + 60 * DAY)})], ids=["for-ever", "60-days"]
)
def test_a_marked_user_leaves_the_living_and_keeps_all_else(
    table: Table, retention_days: int | None, ends: dict[str, str]
) -> None:
    table.put(theme={"S": "dark"})
    table.write(read(2, 1, name="Ada"))
    before = table.item()
    assert table.delete(3, MARK, retention_days) is Outcome.DELETED
    after = table.item()
    assert after["synced_at"] > before["synced_at"]
    del before["shard"]
    assert after == {**before, "synced_at": after["synced_at"], "deleted_at": at(3), **ends}
    assert table.living("b") == []


@pytest.mark.parametrize(("retention_days", "days"), [(None, 1), (60, 60)], ids=["not-said", "60-days"])
def test_a_deleted_users_item_loses_all_that_is_ours_but_a_tombstone(
    indexed_table: Table, retention_days: int | None, days: int
) -> None:
    table = indexed_table
    table.put(theme={"S": "dark"})
    table.write(read(2, 1, name="Ada", email="ada@example.com"))
    assert table.delete(3, DELETE, retention_days) is Outcome.DELETED
    assert table.item() == {
        "id": SUB,
        "theme": "dark",
        "deleted_at": at(3),
        "expires_at": str(NOW + days * DAY),
    }


def test_the_end_of_an_item_is_a_number_of_seconds_as_dynamodb_wants_it(table: Table) -> None:
    table.write(read(1))
    table.delete(2, MARK, retention_days=1)
    item = table.client.get_item(TableName=NAME, Key={"id": {"S": SUB}})["Item"]
    assert item["expires_at"] == {"N": str(NOW + DAY)}


@pytest.mark.parametrize("action", [MARK, DELETE, KEEP])
def test_a_deletion_of_a_user_without_an_item_leaves_nothing(table: Table, action: DeletedUsers) -> None:
    assert table.delete(3, action, 60) is (Outcome.KEPT if action is KEEP else Outcome.UNCHANGED)
    assert table.item() == {}


def test_an_item_created_meanwhile_is_not_deleted(aws: FakeAws) -> None:
    # The condition that it exists and the one of its date are of one write.
    aws.on("dynamodb.UpdateItem", _condition_failed(id={"S": SUB}, observed_at={"S": at(4)}))
    assert _users(aws).delete(SUB, at(3)) is Outcome.STALE
    assert len(aws.calls) == 1


def test_a_user_who_is_to_be_kept_is_left_as_found(table: Table) -> None:
    table.write(read(1, name="Ada"))
    before = table.item()
    assert table.delete(3, KEEP) is Outcome.KEPT
    assert table.item() == before


@pytest.mark.parametrize("action", [MARK, DELETE])
def test_a_deletion_that_is_known_changes_nothing(table: Table, action: DeletedUsers) -> None:
    # It keeps its date and its end, too: else each reconciliation would put the end off.
    table.write(read(1, name="Ada"))
    table.delete(3, action, retention_days=60)
    before = table.item()
    assert [table.delete(hour, action, retention_days=90) for hour in (2, 3, 4)] == [Outcome.UNCHANGED] * 3
    assert table.item() == before


@pytest.mark.parametrize("action", [MARK, DELETE])
def test_a_user_seen_since_is_not_deleted(table: Table, action: DeletedUsers) -> None:
    table.write(read(4, name="Ada"))
    before = table.item()
    assert table.delete(3, action) is Outcome.STALE
    assert table.item() == before


@pytest.mark.parametrize("action", [MARK, DELETE])
def test_a_user_seen_in_the_moment_of_the_deletion_is_deleted(table: Table, action: DeletedUsers) -> None:
    table.write(read(3, name="Ada"))
    assert table.delete(3, action) is Outcome.DELETED
    assert table.living("b") == []


def test_an_item_that_was_never_synced_is_deleted_too(table: Table) -> None:
    table.put(theme={"S": "dark"})
    assert table.delete(3) is Outcome.DELETED
    assert table.item() == {"id": SUB, "theme": "dark", "deleted_at": at(3), "synced_at": ANY}


# Reading.


def test_items_are_read_by_sub_and_who_has_none_is_left_out(table: Table) -> None:
    subs = [f"{number:08x}{SUB[8:]}" for number in range(100)]
    for sub in subs[:2]:
        table.write(dataclasses.replace(read(2, 1, name="Ada"), sub=sub))
    found = table.users.read(subs)
    assert found.keys() == set(subs[:2])
    assert found[subs[0]]["id"] == {"S": subs[0]}


def test_an_item_is_read_with_all_that_is_ours_and_nothing_else(table: Table) -> None:
    table.put(theme={"S": "dark"})
    table.write(read(2, 1, name="Ada", email="ada@example.com"))
    living = table.item()
    assert table.users.read([SUB])[SUB].keys() == living.keys() - {"theme"}
    table.delete(3, MARK, retention_days=60)
    assert table.users.read([SUB])[SUB].keys() == (living.keys() - {"theme", "shard"}) | {"deleted_at", "expires_at"}


def test_the_living_are_listed_by_the_beginning_of_the_sub_in_order(table: Table) -> None:
    for beginning in ("b4", "b40", "b3", "a4", "b41"):
        table.write(dataclasses.replace(read(1), sub=beginning + SUB[len(beginning) :]))
    table.delete(2)
    b3, b40, b41, b4c = (f"{beginning}{SUB[len(beginning) :]}" for beginning in ("b3", "b40", "b41", "b4c"))
    assert b4c == SUB
    assert table.users.living_subs("b") == ([b3, b40, b41], None)
    assert table.users.living_subs("b4") == ([b40, b41], None)
    assert table.users.living_subs("b40") == ([b40], None)
    assert table.users.living_subs("c") == ([], None)


_VALUES = st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(["", "a", "a" * 1025]))
_READS = st.builds(
    lambda hour, modified, enabled, values: read(hour, modified, enabled=enabled, **values),
    st.integers(0, 8),
    st.integers(0, 2),
    st.booleans(),
    _VALUES,
)
_DELETIONS = st.tuples(st.integers(0, 9), st.sampled_from([MARK, DELETE]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(_READS | _DELETIONS, max_size=3),
    emails=st.none() | st.just("b"),
    user=_READS,
    looks_again=st.booleans(),
)
def test_a_user_differs_from_the_item_exactly_where_a_write_would_not_find_it_unchanged(
    indexed_table: Table,
    history: list[User | tuple[int, DeletedUsers]],
    emails: str | None,
    user: User,
    looks_again: bool,
) -> None:
    table = indexed_table
    table.client.delete_item(TableName=NAME, Key={"id": {"S": SUB}})
    for happened in history:
        if isinstance(happened, User):
            table.write(happened)
        else:
            table.delete(*happened)
    seen_before = [happened for happened in history if isinstance(happened, User)]
    if seen_before and looks_again:
        user = dataclasses.replace(seen_before[-1], observed_at=at(9))
    if history and emails:
        # The application's, or of a time when the table had no such index.
        table.client.update_item(
            TableName=NAME,
            Key={"id": {"S": SUB}},
            UpdateExpression="SET email = :email",
            ExpressionAttributeValues={":email": {"S": emails}},
        )

    item = table.users.read([SUB]).get(SUB)
    differs, foretold = table.users.differs(user, item), table.users.would_write(user, item)
    [outcome] = table.write(user)
    assert foretold is outcome
    assume(outcome is not Outcome.STALE)
    assert differs is (outcome is not Outcome.UNCHANGED)


_HOURS = st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True).map(sorted)


@st.composite
def _histories(draw: st.DrawFn) -> list[User]:
    """Answers of Cognito in the order of their moments. Each is of a state that began after the answer before it, and
    no later than the answer itself."""
    history: list[User] = []
    last_modified = -1
    for hour in draw(_HOURS):
        last_modified = draw(st.integers(last_modified + 1, hour))
        values = draw(st.dictionaries(st.sampled_from(ATTRIBUTES), st.text(max_size=5)))
        status = draw(st.sampled_from(["CONFIRMED", "RESET_REQUIRED"]))
        history.append(read(hour, last_modified, enabled=draw(st.booleans()), status=status, **values))
    return history


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=_histories(),
    deleted=st.none() | st.integers(0, 23),
    action=st.sampled_from([MARK, DELETE]),
    data=st.data(),
)
def test_any_order_with_any_repeats_ends_in_the_state_of_the_newest_answer(
    table: Table, history: list[User], deleted: int | None, action: DeletedUsers, data: st.DataObject
) -> None:
    """ListUsers may show each state for as long as it likes; or one deletion check finds the user deleted."""
    hours = st.integers(0, 23).map(at)
    lagging = [] if deleted is not None else data.draw(st.lists(st.tuples(st.sampled_from(history), hours), max_size=2))
    pages = [dataclasses.replace(user, observed_at=max(user.observed_at, hour)) for user, hour in lagging]
    happened: list[User | int] = [*history, *pages, *([] if deleted is None else [deleted])]
    repeats = data.draw(st.lists(st.sampled_from(happened), max_size=3))
    # A deletion check looks only at users who have an item.
    arrivals = [data.draw(st.sampled_from([*history, *pages])), *data.draw(st.permutations([*happened, *repeats]))]
    table.client.delete_item(TableName=NAME, Key={"id": {"S": SUB}})

    for arrival in arrivals:
        if isinstance(arrival, int):
            table.delete(arrival, action, retention_days=60)
        else:
            table.write(arrival)

    newest, item = history[-1], table.item()
    if deleted is not None and newest.observed_at <= at(deleted):
        assert item["deleted_at"] == at(deleted)
        assert table.living("b") == []
        return
    assert {"deleted_at", "expires_at"}.isdisjoint(item)
    assert table.living("b") == [SUB]
    assert {name: item[name] for name in ATTRIBUTES} == {name: newest.attributes.get(name, "") for name in ATTRIBUTES}
    assert (item["status"], item["enabled"]) == (newest.status, newest.enabled)
    assert item["cognito_modified_at"] == newest.modified_at


# How it fails. moto never does.


def _users(aws: FakeAws) -> UserTable:
    client = aws.session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    return UserTable(client, NAME, ATTRIBUTES, frozenset())


def _condition_failed(**item: dict[str, Any]) -> Response:
    shown: dict[str, Any] = {"Item": item} if item else {}
    return refusal("ConditionalCheckFailedException", **shown)


def _read_part(subs: list[str], *unread: str) -> Response:
    keys = {NAME: {"Keys": [{"id": {"S": sub}} for sub in unread], "ProjectionExpression": "id"}}
    return Response(
        {
            "Responses": {NAME: [{"id": {"S": sub}} for sub in subs]},
            "UnprocessedKeys": keys if unread else {},
        }
    )


CALLS: dict[str, tuple[str, Callable[[UserTable], object]]] = {
    "write": ("dynamodb.UpdateItem", lambda users: users.write(read(1))),
    "delete": ("dynamodb.UpdateItem", lambda users: users.delete(SUB, at(1))),
    "read": ("dynamodb.BatchGetItem", lambda users: users.read([SUB])),
    "living_subs": ("dynamodb.Query", lambda users: users.living_subs("b")),
}


@pytest.mark.parametrize(
    "answer",
    [
        refusal("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
        refusal("com.amazon.coral.availability#ThrottlingException"),
        refusal("RequestLimitExceeded"),
        refusal("TransactionConflictException"),
        refusal("InternalServerError", 500),
        refusal("ServiceUnavailable", 503),
        Response(b"<html>Bad gateway</html>", 502),
    ],
    ids=lambda answer: f"{answer.status}-{'html' if isinstance(answer.body, bytes) else answer.body['__type']}",
)
@pytest.mark.parametrize("call", CALLS)
def test_a_busy_table_is_table_unavailable(aws: FakeAws, call: str, answer: Response) -> None:
    operation, made = CALLS[call]
    aws.on(operation, answer)
    with pytest.raises(TableUnavailable):
        made(_users(aws))


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        EndpointConnectionError(endpoint_url="https://dynamodb", error="refused"),
        ConnectionClosedError(endpoint_url="https://dynamodb"),
        HTTPClientError(error="anything else"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("call", CALLS)
def test_an_unreachable_table_is_table_unavailable(aws: FakeAws, call: str, error: BotoCoreError) -> None:
    operation, made = CALLS[call]
    aws.on(operation, error)
    with pytest.raises(TableUnavailable, match=type(error).__name__):
        made(_users(aws))


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
@pytest.mark.parametrize("call", CALLS)
def test_what_will_be_refused_again_is_table_refused_with_its_code(aws: FakeAws, call: str, code: str) -> None:
    operation, made = CALLS[call]
    aws.on(operation, refusal(code, message="holds ada@example.com"))
    with pytest.raises(TableRefused) as raised:
        made(_users(aws))
    assert str(raised.value) == code


def test_keys_that_dynamodb_left_for_later_are_asked_for_again(aws: FakeAws) -> None:
    aws.on("dynamodb.BatchGetItem", _read_part(["one"], "two", "three"), _read_part(["two"], "three"), _read_part([]))
    assert _users(aws).read(["one", "two", "three"]) == {"one": {"id": {"S": "one"}}, "two": {"id": {"S": "two"}}}
    asked = [call.body["RequestItems"][NAME] for call in aws.calls]
    assert [[key["id"]["S"] for key in part["Keys"]] for part in asked] == [
        ["one", "two", "three"],
        ["two", "three"],
        ["three"],
    ]


def test_a_read_of_which_nothing_is_answered_is_table_unavailable(aws: FakeAws) -> None:
    # A throttled table: not to be asked again at once.
    nothing, the_rest = _read_part([], "two", "three"), _read_part(["two", "three"])
    aws.on("dynamodb.BatchGetItem", _read_part(["one"], "two", "three"), nothing, the_rest)
    with pytest.raises(TableUnavailable):
        _users(aws).read(["one", "two", "three"])
    assert aws.operations == ["dynamodb.BatchGetItem"] * 2


def test_a_page_of_the_living_says_where_the_next_one_starts(aws: FakeAws) -> None:
    last: Any = {"id": {"S": SUB}, "shard": {"S": "b"}}
    aws.on(
        "dynamodb.Query", Response({"Items": [], "LastEvaluatedKey": last}), Response({"Items": [{"id": {"S": SUB}}]})
    )
    users = _users(aws)
    assert users.living_subs("b") == ([], last)
    assert users.living_subs("b", last) == ([SUB], None)
    assert [call.body.get("ExclusiveStartKey") for call in aws.calls] == [None, last]


def test_an_item_that_was_not_asked_for_is_left_out(aws: FakeAws) -> None:
    items = [{"id": {"S": SUB}}, {"id": {"S": "another"}}]
    aws.on("dynamodb.BatchGetItem", Response({"Responses": {NAME: items}}))
    assert _users(aws).read([SUB]).keys() == {SUB}


def test_an_id_that_is_no_sub_is_no_living_user(aws: FakeAws) -> None:
    # An application's own item, with an attribute `shard`.
    items = [{"id": {"S": 'b" or sub ^= "'}}, {"id": {"S": SUB}}]
    aws.on("dynamodb.Query", Response({"Items": items}))
    assert _users(aws).living_subs("b") == ([SUB], None)
