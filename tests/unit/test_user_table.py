"""Newer wins, deleted stays deleted, and what is not ours stays."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from itertools import count
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from cognito_user_sync import user_table
from cognito_user_sync.item_layout import BOOKKEEPING, FROM_COGNITO, ItemLayout, Key
from cognito_user_sync.user import User, timestamp
from cognito_user_sync.user_table import (
    DeletedUsers,
    DeletionPolicy,
    Outcome,
    TableRejectedError,
    TableUnavailableError,
    UserTable,
)
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import Clock
from tests.fakes.fake_aws import FakeAws
from tests.fakes.simulated_table import plain
from tests.samples import POOL_ID, SUB, table_definition
from tests.samples import TABLE as NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

ATTRIBUTES = ("name", "email", "custom:plan")
OTHER_POOL_ID = "eu-central-1_other"
LAYOUT = ItemLayout(POOL_ID, ATTRIBUTES)
INDEXED = ItemLayout(POOL_ID, ATTRIBUTES, index_keys=frozenset({"email"}))
SINGLE_TABLE = ItemLayout(
    POOL_ID,
    ATTRIBUTES,
    partition_key=Key("PK", "USER#{sub}"),
    sort_key=Key("SK", "PROFILE"),
    attribute_prefix="cognito_",
    attribute_names={"custom:plan": "plan"},
    extra_attributes={"entity": "User", "GSI1PK": "EMAIL#{email|lower}"},
    ttl_attribute="ttl",
)
MARK, DELETE, DELETE_ITEM, KEEP = DeletedUsers
DELETING = [MARK, DELETE, DELETE_ITEM]
GOLD: dict[str, Any] = {"custom:plan": "gold"}
NOW = 1_800_000_000
DAY = 24 * 3600

# An application's item. Its attributes are named like this module's before the prefix.
THEIRS: dict[str, Any] = {
    **{name: {"S": f"their {name}"} for name in (*ATTRIBUTES, *FROM_COGNITO, *BOOKKEEPING)},
    "enabled": {"N": "7"},
    "shard": {"L": [{"M": {"sku": {"S": "1"}, "count": {"N": "2.50"}}}]},
    "synced_attributes": {"SS": ["theme", "PK", "cognito_email"]},
    "theme": {"S": ""},
    "picture": {"B": b"\x00\xff"},
    "nothing": {"NULL": True},
    "expires_at": {"N": "1900000000"},
    "ttl": {"N": "1900000001"},
}


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
    """A table in moto, with the keys and indexes of modules/user_table."""

    def __init__(self, client: DynamoDBClient, layout: ItemLayout = LAYOUT) -> None:
        self.client = client
        self.client.create_table(**table_definition(layout=layout, email_index="email" in layout.index_keys))
        self.users = UserTable(self.client, NAME, layout)

    @property
    def layout(self) -> ItemLayout:
        return self.users.layout

    def configure(self, **changes: Any) -> None:
        """Change the layout, as an apply does."""
        self.users = dataclasses.replace(self.users, layout=dataclasses.replace(self.layout, **changes))

    def of_other_pool(self) -> UserTable:
        return dataclasses.replace(self.users, layout=dataclasses.replace(self.layout, user_pool_id=OTHER_POOL_ID))

    def write(self, *users: User) -> list[Outcome]:
        return [self.users.write(user) for user in users]

    def wire(self, sub: str = SUB) -> dict[str, Any]:
        """The item as DynamoDB returns it, {} if there is none."""
        key = self.layout.key(sub)
        return {**self.client.get_item(TableName=NAME, Key=key, ConsistentRead=True).get("Item", {})}

    def item(self, sub: str = SUB) -> dict[str, Any]:
        """The values of the item's attributes."""
        return {name: plain(value) for name, value in self.wire(sub).items()}

    def put(self, **values: dict[str, Any]) -> None:
        self.client.put_item(TableName=NAME, Item={**self.layout.key(SUB), **values})

    def remove(self) -> None:
        self.client.delete_item(TableName=NAME, Key=self.layout.key(SUB))

    def delete(self, hour: float, action: DeletedUsers = MARK, retention_days: int | None = None) -> Outcome:
        """Delete the user, whose item was read a moment ago."""
        found = self.users.read([SUB]).get(SUB, {})
        return self.deleting(action, retention_days).delete(SUB, at(hour), found)

    def deleting(self, action: DeletedUsers, retention_days: int | None = None) -> UserTable:
        return dataclasses.replace(self.users, deletion=DeletionPolicy(action, retention_days))

    def active(self) -> list[str]:
        subs, more = self.users.active_subs(SUB[0])
        assert more is None
        return subs

    def before_writes(self, *acts: Callable[[], object]) -> None:
        """Do one of these before each of the next writes, as another writer may."""
        left, events = [*acts], self.client.meta.events

        def before_write(**_: Any) -> None:
            events.unregister("provide-client-params.dynamodb", before_write)
            act = left.pop(0)
            act()
            if left:
                events.register("provide-client-params.dynamodb", before_write)

        events.register("provide-client-params.dynamodb", before_write)


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
    return Table(moto, INDEXED)


@pytest.fixture
def single_table(moto: DynamoDBClient) -> Table:
    return Table(moto, SINGLE_TABLE)


def synced(*attributes: str) -> list[str]:
    return sorted([*attributes, *FROM_COGNITO])


# Writing.


def test_write_makes_an_item_with_every_field(table: Table) -> None:
    assert table.write(read(2, 1, enabled=False, name="Ada", email="ada@example.com")) == [Outcome.CREATED]
    assert table.item() == {
        "id": SUB,
        "name": "Ada",
        "email": "ada@example.com",
        "username": "ada",
        "status": "CONFIRMED",
        "enabled": False,
        "cognito_created_at": at(0),
        "cognito_modified_at": at(1),
        "observed_at": at(2),
        "synced_at": ANY,
        "shard": f"{POOL_ID}#b",
        "user_pool_id": POOL_ID,
        "synced_attributes": synced("email", "name"),
    }


def test_write_makes_an_item_with_the_keys_and_names_given(single_table: Table) -> None:
    assert single_table.write(read(2, 1, email="Ada@Example.com", **GOLD)) == [Outcome.CREATED]
    assert single_table.wire() == {
        "PK": {"S": f"USER#{SUB}"},
        "SK": {"S": "PROFILE"},
        "entity": {"S": "User"},
        "GSI1PK": {"S": "EMAIL#ada@example.com"},
        "plan": {"S": "gold"},
        "cognito_email": {"S": "Ada@Example.com"},
        "cognito_username": {"S": "ada"},
        "cognito_status": {"S": "CONFIRMED"},
        "cognito_enabled": {"BOOL": True},
        "cognito_cognito_created_at": {"S": at(0)},
        "cognito_cognito_modified_at": {"S": at(1)},
        "cognito_observed_at": {"S": at(2)},
        "cognito_synced_at": ANY,
        "cognito_shard": {"S": f"{POOL_ID}#b"},
        "cognito_user_pool_id": {"S": POOL_ID},
        "cognito_synced_attributes": {
            "SS": sorted(["entity", "GSI1PK", "plan", "cognito_email", *(f"cognito_{name}" for name in FROM_COGNITO)])
        },
    }


def test_write_makes_an_active_user(table: Table) -> None:
    table.write(read(1))
    assert table.active() == [SUB]


def test_write_sets_synced_at_to_the_moment(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_table, "now", lambda: at(23))
    table.write(read(1))
    assert table.item()["synced_at"] == at(23)


@pytest.mark.parametrize(("status", "written"), [("UNCONFIRMED", False), ("CONFIRMED", True), ("ARCHIVED", True)])
def test_write_makes_no_item_for_an_unconfirmed_user(table: Table, status: str, written: bool) -> None:
    assert table.write(read(1, status=status)) == [Outcome.CREATED if written else Outcome.UNCONFIRMED]
    assert bool(table.wire()) is written


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
def test_write_keeps_the_newer_answer_in_both_orders(table: Table, first: User, second: User) -> None:
    assert table.write(first, second) == [Outcome.CREATED, Outcome.UPDATED]
    assert table.item()["name"] == "Ada L."

    table.remove()
    assert table.write(second, first) == [Outcome.CREATED, Outcome.STALE]
    assert table.item()["name"] == "Ada L."


@pytest.mark.parametrize("action", [None, *DELETING])
def test_write_and_delete_replace_a_deletion_of_another_type(table: Table, action: DeletedUsers | None) -> None:
    """Which another writer made of the attribute."""
    table.write(read(1, name="Ada"))
    table.put(**{**table.wire(), "deleted_at": {"N": "7"}})
    if action is None:
        assert table.write(read(5, 5, name="Ada L.")) == [Outcome.UPDATED]
        assert "deleted_at" not in table.wire()
    else:
        assert table.delete(3, action) is (Outcome.UNCHANGED if action is MARK else Outcome.DELETED)


def test_write_of_the_most_attributes_fits_dynamodbs_limits(table: Table) -> None:
    """moto does not check them: 4 KB and 300 operators in an expression."""
    requests: list[dict[str, Any]] = []
    table.client.meta.events.register(
        "provide-client-params.dynamodb.UpdateItem", lambda params, **_: requests.append(params)
    )
    table.configure(extra_attributes={f"extra_{number}": "x" for number in range(100 - len(ATTRIBUTES))})
    table.write(read(1))
    table.configure(attributes=(), extra_attributes={f"other_{number}": "x" for number in range(100)})
    table.write(read(2))
    table.deleting(DELETE).delete(SUB, at(3), table.wire())
    assert len(requests) > 3
    for request in requests:
        for expression in (request["UpdateExpression"], request["ConditionExpression"]):
            assert len(expression) <= 4096
            assert len(re.findall(r"[<>=]+|AND|OR|attribute_not_exists", expression)) <= 300


def test_write_undoes_no_password_reset_by_a_lagging_page(table: Table) -> None:
    table.write(read(1, 1, status="RESET_REQUIRED"))
    table.write(read(5, 5))
    before = table.item()
    assert before["status"] == "CONFIRMED"
    # Asked after the reset was written, and still from before it.
    assert table.write(read(6, 1, status="RESET_REQUIRED")) == [Outcome.STALE]
    assert table.item() == before


def test_write_leaves_an_item_identical_at_a_repeat(table: Table) -> None:
    user = read(2, 1, name="Ada")
    table.write(user)
    before = table.item()
    assert table.write(user, user) == [Outcome.UNCHANGED, Outcome.UNCHANGED]
    assert table.item() == before


def test_write_leaves_an_unchanged_user_as_it_is(table: Table) -> None:
    # A reconciliation of a million users of whom ten changed writes ten items.
    table.write(read(2, 1, name="Ada"))
    before = table.item()
    assert table.users.outcome(read(9, 1, name="Ada"), table.users.read([SUB])[SUB]) is Outcome.UNCHANGED
    assert table.write(read(9, 1, name="Ada")) == [Outcome.UNCHANGED]
    assert table.item() == before


def test_write_updates_a_user_who_only_was_disabled(table: Table) -> None:
    table.write(read(2, 1))
    assert table.write(read(4, 3, enabled=False)) == [Outcome.UPDATED]
    assert table.item()["enabled"] is False


def test_write_removes_an_attribute_that_the_user_emptied(table: Table) -> None:
    assert table.write(read(1, name="Ada", email="ada@example.com"), read(2, name="Ada")) == [
        Outcome.CREATED,
        Outcome.UPDATED,
    ]
    assert "email" not in table.item()
    assert table.item()["synced_attributes"] == synced("name")
    assert table.write(read(3, name="Ada")) == [Outcome.UNCHANGED]


def test_write_takes_reserved_words_and_names_with_colons(moto: DynamoDBClient) -> None:
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
    table = Table(moto, dataclasses.replace(LAYOUT, attributes=names))
    values: dict[str, Any] = {name: f"value of {name}" for name in names}
    table.write(read(1), read(2, **values))
    assert {name: table.item()[name] for name in names} == values
    table.write(read(3))
    assert table.item().keys().isdisjoint(names)


def test_requests_with_seventy_attributes_fit(client: DynamoDBClient) -> None:
    # As many as the module's variable takes. DynamoDB allows 4 KB and 300 operators in an expression; moto any.
    names = tuple(f"custom:{number:020}" for number in range(70))
    extras = {f"extra{number}": "{username}" for number in range(20)}
    users = UserTable(client, NAME, dataclasses.replace(LAYOUT, attributes=names, extra_attributes=extras))
    # The names of an earlier configuration, all of which go.
    found: Any = {
        "synced_attributes": {"SS": [f"before_{name}" for name in (*names, *extras, *FROM_COGNITO)]},
        "deleted_at": {"S": at(0)},
    }
    values: dict[str, Any] = dict.fromkeys(names, "x")
    requests = [users._update(read(2, 1, **values), {}), users._update(read(2, 1, **values), found)]
    requests.append(dataclasses.replace(users, deletion=DeletionPolicy(DELETE))._deletion(SUB, at(1), found))
    for expression in (request[f"{kind}Expression"] for request in requests for kind in ("Update", "Condition")):
        assert len(expression.encode()) <= 4096
        assert len(re.findall(r"<>|<=|<|=|OR|AND|attribute_\w+|if_not_exists", expression)) <= 300


def test_write_removes_an_emptied_index_key(indexed_table: Table) -> None:
    table = indexed_table
    table.write(read(1, email="ada@example.com"))
    assert table.write(read(2, name="Ada")) == [Outcome.UPDATED]
    assert "email" not in table.item()
    assert table.item()["name"] == "Ada"


def test_write_leaves_out_an_index_key_that_is_too_long(indexed_table: Table) -> None:
    table = indexed_table
    table.write(read(1, email="a" * 1024))
    assert table.item()["email"] == "a" * 1024
    table.write(read(2, email="é" * 513))
    assert "email" not in table.item()


def test_write_takes_the_longest_values_of_cognito(table: Table) -> None:
    longest: dict[str, Any] = dict.fromkeys(ATTRIBUTES, "😀" * 2048)
    table.write(read(1, **longest))
    assert longest.items() <= table.item().items()


# Attributes of the application.


def test_write_and_delete_touch_nothing_of_the_application(single_table: Table) -> None:
    table = single_table
    table.put(**THEIRS)
    theirs = table.wire()

    def untouched() -> bool:
        return theirs.items() <= table.wire().items()

    assert table.write(read(1, name="Ada", email="ada@example.com"), read(3, 2, name="Ada L.")) == [
        Outcome.CREATED,
        Outcome.UPDATED,
    ]
    assert untouched()
    assert table.wire()["cognito_name"] == {"S": "Ada L."}
    assert table.delete(4) is Outcome.DELETED
    assert untouched()
    table.remove()
    table.put(**THEIRS)
    table.write(read(5, 4, name="Ada"))
    assert table.delete(6, DELETE) is Outcome.DELETED
    assert untouched()


def test_write_leaves_a_value_that_cognito_does_not_have(table: Table) -> None:
    # Of the application, though it has the name of a synced attribute.
    table.put(name={"S": "theirs"}, email={"N": "7"})
    assert table.write(read(1)) == [Outcome.CREATED]
    assert table.write(read(2, 1)) == [Outcome.UPDATED]
    assert table.wire()["name"] == {"S": "theirs"}
    assert table.wire()["email"] == {"N": "7"}
    assert table.delete(3, DELETE) is Outcome.DELETED
    assert table.item() == {"id": SUB, "name": "theirs", "email": "7", "user_pool_id": POOL_ID, "deleted_at": at(3)}


def test_write_takes_over_a_name_for_which_cognito_has_a_value(table: Table) -> None:
    table.put(name={"S": "theirs"}, status={"N": "7"})
    assert table.write(read(1, name="Ada")) == [Outcome.UPDATED]
    assert {"name": "Ada", "status": "CONFIRMED"}.items() <= table.item().items()


def test_write_leaves_the_ttl_of_the_application(table: Table) -> None:
    ttl = {"expires_at": {"N": "1900000000"}}
    table.put(**ttl)
    table.write(read(1, name="Ada"), read(2, 1))
    assert ttl.items() <= table.wire().items()


# An item of another pool.


@pytest.mark.parametrize("action", DELETING)
def test_write_and_delete_leave_an_item_of_another_pool(single_table: Table, action: DeletedUsers) -> None:
    table = single_table
    table.of_other_pool().write(read(1, name="Ada"))
    before = table.wire()
    user = read(9, 8, name="Eve")
    assert table.users.outcome(user, table.users.read([SUB])[SUB]) is Outcome.OTHER_POOL
    assert table.write(user) == [Outcome.OTHER_POOL]
    assert table.delete(9, action, 30 if action is MARK else None) is Outcome.NOT_OURS
    # Nor if the item became one of another pool after it was read.
    ours: Any = {"cognito_user_pool_id": {"S": POOL_ID}, "cognito_username": {"S": "ada"}}
    assert table.deleting(action).delete(SUB, at(9), ours) is Outcome.NOT_OURS
    assert table.wire() == before


@pytest.mark.parametrize("action", DELETING)
def test_write_leaves_a_deleted_user_of_another_pool(table: Table, action: DeletedUsers) -> None:
    other = table.of_other_pool()
    other.write(read(1))
    found = other.read([SUB])[SUB]
    dataclasses.replace(other, deletion=DeletionPolicy(action)).delete(SUB, at(2), found)
    before = table.wire()
    assert table.write(read(9, 8)) == [Outcome.OTHER_POOL]
    assert table.wire() == before


def test_active_subs_are_those_of_one_pool(table: Table) -> None:
    other_sub = f"b5{SUB[2:]}"
    table.write(read(1))
    table.of_other_pool().write(dataclasses.replace(read(1), sub=other_sub))
    assert table.active() == [SUB]
    assert table.of_other_pool().active_subs("b") == ([other_sub], None)


# A change of the configuration.


@pytest.mark.parametrize(
    ("changes", "gone", "added"),
    [
        ({"attributes": ("name",)}, {"cognito_email", "plan", "GSI1PK"}, {}),
        (
            {"attribute_names": {"email": "mail"}},
            {"cognito_email", "plan"},
            {"mail": "e", "cognito_custom:plan": "gold"},
        ),
        ({"attribute_names": {"custom:plan": "plan", "username": "who"}}, {"cognito_username"}, {"who": "ada"}),
        ({"extra_attributes": {"entity": "Person"}}, {"GSI1PK"}, {"entity": "Person"}),
        ({"index_keys": frozenset({"plan"})}, set(), {}),
    ],
    ids=["dropped", "renamed", "field-renamed", "extra-changed", "index-added"],
)
def test_write_removes_what_the_configuration_lost(
    single_table: Table, changes: Any, gone: set[str], added: dict[str, str]
) -> None:
    table = single_table
    table.put(theme={"S": "dark"}, email={"S": "theirs"})
    user = read(2, 1, name="n", email="e", **GOLD)
    table.write(user)
    before = table.item()
    assert gone <= before.keys()
    if "attributes" in changes:
        changes["extra_attributes"] = {"entity": "User"}
    table.configure(**changes)
    # The user is the same, and is written because of the configuration.
    again = dataclasses.replace(user, observed_at=at(3))
    expected = [Outcome.UPDATED] if gone or added else [Outcome.UNCHANGED]
    assert [table.users.outcome(again, table.users.read([SUB])[SUB])] == expected
    assert table.write(again) == expected
    after = table.item()
    assert {**before, **added}.keys() - gone == after.keys()
    assert added.items() <= after.items()
    assert {"theme": "dark", "email": "theirs"}.items() <= after.items()
    assert table.write(dataclasses.replace(user, observed_at=at(4))) == [Outcome.UNCHANGED]


@pytest.mark.parametrize(
    "changes",
    [
        {"attributes": (), "extra_attributes": {}},
        {"attribute_names": {"email": "mail", "custom:plan": "theme2"}},
    ],
    ids=["dropped", "renamed"],
)
def test_delete_removes_what_the_configuration_lost(single_table: Table, changes: Any) -> None:
    table = single_table
    table.put(theme={"S": "dark"}, name={"S": "theirs"})
    table.write(read(2, 1, name="n", email="e", **GOLD))
    table.configure(**changes)
    assert table.delete(3, DELETE) is Outcome.DELETED
    assert table.item() == {
        "PK": f"USER#{SUB}",
        "SK": "PROFILE",
        "theme": "dark",
        "name": "theirs",
        "cognito_user_pool_id": POOL_ID,
        "cognito_deleted_at": at(3),
    }


# An item that was read before.


def test_write_takes_one_call_for_an_item_as_it_was_read(aws: FakeAws) -> None:
    aws.on("dynamodb.UpdateItem", Response())
    users = _users(aws)
    for found in ({}, OURS, {**OURS, "deleted_at": {"S": at(0)}}):
        users.write(read(9, name="Ada"), found)
    assert len(aws.calls) == 3


@pytest.mark.parametrize("read_at", range(4))
def test_write_ends_alike_whenever_the_item_was_read(table: Table, read_at: int) -> None:
    found: list[Any] = [{}]
    for act in (
        lambda: table.write(read(1, name="Ada", email="a")),
        lambda: table.delete(3, MARK, retention_days=60),
        lambda: table.write(read(5, 4, email="a", **GOLD)),
    ):
        act()
        found.append(table.users.read([SUB])[SUB])
    assert table.users.write(read(6, name="Ada"), found[read_at]) is Outcome.STALE
    assert table.users.write(read(7, 5, name="Ada"), found[read_at]) is Outcome.UPDATED
    assert table.item() == {
        **{name: ANY for name in ("id", *FROM_COGNITO, *BOOKKEEPING) if name != "deleted_at"},
        "name": "Ada",
        "synced_attributes": synced("name"),
    }
    assert table.users.write(read(8, 5, name="Ada"), found[read_at]) is Outcome.UNCHANGED


# Other writers.


def test_write_removes_attributes_of_another_writer(table: Table) -> None:
    table.write(read(1, name="Ada"))
    table.before_writes(lambda: table.write(read(2, name="Ada", email="a")), lambda: table.write(read(3, **GOLD)))
    assert table.write(read(4, 1, name="Ada")) == [Outcome.UPDATED]
    assert table.item().keys() & {*ATTRIBUTES} == {"name"}
    assert table.item()["synced_attributes"] == synced("name")


def test_write_leaves_what_another_pool_wrote_meanwhile(table: Table) -> None:
    table.before_writes(lambda: table.of_other_pool().write(read(1, name="Eve")))
    assert table.write(read(4, 1, name="Ada")) == [Outcome.OTHER_POOL]
    assert table.item()["name"] == "Eve"


def test_write_revives_no_user_who_is_deleted_meanwhile(table: Table) -> None:
    table.write(read(1, name="Ada"))
    table.before_writes(lambda: table.write(read(2, name="Ada", email="a")), lambda: table.delete(5, DELETE))
    assert table.write(read(4, 1, name="Ada")) == [Outcome.DELETED]
    assert table.item() == {"id": SUB, "user_pool_id": POOL_ID, "deleted_at": at(5)}


@pytest.mark.parametrize("action", DELETING)
def test_delete_leaves_a_user_who_was_seen_meanwhile(table: Table, action: DeletedUsers) -> None:
    table.write(read(1, name="Ada"))
    found = table.users.read([SUB])[SUB]
    table.write(read(4, 1, name="Ada L."))
    before = table.item()
    assert table.deleting(action).delete(SUB, at(3), found) is Outcome.STALE
    assert table.item() == before


@pytest.mark.parametrize("action", [DELETE, DELETE_ITEM])
@pytest.mark.parametrize("before", [MARK, DELETE])
def test_delete_removes_what_an_earlier_deletion_left(table: Table, before: DeletedUsers, action: DeletedUsers) -> None:
    table.write(read(1, name="Ada"))
    assert table.delete(2, before, retention_days=30) is Outcome.DELETED
    expected = Outcome.UNCHANGED if before is action else Outcome.DELETED
    assert table.delete(3, action) is expected
    assert table.delete(4, action) is Outcome.UNCHANGED
    kept = {"id", "user_pool_id", "deleted_at"}
    assert table.item().keys() == (kept if action is DELETE else {*kept, "expires_at", "synced_attributes"})


def test_delete_lets_a_tombstone_expire(table: Table) -> None:
    table.write(read(1, name="Ada"))
    assert table.delete(2, DELETE_ITEM) is Outcome.DELETED
    before = table.wire()
    assert table.delete(3, DELETE) is Outcome.UNCHANGED
    assert table.wire() == before


def test_delete_removes_attributes_of_another_writer(table: Table) -> None:
    table.put(theme={"S": "dark"})
    table.write(read(1, name="Ada"))
    found = table.users.read([SUB])[SUB]
    table.write(read(2, name="Ada", email="a"))
    table.before_writes(lambda: None, lambda: table.write(read(3, **GOLD)))
    assert table.deleting(DELETE).delete(SUB, at(4), found) is Outcome.DELETED
    assert table.item() == {"id": SUB, "theme": "dark", "user_pool_id": POOL_ID, "deleted_at": at(4)}


@pytest.mark.parametrize("action", DELETING)
def test_delete_keeps_the_date_of_a_deletion_meanwhile(table: Table, action: DeletedUsers) -> None:
    table.write(read(1, name="Ada"))
    found = table.users.read([SUB])[SUB]
    table.delete(2, action)
    before = table.item()
    assert table.deleting(action).delete(SUB, at(3), found) is Outcome.UNCHANGED
    assert table.item() == before


def test_delete_creates_no_item_that_was_removed(table: Table) -> None:
    table.write(read(1, name="Ada"))
    found = table.users.read([SUB])[SUB]
    table.remove()
    assert [table.deleting(action).delete(SUB, at(3), found) for action in DELETING] == [Outcome.NOT_OURS] * 3
    assert table.item() == {}


# What becomes of a deleted user.


@pytest.mark.parametrize("action", DELETING)
@pytest.mark.parametrize("deleted", [2.001, 3, 4], ids=["deleted-before", "deleted-at-that-moment", "deleted-after"])
def test_write_never_resurrects_a_deleted_user(table: Table, deleted: float, action: DeletedUsers) -> None:
    """ListUsers may show a deleted user for a while: here for almost an hour."""
    table.write(read(1))
    table.delete(deleted, action)
    before = table.item()
    assert table.write(read(3, 2, name="Ada")) == [Outcome.DELETED]
    assert table.item() == before
    assert table.active() == []


@pytest.mark.parametrize(("action", "retention_days"), [(MARK, 60), (MARK, None), (DELETE, None), (DELETE_ITEM, None)])
@pytest.mark.parametrize("modified", [1, 4], ids=["modified-before", "modified-after"])
def test_write_revives_a_user_seen_long_after_the_deletion(
    table: Table, modified: int, action: DeletedUsers, retention_days: int | None
) -> None:
    table.write(read(1, email="a"))
    table.delete(4, action, retention_days)
    assert table.write(read(5, modified, name="Ada")) == [Outcome.UPDATED]
    assert table.item().keys() == {
        *("id", "name", *FROM_COGNITO, *BOOKKEEPING),
    } - {"deleted_at"}
    assert table.active() == [SUB]


def test_write_revives_a_user_who_differs_in_the_deletion_alone(table: Table) -> None:
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


@pytest.mark.parametrize(
    ("retention_days", "ends"), [(None, {}), (60, {"ttl": str(NOW + 60 * DAY)})], ids=["for-ever", "60-days"]
)
def test_delete_marks_a_user_and_keeps_all_else(
    single_table: Table, retention_days: int | None, ends: dict[str, str]
) -> None:
    table = single_table
    table.put(theme={"S": "dark"}, deleted_at={"S": "theirs"})
    table.write(read(2, 1, name="Ada"))
    before = table.item()
    assert table.delete(3, MARK, retention_days) is Outcome.DELETED
    after = table.item()
    assert after["cognito_synced_at"] > before["cognito_synced_at"]
    del before["cognito_shard"]
    # So that a later write removes the TTL again.
    before["cognito_synced_attributes"] = sorted({*before["cognito_synced_attributes"], *ends})
    after["cognito_synced_attributes"].sort()
    assert after == {
        **before,
        "cognito_status": "DELETED",
        "cognito_enabled": False,
        "cognito_synced_at": after["cognito_synced_at"],
        "cognito_deleted_at": at(3),
        **ends,
    }
    assert table.active() == []


@pytest.mark.parametrize("is_own", [True, False])
def test_delete_takes_a_user_out_of_the_modules_index_only(indexed_table: Table, is_own: bool) -> None:
    table = indexed_table
    table.configure(extra_attributes={"email_lower": "{email|lower}"}, index_keys={"email_lower"})
    table.users = dataclasses.replace(table.users, is_own=is_own)
    table.write(read(2, 1, email="Ada@example.com"))
    assert table.delete(3, MARK) is Outcome.DELETED
    assert table.item()["email"] == "Ada@example.com"
    assert ("email_lower" in table.item()) is not is_own
    assert table.write(read(5, 1, email="Ada@example.com")) == [Outcome.UPDATED]
    assert table.item()["email_lower"] == "ada@example.com"
    assert table.item()["status"] == "CONFIRMED"


def test_delete_leaves_a_status_of_the_application(single_table: Table) -> None:
    """The names were changed since the item was written."""
    table = single_table
    table.write(read(2, 1, name="Ada"))
    table.configure(attribute_names={**table.layout.attribute_names, "status": "theirs", "enabled": "their_flag"})
    table.put(**{**table.wire(), "theirs": {"S": "gold"}})
    assert table.delete(3, MARK) is Outcome.DELETED
    assert table.item()["theirs"] == "gold"
    assert "their_flag" not in table.item()


def test_delete_leaves_the_application_its_item(indexed_table: Table) -> None:
    table = indexed_table
    table.put(theme={"S": "dark"}, expires_at={"N": "1900000000"})
    table.write(read(2, 1, name="Ada", email="ada@example.com"))
    assert table.delete(3, DELETE) is Outcome.DELETED
    assert table.wire() == {
        "id": {"S": SUB},
        "theme": {"S": "dark"},
        "expires_at": {"N": "1900000000"},
        "user_pool_id": {"S": POOL_ID},
        "deleted_at": {"S": at(3)},
    }
    assert table.active() == []


def test_delete_of_the_item_leaves_a_tombstone_that_expires(single_table: Table) -> None:
    table = single_table
    table.put(**THEIRS)
    table.write(read(2, 1, name="Ada", email="ada@example.com"))
    assert table.delete(3, DELETE_ITEM) is Outcome.DELETED
    assert table.wire() == {
        "PK": {"S": f"USER#{SUB}"},
        "SK": {"S": "PROFILE"},
        "cognito_user_pool_id": {"S": POOL_ID},
        "cognito_deleted_at": {"S": at(3)},
        "cognito_synced_attributes": {"SS": ["ttl"]},
        "ttl": {"N": str(NOW + DAY)},
    }
    assert table.active() == []


def test_delete_sets_the_ttl_in_seconds_as_dynamodb_wants_it(table: Table) -> None:
    table.write(read(1))
    table.delete(2, MARK, retention_days=1)
    assert table.wire()["expires_at"] == {"N": str(NOW + DAY)}


@pytest.mark.parametrize("action", DeletedUsers)
@pytest.mark.parametrize("item", [{}, {"theme": {"S": "dark"}}, {"username": {"S": "ada"}}], ids=["no", "app", "names"])
def test_delete_leaves_an_item_that_was_never_synced(table: Table, item: Any, action: DeletedUsers) -> None:
    if item:
        table.put(**item)
    before = table.wire()
    assert table.delete(3, action) is (Outcome.KEPT if action is KEEP else Outcome.NOT_OURS)
    assert table.wire() == before


@pytest.mark.parametrize("action", DELETING)
def test_delete_of_no_item_makes_no_call(aws: FakeAws, action: DeletedUsers) -> None:
    assert _users(aws, action).delete(SUB, at(3), {}) is Outcome.NOT_OURS
    assert aws.calls == []


def test_delete_leaves_a_user_who_is_to_be_kept(table: Table) -> None:
    table.write(read(1, name="Ada"))
    before = table.item()
    assert table.delete(3, KEEP) is Outcome.KEPT
    assert table.item() == before


@pytest.mark.parametrize("action", DELETING)
def test_delete_changes_nothing_of_a_known_deletion(table: Table, action: DeletedUsers) -> None:
    # It keeps its date and its end, too: else each reconciliation would put the end off.
    table.write(read(1, name="Ada"))
    table.delete(3, action, retention_days=60)
    before = table.item()
    assert [table.delete(hour, action, retention_days=90) for hour in (2, 3, 4)] == [Outcome.UNCHANGED] * 3
    assert table.item() == before


@pytest.mark.parametrize("action", DELETING)
def test_delete_leaves_a_user_who_was_seen_since(table: Table, action: DeletedUsers) -> None:
    table.write(read(4, name="Ada"))
    before = table.item()
    assert table.delete(3, action) is Outcome.STALE
    assert table.item() == before


@pytest.mark.parametrize("action", DELETING)
def test_delete_takes_a_user_seen_in_that_moment(table: Table, action: DeletedUsers) -> None:
    table.write(read(3, name="Ada"))
    assert table.delete(3, action) is Outcome.DELETED
    assert table.active() == []


# Reading.


def test_read_returns_items_by_sub(single_table: Table) -> None:
    table = single_table
    subs = [f"{number:08x}{SUB[8:]}" for number in range(100)]
    for sub in subs[:2]:
        table.write(dataclasses.replace(read(2, 1, name="Ada"), sub=sub))
    found = table.users.read(subs)
    assert found.keys() == set(subs[:2])
    assert found[subs[0]]["PK"] == {"S": f"USER#{subs[0]}"}


def test_read_returns_all_that_is_ours_and_nothing_else(single_table: Table) -> None:
    table = single_table
    table.put(theme={"S": "dark"}, name={"S": "theirs"})
    table.write(read(2, 1, name="Ada", email="ada@example.com"))
    active = table.item()
    ours = active.keys() - {"theme", "name"}
    found = table.users.read([SUB])[SUB]
    assert {name: plain(value) for name, value in found.items()} == {name: active[name] for name in ours}
    table.delete(3, MARK, retention_days=60)
    assert table.users.read([SUB])[SUB].keys() == (ours - {"cognito_shard"}) | {"cognito_deleted_at", "ttl"}


@pytest.mark.parametrize("layout", [LAYOUT, SINGLE_TABLE], ids=["id", "single-table"])
def test_active_subs_lists_by_prefix_in_order(moto: DynamoDBClient, layout: ItemLayout) -> None:
    table = Table(moto, layout)
    for beginning in ("b4", "b40", "b3", "a4", "b41"):
        table.write(dataclasses.replace(read(1), sub=beginning + SUB[len(beginning) :]))
    table.delete(2)
    b3, b40, b41, b4c = (f"{beginning}{SUB[len(beginning) :]}" for beginning in ("b3", "b40", "b41", "b4c"))
    assert b4c == SUB
    assert table.users.active_subs("b") == ([b3, b40, b41], None)
    assert table.users.active_subs("b4") == ([b40, b41], None)
    assert table.users.active_subs("b40") == ([b40], None)
    assert table.users.active_subs("c") == ([], None)


# Any history.

_VALUES = st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(["", "a", "a" * 1025]))
_READS = st.builds(
    lambda hour, modified, enabled, values: read(hour, modified, enabled=enabled, **values),
    st.integers(0, 8),
    st.integers(0, 2),
    st.booleans(),
    _VALUES,
)
_DELETIONS = st.tuples(st.integers(0, 9), st.sampled_from(DELETING))
_CHANGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "attributes": st.sampled_from([("name",), ("name", "custom:plan")]),
        "attribute_names": st.sampled_from([{"name": "nickname"}, {"email": "name", "name": "email"}]),
        "index_keys": st.just(frozenset[str]()),
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(_READS | _DELETIONS, max_size=3),
    theirs=st.booleans(),
    changes=st.just({}) | _CHANGES,
    user=_READS,
    looks_again=st.booleans(),
    other_pool=st.sampled_from([False, False, False, True]),
)
def test_outcome_is_what_write_returns(
    indexed_table: Table,
    history: list[User | tuple[int, DeletedUsers]],
    theirs: bool,
    changes: dict[str, Any],
    user: User,
    looks_again: bool,
    other_pool: bool,
) -> None:
    table = indexed_table
    users = table.users
    table.remove()
    if theirs:
        table.put(email={"S": "theirs"}, theme={"S": "dark"})
    for happened in history:
        if isinstance(happened, User):
            table.write(happened)
        else:
            table.delete(*happened)
    seen_before = [happened for happened in history if isinstance(happened, User)]
    if seen_before and looks_again:
        user = dataclasses.replace(seen_before[-1], observed_at=at(9))
    try:
        table.configure(**changes)
        writer = table.of_other_pool() if other_pool else table.users
        item, before = writer.read([SUB]).get(SUB, {}), table.wire()
        outcome = writer.outcome(user, item)
        assert writer.write(user) is outcome
        assert (table.wire() != before) is (outcome in (Outcome.CREATED, Outcome.UPDATED))
    finally:
        table.users = users


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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=_histories(),
    deleted=st.none() | st.integers(0, 23),
    action=st.sampled_from(DELETING),
    data=st.data(),
)
def test_any_order_ends_in_the_state_of_the_newest_answer(
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
    table.remove()

    for arrival in arrivals:
        if isinstance(arrival, int):
            table.delete(arrival, action, retention_days=60)
        else:
            table.write(arrival)

    newest, item = history[-1], table.item()
    if deleted is not None and newest.observed_at <= at(deleted):
        assert item["deleted_at"] == at(deleted)
        assert table.active() == []
        return
    assert {"deleted_at", "expires_at"}.isdisjoint(item)
    assert table.active() == [SUB]
    held = {name: value for name, value in newest.attributes.items() if value}
    assert {name: item[name] for name in item.keys() & {*ATTRIBUTES}} == held
    assert (item["status"], item["enabled"]) == (newest.status, newest.enabled)
    assert item["cognito_modified_at"] == newest.modified_at


# Items of an application, and deletions, that a write finds.


def test_write_revives_no_user_whose_item_was_read_as_deleted(table: Table) -> None:
    table.write(read(1))
    table.delete(3, MARK)
    found = table.users.read([SUB])[SUB]
    assert table.users.write(read(3, 2, name="Ada"), found) is Outcome.DELETED


@pytest.mark.parametrize("action", [MARK, DELETE])
def test_write_of_a_revived_user_leaves_the_ttl_of_the_application(table: Table, action: Any) -> None:
    ttl = {"expires_at": {"N": "1900000000"}}
    table.put(**ttl)
    table.write(read(1))
    table.delete(2, action)  # sets no TTL
    assert ttl.items() <= table.wire().items()
    table.write(read(5, 4))
    assert ttl.items() <= table.wire().items()


@pytest.mark.parametrize(
    "theirs",
    [
        {"cognito_modified_at": {"N": "7"}},
        {"cognito_modified_at": {"S": "2027-01-01"}},
        {"cognito_modified_at": {"S": at(0.5)}},
        {"observed_at": {"N": "7"}, "cognito_modified_at": {"S": at(1)}},
        {"synced_attributes": {"S": "x"}},
        {"synced_attributes": {"SS": ["theme"]}, "theme": {"S": "dark"}},
        {"deleted_at": {"S": "9999"}},
        {"deleted_at": {"NULL": True}, "expires_at": {"N": "1900000000"}},
        {"synced_at": {"N": "7"}},
    ],
    ids=repr,
)
def test_first_contact_with_names_like_ours(table: Table, theirs: Any) -> None:
    # attribute_prefix = "", or a field renamed to the application's updatedAt.
    table.put(**theirs)
    user = read(2, 1, name="Ada")
    foretold = table.users.outcome(user, table.users.read([SUB])[SUB])
    assert table.users.write(user) is foretold
    assert foretold in (Outcome.CREATED, Outcome.UPDATED)
    assert {name: table.wire().get(name) for name in theirs.keys() & {"theme", "expires_at"}} == {
        name: theirs[name] for name in theirs.keys() & {"theme", "expires_at"}
    }


def test_delete_takes_an_item_without_synced_attributes(table: Table) -> None:
    table.write(read(1, name="Ada"))
    table.client.update_item(TableName="users", Key={"id": {"S": SUB}}, UpdateExpression="REMOVE synced_attributes")
    assert table.delete(2, DELETE) is Outcome.DELETED


# How it fails. moto never does.


SUBS = [f"{number:08x}{SUB[8:]}" for number in range(3)]
OURS: dict[str, Any] = {"user_pool_id": {"S": POOL_ID}, "synced_attributes": {"SS": ["name"]}}


def _users(aws: FakeAws, action: DeletedUsers = MARK) -> UserTable:
    client = aws.session.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
    return UserTable(client, NAME, LAYOUT, DeletionPolicy(action))


def _condition_failed(**item: dict[str, Any]) -> Response:
    shown: dict[str, Any] = {"Item": item} if item else {}
    return error_response("ConditionalCheckFailedException", **shown)


@pytest.mark.parametrize("action", DELETING)
def test_delete_leaves_an_item_that_is_newer_than_was_read(aws: FakeAws, action: DeletedUsers) -> None:
    # The condition that it is ours and the one of its date are of one write.
    newer = _condition_failed(**OURS, observed_at={"S": at(4)})
    aws.on("dynamodb.UpdateItem", newer)
    aws.on("dynamodb.PutItem", newer)
    assert _users(aws, action).delete(SUB, at(3), OURS) is Outcome.STALE
    assert len(aws.calls) == 1


def test_delete_says_in_the_second_attempt_what_to_remove(aws: FakeAws) -> None:
    changed = {**OURS, "synced_attributes": {"SS": ["email"]}}
    aws.on("dynamodb.UpdateItem", _condition_failed(**changed), Response())
    assert _users(aws, DELETE).delete(SUB, at(3), OURS) is Outcome.DELETED
    first, second = ({*call.body["ExpressionAttributeNames"].values()} for call in aws.calls)
    assert first ^ second == {"name", "email"}


@pytest.mark.parametrize("call", ["write", "delete", "delete_item"])
def test_write_raises_unavailable_if_the_item_keeps_changing(aws: FakeAws, call: str) -> None:
    operation, made = CALLS[call]
    numbers = count()
    aws.answers[operation] = lambda _: _condition_failed(**OURS, theme={"N": str(next(numbers))})
    with pytest.raises(TableUnavailableError, match="keep changing"):
        made(_users(aws))
    assert aws.operations == [operation] * user_table._ATTEMPTS


def test_write_fails_for_an_item_whose_types_are_not_ours(aws: FakeAws) -> None:
    """No retry would end, and the reconciliation continues with the next user."""
    aws.answers["dynamodb.UpdateItem"] = lambda _: _condition_failed(**OURS, cognito_modified_at={"N": "1"})
    with pytest.raises(TableRejectedError, match="type"):
        _users(aws).write(read(1, name="Ada"))


def test_write_sets_a_name_that_the_item_got_from_cognito(table: Table) -> None:
    """As after a rename: an expression may not set and remove one name."""
    renamed = ItemLayout(POOL_ID, ATTRIBUTES, attribute_names={"custom:plan": "updated"})
    dataclasses.replace(table.users, layout=renamed).write(read(1, **GOLD))
    later = ItemLayout(POOL_ID, ATTRIBUTES, attribute_names={"synced_at": "updated"})
    assert dataclasses.replace(table.users, layout=later).write(read(2, 1, name="Ada")) is Outcome.UPDATED
    assert table.item()["updated"].startswith("2026-")


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
    "delete": ("dynamodb.UpdateItem", lambda users: users.delete(SUB, at(1), OURS)),
    "delete_item": (
        "dynamodb.PutItem",
        lambda users: dataclasses.replace(users, deletion=DeletionPolicy(DELETE_ITEM)).delete(SUB, at(1), OURS),
    ),
    "read": ("dynamodb.BatchGetItem", lambda users: users.read([SUB])),
    "active_subs": ("dynamodb.Query", lambda users: users.active_subs("b")),
}


@pytest.mark.parametrize(
    "answer",
    [
        error_response("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
        error_response("com.amazon.coral.availability#ThrottlingException"),
        error_response("RequestLimitExceeded"),
        error_response("TransactionConflictException"),
        error_response("InternalServerError", 500),
        error_response("ServiceUnavailable", 503),
        Response(b"<html>Bad gateway</html>", 502),
    ],
    ids=lambda answer: f"{answer.status}-{'html' if isinstance(answer.body, bytes) else answer.body['__type']}",
)
@pytest.mark.parametrize("call", CALLS)
def test_throttled_call_raises_table_unavailable_error(aws: FakeAws, call: str, answer: Response) -> None:
    operation, made = CALLS[call]
    aws.on(operation, answer)
    with pytest.raises(TableUnavailableError):
        made(_users(aws))


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        EndpointConnectionError(endpoint_url="https://dynamodb", error="unreachable"),
        ConnectionClosedError(endpoint_url="https://dynamodb"),
        HTTPClientError(error="anything else"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("call", CALLS)
def test_unreachable_table_raises_table_unavailable_error(aws: FakeAws, call: str, error: BotoCoreError) -> None:
    operation, made = CALLS[call]
    aws.on(operation, error)
    with pytest.raises(TableUnavailableError, match=type(error).__name__):
        made(_users(aws))


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ValidationException"])
@pytest.mark.parametrize("call", CALLS)
def test_rejected_call_raises_table_rejected_error(aws: FakeAws, call: str, code: str) -> None:
    operation, made = CALLS[call]
    aws.on(operation, error_response(code, message="holds ada@example.com"))
    with pytest.raises(TableRejectedError) as raised:
        made(_users(aws))
    assert str(raised.value) == code


def test_read_asks_again_for_keys_that_were_left(aws: FakeAws) -> None:
    one, two, three = SUBS
    aws.on("dynamodb.BatchGetItem", _read_part([one], two, three), _read_part([two], three), _read_part([]))
    assert _users(aws).read(SUBS) == {one: {"id": {"S": one}}, two: {"id": {"S": two}}}
    asked = [call.body["RequestItems"][NAME] for call in aws.calls]
    assert [[key["id"]["S"] for key in part["Keys"]] for part in asked] == [[one, two, three], [two, three], [three]]


def test_read_of_which_nothing_is_answered_is_table_unavailable(aws: FakeAws) -> None:
    # A throttled table: no immediate retry.
    one, two, three = SUBS
    nothing, the_rest = _read_part([], two, three), _read_part([two, three])
    aws.on("dynamodb.BatchGetItem", _read_part([one], two, three), nothing, the_rest)
    with pytest.raises(TableUnavailableError):
        _users(aws).read(SUBS)
    assert aws.operations == ["dynamodb.BatchGetItem"] * 2


def test_read_leaves_out_an_item_that_was_not_asked_for(aws: FakeAws) -> None:
    items = [{"id": {"S": sub}} for sub in (SUB, SUBS[0], "another")]
    aws.on("dynamodb.BatchGetItem", Response({"Responses": {NAME: items}}))
    assert _users(aws).read([SUB]).keys() == {SUB}


def test_active_subs_says_where_the_next_page_starts(aws: FakeAws) -> None:
    last: Any = {"id": {"S": SUB}, "shard": {"S": f"{POOL_ID}#b"}}
    aws.on(
        "dynamodb.Query", Response({"Items": [], "LastEvaluatedKey": last}), Response({"Items": [{"id": {"S": SUB}}]})
    )
    users = _users(aws)
    assert users.active_subs("b") == ([], last)
    assert users.active_subs("b", last) == ([SUB], None)
    assert [call.body.get("ExclusiveStartKey") for call in aws.calls] == [None, last]


def test_active_subs_leaves_out_a_key_of_no_user(aws: FakeAws) -> None:
    # An application's own item, with an attribute `shard`.
    items = [{"id": {"S": 'b" or sub ^= "'}}, {"id": {"S": SUB}}]
    aws.on("dynamodb.Query", Response({"Items": items}))
    assert _users(aws).active_subs("b") == ([SUB], None)


def test_active_subs_leaves_out_a_copy_under_another_sort_key(aws: FakeAws) -> None:
    keys = [{"PK": {"S": f"USER#{SUB}"}, "SK": {"S": sort_key}} for sort_key in ("HISTORY#1", "PROFILE")]
    aws.on("dynamodb.Query", Response({"Items": keys}))
    assert dataclasses.replace(_users(aws), layout=SINGLE_TABLE).active_subs("b") == ([SUB], None)


# Groups, whose changes do not move UserLastModifiedDate.

WITH_GROUPS = dataclasses.replace(LAYOUT, sync_groups=True)


def in_groups(user: User, hour: float, *groups: str) -> User:
    """The user with the groups that Cognito returned at `hour`."""
    return dataclasses.replace(user, groups=frozenset(groups), groups_observed_at=at(hour))


@pytest.fixture(params=["own", "single-table"])
def table_with_groups(moto: DynamoDBClient, request: pytest.FixtureRequest) -> Table:
    layout = WITH_GROUPS if request.param == "own" else dataclasses.replace(SINGLE_TABLE, sync_groups=True)
    return Table(moto, layout)


def groups_in(table: Table) -> list[str] | None:
    """The groups in the item, None if it lacks the attribute."""
    return table.item().get(table.layout.name("groups"))


def test_write_creates_an_item_with_groups_in_one_call(table_with_groups: Table) -> None:
    table = table_with_groups
    table.before_writes(lambda: None)
    assert table.write(in_groups(read(1, name="Ada"), 1, "b", "a")) == ["created"]
    item, name = table.item(), table.layout.name
    assert (item[name("groups")], item[name("groups_observed_at")]) == (["a", "b"], at(1))
    assert {name("groups"), name("groups_observed_at")} <= set(item[name("synced_attributes")])


def test_write_replaces_and_removes_groups(table_with_groups: Table) -> None:
    table = table_with_groups
    for hour, groups in enumerate((["a"], ["b", "c"], []), 1):
        table.write(in_groups(read(hour), hour, *groups))
        assert groups_in(table) == (groups or None)
    assert table.layout.name("groups") not in table.item()[table.layout.name("synced_attributes")]


def test_write_keeps_groups_that_were_not_read(table_with_groups: Table) -> None:
    """The reconciliation reads users without their groups."""
    table = table_with_groups
    table.write(in_groups(read(1, name="Ada"), 1, "a"), read(2, 2, name="Grace"))
    assert (groups_in(table), table.item()[table.layout.name("name")]) == (["a"], "Grace")
    assert table.write(read(3, 2, name="Grace")) == ["unchanged"]


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)], ids=["in order", "reversed"])
def test_write_keeps_the_later_read_of_groups(table_with_groups: Table, first: int, second: int) -> None:
    table, reads = table_with_groups, {1: "left", 2: "joined"}
    for hour in (first, second):
        table.write(in_groups(read(3), hour, reads[hour]))
    assert groups_in(table) == ["joined"]


def test_write_of_newer_groups_keeps_newer_attributes(table_with_groups: Table) -> None:
    table = table_with_groups
    table.write(in_groups(read(2, 2, name="Grace"), 2, "a"))
    assert table.write(in_groups(read(3, 1, name="Ada"), 3)) == ["updated"]
    assert (groups_in(table), table.item()[table.layout.name("name")]) == (None, "Grace")
    assert table.write(in_groups(read(3, 1, name="Ada"), 3)) == ["stale"]


def test_write_of_newer_attributes_keeps_newer_groups(table_with_groups: Table) -> None:
    table = table_with_groups
    table.write(in_groups(read(1, 1, name="Ada"), 3, "a"))
    assert table.write(in_groups(read(2, 2, name="Grace"), 2)) == ["updated"]
    assert (groups_in(table), table.item()[table.layout.name("name")]) == (["a"], "Grace")


def test_write_moves_the_time_of_groups_that_are_the_same(table_with_groups: Table) -> None:
    """Otherwise a delayed write of a read between the two would replace them."""
    table = table_with_groups
    table.write(in_groups(read(1), 1, "a"), in_groups(read(1), 3, "a"), in_groups(read(1), 2))
    assert groups_in(table) == ["a"]


def test_write_of_newer_groups_keeps_a_deletion_of_a_newer_user(table_with_groups: Table) -> None:
    table = table_with_groups
    table.write(in_groups(read(3, 3), 3, "a"))
    table.delete(4)
    before = table.item()
    assert table.write(in_groups(read(6, 2), 6, "b")) == ["stale"]
    assert table.item() == before


@pytest.mark.parametrize("action", [MARK, DELETE, DELETE_ITEM])
def test_deletion_keeps_or_removes_groups_like_attributes(table_with_groups: Table, action: DeletedUsers) -> None:
    table = table_with_groups
    table.write(in_groups(read(1), 1, "a"))
    assert table.delete(2, action) == "deleted"
    assert groups_in(table) == (["a"] if action is MARK else None)
    before = table.item()
    found = table.users.read([SUB])[SUB]
    assert table.write(in_groups(read(2), 2.5, "b")) == ["deleted"]
    assert table.users.write_groups(SUB, frozenset({"b"}), at(3), found) == "deleted"
    assert table.users.replace_groups(SUB, frozenset({"b"}), found) == "stale"
    assert table.item() == before


def test_write_removes_groups_when_they_are_no_longer_synced(table_with_groups: Table) -> None:
    table = table_with_groups
    table.write(in_groups(read(1), 1, "a"))
    names = [table.layout.name(field) for field in ("groups", "groups_observed_at")]
    table.configure(sync_groups=False)
    assert table.write(read(2)) == ["updated"]
    assert table.item().keys().isdisjoint(names)


def test_groups_of_another_pool_are_not_written(table_with_groups: Table) -> None:
    table = table_with_groups
    table.of_other_pool().write(in_groups(read(1), 1, "theirs"))
    before, found = table.item(), table.users.read([SUB])[SUB]
    assert table.write(in_groups(read(2), 2, "ours")) == ["other_pool"]
    assert table.users.write_groups(SUB, frozenset({"ours"}), at(2), found) == "not_ours"
    assert table.users.replace_groups(SUB, frozenset({"ours"}), found) == "stale"
    assert table.item() == before


def test_attribute_groups_of_an_application_stays(table_with_groups: Table) -> None:
    """Unless the user has groups: then this module's value replaces it, as for each of its names."""
    table = table_with_groups
    theirs = {table.layout.name("groups"): {"SS": ["theirs"]}}
    table.put(**theirs)
    table.write(in_groups(read(1), 1))
    assert groups_in(table) == ["theirs"]
    assert table.layout.groups(table.users.read([SUB])[SUB]) == frozenset()


def test_replace_groups_keeps_their_time_and_writes_only_what_it_read(table_with_groups: Table) -> None:
    table = table_with_groups
    table.write(in_groups(read(1), 1, "a"))
    found = table.users.read([SUB], fields=["user_pool_id", "synced_attributes", "groups", "groups_observed_at"])[SUB]
    assert table.users.replace_groups(SUB, frozenset({"a", "b"}), found) == "updated"
    assert (groups_in(table), table.item()[table.layout.name("groups_observed_at")]) == (["a", "b"], at(1))
    assert table.users.replace_groups(SUB, frozenset(), found) == "stale"
    assert groups_in(table) == ["a", "b"]
