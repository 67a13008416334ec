"""Attributes of an application stay as they are, whatever happens to its users and to the configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from cognito_user_sync.item_layout import BOOKKEEPING, FROM_COGNITO, GROUPS, ItemLayout, Key, marshal
from cognito_user_sync.user import User, timestamp
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome, UserTable
from tests.samples import OTHER_SUB, POOL_ID, SUB, TABLE, table_definition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Wire: TypeAlias = dict[str, Any]
"""An item, or attributes of one, as DynamoDB returns them."""

POOLS = (POOL_ID, "eu-central-1_other")
KEYS = (
    (Key("id", "{sub}"), None),
    (Key("PK", "USER#{sub}"), Key("SK", "PROFILE")),
    (Key("pk", "{user_pool_id}#{sub}"), Key("sk", "{user_pool_id}")),
)
ATTRIBUTES = ("name", "email", "custom:plan", "theme")
FIELDS = (*ATTRIBUTES, *FROM_COGNITO, *BOOKKEEPING, *GROUPS)
PREFIXES = ("", "cognito_", "#n0:")
# Also names of one configuration that mean something else in another one, and some of the application.
NAMES = ("name", "email", "mail", "updatedAt", "logins", "status")
TEMPLATES = ("User", "EMAIL#{email|lower}", "{username|upper}#{sub}", "{name}")
TTLS = ("expires_at", "ttl")

_SCALARS = st.one_of(
    st.builds(lambda value: {"S": value}, st.text(max_size=3)),
    st.builds(
        lambda value: {"N": str(value)}, st.integers(-99, 99) | st.sampled_from(["1.50", "-0.001", "1900000000"])
    ),
    st.builds(lambda value: {"B": value}, st.binary(max_size=3)),
    st.builds(lambda value: {"BOOL": value}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda value: {"SS": value}, st.lists(st.text(max_size=2), min_size=1, max_size=2, unique=True)),
    st.builds(lambda value: {"NS": value}, st.sampled_from([["1"], ["2", "1.5"]])),
    st.builds(lambda value: {"BS": value}, st.just([b"\x00", b"\xff"])),
)
_WIRE_VALUES: st.SearchStrategy[Wire] = st.recursive(
    _SCALARS,
    lambda values: st.one_of(
        st.builds(lambda value: {"L": value}, st.lists(values, max_size=2)),
        st.builds(lambda value: {"M": value}, st.dictionaries(st.sampled_from(["a", "email"]), values, max_size=2)),
    ),
    max_leaves=3,
)
# Most are named like attributes of this module, without a prefix or with one.
_THEIR_NAMES = (
    st.sampled_from(NAMES)
    | st.sampled_from(FIELDS)
    | st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from(FIELDS))
    | st.sampled_from(TTLS)
    | st.text(min_size=1, max_size=3)
)
_THEIRS = st.dictionaries(_THEIR_NAMES, _WIRE_VALUES, max_size=12)
_USERS = st.builds(
    lambda values, enabled, status, groups: {
        "attributes": values,
        "enabled": enabled,
        "status": status,
        "groups": groups,
    },
    st.dictionaries(st.sampled_from(ATTRIBUTES), st.sampled_from(["", "A", "É{sub}", "x" * 1025])),
    st.booleans(),
    st.sampled_from(["CONFIRMED", "RESET_REQUIRED"]),
    # None: the groups were not read.
    st.sampled_from([None, frozenset(), frozenset({"a"}), frozenset({"a", "b"})]),
)
_POLICIES = st.sampled_from(
    [DeletionPolicy(action) for action in DeletedUsers if action is not DeletedUsers.DELETE_ITEM]
    + [DeletionPolicy(DeletedUsers.DELETE), DeletionPolicy(DeletedUsers.MARK, retention_days=30)]
)


@dataclass(frozen=True)
class Operation:
    """Something that happens: Cognito says this of a user, or that it does not know the user; or the application writes
    an attribute of the item.

    Attributes:
        layout: The configuration, by its number.
        lag: Hours between Cognito's answer and now.
        reads_late: The item is read right before, and not before the operation before this one.
    """

    layout: int
    what: dict[str, Any] | DeletionPolicy | tuple[str, Wire]
    pool: str
    lag: int
    reads_late: bool


_OPERATIONS = st.builds(
    Operation,
    layout=st.integers(0, 2),
    what=_USERS | _POLICIES | st.tuples(_THEIR_NAMES, _WIRE_VALUES),
    pool=st.sampled_from((*POOLS, *POOLS[:1] * 3)),
    lag=st.sampled_from((0, 0, 0, 1, 3)),
    reads_late=st.sampled_from((True, True, False)),
)


@st.composite
def _layouts(draw: st.DrawFn) -> list[ItemLayout]:
    """Configurations of one deployment. The keys and the names of the bookkeeping never change."""
    partition_key, sort_key = draw(st.sampled_from(KEYS))
    prefix, ttl = draw(st.sampled_from(PREFIXES)), draw(st.sampled_from(TTLS))
    bookkeeping = draw(st.sampled_from([{}, {"synced_at": "syncedAt", "deleted_at": "isDeleted", "shard": "s"}]))

    @st.composite
    def layouts(draw: st.DrawFn) -> ItemLayout:
        attributes = draw(st.lists(st.sampled_from(ATTRIBUTES), unique=True))
        renamed = draw(st.dictionaries(st.sampled_from([*attributes, "enabled", "status"]), st.sampled_from(NAMES)))
        known = [
            template for template in TEMPLATES
            if all(name in attributes or f"{{{name}" not in template for name in ATTRIBUTES)
        ]  # fmt: skip
        return ItemLayout(
            user_pool_id=POOL_ID,
            attributes=tuple(attributes),
            partition_key=partition_key,
            sort_key=sort_key,
            attribute_prefix=prefix,
            attribute_names={**bookkeeping, **renamed},
            extra_attributes=draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(known), max_size=2)),
            ttl_attribute=ttl,
            index_keys=draw(st.sampled_from([frozenset(), frozenset(NAMES), frozenset(map(prefix.__add__, NAMES))])),
            sync_groups=draw(st.booleans()),
        )

    return draw(st.lists(layouts().map(_with_distinct_names), min_size=3, max_size=3))


def _with_distinct_names(layout: ItemLayout) -> ItemLayout:
    """Return the layout without the names for which its plan would fail."""
    fields = (*layout.attributes, *FROM_COGNITO, *BOOKKEEPING, *(GROUPS if layout.sync_groups else ()))
    while len(layout.names()) < len(layout.key("")) + len(fields) + len(layout.extra_attributes) + 1:
        if layout.extra_attributes:
            layout = dataclasses.replace(layout, extra_attributes=_without_last(layout.extra_attributes))
        else:
            layout = dataclasses.replace(layout, attribute_names=_without_last(layout.attribute_names))
    return layout


def _without_last(names: Mapping[str, str]) -> dict[str, str]:
    return dict([*names.items()][:-1])


@dataclass
class Held:
    """What is known of an item: the pool that it is of, and what in it is the application's."""

    theirs: Wire
    pool: str = ""


class Deployments:
    """Two pools' deployments on one table that an application fills, too."""

    def __init__(self, client: DynamoDBClient, layouts: Sequence[ItemLayout], theirs: Wire) -> None:
        self.client = client
        self.layouts = layouts
        # What the application may not have: the key, and what the operator has said to be this module's bookkeeping.
        fields = (*BOOKKEEPING, "groups_observed_at")
        reserved = {*layouts[0].key(""), *(layout.name(name) for layout in layouts for name in fields)}
        theirs = {name: value for name, value in theirs.items() if name not in reserved}
        self._ever_ours = {name for layout in layouts for name in layout.names()}
        self._found: dict[str, Wire] = {}

        self.client.create_table(**table_definition(layout=layouts[0]))
        self._held: dict[str, Held] = {}
        for pool in POOLS:
            key = self._layout(0, pool).key(SUB)
            self._held[repr(key)] = Held(dict(theirs))
            self._put({**key, **theirs})
        # Items of other users and, of this one, the application's own.
        self._put({**layouts[0].key(OTHER_SUB), "email": {"S": "theirs"}})
        if sort_key := layouts[0].sort_key:
            self._put({**layouts[0].key(SUB), sort_key.name: {"S": "ORDER#1"}, "email": {"S": ""}})
        self._bystanders = self._other_items()

    def run(self, number: int, operation: Operation) -> None:
        """Let it happen, and compare the item before and after."""
        layout = self._layout(operation.layout, operation.pool)
        held = self._held[repr(layout.key(SUB))]
        users = UserTable(self.client, TABLE, layout)
        before, read = self._item(layout), {**users.read([SUB])[SUB]}
        found = read if operation.reads_late else self._found.get(operation.pool, {})
        moment = _at(2 * number - operation.lag)
        if isinstance(operation.what, tuple):
            self._application_writes(layout, held, *operation.what)
        elif isinstance(operation.what, DeletionPolicy):
            outcome = dataclasses.replace(users, deletion=operation.what).delete(SUB, moment, found)
            after = self._item(layout)
            if outcome is Outcome.DELETED:
                assert held.pool == operation.pool
                _check_deletion(layout, operation.what, moment, held, before, after)
            else:
                assert after == before
        else:
            # Cognito's date does not move with every change.
            user = _user(operation.what, moment, modified_at=_at(number // 3))
            outcome = users.write(user, found)
            after = self._item(layout)
            assert (outcome is Outcome.OTHER_POOL) is (held.pool not in ("", operation.pool))
            if outcome in (Outcome.CREATED, Outcome.UPDATED):
                held.pool = operation.pool
                _check_write(layout, user, held, before, after)
            else:
                assert after == before
        self._found[operation.pool] = read

    def check_other_items(self) -> None:
        assert self._other_items() == self._bystanders

    def _layout(self, number: int, pool: str) -> ItemLayout:
        return dataclasses.replace(self.layouts[number], user_pool_id=pool)

    def _put(self, item: Wire) -> None:
        self.client.put_item(TableName=TABLE, Item=item)

    def _item(self, layout: ItemLayout) -> Wire:
        return {**self.client.get_item(TableName=TABLE, Key=layout.key(SUB), ConsistentRead=True)["Item"]}

    def _other_items(self) -> list[Wire]:
        names = self.layouts[0].key("")
        items = self.client.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        return [item for item in items if repr({name: item[name] for name in names}) not in self._held]

    def _application_writes(self, layout: ItemLayout, held: Held, name: str, value: Wire) -> None:
        if name in self._ever_ours:
            return
        self.client.update_item(
            TableName=TABLE,
            Key=layout.key(SUB),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": value},
        )
        held.theirs[name] = value


def _check_write(layout: ItemLayout, user: User, held: Held, before: Wire, after: Wire) -> None:
    synced_at, newer = layout.name("synced_at"), ("cognito_modified_at", "observed_at")
    if layout.is_ours(before) and [layout.text(before, name) for name in newer] > [user.modified_at, user.observed_at]:
        # Only the groups are newer.
        names = {layout.name(name) for name in (*GROUPS, "synced_attributes", "synced_at")}
        assert _without(after, names) == _without(before, names)
        assert layout.groups(after) == user.groups
        held.theirs = _without(held.theirs, names) if user.groups else held.theirs
        return
    values = layout.to_item(user, before)
    ours = {name: marshal(value) for name, value in values.items()}
    assert {"S": ""} not in ours.values()
    held.theirs = _without(held.theirs, {*ours})
    # Groups that were not read.
    kept = {name: before[name] for name in layout.listed(values) if name not in ours}
    assert after == {**layout.key(SUB), **held.theirs, **kept, **ours, synced_at: after[synced_at]}


def _without(item: Wire, names: Set[str]) -> Wire:
    return {name: value for name, value in item.items() if name not in names}


def _check_deletion(
    layout: ItemLayout, policy: DeletionPolicy, moment: str, held: Held, before: Wire, after: Wire
) -> None:
    ours = {layout.name("user_pool_id"): {"S": layout.user_pool_id}, layout.name("deleted_at"): {"S": moment}}
    if policy.retention_days is not None:
        held.theirs.pop(layout.ttl_attribute, None)
        given = layout.name("synced_attributes")
        ours[given] = after[given]
        ours[layout.ttl_attribute] = after[layout.ttl_attribute]
        assert after[layout.ttl_attribute]["N"].isdecimal()
    if policy.action is DeletedUsers.DELETE:
        assert after == {**layout.key(SUB), **held.theirs, **ours}
    else:
        synced_at = layout.name("synced_at")
        del before[layout.name("shard")]
        says: Wire = {layout.name("status"): {"S": "DELETED"}, layout.name("enabled"): {"BOOL": False}}
        ours |= {name: value for name, value in says.items() if name in layout.synced(before)}
        assert after == {**before, **ours, synced_at: after[synced_at]}
        assert held.theirs.items() <= after.items()


def _at(hour: int) -> str:
    return timestamp(datetime(2026, 1, 2, tzinfo=UTC) + timedelta(hours=hour))


def _user(what: dict[str, Any], moment: str, modified_at: str) -> User:
    groups_read_at = moment if what["groups"] is not None else ""
    members: dict[str, Any] = {**what, "groups_observed_at": groups_read_at}
    return User(sub=SUB, observed_at=moment, username="Ada", created_at=_at(-24), modified_at=modified_at, **members)


@pytest.fixture
def client(session: boto3.Session) -> Iterator[DynamoDBClient]:
    client = session.client("dynamodb")
    with mock_aws():
        yield client


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layouts=_layouts(), theirs=_THEIRS, operations=st.lists(_OPERATIONS, min_size=4, max_size=9))
def test_operations_leave_every_foreign_attribute_as_it_is(
    client: DynamoDBClient, layouts: list[ItemLayout], theirs: Wire, operations: list[Operation]
) -> None:
    deployments = Deployments(client, layouts, theirs)
    try:
        for number, operation in enumerate(operations):
            deployments.run(number, operation)
        deployments.check_other_items()
    finally:
        client.delete_table(TableName=TABLE)
