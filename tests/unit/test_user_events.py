"""An event tells what happened to a user, and is published in order, at least once."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from cognito_user_sync import user_events
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import publish_user_events
from cognito_user_sync.item_layout import ItemLayout, Key
from cognito_user_sync.user import User
from cognito_user_sync.user_events import DetailType, Reason
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome, UserTable
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.fake_aws import FakeAws
from tests.fakes.subs import numbered_sub
from tests.samples import POOL_ID, SUB, TABLE, environment, table_definition

ATTRIBUTES = ("name", "email", "custom:plan")
LAYOUT = ItemLayout(POOL_ID, ATTRIBUTES)
SINGLE_TABLE = ItemLayout(
    POOL_ID,
    ATTRIBUTES,
    partition_key=Key("PK", "POOL#{user_pool_id}#USER#{sub}"),
    sort_key=Key("SK", "PROFILE"),
    attribute_prefix="cognito_",
    attribute_names={"custom:plan": "plan", "status": "state"},
    extra_attributes={"entity": "User", "GSI1PK": "EMAIL#{email|lower}"},
)
ADA = User(
    sub=SUB,
    observed_at="2026-01-01T10:00:00.000Z",
    username="ada",
    attributes={"name": "Ada", "email": "ada@example.com"},
    status="CONFIRMED",
    enabled=True,
    created_at="2026-01-01T00:00:00.000Z",
    modified_at="2026-01-01T00:00:00.000Z",
)
OF_ADA = ("email", "enabled", "name", "status", "username")
BUS = "arn:aws:events:eu-central-1:111122223333:event-bus/users"
PUT = "eventbridge.PutEvents"


class Table:
    """A table of moto, and the event of each write."""

    def __init__(self, layout: ItemLayout = LAYOUT, action: DeletedUsers = DeletedUsers.MARK) -> None:
        self.client = boto3.client("dynamodb")
        self.client.create_table(**table_definition(layout=layout))
        self.users = UserTable(self.client, TABLE, layout, DeletionPolicy(action, 30))
        self.layout = layout

    def item(self) -> dict[str, Any]:
        return dict(self.client.get_item(TableName=TABLE, Key=self.layout.key(SUB)).get("Item", {}))

    def after(self, write: Callable[[], object]) -> tuple[str, str, tuple[str, ...]] | None:
        """Return type, reason and changed names of the event after a write, or None."""
        old = self.item()
        write()
        found = user_events.from_record(record(old, self.item(), self.layout), self.layout)
        return (found.detail_type, found.reason, found.changed) if found else None

    def writing(self, **changes: Any) -> Callable[[], Outcome]:
        """Return a function that writes Ada with these changes, as of a later read."""
        return lambda: self.users.write(replace(ADA, **changes))

    def deleting(self, checked_at: str) -> Callable[[], Outcome]:
        return lambda: self.users.delete(SUB, checked_at, self.item())

    def setting(self, name: str, value: str) -> Callable[[], object]:
        """Return a function with which the application sets an attribute."""
        return lambda: self.client.update_item(
            TableName=TABLE,
            Key=self.layout.key(SUB),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":value": {"S": value}},
        )


@pytest.fixture
def _moto() -> Iterator[None]:
    with mock_aws():
        yield


def record(old: Any, new: Any, layout: ItemLayout = LAYOUT, number: int = 1, sub: str = SUB) -> dict[str, Any]:
    """Return a record of the stream as Lambda sends it."""
    name = "MODIFY" if old and new else "INSERT" if new else "REMOVE"
    images = {"OldImage": old} if old else {}
    return {
        "eventID": f"event-{number}",
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_767_264_000.0,
            "Keys": layout.key(sub),
            "SequenceNumber": f"{number}00000000000000000000",
            **images,
            **({"NewImage": new} if new else {}),
        },
    }


def item(sub: str = SUB, **attributes: str) -> dict[str, Any]:
    """Return the item of an active user, with these attributes from Cognito."""
    return {
        "id": {"S": sub},
        "user_pool_id": {"S": POOL_ID},
        "synced_attributes": {"SS": sorted(attributes)},
        **{name: {"S": value} for name, value in attributes.items()},
    }


# --- the event of a write


@pytest.mark.usefixtures("_moto")
@pytest.mark.parametrize("layout", [LAYOUT, SINGLE_TABLE], ids=["default", "single-table"])
def test_event_follows_what_happened_to_the_user(layout: ItemLayout) -> None:
    table = Table(layout)
    later, latest = "2026-01-01T12:00:00.000Z", "2026-01-01T15:00:00.000Z"
    email: dict[str, Any] = {"attributes": {"name": "Ada", "email": "ada@example.org"}, "modified_at": later}
    assert table.after(table.writing()) == ("User Created", "new", OF_ADA)
    assert table.after(table.writing()) is None
    assert table.after(table.writing(observed_at=later)) is None
    assert table.after(table.writing(modified_at="2026-01-01T11:00:00.000Z")) is None
    assert table.after(table.writing(**email)) == ("User Updated", "attributes", ("email",))
    off = email | {"enabled": False, "modified_at": "2026-01-01T12:01:00.000Z"}
    assert table.after(table.writing(**off)) == ("User Updated", "status", ("enabled",))
    both = {"status": "RESET_REQUIRED", "attributes": {"custom:plan": "gold"}, "modified_at": latest}
    changed = ("custom:plan", "email", "enabled", "name", "status")
    assert table.after(table.writing(**both)) == ("User Updated", "attributes", changed)
    assert table.after(table.setting("theme", "dark")) is None
    assert table.after(table.deleting(latest)) == ("User Deleted", "deleted", ())
    assert table.after(table.deleting(latest)) is None
    assert table.after(table.setting("theme", "light")) is None
    back = {"observed_at": "2026-01-02T00:00:00.000Z", "modified_at": "2026-01-02T00:00:00.000Z"}
    assert table.after(table.writing(**back)) == ("User Created", "returned", OF_ADA)


@pytest.mark.usefixtures("_moto")
def test_change_of_groups_alone_is_an_update_of_groups() -> None:
    table = Table(replace(SINGLE_TABLE, sync_groups=True))
    table.writing(groups=frozenset({"a", "b"}), groups_observed_at="2026-01-01T10:00:00.000Z")()
    old = table.item()
    later = {"observed_at": "2026-01-01T11:00:00.000Z", "groups_observed_at": "2026-01-01T11:00:00.000Z"}
    assert table.after(table.writing(**later, groups=frozenset({"a", "b"}))) is None
    # The order of a set is not defined.
    old["cognito_groups"]["SS"].reverse()
    assert user_events.from_record(record(old, table.item(), table.layout), table.layout) is None
    left = table.writing(**later, groups=frozenset({"a"}))
    assert table.after(left) == ("User Updated", "groups", ("groups",))
    both = table.writing(**later, groups=frozenset(), enabled=False, modified_at="2026-01-01T11:00:00.000Z")
    assert table.after(both) == ("User Updated", "attributes", ("enabled", "groups"))


@pytest.mark.usefixtures("_moto")
@pytest.mark.parametrize("action", [DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.DELETE_ITEM])
def test_deletion_is_one_event_with_each_policy(action: DeletedUsers) -> None:
    table = Table(action=action)
    table.writing()()
    later = "2026-01-01T12:00:00.000Z"
    assert table.after(table.deleting(later)) == ("User Deleted", "deleted", ())
    assert table.after(table.deleting(later)) is None
    # DynamoDB removes the expired item.
    assert user_events.from_record(record(table.item(), {}), LAYOUT) is None


@pytest.mark.usefixtures("_moto")
def test_policy_that_becomes_stricter_is_no_second_deletion() -> None:
    table = Table()
    table.writing()()
    table.deleting("2026-01-01T12:00:00.000Z")()
    table.users = replace(table.users, deletion=DeletionPolicy(DeletedUsers.DELETE_ITEM))
    assert table.after(table.deleting("2026-01-01T13:00:00.000Z")) is None


@pytest.mark.usefixtures("_moto")
def test_item_of_the_application_that_gets_a_user_is_created() -> None:
    table = Table()
    assert table.after(table.setting("name", "theirs")) is None
    assert table.after(table.writing()) == ("User Created", "new", OF_ADA)


@pytest.mark.usefixtures("_moto")
def test_attribute_of_the_application_under_a_synced_name_is_no_update() -> None:
    """The user has no plan in Cognito, so custom:plan is the application's."""
    table = Table()
    table.writing()()
    assert table.after(table.setting("custom:plan", "theirs")) is None
    assert table.after(table.setting("email", "theirs")) == ("User Updated", "attributes", ("email",))


ACTIVE = item(name="Ada")
OTHER_POOLS = ACTIVE | {"user_pool_id": {"S": "eu-central-1_other"}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({}, OTHER_POOLS),
        (OTHER_POOLS, OTHER_POOLS | {"name": {"S": "Grace"}}),
        (OTHER_POOLS, OTHER_POOLS | {"deleted_at": {"S": "2026"}}),
        ({}, {"id": {"S": SUB}, "name": {"S": "Ada"}}),
        # The application removes the item, or takes it over. The user still exists.
        (ACTIVE, {}),
        (ACTIVE, {"id": {"S": SUB}}),
        (ACTIVE, OTHER_POOLS),
    ],
)
def test_item_of_others_has_no_event(old: Any, new: Any) -> None:
    assert user_events.from_record(record(old, new), LAYOUT) is None


@pytest.mark.parametrize(
    "keys", [{"PK": f"POOL#{POOL_ID}#USER#{SUB}", "SK": "COPY"}, {"PK": "ORDER#1", "SK": "PROFILE"}]
)
def test_item_under_another_key_has_no_event(keys: dict[str, str]) -> None:
    new = {"cognito_user_pool_id": {"S": POOL_ID}}
    found = record({}, new, SINGLE_TABLE)
    assert user_events.from_record(found, SINGLE_TABLE) is not None
    found["dynamodb"]["Keys"] = {name: {"S": value} for name, value in keys.items()}
    assert user_events.from_record(found, SINGLE_TABLE) is None


def test_entry_has_names_and_no_values() -> None:
    found = user_events.from_record(record(ACTIVE, item(name="Grace", email="grace@example.com")), LAYOUT)
    assert found is not None
    entry = found.to_entry(BUS)
    assert json.loads(entry.pop("Detail")) == {
        "id": "event-1",
        "sub": SUB,
        "user_pool_id": POOL_ID,
        "reason": "attributes",
        "changed": ["email", "name"],
        "occurred_at": "2026-01-01T10:40:00.000Z",
        "sequence": "0000000000000000000100000000000000000000",
    }
    assert entry == {"EventBusName": BUS, "Source": "cognito-user-sync", "DetailType": "User Updated"}


def test_ten_of_the_largest_events_fit_into_one_call() -> None:
    """With the attributes that the module accepts: 70 custom attributes with 20 characters of four bytes."""
    names = tuple(f"dev:custom:{'😀' * 18}{number:02}" for number in range(70))
    found = user_events.from_record(record({}, item(**dict.fromkeys(names, "x"))), ItemLayout(POOL_ID, names))
    assert found is not None
    assert len(found.changed) == 70
    assert 10 * sum(len(value.encode()) for value in found.to_entry(BUS).values()) < 256 * 1024


# --- publishing


class Bus:
    """An event bus that accepts events, or answers with errors."""

    def __init__(self, aws: FakeAws) -> None:
        self.calls: list[list[str]] = []
        self.accepted: list[str] = []
        self.failing: Callable[[str], bool] = lambda _: False
        aws.answers[PUT] = self.put

    def put(self, request: Any) -> Answer:
        ids = [json.loads(entry["Detail"])["id"] for entry in request["Entries"]]
        self.calls.append(ids)
        failed = [self.failing(each) for each in ids]
        self.accepted += [each for each, fails in zip(ids, failed, strict=True) if not fails]
        answers = [{"ErrorCode": "InternalFailure"} if fails else {"EventId": "1"} for fails in failed]
        return Response({"FailedEntryCount": sum(failed), "Entries": answers})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(EVENT_BUS_ARN=BUS).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.fixture
def bus(aws: FakeAws) -> Bus:
    return Bus(aws)


def created(*users: int) -> dict[str, Any]:
    """Return a batch of records in which these users are created, in this order."""
    records = [
        record({}, item(numbered_sub(user)), number=number, sub=numbered_sub(user))
        for number, user in enumerate(users, 1)
    ]
    return {"Records": records}


def publish(event: Any, seconds: float = 60) -> str | None:
    """Return the sequence number of the first failed record without its zeros, or None."""
    failures = publish_user_events.handler(event, FakeContext(seconds))["batchItemFailures"]
    assert len(failures) <= 1
    return failures[0]["itemIdentifier"].rstrip("0") if failures else None


def test_publish_sends_ten_events_in_a_call(bus: Bus) -> None:
    assert publish(created(*range(12))) is None
    assert bus.calls == [[f"event-{number}" for number in range(1, 11)], ["event-11", "event-12"]]


def test_publish_sends_one_event_of_a_user_in_a_call(bus: Bus) -> None:
    assert publish(created(1, 2, 1, 1)) is None
    assert bus.calls == [["event-1", "event-2"], ["event-3"], ["event-4"]]


def test_publish_skips_records_without_an_event(bus: Bus) -> None:
    removed = record(ACTIVE, {})
    assert publish({"Records": [removed]}) is None
    assert bus.calls == []


def test_publish_stops_at_the_first_failed_event(bus: Bus) -> None:
    bus.failing = lambda each: each in {"event-2", "event-4"}
    assert publish(created(1, 2, 3, 4, *range(5, 20))) == "2"
    assert len(bus.calls) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_publish_stops_when_the_call_fails(aws: FakeAws, code: str, caplog: pytest.LogCaptureFixture) -> None:
    aws.on(PUT, Response({"Entries": [{"EventId": "1"}] * 10, "FailedEntryCount": 0}), error_response(code))
    assert publish(created(*range(12))) == "11".rstrip("0")
    (line,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert (line.message, vars(line)["code"], vars(line)["sub"]) == ("events not published", code, numbered_sub(10))


def test_publish_leaves_events_for_which_there_is_no_time(bus: Bus) -> None:
    assert publish(created(1), seconds=publish_user_events._SLOWEST_CALL_SECONDS - 1) == "1"
    assert bus.calls == []


@pytest.mark.parametrize("event", [{}, {"Records": [{}]}, {"Records": None}, None])
def test_publish_rejects_what_is_no_batch_of_records(event: Any) -> None:
    with pytest.raises(InvalidEventError, match="expected Records with"):
        publish(event)


@settings(max_examples=50, deadline=None)
@given(users=st.lists(st.integers(0, 4), min_size=1, max_size=40), seed=st.integers(0, 2**32))
def test_each_event_is_published_in_the_order_of_its_user(users: list[int], seed: int) -> None:
    """Events fail at random, and Lambda sends the first failed record and all later ones again."""
    random = Random(seed)
    accepted: list[str] = []

    class Client:
        @staticmethod
        def put_events(Entries: Any) -> Any:  # noqa: N803
            answers = []
            for entry in Entries:
                fails = random.random() < 0.3
                accepted.extend([] if fails else [json.loads(entry["Detail"])["id"]])
                answers.append({"ErrorCode": "ThrottlingException"} if fails else {"EventId": "1"})
            return {"Entries": answers}

    records = created(*users)["Records"]
    while records:
        failed = user_events.publish(Client(), BUS, LAYOUT, {"Records": records}, lambda: random.random() < 0.9)
        numbers = [each["dynamodb"]["SequenceNumber"] for each in records]
        records = records[numbers.index(failed) :] if failed else []
    assert set(accepted) == {f"event-{number}" for number in range(1, len(users) + 1)}
    positions = {each: place for place, each in reversed(list(enumerate(accepted)))}
    for user in set(users):
        first = [positions[f"event-{number}"] for number, each in enumerate(users, 1) if each == user]
        assert first == sorted(first)
    # A repeat is never after a later event of the same user.
    newest: Counter[int] = Counter()
    for each in accepted:
        number = int(each.removeprefix("event-"))
        user = users[number - 1]
        assert number >= newest[user]
        newest[user] = number


# --- the contract with consumers

PAGE = (Path(__file__).parents[2] / "docs" / "user-events.md").read_text(encoding="utf-8")


def documented(mark: str) -> Any:
    """Return the JSON after a mark in docs/user-events.md."""
    return json.loads(PAGE.partition(f"<!-- {mark}: read by")[2].partition("```json\n")[2].partition("```")[0])


def assert_fits(value: Any, schema: dict[str, Any]) -> None:
    kind: Any = {"object": dict, "array": list}.get(schema.get("type", ""), str)
    assert isinstance(value, kind)
    assert value in schema.get("enum", [value])
    assert not isinstance(value, str) or re.search(schema.get("pattern", ""), value)
    assert set(schema.get("required", ())) == {*schema.get("properties", {})}
    for name, each in schema.get("properties", {}).items():
        assert_fits(value[name], each)
    for each in value if isinstance(value, list) else ():
        assert_fits(each, schema["items"])


def test_page_documents_each_event() -> None:
    schema, example = documented("schema"), documented("example")
    assert schema["properties"]["reason"]["enum"] == [*Reason]
    rows = re.findall(r"^\| `(User \w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert {detail_type for detail_type, _ in rows} == {*DetailType}
    assert [reason for _, reason in rows] == [*Reason]
    changes: list[Any] = [({}, ACTIVE), (ACTIVE, item(name="Grace")), (ACTIVE, ACTIVE | {"deleted_at": {"S": "2026"}})]
    details = [example["detail"]]
    for old, new in changes:
        found = user_events.from_record(record(old, new), LAYOUT)
        assert found is not None
        assert (found.detail_type, found.reason) in rows
        details.append(json.loads(found.to_entry(BUS)["Detail"]))
    for detail in details:
        assert_fits(detail, schema)
        assert [*detail] == [*example["detail"]] == re.findall(r"^\| `(\w+)` \| [^`]", PAGE, re.MULTILINE)[:7]
    assert (example["source"], example["detail-type"]) == (user_events.SOURCE, DetailType.UPDATED)
