"""Whatever happens in a pool, and however late its requests are handled: the table ends equal to the pool."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.simulated_dynamodb import SimulatedDynamoDB
from cognito_user_sync import (
    clients,
    deletion,
    group_reconciliation,
    reconciliation,
    sync_request,
    user_pool,
    user_table,
)
from cognito_user_sync.changes import DELETIONS, sync_change
from cognito_user_sync.group_reconciliation import GroupBatch, GroupWorker, Position
from cognito_user_sync.handlers import sync_user
from cognito_user_sync.item_layout import ItemLayout, ItemValue, marshal
from cognito_user_sync.reconciliation import Batch, Worker
from cognito_user_sync.sync_request import Change, NotConsistentYetError, SyncRequest, parse_change
from cognito_user_sync.user import UNCONFIRMED
from cognito_user_sync.user_pool import CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, UserTable
from tests.fakes.answers import Answer
from tests.fakes.clock import Clock, FakeContext
from tests.fakes.cognito_pool import GROUPS_OF_USER, LIST, MEMBERS, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import cognito_client
from tests.fakes.simulated_table import plain
from tests.fakes.subs import numbered_sub
from tests.samples import POOL_ID, TABLE

Request: TypeAlias = SyncRequest | Change
Step: TypeAlias = tuple[str, int, int]
"""The kind of the step, its username or request, and a number whose meaning depends on the kind."""

LAYOUT = ItemLayout(POOL_ID, ("name", "email"), sync_groups=True)
FORGED_EVENTS = ("AdminDeleteUser", "AdminUpdateUserAttributes", "AdminCreateUser", "AdminAddUserToGroup")
FAR_FUTURE = "9999-12-31T23:59:59.000Z"

# What an administrator or a user does to an existing user: CloudTrail's name of it, and what changes.
CHANGES: dict[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "edit": ("AdminUpdateUserAttributes", lambda number: {"attributes": {"name": f"Ada {number}"}}),
    "disable": ("AdminDisableUser", lambda _: {"enabled": False}),
    "enable": ("AdminEnableUser", lambda _: {"enabled": True}),
    "require_reset": ("AdminResetUserPassword", lambda _: {"status": "RESET_REQUIRED"}),
}
# Changes of groups, which do not move Cognito's date: CloudTrail's name, and what changes.
GROUP_CHANGES: dict[str, tuple[str, Callable[[set[str], str], object]]] = {
    "join": ("AdminAddUserToGroup", set.add),
    "leave": ("AdminRemoveUserFromGroup", set.discard),
}
# How a user comes into being: with which status, and CloudTrail's name of it.
NEW_USERS = {
    "sign_up": (UNCONFIRMED, ""),
    "federate": ("EXTERNAL_PROVIDER", ""),
    "invite": ("FORCE_CHANGE_PASSWORD", "AdminCreateUser"),
}
# What fires the post-confirmation trigger: of a user of which status, and the reason of the request.
TRIGGERS = {
    "confirm": ((UNCONFIRMED,), "sign_up"),
    "reset": (("CONFIRMED", "RESET_REQUIRED"), "password_reset"),
}
# Events after which an answer from before the change is noticed.
NOTICED_LAG = {*DELETIONS, "AdminCreateUser", "AdminUpdateUserAttributes", "AdminDisableUser", "AdminEnableUser"}
IN_POOL = (*NEW_USERS, *TRIGGERS, *CHANGES, *GROUP_CHANGES, "delete", "delete_group")


def one_by_one(act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    return [act(argument) for argument in arguments]


class World:
    """A pool, its table, and all the requests that were ever made."""

    def __init__(self, action: DeletedUsers, is_reconciled: bool = True) -> None:
        self.is_reconciled = is_reconciled
        """Whether a reconciliation follows. Without it, events must be enough: each change has one, each change but
        one of groups has another date, and groups that lag are of the change before."""
        self.clock = Clock()
        self.users = UsersInMemory()
        self.cognito = CognitoPool(self.users)
        self.cognito.operations[LIST] = self._list
        self.cognito.operations[MEMBERS] = self._members
        self.cognito.operations[GROUPS_OF_USER] = self._groups_of_user
        self.pool = UserPool(cognito_client(self.cognito), POOL_ID)
        database: Any = SimulatedDynamoDB(Counter(), self._change_something)
        self.table = UserTable(database, TABLE, LAYOUT, DeletionPolicy(action))
        self.requests: list[Request] = []
        self.forged: list[Request] = []
        self.handled: list[Request] = []
        self.concurrent: list[Step] = []
        """What happens while a request is handled, before the next call of DynamoDB."""
        self.shown = self.users
        """What ListUsers shows: the users, or the users as they were."""
        self._past = [copy.deepcopy(self.users)]
        self._created = 0
        self._newest: dict[str, tuple[str, str]] = {}
        self._deleted: set[str] = set()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Give the code under test this pool, table and clock."""
        with ExitStack() as stack:
            for module in (deletion, group_reconciliation, reconciliation, user_pool, user_table):
                stack.enter_context(patch.object(module, "now", self.clock.now))
            stack.enter_context(patch.object(sync_request, "datetime", self.clock.datetime))
            stack.enter_context(patch.object(clients, "user_pool", lambda: self.pool))
            stack.enter_context(patch.object(clients, "user_table", lambda: self.table))
            yield

    def take(self, step: Step) -> None:
        kind, which, number = step
        if kind in IN_POOL:
            self._change_pool(kind, f"user-{which % 3}", number)
        elif kind == "forge":
            self._forge(which, number)
        elif kind == "reconcile":
            with self._lagging(number):
                self.reconcile()
        elif requests := [*self.requests, *self.forged]:
            self._deliver(requests[which % len(requests)], number)
        self._nothing_was_undone()

    def _deliver(self, request: Request, lag: int) -> None:
        """Handle a request while ListUsers lags by `lag` changes, and remember whether it was completed."""
        # A lag that no date shows is left to the reconciliation.
        can_be_noticed = not isinstance(request, Change) or request.event_name in NOTICED_LAG
        with self._lagging(lag if can_be_noticed else 0), suppress(CognitoUnavailableError, NotConsistentYetError):
            self.handle(request)
            self.handled.append(request)

    def deliver_the_rest(self, order: Any) -> None:
        """Handle what was not handled to its end, in any order, until nothing is left."""
        for _ in range(5):
            left = [request for request in self.requests if request not in self.handled]
            for request in order.sample(left, len(left)):
                self._deliver(request, 0)
            # The visibility timeout of the change queue.
            self.clock.sleep(timedelta(minutes=6).total_seconds())
        assert set(self.requests) <= set(self.handled)

    def handle(self, request: Request) -> None:
        """Handle a request as it comes out of a queue or an execution's input."""
        if isinstance(request, SyncRequest):
            sync_user.handler(json.loads(request.to_json()), FakeContext())
        else:
            message = json.loads(json.dumps(asdict(request)))
            sync_change(self.pool, self.table, parse_change(message))

    def reconcile(self) -> None:
        batch, clock = Batch(("",), pages_per_second=4.0), self.clock
        result = Worker(self.pool, self.table, batch, lambda: 900, clock, clock.sleep, one_by_one).work()
        assert (result.prefixes, result.failed_subs) == ([], [])
        groups = GroupBatch(Position(), pages_per_second=4.0)
        of_groups = GroupWorker(self.pool, self.table, groups, lambda: 900, clock, clock.sleep, one_by_one).work()
        assert (of_groups.left, of_groups.failed_subs) == (None, [])

    def expected(self) -> dict[str, dict[str, Any]]:
        """Return the items that an up-to-date table has, by sub."""
        confirmed = (user.seen(with_groups=True) for user in self.users.values() if user.status != UNCONFIRMED)
        return {user.sub: _without_moments(_plain(LAYOUT.to_item(user))) for user in confirmed}

    def active(self) -> dict[str, dict[str, Any]]:
        """Return the items of users who are not deleted, by sub."""
        items = {sub: item for sub, item in self._items().items() if "deleted_at" not in item}
        assert all("shard" not in item for sub, item in self._items().items() if sub not in items)
        return {sub: _without_moments(item) for sub, item in items.items()}

    def _items(self) -> dict[str, dict[str, Any]]:
        found = self.table.read([numbered_sub(number) for number in range(self._created)]) if self._created else {}
        return {
            sub: {name: plain(value) for name, value in item.items() if name != "id"} for sub, item in found.items()
        }

    def _change_pool(self, kind: str, username: str, number: int) -> None:
        user = next((user for user in self.users.values() if user.username == username), None)
        # Two changes within the whole seconds of CloudTrail look alike.
        self.clock.sleep(2)
        occurred_at = self.clock.now()
        event_name = ""
        if kind in NEW_USERS and user is None:
            status, event_name = NEW_USERS[kind]
            user = CognitoUser(numbered_sub(self._created), username, {"name": "Ada"}, status)
            self._created += 1
            self.users.add(user)
        elif kind in TRIGGERS and user and user.status in TRIGGERS[kind][0]:
            user.status = "CONFIRMED"
        elif kind in CHANGES and user and user.status != UNCONFIRMED:
            event_name, changes = CHANGES[kind]
            for name, value in changes(number).items():
                setattr(user, name, value)
        elif kind in GROUP_CHANGES and user:
            event_name, change = GROUP_CHANGES[kind]
            group = f"group-{number % 2}"
            change(user.groups, group)
            self.cognito.groups = sorted({*self.cognito.groups, group})
        elif kind == "delete_group" and self.is_reconciled:
            for member in self.users.values():
                member.groups.discard(f"group-{number % 2}")
            self.cognito.groups = [name for name in self.cognito.groups if name != f"group-{number % 2}"]
            self._past.append(copy.deepcopy(self.users))
            return
        elif kind == "delete" and user:
            event_name = sorted(DELETIONS)[number % 2]
            self.users.remove(user.sub)
        else:
            return
        # AWS does not document that the date moves with this one.
        if kind not in GROUP_CHANGES and (kind != "require_reset" or number % 2 or not self.is_reconciled):
            user.modified_at = datetime.fromisoformat(occurred_at)
        self._past.append(copy.deepcopy(self.users))
        if event_name:
            self.requests.append(Change(user.sub, event_name, f"{occurred_at[:19]}.000Z"))
        elif user.status != UNCONFIRMED:
            reason = TRIGGERS[kind][1] if kind in TRIGGERS else "sign_up"
            self.requests.append(SyncRequest(user.sub, username, reason, occurred_at))

    def _forge(self, which: int, number: int) -> None:
        """Make a request of a user that names another username, or another event, and a time that never comes."""
        sub = numbered_sub(number % (self._created + 1))
        self.forged += [
            SyncRequest(sub, f"user-{which % 3}", "sign_up", FAR_FUTURE),
            Change(sub, FORGED_EVENTS[which % len(FORGED_EVENTS)], FAR_FUTURE),
        ]

    def _list(self, request: Any) -> Answer:
        with patch.object(self.cognito, "users", self.shown):
            return self.cognito._list(request)

    def _members(self, request: Any) -> Answer:
        with patch.object(self.cognito, "users", self.shown):
            return self.cognito._list_members(request)

    def _groups_of_user(self, request: Any) -> Answer:
        """Return the groups, which may lag if a reconciliation follows."""
        is_known = self.shown.position_of(request["Username"]) is not None
        with patch.object(self.cognito, "users", self.shown if self.is_reconciled and is_known else self.users):
            return self.cognito._groups_of_user(request)

    @contextmanager
    def _lagging(self, changes: int) -> Iterator[None]:
        """Let ListUsers show the users as before the last `changes`."""
        self.shown = self._past[-1 - min(changes, len(self._past) - 1)] if changes else self.users
        yield
        self.shown = self.users

    def _change_something(self) -> None:
        steps, self.concurrent = self.concurrent, []
        for step in steps:
            self.take(step)

    def _nothing_was_undone(self) -> None:
        """No write replaces a state by an older one, as far as Cognito's date tells; no user is taken for deleted; and
        no deleted user is revived."""
        steps, self.concurrent = self.concurrent, []
        for sub, item in self._items().items():
            if "deleted_at" in item:
                assert sub not in self.users
                self._deleted.add(sub)
                self._newest.pop(sub, None)
            else:
                newest = self._newest.get(sub, ("", ""))
                assert item["cognito_modified_at"] >= newest[0]
                assert item.get("groups_observed_at", "") >= newest[1]
                assert sub not in self._deleted
                self._newest[sub] = item["cognito_modified_at"], item.get("groups_observed_at", "")
        self.concurrent = steps


def _plain(item: dict[str, ItemValue]) -> dict[str, Any]:
    return {name: plain(marshal(value)) for name, value in item.items()}


def _without_moments(item: Any) -> dict[str, Any]:
    """Return an item without times of reads: an item whose groups were never read lacks theirs."""
    moments = ("observed_at", "synced_at", "groups_observed_at")
    plain_item = {name: value for name, value in item.items() if name not in moments}
    return plain_item | {"synced_attributes": [name for name in item["synced_attributes"] if name not in moments]}


NUMBERS = st.integers(0, 5)
STEPS = st.tuples(st.sampled_from([*IN_POOL, "forge", "reconcile", "handle", "handle", "handle"]), NUMBERS, NUMBERS)


# A deletion is found between the read of an edited user and the write.
LATE_WRITE = [
    (("federate", 0, 0), []),
    (("handle", 0, 0), []),
    (("edit", 0, 1), []),
    (("handle", 1, 0), [("delete", 0, 0), ("handle", 2, 0)]),
]


@settings(max_examples=500, deadline=None)
@example(steps=LATE_WRITE, action=DeletedUsers.MARK, is_reconciled=True, order=None)
@given(
    steps=st.lists(st.tuples(STEPS, st.lists(STEPS, max_size=3)), min_size=2, max_size=20),
    action=st.sampled_from([DeletedUsers.MARK, DeletedUsers.DELETE, DeletedUsers.DELETE_ITEM]),
    is_reconciled=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_any_order_ends_with_the_table_equal_to_the_pool(
    steps: list[tuple[Step, list[Step]]], action: DeletedUsers, is_reconciled: bool, order: Any
) -> None:
    """Everything happens at any time, also between a read and the write that follows, and ListUsers lags.

    Then each request that was not handled to its end comes again; or there is one last reconciliation.
    """
    # Only a reconciliation finds a state that has the date of the state before.
    world = World(action, is_reconciled)
    with world.installed():
        for step, concurrent in steps:
            world.concurrent = list(concurrent)
            world.take(step)
            world.concurrent = []
        if is_reconciled:
            world.clock.sleep(timedelta(minutes=1).total_seconds())
            world.reconcile()
        else:
            world.deliver_the_rest(order)
        for request in world.forged:
            with suppress(CognitoUnavailableError):
                world.handle(request)
        assert world.active() == world.expected()


@pytest.mark.parametrize("is_change", [False, True], ids=["sign_up", "change"])
def test_forged_time_of_year_9999_freezes_nothing(is_change: bool) -> None:
    world = World(DeletedUsers.MARK)
    sub = numbered_sub(0)
    forged = (
        Change(sub, "AdminUpdateUserAttributes", FAR_FUTURE)
        if is_change
        else SyncRequest(sub, "user-0", "sign_up", FAR_FUTURE)
    )
    with world.installed():
        world.take(("federate", 0, 0))
        world.handle(forged)
        assert world.active() == world.expected()
        world.take(("edit", 0, 7))
        world.handle(world.requests[-1])
        assert world.active()[sub]["name"] == "Ada 7"
        world.handle(forged)
        world.take(("delete", 0, 0))
        world.reconcile()
        assert world.active() == {}
        world.handle(forged)
        assert world.active() == {}


def test_lagging_list_does_not_undo_password_reset() -> None:
    world = World(DeletedUsers.MARK)
    with world.installed():
        for kind in ("federate", "handle", "require_reset", "reset"):
            world.take((kind, 0, 1 if kind == "require_reset" else 0))
        world.handle(world.requests[-1])
        expected = world.expected()
        assert expected[numbered_sub(0)]["status"] == "CONFIRMED"
        # Of one change before: RESET_REQUIRED, though asked for after the reset was written.
        world.take(("reconcile", 0, 1))
        assert world.active() == expected
