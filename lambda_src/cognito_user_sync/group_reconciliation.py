"""Reconciles the groups of all users: the last batches of a run, with `sync_groups`.

The worker lists the members of the pool's groups in the order of their names, until about half of its time is over.
Then it reads the items of all active users, and compares them with these lists. The next batch continues with the
other groups, or with the other users.

No list proves that a user has left a group: each such difference is verified with AdminListGroupsForUser. A group is
removed from all items only if GetGroup confirms that it does not exist.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from cognito_user_sync.item_layout import Item
from cognito_user_sync.log_fields import error_fields, log_failure
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.reconciliation import MAX_RESTARTS, NAMED_FAILURES, PARALLEL, in_threads
from cognito_user_sync.user import UnusableUserError, now, timestamp
from cognito_user_sync.user_pool import CognitoRejectedError, PagingTokenRejectedError, UserPool
from cognito_user_sync.user_table import (
    LISTED_AFTER_DELETION,
    READ_SIZE,
    Outcome,
    TableRejectedError,
    UserTable,
)

logger = logging.getLogger(__name__)

# ListUsersInGroup shares the quota of ListUsers, 30 requests per second. AdminListGroupsForUser has one of 50.
# https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
_GROUPS_OF_USER_PER_LIST = 50 / 30
# ListGroups and GetGroup: half of the 5 requests per second that Cognito allows for one pool.
_GROUP_CALLS_PER_SECOND = 2.5
# The parts of a worker's time after which no further group is listed, and after which a single group is left out.
_LISTING = 0.5
_LISTING_ONE = 0.8
# Reserved for the writes after GetGroup, of which a user needs at most 100.
_WRITING_SECONDS = 60.0
# The memberships of one batch: about 110 MB.
MAX_MEMBERSHIPS = 1_000_000
# Groups that a worker reports by name.
NAMED_GROUPS = 10

# Fields of an item that the worker reads.
_FIELDS = ("username", "user_pool_id", "deleted_at", "synced_attributes", "groups", "groups_observed_at")

_Task: TypeAlias = tuple[str, Item, frozenset[str], bool]
"""A user, the item, the groups that the item should have, and whether Cognito has to verify them."""


class _TooLargeError(Exception):
    """The list of a group does not fit into the time or memory of a worker. `members` were listed."""

    def __init__(self, members: int) -> None:
        super().__init__(f"{members} users listed")
        self.members = members


@dataclass(frozen=True)
class Position:
    """Where the next batch continues.

    Attributes:
        after: The groups up to this name, in the order of names, are reconciled.
        until: The last one of the groups that are not reconciled for all users; "" if there are none.
        sub: The users up to this sub, in the order of subs, are reconciled with them.
    """

    after: str = ""
    until: str = ""
    sub: str = ""


@dataclass(frozen=True)
class GroupBatch:
    """The input of one worker."""

    groups: Position
    pages_per_second: float
    dry_run: bool = False

    @classmethod
    def from_json(cls, event: Mapping[str, Any]) -> GroupBatch:
        """Return the batch in an event of the state machine."""
        return cls(**{**event, "groups": Position(**event["groups"])})


@dataclass
class GroupResult:
    """The output of a worker.

    Attributes:
        counts: `groups` and `memberships` that were listed, items with `groups_updated`, `unlisted_groups`, and
            `failed` users.
        failed_subs: Some users whose groups could not be written.
        unlisted: Some groups that could not be listed to their end: name, and users that were listed.
        left: The Position of the next batch; None if all groups are reconciled.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed_subs: list[str] = field(default_factory=list)
    unlisted: list[dict[str, Any]] = field(default_factory=list)
    left: Position | None = None

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "counts": dict(self.counts), "left": vars(self.left) if self.left else None}


class Members:
    """The groups of each listed user, in about 110 bytes a user: users with the same groups share one set."""

    def __init__(self) -> None:
        self.groups: list[str] = []
        self.memberships = 0
        self._by_sub: dict[bytes, frozenset[str]] = {}

    def add(self, group: str, keys: Sequence[bytes]) -> None:
        with_group: dict[frozenset[str], frozenset[str]] = {}
        for key in keys:
            before = self._by_sub.get(key, frozenset())
            after = with_group.get(before)
            if after is None:
                after = with_group[before] = before | {group}
            self._by_sub[key] = after
        self.groups.append(group)
        self.memberships += len(keys)

    def groups_of(self, sub: str) -> frozenset[str]:
        return self._by_sub.get(_key(sub), frozenset())


def _key(sub: str) -> bytes:
    return bytes.fromhex(sub.replace("-", ""))


@dataclass
class GroupWorker:
    """Reconciles one batch. The attributes are those of reconciliation.Worker."""

    pool: UserPool
    table: UserTable
    batch: GroupBatch
    seconds_left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    in_parallel: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = in_threads

    def __post_init__(self) -> None:
        def limiter(per_second: float) -> RateLimiter:
            return RateLimiter(per_second, self.clock, self.sleep)

        self._retry = RetryUntilDeadline(self.seconds_left, self.sleep)
        self._list_limiter = limiter(self.batch.pages_per_second)
        self._user_limiter = limiter(self.batch.pages_per_second * _GROUPS_OF_USER_PER_LIST)
        self._group_limiter = limiter(_GROUP_CALLS_PER_SECOND)
        self._seconds = self.seconds_left()
        self._result = GroupResult()
        self._exists: dict[str, bool] = {}
        self._compared = self.batch.groups.sub

    def work(self) -> GroupResult:
        """Reconcile groups until the time is over. Idempotent. Raises CognitoRejectedError or TableRejectedError."""
        try:
            self._result.left = self._work(self.batch.groups)
        except OutOfTimeError:
            # Cognito was too busy to list a group.
            self._result.left = self.batch.groups
        return self._result

    def _work(self, position: Position) -> Position | None:
        """Return the position of the next batch."""
        self._listed_at = now()
        names = self._group_names()
        self._exists = dict.fromkeys(names, True)
        left = sorted(name for name in names if name > position.after)
        members, last = self._list([name for name in left if not position.until or name <= position.until])
        if not position.until:
            # Otherwise, the batch before has counted them.
            self._result.counts["groups"] += len(members.groups)
            self._result.counts["memberships"] += members.memberships
        if last and not members.groups:
            # Nothing to compare: the next batch has the whole time of a worker.
            return Position(after=last)
        last = last or position.until or position.after
        if not self._compare_all(members):
            return Position(position.after, last, self._compared)
        return Position(after=last) if left and left[-1] > last else None

    def _group_names(self) -> list[str]:
        names: list[str] = []
        token: str | None = None
        while True:
            page, token = self._retry.call(self._group_limiter.call, self.pool.group_names, token)
            names += page
            if token is None:
                return names

    def _list(self, waiting: Sequence[str]) -> tuple[Members, str]:
        """Return the members of the first of these groups, and the name of the last group that was tried."""
        members, last = Members(), ""
        for name in waiting:
            try:
                # Without a group that was deleted since the groups were listed: no user is removed from it.
                if (keys := self._members(name, members)) is not None:
                    members.add(name, keys)
            except _TooLargeError as error:
                if members.groups:
                    break
                self._add_unlisted(name, error.members)
                return members, name
            except CognitoRejectedError as error:
                logger.warning("group not listed", extra=error_fields(error))
                self._add_unlisted(name, 0)
            last = name
        return members, last

    def _members(self, group: str, others: Members) -> list[bytes] | None:
        """Return the subs of a group, as bytes, or None if it does not exist.

        Raises _TooLargeError if they do not fit in addition to the others, or CognitoRejectedError.
        """
        share = _LISTING if others.groups else _LISTING_ONE
        restarts = 0
        keys: list[bytes] = []
        token: str | None = None
        while True:
            has_time = self.seconds_left() > self._seconds * (1 - share)
            if not has_time or len(keys) + others.memberships > MAX_MEMBERSHIPS:
                raise _TooLargeError(len(keys))
            try:
                page = self._retry.call(self._list_limiter.call, self.pool.members, group, token)
            except PagingTokenRejectedError:
                restarts, keys, token = restarts + 1, [], None
                if restarts > MAX_RESTARTS:
                    raise
                continue
            if page is None:
                return None
            subs, token = page
            keys += map(_key, subs)
            if token is None:
                return keys

    def _add_unlisted(self, group: str, members: int) -> None:
        self._result.counts["unlisted_groups"] += 1
        if len(self._result.unlisted) < NAMED_GROUPS:
            self._result.unlisted.append({"name": group, "listed": members})

    def _compare_all(self, members: Members) -> bool:
        """Compare the items of all active users who are left. Returns False if the time was over."""
        try:
            for subs in self.table.all_active_subs(self._compared, self._retry.call):
                for first in range(0, len(subs), READ_SIZE * PARALLEL):
                    self._compare(subs[first : first + READ_SIZE * PARALLEL], members)
        except OutOfTimeError:
            return False
        return True

    def _compare(self, subs: Sequence[str], members: Members) -> None:
        """Compare the items of some users, and write the differences. Raises OutOfTimeError after a part of them."""
        if not self._retry.has_time():
            raise OutOfTimeError
        reads = [subs[start : start + READ_SIZE] for start in range(0, len(subs), READ_SIZE)]
        items = {sub: item for found in self.in_parallel(self._read, reads) for sub, item in found.items()}
        tasks: list[_Task] = []
        compared = self._compared
        # After the last GetGroup for which there is time, the differences that are known are still written.
        with contextlib.suppress(OutOfTimeError):
            for sub in subs:
                if sub in items and (task := self._difference(sub, items[sub], members)):
                    tasks.append(task)
                compared = sub
        outcomes = self.in_parallel(self._write, tasks)
        written = outcomes.index(None) if None in outcomes else len(tasks)
        if written < len(tasks):
            compared = tasks[written - 1][0] if written else self._compared
        # The next batch compares the rest again. A dry run would count it twice.
        counted = outcomes[:written] if self.batch.dry_run else outcomes
        self._result.counts["groups_updated"] += counted.count(Outcome.UPDATED)
        for (sub, *_), outcome in zip(tasks[:written], outcomes, strict=False):
            if isinstance(outcome, Exception):
                self._add_failure(sub, outcome)
        self._compared = compared
        if compared != subs[-1]:
            raise OutOfTimeError

    def _add_failure(self, sub: str, error: Exception) -> None:
        self._result.counts["failed"] += 1
        if len(self._result.failed_subs) < NAMED_FAILURES:
            self._result.failed_subs.append(sub)
            log_failure(sub, error)

    def _read(self, subs: Sequence[str]) -> dict[str, Item]:
        return self._retry.call(lambda: self.table.read(subs, fields=_FIELDS))

    def _difference(self, sub: str, item: Item, members: Members) -> _Task | None:
        """Return what to write to an item, or None if its groups are those of the lists."""
        layout = self.table.layout
        if not layout.is_ours(item) or layout.name("deleted_at") in item:
            return None
        found, listed = layout.groups(item), members.groups_of(sub)
        added, left = listed - found, found.intersection(members.groups) - listed
        deleted = {name for name in found if not self._does_exist(name)}
        if not (added or left or deleted):
            return None
        # A list may be from before a change that the item has.
        is_recent = layout.text(item, "groups_observed_at") > _hours_before(self._listed_at)
        return sub, item, (found | added) - left - deleted, bool(left or (added and is_recent))

    def _does_exist(self, group: str) -> bool:
        if group not in self._exists:
            if self.seconds_left() < _WRITING_SECONDS:
                raise OutOfTimeError
            self._exists[group] = self._retry.call(self._group_limiter.call, self.pool.has_group, group)
        return self._exists[group]

    def _write(self, task: _Task) -> Outcome | Exception | None:
        """Return None if there was no time."""
        sub, item, groups, needs_verification = task
        layout = self.table.layout
        try:
            if not self._retry.has_time():
                return None
            if not needs_verification:
                if self.batch.dry_run:
                    return Outcome.UPDATED
                return self._retry.call(self.table.replace_groups, sub, groups, item)
            observed_at = now()
            username = layout.text(item, "username")
            verified = self._retry.call(self._user_limiter.call, self.pool.groups, username) if username else None
            if verified is None or verified == layout.groups(item):
                # Deleted users are not handled here.
                return Outcome.UNCHANGED
            if verified != groups and not self._retry.call(self._list_limiter.call, self.pool.find, sub):
                # Another user may have the username of a deleted one.
                return Outcome.UNCHANGED
            if self.batch.dry_run:
                return Outcome.UPDATED
            return self._retry.call(self.table.write_groups, sub, verified, observed_at, item)
        except (CognitoRejectedError, TableRejectedError, UnusableUserError) as error:
            return error
        except OutOfTimeError:
            return None


def _hours_before(moment: str) -> str:
    return timestamp(datetime.fromisoformat(moment) - LISTED_AFTER_DELETION)
