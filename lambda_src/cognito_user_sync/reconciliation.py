"""Reconciles a batch of shards: one worker's part of a run.

The worker lists a shard to its end, page by page. It compares each page with the table's items, and writes users whose
items differ. Only after the last page it checks the items of users whom the list did not show: see `_check_deletions`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from cognito_user_sync.clients import PARALLEL
from cognito_user_sync.deletion import delete_if_not_in_pool
from cognito_user_sync.item_layout import Item, has
from cognito_user_sync.log_fields import log_failure
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.shards import MAX_USERS, SMALL_POOL, children
from cognito_user_sync.user import HEX_DIGITS, UNCONFIRMED, User, now
from cognito_user_sync.user_pool import Page, PagingTokenRejectedError, PrefixRejectedError, UserPool
from cognito_user_sync.user_table import READ_SIZE, Outcome, TableRejectedError, UserTable

# AdminGetUser has four times the quota of ListUsers: 120 requests per second.
# https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html
_GET_USERS_PER_LIST_USERS = 4
# Deletions in a shard that are always allowed.
_MIN_ALLOWED_DELETIONS = 20
# Failed users that a worker reports by sub.
NAMED_FAILURES = 3
# Restarts of a listing whose paging token Cognito rejects.
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
# Attribute names in each list of a dry run's example.
_NAMED_ATTRIBUTES = 20


class _ShardTooLargeError(Exception):
    """The shard has more users than fit into a worker's memory."""


# The counts and examples before a shard.
_Snapshot: TypeAlias = tuple[Counter[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Batch:
    """The input of one worker."""

    prefixes: tuple[str, ...]
    pages_per_second: float
    checks_deletions: bool = True
    """Whether to check for deleted users."""
    token: str | None = None
    """Where a sequential listing continues."""
    restarts: int = 0
    """Restarts of that listing."""
    sequential: bool = False
    """The pool cannot be divided into shards: the only prefix is "", and the deletion check is skipped."""
    max_delete_percent: float = 10
    allow_deletes: int = 0
    dry_run: bool = False
    """Count what would be written and deleted, and change nothing."""
    max_examples: int = 0
    """Number of items that a dry run would write to describe."""

    @classmethod
    def from_json(cls, event: Mapping[str, Any]) -> Batch:
        """Return the batch in an event of the state machine."""
        return cls(**{**event, "prefixes": tuple(event["prefixes"])})


@dataclass
class Result:
    """The output of a worker: what it did, and what it has not finished of its batch.

    Attributes:
        counts: By name in COUNTS. `listed` is the sum of created, updated, unchanged, unconfirmed, other_pool and
            failed. `over_limit` has the missing users of shards that exceed the deletion limit. `unlisted_shards` has
            the shards that Cognito did not list to their end.
        failed_subs: Some users who could not be synced.
        examples: Items that a dry run would write: sub, outcome, and the names of attributes in adds, replaces and
            removes.
        prefixes: The shards that are not finished.
        token: Where a sequential listing continues.
        restarts: Restarts of the listing of the first prefix.
        allow_deletes_needed: The most missing users in one shard over the limit: the value that `allow_deletes` needs.
        sequential: Cognito rejected listing a shard: the run must continue as one listing of the whole pool.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failed_subs: list[str] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str | None = None
    restarts: int = 0
    allow_deletes_needed: int = 0
    sequential: bool = False

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "counts": dict(self.counts)}


def in_threads(act: Callable[[Argument], Answer], arguments: Iterable[Argument]) -> list[Answer]:
    """Return the results of `act` for all arguments. PARALLEL calls run at the same time."""
    with ThreadPoolExecutor(PARALLEL) as threads:
        return list(threads.map(act, arguments))


@dataclass
class Worker:
    """Reconciles one batch.

    Attributes:
        seconds_left: Returns the remaining time.
        clock: Monotonic clock.
        sleep: Waits.
        in_parallel: Runs calls at the same time. A simulation replaces it, the clock and sleep.
        progress: Called after each page with the number of users listed.
    """

    pool: UserPool
    table: UserTable
    batch: Batch
    seconds_left: Callable[[], float]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    in_parallel: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = in_threads
    progress: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        pages_per_second = self.batch.pages_per_second
        self._retry = RetryUntilDeadline(self.seconds_left, self.sleep)
        self._list_users_limiter = RateLimiter(pages_per_second, self.clock, self.sleep)
        self._get_user_limiter = RateLimiter(_GET_USERS_PER_LIST_USERS * pages_per_second, self.clock, self.sleep)
        self._result = Result(prefixes=list(self.batch.prefixes), token=self.batch.token, restarts=self.batch.restarts)

    def work(self) -> Result:
        """Reconcile shards of the batch until the time is over. Idempotent.

        Raises CognitoRejectedError or TableRejectedError.
        """
        is_first = True
        while self._result.prefixes and self._retry.has_time():
            before = Counter(self._result.counts), list(self._result.examples)
            try:
                self._reconcile(self._result.prefixes[0])
            except OutOfTimeError:
                if is_first:
                    self._split_unfinished_shard(before)
                self._discard_counts_since(before)
                break
            except _ShardTooLargeError:
                self._split_shard()
                self._discard_counts_since(before)
            except PrefixRejectedError:
                self._result.sequential = True
                break
            except PagingTokenRejectedError:
                self._list_again(before)
            else:
                self._finish_shard()
            is_first = False
        return self._result

    def _split_unfinished_shard(self, before: _Snapshot) -> None:
        """Split a shard for which the whole time of a worker was not enough.

        A small shard is not split: Cognito was too busy. In a dry run it is, because a dry run deletes no user, so the
        next deletion check of the same shard would not get further.
        """
        if (self._listed_since(before) > SMALL_POOL or self.batch.dry_run) and not self.batch.sequential:
            self._split_shard()

    def _split_shard(self) -> None:
        self._result.prefixes[:1] = children(self._result.prefixes[0])

    def _list_again(self, before: _Snapshot) -> None:
        """Restart the listing of a shard whose paging token was rejected, up to MAX_RESTARTS times.

        A large shard is split, because a smaller listing has fewer markers.
        """
        prefixes, listed = self._result.prefixes, self._listed_since(before)
        self._discard_counts_since(before)
        self._result.token = None
        self._result.restarts += 1
        logger.warning(
            "paging token rejected",
            extra={"prefix": prefixes[0], "listed": listed, "restarts": self._result.restarts},
        )
        if self._result.restarts > MAX_RESTARTS:
            self._result.counts["unlisted_shards"] += 1
            self._finish_shard()
        # Only one split per batch, to keep the result small.
        elif listed > SMALL_POOL and not self.batch.sequential and len(prefixes) <= len(self.batch.prefixes):
            self._split_shard()
            self._result.restarts = 0

    def _finish_shard(self) -> None:
        del self._result.prefixes[0]
        self._result.restarts = 0

    def _listed_since(self, before: _Snapshot) -> int:
        return self._result.counts["listed"] - before[0]["listed"]

    def _discard_counts_since(self, before: _Snapshot) -> None:
        """Discard the counts of a shard that will be listed again: a dry run would count its changes twice."""
        if self.batch.dry_run and not self.batch.sequential:
            self._result.counts, self._result.examples = before

    def _reconcile(self, prefix: str) -> None:
        began_at = now()
        listed_subs: set[str] = set()
        for page in self._pages(prefix):
            self._write(page)
            if self.progress:
                self.progress(self._result.counts["listed"])
            if not self.batch.sequential:
                listed_subs.update(user.sub for user in page.users)
                listed_subs.update(unusable.sub for unusable in page.unusable)
                if len(listed_subs) > MAX_USERS:
                    raise _ShardTooLargeError
        if self.batch.checks_deletions and not self.batch.sequential:
            self._check_deletions(prefix, listed_subs, began_at)

    def _pages(self, prefix: str) -> Iterator[Page]:
        """Yield all pages of a shard. Only a sequential listing can continue at its token in the next round."""
        token = self._result.token
        while True:
            page = self._retry.call(self._list_users_limiter.call, self.pool.page, prefix, token)
            yield page
            token = page.next_token
            if self.batch.sequential:
                self._result.token = token
            if token is None:
                return
            if not self._retry.has_time():
                raise OutOfTimeError

    def _write(self, page: Page) -> None:
        """Write the users of a page whose items differ, and count the outcomes of all its users."""
        users = [user for user in page.users if user.status != UNCONFIRMED]
        items = self._items([user.sub for user in users])
        outcomes: list[Outcome | TableRejectedError] = [
            self.table.outcome(user, items.get(user.sub, {})) for user in users
        ]
        different = [index for index, outcome in enumerate(outcomes) if outcome in _WRITES]
        if self.batch.dry_run:
            for index in different[: self.batch.max_examples - len(self._result.examples)]:
                self._add_example(users[index], str(outcomes[index]), items.get(users[index].sub, {}))
        else:
            written = self.in_parallel(
                self._write_one, [(users[index], items.get(users[index].sub, {})) for index in different]
            )
            for index, outcome in zip(different, written, strict=True):
                outcomes[index] = outcome
        counts = self._result.counts
        counts["listed"] += len(page.users) + len(page.unusable)
        counts["unconfirmed"] += len(page.users) - len(users)
        for unusable in page.unusable:
            self._add_failure(unusable.sub or "one without a sub", unusable)
        for user, outcome in zip(users, outcomes, strict=True):
            if isinstance(outcome, TableRejectedError):
                self._add_failure(user.sub, outcome)
            else:
                counts[_COUNT[outcome]] += 1

    def _add_example(self, user: User, outcome: str, item: Item) -> None:
        """Describe what a run would change in an item, without values."""
        layout = self.table.layout
        values = {**layout.to_item(user, item), layout.name("synced_at"): now()}
        changes = {
            "adds": [name for name in values if name not in item],
            "replaces": [name for name, value in values.items() if name in item and not has(item, name, value)],
            "removes": [name for name in layout.removed(item, values) if name in item],
        }
        names = {kind: names[:_NAMED_ATTRIBUTES] for kind, names in changes.items()}
        self._result.examples.append({"sub": user.sub, "outcome": outcome, **names})

    def _write_one(self, user_and_item: tuple[User, Item]) -> Outcome | TableRejectedError:
        try:
            return self._retry.call(self.table.write, *user_and_item)
        except TableRejectedError as error:
            return error

    def _add_failure(self, sub: str, error: Exception) -> None:
        self._result.counts["failed"] += 1
        if len(self._result.failed_subs) < NAMED_FAILURES:
            self._result.failed_subs.append(sub)
            log_failure(sub, error)

    def _check_deletions(self, prefix: str, listed_subs: set[str], began_at: str) -> None:
        """Delete users of a completely listed shard whom the list did not show, and who do not exist in Cognito.

        The items are read twice: the first pass only counts. If too many users are missing, none is deleted.
        """
        active = missing = 0
        for subs in self._active_subs(prefix):
            active += len(subs)
            missing += sum(sub not in listed_subs for sub in subs)
        if not missing:
            return
        allowed = max(
            _MIN_ALLOWED_DELETIONS, int(active * self.batch.max_delete_percent / 100), self.batch.allow_deletes
        )
        if missing > allowed:
            self._result.counts["over_limit"] += missing
            self._result.allow_deletes_needed = max(self._result.allow_deletes_needed, missing)
            logger.warning(
                "shard over the deletion limit",
                extra={"prefix": prefix, "items": active, "missing": missing, "allowed": allowed},
            )
            if self.batch.dry_run:
                # Without verifying them in Cognito: with a wrong pool, these are all users.
                for subs in self._active_subs(prefix):
                    _log_deletions([sub for sub in subs if sub not in listed_subs])
            return
        for subs in self._active_subs(prefix):
            self._delete([sub for sub in subs if sub not in listed_subs], began_at)

    def _active_subs(self, prefix: str) -> Iterator[list[str]]:
        for digits in [prefix] if prefix else HEX_DIGITS:
            start: Item | None = None
            while True:
                subs, start = self._retry.call(self.table.active_subs, digits, start)
                yield subs
                if start is None:
                    break

    def _delete(self, subs: Sequence[str], began_at: str) -> None:
        for start in range(0, len(subs), READ_SIZE):
            found = self._items(subs[start : start + READ_SIZE]).items()
            older = [(sub, item) for sub, item in found if self._is_older(item, began_at)]
            outcomes = self.in_parallel(self._delete_one, older)
            counts = self._result.counts
            # UNCHANGED: another function deleted the user, or this one in an attempt whose response was lost.
            counts["deleted"] += sum(outcome in (Outcome.DELETED, Outcome.UNCHANGED) for outcome in outcomes)
            counts["still_in_pool"] += sum(outcome in (Outcome.STALE, Outcome.STILL_IN_POOL) for outcome in outcomes)
            if self.batch.dry_run:
                _log_deletions(
                    [sub for (sub, _), outcome in zip(older, outcomes, strict=True) if outcome is Outcome.DELETED]
                )
            if None in outcomes:
                raise OutOfTimeError

    def _delete_one(self, sub_and_item: tuple[str, Item]) -> Outcome | None:
        """Return None if there was no time."""
        sub, item = sub_and_item
        try:
            if not self._retry.has_time():
                return None
            return self._retry.call(
                lambda: self._get_user_limiter.call(
                    delete_if_not_in_pool, self.pool, self.table, sub, item, self.batch.dry_run
                )
            )
        except OutOfTimeError:
            return None

    def _items(self, subs: Sequence[str]) -> dict[str, Item]:
        return self._retry.call(self.table.read, subs) if subs else {}

    def _is_older(self, item: Item, began_at: str) -> bool:
        """Return whether an active user's item of this pool was last written before the listing began.

        A user whose item was written later may have signed up after the page was listed.
        """
        layout = self.table.layout
        times = [layout.text(item, name) for name in ("observed_at", "synced_at")]
        return layout.is_ours(item) and layout.name("deleted_at") not in item and max(times) < began_at


def _log_deletions(subs: Sequence[str]) -> None:
    """Log users whom a run would delete: there may be too many for an output of Step Functions."""
    for start in range(0, len(subs), READ_SIZE):
        logger.info("users would be deleted", extra={"subs": subs[start : start + READ_SIZE]})
