"""The groups of all items are those of Cognito, and no list alone removes a user from a group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from benchmarks.simulated_dynamodb import SimulatedDynamoDB
from cognito_user_sync import group_reconciliation
from cognito_user_sync.group_reconciliation import GroupBatch, GroupResult, GroupWorker, Position
from cognito_user_sync.item_layout import ItemLayout
from cognito_user_sync.user import timestamp
from cognito_user_sync.user_pool import CognitoRejectedError, UserPool
from cognito_user_sync.user_table import Outcome, UserTable
from tests.fakes.answers import Response, error_response, result
from tests.fakes.calls import Calls
from tests.fakes.clock import EPOCH, Clock, RunningContext
from tests.fakes.cognito_pool import (
    GET_GROUP,
    GROUPS_OF_USER,
    LIST_GROUPS,
    MEMBERS,
    CognitoPool,
    CognitoUser,
    UsersInMemory,
)
from tests.fakes.fake_aws import cognito_client
from tests.fakes.subs import numbered_sub
from tests.samples import POOL_ID, TABLE

LAYOUT = ItemLayout(POOL_ID, (), sync_groups=True)
READ, WRITE, QUERY = "BatchGetItem", "UpdateItem", "Query"
YESTERDAY = EPOCH - timedelta(days=1)


def one_by_one(act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    return [act(argument) for argument in arguments]


class World:
    """A pool with groups, and its table."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls = Calls()
        self.users = UsersInMemory()
        self.cognito = CognitoPool(self.users, calls=self.calls)
        self.database = SimulatedDynamoDB(Counter(), lambda: None)
        client: Any = self
        self.exceptions = self.database.exceptions
        self.table = UserTable(client, TABLE, LAYOUT)
        self.pool = UserPool(cognito_client(self.cognito), POOL_ID)

    def update_item(self, **arguments: Any) -> Any:
        made = self.calls.make(WRITE, partial(self.database.update_item, **arguments))
        return result(made, WRITE) if isinstance(made, Response) else made

    def batch_get_item(self, **arguments: Any) -> Any:
        return self.calls.make(READ, partial(self.database.batch_get_item, **arguments))

    def query(self, **arguments: Any) -> Any:
        return self.calls.make(QUERY, partial(self.database.query, **arguments))

    def add(self, number: int, groups: Iterable[str], item: Iterable[str] | None = (), read_at: Any = YESTERDAY) -> str:
        """Add a user in these groups, whose item has the groups `item`; None if they were never read."""
        sub = numbered_sub(number)
        user = CognitoUser(sub, f"user-{number}", groups=set(item or ()))
        seen = user.seen(read_at, with_groups=item is not None)
        assert self.table.write(seen) is Outcome.CREATED
        user.groups = set(groups)
        self.users.add(user)
        self.cognito.groups = sorted({*self.cognito.groups, *user.groups})
        return sub

    def groups(self) -> dict[int, list[str]]:
        """Return the groups in each item, by the number of the user."""
        items = self.table.read(list(self.users))
        return {int(sub[:8], 16): sorted(LAYOUT.groups(item)) for sub, item in items.items()}

    def work(self, position: Position | None = None, seconds: float = 900, **given: Any) -> GroupResult:
        batch = GroupBatch(position or Position(), pages_per_second=15, **given)
        left = RunningContext(self.clock, seconds)
        worker = GroupWorker(self.pool, self.table, batch, left, self.clock, self.clock.sleep, one_by_one)
        return worker.work()

    def run(self, **given: Any) -> Counter[str]:
        """Run batches until all groups are reconciled. Returns the counts."""
        counts: Counter[str] = Counter()
        position: Position | None = Position()
        while position:
            result = self.work(position, **given)
            counts.update(result.counts)
            assert result.left != position
            position = result.left
        return Counter({name: count for name, count in counts.items() if count})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    clock = Clock()
    clock.replace_now(monkeypatch)
    monkeypatch.setattr(group_reconciliation, "now", clock.now)
    return World(clock)


def test_worker_adds_and_removes_what_items_lack(world: World) -> None:
    world.add(1, ["admin", "staff"], ["staff"])
    world.add(2, ["staff"], ["admin", "staff"])
    world.add(3, [], ["admin"])
    world.add(4, ["admin"], None)
    same = world.add(5, ["admin"], ["admin"])
    before = world.table.read([same])
    assert world.run() == {"groups": 2, "memberships": 5, "groups_updated": 4}
    assert world.groups() == {1: ["admin", "staff"], 2: ["staff"], 3: [], 4: ["admin"], 5: ["admin"]}
    assert world.table.read([same]) == before
    assert world.run() == {"groups": 2, "memberships": 5}
    # Only those that may have left a group.
    assert world.calls.count(GROUPS_OF_USER) == 2


def test_worker_counts_in_a_dry_run_and_writes_nothing(world: World) -> None:
    world.add(1, ["admin"], [])
    world.add(2, [], ["admin"])
    world.add(3, [], ["gone"])
    before = world.groups()
    written = world.calls.count(WRITE)
    assert world.run(dry_run=True) == {"groups": 1, "memberships": 1, "groups_updated": 3}
    assert world.groups() == before
    assert world.calls.count(WRITE) == written


def test_group_that_vanishes_while_it_is_listed_deletes_nothing(world: World) -> None:
    for number in range(100):
        world.add(number, ["admin", "staff"], ["admin", "staff"])
    world.calls.after(MEMBERS, 1, lambda: world.cognito.groups.remove("admin"))
    assert world.run() == {"groups": 1, "memberships": 100}
    assert set(map(tuple, world.groups().values())) == {("admin", "staff")}
    # The next run confirms that the group does not exist, once for all users.
    assert world.run() == {"groups": 1, "memberships": 100, "groups_updated": 100}
    assert set(map(tuple, world.groups().values())) == {("staff",)}
    assert world.calls.count(GET_GROUP) == 1
    assert world.calls.count(GROUPS_OF_USER) == 0


def test_incomplete_list_of_a_group_deletes_nothing(world: World) -> None:
    for number in range(3):
        world.add(number, ["admin"], ["admin"])
    world.calls.fail(MEMBERS, Response({"Users": []}), None)
    assert world.run() == {"groups": 1}
    assert set(map(tuple, world.groups().values())) == {("admin",)}
    assert world.calls.count(GROUPS_OF_USER) == 3


def test_incomplete_list_of_all_groups_deletes_nothing(world: World) -> None:
    world.add(1, ["admin"], ["admin"])
    world.calls.fail(LIST_GROUPS, Response({"Groups": []}), None)
    assert world.run() == {}
    assert world.groups() == {1: ["admin"]}


def test_deleted_pool_removes_no_group(world: World) -> None:
    world.add(1, ["admin"], ["admin"])
    world.calls.fail(LIST_GROUPS, Response({"Groups": []}), 1)
    world.calls.before(GET_GROUP, 1, lambda: setattr(world.cognito, "exists", False))
    with pytest.raises(CognitoRejectedError, match="ResourceNotFoundException"):
        world.run()
    assert world.groups() == {1: ["admin"]}


@pytest.mark.parametrize(("minutes", "is_verified"), [(59, True), (61, False)])
def test_worker_verifies_a_new_member_when_groups_were_read_recently(
    world: World, minutes: int, is_verified: bool
) -> None:
    """The list may be from before the user left the group."""
    sub = world.add(1, ["admin"], [], EPOCH - timedelta(minutes=minutes))
    world.calls.after(MEMBERS, 1, world.users[sub].groups.clear)
    world.run()
    assert world.groups() == {1: [] if is_verified else ["admin"]}
    assert world.calls.count(GROUPS_OF_USER) == is_verified


def test_worker_keeps_a_later_change(world: World) -> None:
    """Another function syncs the user between the read of the item and the write."""
    sub = world.add(1, ["admin"], [])

    def leave_and_sync() -> None:
        world.users[sub].groups = {"staff"}
        later = EPOCH + timedelta(minutes=5)
        world.database.update_item(
            **world.table._groups_update(sub, frozenset({"staff"}), timestamp(later), {**world.table.read([sub])[sub]})
        )

    world.calls.before(WRITE, world.calls.count(WRITE) + 1, leave_and_sync)
    assert world.run() == {"groups": 1, "memberships": 1}
    assert world.groups() == {1: ["staff"]}


def test_worker_skips_deleted_users_and_other_pools(world: World) -> None:
    sub = world.add(1, ["admin"], [])
    world.table.delete(sub, timestamp(EPOCH), world.table.read([sub])[sub])
    world.add(2, [], ["admin"])
    # Deleted in Cognito, and not in the table yet.
    world.users.remove(numbered_sub(2))
    written = world.calls.count(WRITE)
    world.run()
    assert world.calls.count(WRITE) == written


def test_worker_continues_with_the_next_groups_when_half_its_time_is_over(world: World) -> None:
    for number in range(4):
        world.add(number, ["a", "b", "c"], [])
    world.calls.before(MEMBERS, None, lambda: world.clock.sleep(300))
    first = world.work()
    assert (first.left, first.counts["groups"]) == (Position(after="b"), 2)
    assert set(map(tuple, world.groups().values())) == {("a", "b")}
    assert world.run() == {"groups": 3, "memberships": 12, "groups_updated": 4}
    assert set(map(tuple, world.groups().values())) == {("a", "b", "c")}


def test_worker_continues_with_the_next_users_when_its_time_is_over(world: World) -> None:
    for number in range(16):
        world.add(number << 28, ["a", "b"], [])
    world.calls.before(QUERY, None, lambda: world.clock.sleep(100))
    first = world.work(seconds=300)
    assert first.left == Position("", "b", numbered_sub(1 << 28))
    assert first.counts["groups_updated"] == 2
    assert world.run(seconds=300) == {"groups": 2, "memberships": 32, "groups_updated": 14}
    assert set(map(tuple, world.groups().values())) == {("a", "b")}


@pytest.mark.parametrize(("in_pool", "dry_run"), [(True, False), (True, True), (False, False)])
def test_worker_continues_within_a_page_of_users(world: World, in_pool: bool, dry_run: bool) -> None:
    """Also if it writes nothing: in a dry run, and for deleted users whose items are kept."""
    for number in range(300):
        sub = world.add(number, [], ["a"])
        if not in_pool:
            world.users.remove(sub)
    world.cognito.groups = ["a"]
    counts = world.run(seconds=40, dry_run=dry_run)
    assert counts == {"groups": 1} | ({"groups_updated": 300} if in_pool else {})
    assert world.calls.count(GROUPS_OF_USER) == 300


def test_worker_continues_after_the_deleted_groups_that_it_had_time_for(world: World) -> None:
    for number in range(150):
        world.add(number, [], [f"deleted-{number}"])
    counts = world.run(seconds=70)
    assert counts == {"groups_updated": 150}
    assert world.calls.count(GET_GROUP) == 150


def test_worker_removes_a_group_whose_name_cognito_rejects(world: World) -> None:
    """An application has written it to the item. It must not stop the run."""
    world.add(1, ["a"], [])
    world.add(2, [], ["not a group"])
    world.calls.fail(GET_GROUP, error_response("InvalidParameterException"), 1)
    assert world.run() == {"groups": 1, "memberships": 1, "groups_updated": 2}
    assert world.groups() == {1: ["a"], 2: []}


def test_worker_writes_no_groups_of_another_user_with_the_username(world: World) -> None:
    """The user was deleted, the item is kept, and a new user has the username."""
    deleted = world.add(1, [], ["admin"])
    world.users.remove(deleted)
    world.users[world.add(2, ["staff"], ["staff"])].username = "user-1"
    world.cognito.groups = ["admin", "staff"]
    world.run()
    assert LAYOUT.groups(world.table.read([deleted])[deleted]) == {"admin"}


def test_worker_reports_a_group_that_only_a_later_batch_cannot_list(world: World) -> None:
    for number in range(16):
        world.add(number << 28, ["a"], [])
    world.calls.before(QUERY, None, lambda: world.clock.sleep(100))
    world.calls.fail(MEMBERS, error_response("InvalidParameterException"), 2)
    assert world.run(seconds=300)["unlisted_groups"] == 1


@pytest.mark.parametrize("reason", ["time", "memory", "rejected"])
def test_group_that_cannot_be_listed_stops_no_other_group(
    world: World, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    for number in range(100):
        world.add(number, ["big", *("ac" if number < 50 else "")], ["big"] if number < 10 else [])

    def list_members(request: Any) -> Any:
        is_big = request["GroupName"] == "big"
        if is_big and reason == "time":
            world.clock.sleep(800)
        if is_big and reason == "rejected":
            return error_response("InvalidParameterException")
        return listed(request)

    listed = world.cognito.operations[MEMBERS]
    world.cognito.operations[MEMBERS] = list_members
    if reason == "memory":
        monkeypatch.setattr(group_reconciliation, "MAX_MEMBERSHIPS", 59)
    position: Position | None = Position()
    unlisted = []
    while position:
        result = world.work(position)
        unlisted += result.unlisted
        position = result.left
    assert [each["name"] for each in unlisted] == ["big"]
    groups = world.groups()
    assert groups[0] == ["a", "big", "c"]
    assert groups[49] == ["a", "c"]
    assert groups[99] == []


def test_list_with_a_rejected_token_is_read_again(world: World) -> None:
    for number in range(100):
        world.add(number, ["a"], [])
    world.calls.fail(MEMBERS, error_response("InvalidParameterException"), 2)
    assert world.run() == {"groups": 1, "memberships": 100, "groups_updated": 100}


def test_rejected_item_stops_no_other_user(world: World) -> None:
    for number in range(3):
        world.add(number, ["a"], [])
    world.calls.fail(WRITE, error_response("ValidationException"), world.calls.count(WRITE) + 2)
    result = world.work()
    assert result.failed_subs == [numbered_sub(1)]
    assert (result.counts["failed"], result.counts["groups_updated"]) == (1, 2)


def test_rejected_username_stops_no_other_user(world: World) -> None:
    for number in range(3):
        world.add(number, [], ["a"])
    world.cognito.groups = ["a"]
    world.calls.fail(GROUPS_OF_USER, error_response("InvalidParameterException"), 1)
    assert world.run() == {"groups": 1, "groups_updated": 2, "failed": 1}


def test_worker_reads_at_the_rates_of_the_quotas(world: World) -> None:
    """ListUsersInGroup shares the quota of ListUsers. AdminListGroupsForUser has 50 requests to its 30."""
    for number in range(180):
        world.add(number, [], ["a"])
    world.cognito.groups = ["a"]
    world.run()
    assert world.clock.seconds == pytest.approx((180 - 25) / 25, abs=1.2)


def test_throttled_worker_keeps_its_position(world: World) -> None:
    world.add(1, ["a"], [])
    world.calls.fail(MEMBERS, error_response("TooManyRequestsException"), None)
    result = world.work(Position(after="Z"), seconds=60)
    assert result.left == Position(after="Z")


def test_result_and_batch_survive_json() -> None:
    position = Position("a", "b", numbered_sub(3))
    left = GroupResult(Counter(groups=1), left=position).to_json()["left"]
    event = {"groups": left, "pages_per_second": 1.0, "dry_run": False}
    assert GroupBatch.from_json(event) == GroupBatch(position, 1.0)
