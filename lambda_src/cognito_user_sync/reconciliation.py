"""Brings the table to what the pool is: one worker's part of it, a batch of shards.

A shard is listed to its end, page by page; each page is compared with the table's items, and what differs is written.
Then, and only then, the items of the shard that the list did not show are looked at: see `_check_deletions`.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from cognito_user_sync.clients import PARALLEL
from cognito_user_sync.deletion import delete_if_not_in_pool
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.item_layout import Item, has
from cognito_user_sync.log_fields import log_failure
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.shards import HEX_DIGITS, MAX_USERS, SMALL_POOL, children
from cognito_user_sync.user import UNCONFIRMED, User, now
from cognito_user_sync.user_pool import Page, PagingTokenRejectedError, PrefixRejectedError, UserPool
from cognito_user_sync.user_table import READ_SIZE, Outcome, TableRejectedError, UserTable

# AdminGetUser has four times the quota of ListUsers: 120 requests a second.
# https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
_GET_USERS_PER_LIST_USERS = 4
# Fewer users than these may always go.
_FEW = 20
# Of the users that could not be synced, a worker names so many.
NAMED_FAILURES = 3
# A listing whose paging marker Cognito rejects begins again so many times.
MAX_RESTARTS = 5

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Argument = TypeVar("Argument")

COUNTS = (
    *("listed", "created", "updated", "unchanged", "unconfirmed", "other_pool", "failed"),
    *("deleted", "still_in_pool", "over_limit", "unlisted_shards"),
)
_COUNT = {
    Outcome.CREATED: "created",
    Outcome.UPDATED: "updated",
    Outcome.UNCHANGED: "unchanged",
    Outcome.STALE: "unchanged",
    Outcome.DELETED: "unchanged",
    Outcome.OTHER_POOL: "other_pool",
}
_WRITES = (Outcome.CREATED, Outcome.UPDATED)
# Of what a dry run would change, so many names of attributes.
_NAMED_ATTRIBUTES = 20

_PREFIX = re.compile(r"[0-9a-f-]*")


class _ShardTooLargeError(Exception):
    """The shard has more users than a worker holds."""


# The counts and examples before a shard.
_Counted: TypeAlias = tuple[Counter[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Batch:
    """What one worker is to do."""

    prefixes: tuple[str, ...]
    pages_per_second: float
    checks_deletions: bool = True
    """Whether to look for users who are gone."""
    token: str | None = None
    """Where a sequential listing goes on."""
    restarts: int = 0
    """How often that listing has begun again."""
    sequential: bool = False
    """The pool cannot be cut into shards: the one prefix is "", and nobody is looked for who is gone."""
    max_delete_percent: float = 10
    allow_deletes: int = 0
    dry_run: bool = False
    """Only count what would be written and deleted."""
    max_examples: int = 0
    """Describe so many items that a dry run would write."""

    @classmethod
    def from_json(cls, given: Any) -> Batch:
        """As a function is given it. Raises InvalidEventError."""
        check_fields(given, {"prefixes", "pages_per_second"})
        check_no_others(given, {each.name for each in fields(cls)})
        return cls(**{**given, "prefixes": tuple(given["prefixes"])})


@dataclass
class Result:
    """What a worker did, and what is left of its batch. `counts` has listed, which is the sum of created, updated,
    unchanged, unconfirmed, other_pool and failed; deleted and still_in_pool; over_limit, the missing users of shards in
    which more are missing than may be deleted; and unlisted_shards, which Cognito did not list to their end. `examples`
    of a dry run: each has sub, outcome, and the names of the attributes that a run adds, replaces and removes."""

    counts: Counter[str] = field(default_factory=Counter)
    failed_subs: list[str] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str | None = None
    restarts: int = 0
    """How often the listing of the first prefix has begun again."""
    allow_deletes_needed: int = 0
    """The most missing users in one shard over the limit: what `allow_deletes` has to be."""
    sequential: bool = False
    """Cognito refused to list a shard: the rest has to be one listing from end to end."""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "counts": dict(self.counts)}


def check_fields(given: Any, required: Set[str]) -> None:
    """Raise InvalidEventError unless `given` is an object with these fields, each of the type that a Batch, a Result or
    a run's summary has under its name."""
    if not isinstance(given, dict) or not required <= given.keys():
        raise InvalidEventError(f"expected an object with {', '.join(sorted(required))}")
    for name in required & _FIELDS.keys():
        if not _FIELDS[name](given[name]):
            raise InvalidEventError(f"{name} is not what it may be")


def check_no_others(given: Any, allowed: Set[str]) -> None:
    """Raise InvalidEventError unless `given` is an object with at most these fields, each as in check_fields."""
    check_fields(given, given.keys() if isinstance(given, dict) else set())
    if not given.keys() <= allowed:
        raise InvalidEventError(f"an object has other fields than {', '.join(sorted(allowed))}")


def is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value, 0, math.inf)


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys((*COUNTS, "allow_deletes", "allow_deletes_needed", "restarts"), is_count),
    **dict.fromkeys(("batches", "max_examples"), is_count),
    **dict.fromkeys(("checks_deletions", "sequential", "dry_run"), lambda value: isinstance(value, bool)),
    "prefixes": lambda value: _is_list_of_text(value) and all(_PREFIX.fullmatch(prefix) for prefix in value),
    "pages_per_second": lambda value: _is_number(value, 1e-6, 1e9),
    "max_delete_percent": lambda value: _is_number(value, 0, 100),
    "token": lambda value: value is None or (isinstance(value, str) and value != ""),
    "failed_subs": _is_list_of_text,
    "examples": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}


def in_threads(act: Callable[[Argument], Answer], arguments: Iterable[Argument]) -> list[Answer]:
    """`act` of each argument, PARALLEL at a time."""
    with ThreadPoolExecutor(PARALLEL) as threads:
        return list(threads.map(act, arguments))


@dataclass
class Worker:
    """Works on one batch. `seconds_left` says how much of its time is left; `progress` is told how many users have been
    listed, after each page; clock, sleep and in_parallel stand in for the real ones in a simulation."""

    pool: UserPool
    table: UserTable
    batch: Batch
    seconds_left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    in_parallel: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = in_threads
    progress: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self._retry = RetryUntilDeadline(self.seconds_left, self.sleep)
        self._listing = RateLimiter(self.batch.pages_per_second, self.clock, self.sleep)
        self._asking = RateLimiter(_GET_USERS_PER_LIST_USERS * self.batch.pages_per_second, self.clock, self.sleep)
        self._result = Result(prefixes=list(self.batch.prefixes), token=self.batch.token, restarts=self.batch.restarts)

    def work(self) -> Result:
        """Reconcile the shards of the batch, as many as there is time for.

        Raises CognitoRejectedError or TableRejectedError. All of it may be done again.
        """
        left = self._result.prefixes
        had_all_the_time = True
        while left and self._retry.has_time():
            before = Counter(self._result.counts), list(self._result.examples)
            try:
                self._reconcile(left[0])
            except OutOfTimeError:
                listed = self._listed_since(before)
                # Fewer users would not have been done either: Cognito was too busy. But a dry run deletes nobody, so
                # that its next sweep of the same shard would come no further than this one.
                if had_all_the_time and (listed > SMALL_POOL or self.batch.dry_run) and not self.batch.sequential:
                    left[:1] = children(left[0])
                self._count_again_from(before)
                break
            except _ShardTooLargeError:
                left[:1] = children(left[0])
                self._count_again_from(before)
            except PrefixRejectedError:
                self._result.sequential = True
                break
            except PagingTokenRejectedError:
                self._list_again(before)
            else:
                self._leave_shard()
            had_all_the_time = False
        return self._result

    def _list_again(self, before: _Counted) -> None:
        """Begin the listing of the first shard again, a few times at most: a large shard in parts, whose markers are
        fewer."""
        left, listed = self._result.prefixes, self._listed_since(before)
        self._count_again_from(before)
        self._result.token = None
        self._result.restarts += 1
        logger.warning(
            "paging marker rejected",
            extra={"prefix": left[0], "listed": listed, "restarts": self._result.restarts},
        )
        if self._result.restarts > MAX_RESTARTS:
            self._result.counts["unlisted_shards"] += 1
            self._leave_shard()
        # Once in a batch, so that what is left stays small.
        elif listed > SMALL_POOL and not self.batch.sequential and len(left) <= len(self.batch.prefixes):
            left[:1] = children(left[0])
            self._result.restarts = 0

    def _leave_shard(self) -> None:
        del self._result.prefixes[0]
        self._result.restarts = 0

    def _listed_since(self, before: _Counted) -> int:
        return self._result.counts["listed"] - before[0]["listed"]

    def _count_again_from(self, before: _Counted) -> None:
        """Of a shard that will be listed again, a dry run would find everything to do once more."""
        if self.batch.dry_run and not self.batch.sequential:
            self._result.counts, self._result.examples = before

    def _reconcile(self, prefix: str) -> None:
        began_at = now()
        seen: set[str] = set()
        for page in self._pages(prefix):
            self._write(page)
            if self.progress:
                self.progress(self._result.counts["listed"])
            if not self.batch.sequential:
                seen.update(user.sub for user in page.users)
                seen.update(unusable.sub for unusable in page.unusable)
                if len(seen) > MAX_USERS:
                    raise _ShardTooLargeError
        if self.batch.checks_deletions and not self.batch.sequential:
            self._check_deletions(prefix, seen, began_at)

    def _pages(self, prefix: str) -> Iterator[Page]:
        """Every page of the shard. The token of the listing is kept only where it is to be handed on."""
        token = self._result.token
        while True:
            page = self._retry.call(self._listing.call, self.pool.page, prefix, token)
            yield page
            token = page.next_token
            if self.batch.sequential:
                self._result.token = token
            if token is None:
                return
            if not self._retry.has_time():
                raise OutOfTimeError

    def _write(self, page: Page) -> None:
        """Write the users of a page whose items differ from them."""
        users = [user for user in page.users if user.status != UNCONFIRMED]
        items = self._items([user.sub for user in users])
        outcomes: list[Outcome | TableRejectedError] = [
            self.table.outcome(user, items.get(user.sub, {})) for user in users
        ]
        different = [index for index, outcome in enumerate(outcomes) if outcome in _WRITES]
        if self.batch.dry_run:
            for index in different[: self.batch.max_examples - len(self._result.examples)]:
                self._describe(users[index], str(outcomes[index]), items.get(users[index].sub, {}))
        else:
            written = self.in_parallel(
                self._write_one, [(users[index], items.get(users[index].sub, {})) for index in different]
            )
            for index, outcome in zip(different, written, strict=True):
                outcomes[index] = outcome
        counts = self._result.counts
        counts["listed"] += len(page.users) + len(page.unusable)
        counts["unconfirmed"] += len(page.users) - len(users)
        for failed in page.unusable:
            self._failed(failed.sub or "one without a sub", failed)
        for user, outcome in zip(users, outcomes, strict=True):
            if isinstance(outcome, TableRejectedError):
                self._failed(user.sub, outcome)
            else:
                counts[_COUNT[outcome]] += 1

    def _describe(self, user: User, outcome: str, item: Item) -> None:
        """Say what a run would do to an item, without values."""
        layout = self.table.layout
        wanted = {**layout.to_item(user), layout.name("synced_at"): now()}
        changes = {
            "adds": [name for name in wanted if name not in item],
            "replaces": [name for name, value in wanted.items() if name in item and not has(item, name, value)],
            "removes": [name for name in layout.removable(item) if name in item and name not in wanted],
        }
        names = {kind: names[:_NAMED_ATTRIBUTES] for kind, names in changes.items()}
        self._result.examples.append({"sub": user.sub, "outcome": outcome, **names})

    def _write_one(self, each: tuple[User, Item]) -> Outcome | TableRejectedError:
        try:
            return self._retry.call(self.table.write, *each)
        except TableRejectedError as refused:
            return refused

    def _failed(self, sub: str, error: Exception) -> None:
        self._result.counts["failed"] += 1
        if len(self._result.failed_subs) < NAMED_FAILURES:
            self._result.failed_subs.append(sub)
            log_failure(sub, error)

    def _check_deletions(self, prefix: str, seen: set[str], began_at: str) -> None:
        """Delete the users of a shard, listed to its end, whom the list did not show and whom Cognito knows no more.

        Twice through the table: all are counted before any is deleted. If they are too many, none is deleted.
        """
        living = missing = 0
        for subs in self._active_subs(prefix):
            living += len(subs)
            missing += sum(sub not in seen for sub in subs)
        if not missing:
            return
        allowed = max(_FEW, int(living * self.batch.max_delete_percent / 100), self.batch.allow_deletes)
        if missing > allowed:
            self._result.counts["over_limit"] += missing
            self._result.allow_deletes_needed = max(self._result.allow_deletes_needed, missing)
            logger.warning(
                "shard over the deletion limit",
                extra={"prefix": prefix, "items": living, "missing": missing, "allowed": allowed},
            )
            if self.batch.dry_run:
                # Without asking Cognito: with a wrong pool, these are all users.
                for subs in self._active_subs(prefix):
                    _log_deletions([sub for sub in subs if sub not in seen])
            return
        for subs in self._active_subs(prefix):
            self._delete([sub for sub in subs if sub not in seen], began_at)

    def _active_subs(self, prefix: str) -> Iterator[list[str]]:
        for beginning in [prefix] if prefix else HEX_DIGITS:
            start: Item | None = None
            while True:
                subs, start = self._retry.call(self.table.active_subs, beginning, start)
                yield subs
                if start is None:
                    break

    def _delete(self, subs: Sequence[str], began_at: str) -> None:
        for start in range(0, len(subs), READ_SIZE):
            found = self._items(subs[start : start + READ_SIZE]).items()
            older = [each for each in found if self._is_older(each[1], began_at)]
            outcomes = self.in_parallel(self._delete_one, older)
            counts = self._result.counts
            # UNCHANGED: by somebody else meanwhile, or by an attempt of ours whose answer was lost.
            counts["deleted"] += sum(outcome in (Outcome.DELETED, Outcome.UNCHANGED) for outcome in outcomes)
            counts["still_in_pool"] += outcomes.count(Outcome.STALE) + outcomes.count(Outcome.STILL_IN_POOL)
            if self.batch.dry_run:
                _log_deletions(
                    [sub for (sub, _), outcome in zip(older, outcomes, strict=True) if outcome is Outcome.DELETED]
                )
            if None in outcomes:
                raise OutOfTimeError

    def _delete_one(self, found: tuple[str, Item]) -> Outcome | None:
        """None where there is no time for it."""
        sub, item = found
        try:
            if not self._retry.has_time():
                return None
            return self._retry.call(
                lambda: self._asking.call(delete_if_not_in_pool, self.pool, self.table, sub, item, self.batch.dry_run)
            )
        except OutOfTimeError:
            return None

    def _items(self, subs: Sequence[str]) -> dict[str, Item]:
        return self._retry.call(self.table.read, subs) if subs else {}

    def _is_older(self, item: Item, began_at: str) -> bool:
        """Whether an active user's item of this pool was last written before the listing began: one written since may
        have come after its page was read."""
        layout = self.table.layout
        times = [layout.text(item, name) for name in ("observed_at", "synced_at")]
        return layout.is_ours(item) and layout.name("deleted_at") not in item and max(times) < began_at


def _log_deletions(subs: Sequence[str]) -> None:
    """Name users whom a run would delete: in the log, since they are too many for an output of Step Functions."""
    for start in range(0, len(subs), READ_SIZE):
        logger.info("users would be deleted", extra={"subs": subs[start : start + READ_SIZE]})
