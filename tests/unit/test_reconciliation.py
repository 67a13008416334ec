"""One worker's part of a reconciliation: the table is synced with the pool, no matter which call fails."""

from __future__ import annotations

import itertools
import json
import logging
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from cognito_user_sync import reconciliation, shards
from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.reconciliation import MAX_RESTARTS, Batch, Result, Worker, in_threads
from cognito_user_sync.user import HEX_DIGITS
from cognito_user_sync.user_pool import CognitoRejectedError, UserPool
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome, TableRejectedError
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.calls import Calls, ProcessKilled, kill_process
from tests.fakes.clock import Clock, RunningContext
from tests.fakes.cognito_pool import GET, LIST, LONG_AGO, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import cognito_client
from tests.fakes.simulated_table import QUERY, READ, WRITE, SimulatedTable, plain_item
from tests.fakes.subs import plain_sub, regional_sub
from tests.samples import COUNTS, POOL_ID, TABLE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# What differs from run to run without a difference in what is known of a user.
MOMENTS = frozenset({"synced_at", "observed_at", "deleted_at", "expires_at"})


def one_by_one(act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    return [act(argument) for argument in arguments]


def some_users(count: int, start: str = "", seed: int = 1) -> list[CognitoUser]:
    """Users of both kinds of subs, in turn."""
    source = random.Random(f"{seed} {start}")
    kinds = itertools.cycle((plain_sub, regional_sub))
    return [
        CognitoUser(kind(source, start), attributes={"name": f"User {number}", "email": f"u{number}@example.com"})
        for number, kind in zip(range(count), kinds, strict=False)
    ]


def subs_of(users: Iterable[CognitoUser]) -> set[str]:
    return {user.sub for user in users}


class Simulation:
    """A pool, a table and a clock, and workers on them."""

    def __init__(self, client: DynamoDBClient, clock: Clock, table: str = TABLE) -> None:
        self.calls = Calls()
        self.users = UsersInMemory()
        self.pool = CognitoPool(self.users, calls=self.calls)
        self.table = SimulatedTable(self.calls, client, table)
        self.clock = clock
        self.deletion = DeletionPolicy()

    def reader(self) -> UserPool:
        return UserPool(cognito_client(self.pool), POOL_ID)

    def work(self, *prefixes: str, seconds: float = 900.0, **batch: Any) -> Result:
        """One invocation of the function, on a batch of these prefixes or the whole pool, with so much time."""
        began = self.clock.seconds
        worker = Worker(
            self.reader(),
            self.table.users(self.deletion),
            Batch(**{"prefixes": prefixes or ("",), "pages_per_second": 4.0, **batch}),
            RunningContext(self.clock, seconds),
            self.clock,
            self.clock.sleep,
            one_by_one,
        )
        result = worker.work()
        # Without what is counted as none.
        counts = result.counts = +result.counts
        assert set(counts) <= set(COUNTS)
        accounted = ("created", "updated", "unchanged", "unconfirmed", "failed")
        assert counts["listed"] == sum(counts[name] for name in accounted)
        assert self.clock.seconds - began <= seconds
        return result

    def knows(self, *users: CognitoUser) -> None:
        """The pool has these users, and the table their items."""
        self.users.add(*users)
        self.table.put(*users)

    def sign_up(self, user: CognitoUser) -> None:
        """What the trigger's own execution does, beside a reconciliation."""
        self.users.add(user)
        read = replace(user.seen(), observed_at=self.clock.now())
        replace(self.table.users(), client=self.table.client).write(read)

    def in_step(self) -> bool:
        """Return whether the items of active users have all values of the confirmed users in Cognito."""
        living = {sub: item for sub, item in self.table.items().items() if "deleted_at" not in item}
        confirmed = {sub: user for sub, user in self.users.items() if user.status != "UNCONFIRMED"}
        moments = dict.fromkeys(("id", "observed_at", "synced_at"))
        return living.keys() == confirmed.keys() and all(
            {**item, **moments} == {**plain_item(user), **moments}
            for (_, item), (_, user) in zip(sorted(living.items()), sorted(confirmed.items()), strict=True)
        )


@pytest.fixture(scope="module")
def client(session: boto3.Session) -> DynamoDBClient:
    return session.client("dynamodb")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.replace_now(monkeypatch)
    return clock


@pytest.fixture
def simulation(client: DynamoDBClient, clock: Clock) -> Iterator[Simulation]:
    with mock_aws():
        yield Simulation(client, clock)


# What is written


def test_worker_writes_an_item_for_each_user(simulation: Simulation) -> None:
    simulation.users.add(*some_users(12))
    result = simulation.work()
    assert result.counts == {"listed": 12, "created": 12}
    assert (result.prefixes, result.token, result.sequential, result.failed_subs) == ([], None, False, [])
    assert simulation.in_step()


def test_worker_keeps_a_newer_item_when_the_list_lags(simulation: Simulation) -> None:
    [user] = some_users(1)
    user.status = "RESET_REQUIRED"
    simulation.knows(user)
    user.change(status="CONFIRMED")
    simulation.table.put(user)
    before = simulation.table.items()
    # The list still shows the user as before the reset.
    user.status, user.modified_at = "RESET_REQUIRED", LONG_AGO
    assert simulation.work().counts == {"listed": 1, "unchanged": 1}
    assert simulation.table.items() == before


def test_worker_writes_nothing_in_a_second_run(simulation: Simulation) -> None:
    simulation.users.add(*some_users(10))
    simulation.work()
    before = simulation.table.items()
    simulation.calls.forget()
    assert simulation.work().counts == {"listed": 10, "unchanged": 10}
    assert simulation.calls.count(WRITE) == 0
    assert simulation.table.items() == before


def test_worker_writes_only_changed_users(simulation: Simulation) -> None:
    users = some_users(8)
    simulation.knows(*users)
    users[3].change(attributes={"name": "Ada"})
    users[5].change(enabled=False)
    simulation.users.add(*some_users(1, seed=2))
    assert simulation.work().counts == {"listed": 9, "created": 1, "updated": 2, "unchanged": 6}
    assert simulation.calls.count(WRITE) == 3
    assert simulation.in_step()


def test_worker_keeps_attributes_of_an_application(simulation: Simulation) -> None:
    [user] = some_users(1)
    simulation.knows(user)
    simulation.table.client.update_item(
        TableName=TABLE,
        Key={"id": {"S": user.sub}},
        UpdateExpression="SET favourite = :tea",
        ExpressionAttributeValues={":tea": {"S": "tea"}},
    )
    user.change(attributes={"name": "Ada"})
    simulation.work()
    assert simulation.table.items()[user.sub]["favourite"] == "tea"


def test_worker_keeps_an_item_that_is_newer_than_the_list(simulation: Simulation) -> None:
    [user] = some_users(1)
    simulation.knows(user)
    newer = CognitoUser(user.sub, user.username, {"name": "Newer"}, modified_at=datetime(2027, 1, 1, tzinfo=UTC))
    simulation.table.put(newer)
    assert simulation.work().counts == {"listed": 1, "unchanged": 1}
    assert simulation.table.items()[user.sub]["name"] == "Newer"


def test_worker_counts_unconfirmed_users_and_writes_none(simulation: Simulation) -> None:
    users = some_users(4)
    users[1].status = users[2].status = "UNCONFIRMED"
    simulation.users.add(*users)
    assert simulation.work().counts == {"listed": 4, "created": 2, "unconfirmed": 2}
    assert simulation.table.active() == {users[0].sub, users[3].sub}
    users[1].change(status="CONFIRMED")
    assert simulation.work().counts == {"listed": 4, "created": 1, "unconfirmed": 1, "unchanged": 2}


def test_worker_counts_unusable_users_and_continues(simulation: Simulation) -> None:
    users = some_users(9)
    for user in users[:5]:
        user.missing = frozenset({"UserStatus"})
    simulation.users.add(*users)
    result = simulation.work()
    assert result.counts == {"listed": 9, "created": 4, "failed": 5}
    assert len(result.failed_subs) == 3
    assert set(result.failed_subs) < subs_of(users[:5])
    assert simulation.table.active() == subs_of(users[5:])


def test_worker_does_not_delete_an_unusable_user(simulation: Simulation) -> None:
    users = some_users(3)
    simulation.knows(*users)
    users[0].missing = frozenset({"Enabled"})
    assert simulation.work().counts == {"listed": 3, "unchanged": 2, "failed": 1}
    assert simulation.table.active() == subs_of(users)
    assert simulation.calls.count(GET) == 0


def test_worker_counts_a_user_without_a_sub(simulation: Simulation) -> None:
    users = some_users(3)
    users[1].missing = frozenset({"sub"})
    simulation.users.add(*users)
    assert simulation.work().counts == {"listed": 3, "created": 2, "failed": 1}


def test_worker_counts_a_rejected_write_and_continues(simulation: Simulation) -> None:
    users = some_users(8)
    simulation.users.add(*users)
    simulation.calls.fail(WRITE, error_response("ValidationException"), 2, 3, 5, 7)
    result = simulation.work()
    assert result.counts == {"listed": 8, "created": 4, "failed": 4}
    missing = subs_of(users) - simulation.table.active()
    assert len(missing) == 4
    assert len(result.failed_subs) == 3
    assert set(result.failed_subs) < missing


def test_worker_raises_when_a_read_is_rejected(simulation: Simulation) -> None:
    simulation.users.add(*some_users(3))
    simulation.calls.fail(READ, error_response("ResourceNotFoundException"), None)
    with pytest.raises(TableRejectedError, match="ResourceNotFoundException"):
        simulation.work()


def test_worker_raises_when_a_write_is_denied(simulation: Simulation) -> None:
    simulation.users.add(*some_users(3))
    simulation.calls.fail(WRITE, error_response("AccessDeniedException"), None)
    with pytest.raises(AccessDeniedError, match="UpdateItem"):
        simulation.work()


def test_worker_raises_when_the_pool_does_not_exist(simulation: Simulation) -> None:
    simulation.calls.fail(LIST, error_response("ResourceNotFoundException"), None)
    with pytest.raises(CognitoRejectedError, match="ResourceNotFoundException"):
        simulation.work()


# How the list comes


@pytest.mark.parametrize(
    "page_sizes", [(60,), (3, 0, 1, 60), (0, 0, 0, 7), (1,)], ids=["full", "short", "empty", "single"]
)
@pytest.mark.parametrize("ends_with_an_empty_page", [False, True], ids=["ends", "ends-empty"])
def test_worker_lists_until_there_is_no_token(
    simulation: Simulation, page_sizes: tuple[int, ...], ends_with_an_empty_page: bool
) -> None:
    users = some_users(12)
    simulation.knows(*users)
    simulation.pool.page_sizes = page_sizes
    simulation.pool.ends_with_an_empty_page = ends_with_an_empty_page
    assert simulation.work().counts == {"listed": 12, "unchanged": 12}
    assert simulation.table.active() == subs_of(users)


def test_worker_reads_unprocessed_keys_again(simulation: Simulation) -> None:
    simulation.knows(*some_users(10))
    simulation.table.keys_per_read = 3
    assert simulation.work().counts == {"listed": 10, "unchanged": 10}
    assert simulation.calls.count(READ) == 4


def test_worker_lists_only_the_prefixes_of_its_batch(simulation: Simulation) -> None:
    simulation.users.add(*some_users(3, "a"), *some_users(4, "b7"), *some_users(5, "b8"))
    assert simulation.work("a", "b8").counts == {"listed": 8, "created": 8}
    assert simulation.pool.listings == {"a": 1, "b8": 1}


def test_worker_lists_at_the_rate_of_its_batch(simulation: Simulation) -> None:
    simulation.knows(*some_users(12))
    simulation.pool.page_sizes = (2,)
    simulation.work(pages_per_second=0.5, checks_deletions=False)
    assert simulation.clock.seconds == 5 * 2.0


BUSY: list[tuple[str, Answer]] = [
    (LIST, error_response("TooManyRequestsException")),
    (LIST, error_response("InternalErrorException", 500)),
    (LIST, ConnectTimeoutError(endpoint_url="https://cognito-idp")),
    (READ, error_response("ProvisionedThroughputExceededException")),
    (READ, ReadTimeoutError(endpoint_url="https://dynamodb")),
    (WRITE, error_response("ThrottlingException")),
    (WRITE, error_response("InternalServerError", 500)),
    (QUERY, error_response("ThrottlingException")),
    (GET, error_response("TooManyRequestsException")),
]


def _name(value: object) -> str:
    if isinstance(value, Response):
        return str(json.loads(value.content)["__type"])
    return type(value).__name__ if isinstance(value, BotoCoreError) else str(value)


def _some_of_each(simulation: Simulation) -> list[CognitoUser]:
    """A pool and a table with a new user, a changed one, a deleted one, and an unchanged one."""
    users = some_users(4)
    simulation.users.add(users[0])
    simulation.knows(*users[1:])
    users[1].change(attributes={"name": "Ada"})
    simulation.users.remove(users[2].sub)
    return users


@pytest.mark.parametrize(("operation", "error"), BUSY, ids=_name)
def test_worker_retries_throttled_calls(simulation: Simulation, operation: str, error: Answer) -> None:
    _some_of_each(simulation)
    simulation.pool.page_sizes = (2,)
    # So that the pace itself takes no time worth mentioning.
    simulation.calls.fail(operation, error, 1, 2, 3)
    result = simulation.work(pages_per_second=1e9)
    assert result.counts == {"listed": 3, "created": 1, "updated": 1, "unchanged": 1, "deleted": 1}
    assert result.prefixes == []
    assert simulation.in_step()
    waits = [seconds for seconds in simulation.clock.slept if seconds > 1e-6]
    assert 1 <= len(waits) <= 3


def test_worker_lists_more_slowly_when_throttled(simulation: Simulation) -> None:
    simulation.knows(*some_users(12))
    simulation.pool.page_sizes = (2,)
    simulation.work(pages_per_second=0.05, checks_deletions=False, seconds=1e6)
    undisturbed = simulation.clock.seconds
    simulation.calls.fail(LIST, error_response("TooManyRequestsException"), simulation.calls.count(LIST) + 2)
    simulation.work(pages_per_second=0.05, checks_deletions=False, seconds=1e6)
    assert simulation.clock.seconds - undisturbed > undisturbed + 20 + 20


def test_worker_writes_users_in_parallel(simulation: Simulation) -> None:
    assert sorted(in_threads(lambda number: number * number, range(100))) == [n * n for n in range(100)]
    with pytest.raises(TableRejectedError):
        in_threads(_reject_one, range(100))


def _reject_one(number: int) -> int:
    if number == 57:
        raise TableRejectedError
    return number


# What is left


@pytest.mark.parametrize("operation", [LIST, READ, WRITE, QUERY, GET])
def test_worker_leaves_throttled_work_to_the_next_round(simulation: Simulation, operation: str) -> None:
    _some_of_each(simulation)
    simulation.calls.fail(operation, error_response("ThrottlingException"), None)
    result = simulation.work()
    assert result.prefixes == [""]
    assert result.token is None
    assert 870 <= simulation.clock.seconds <= 900
    simulation.calls.forget()
    assert simulation.work().prefixes == []
    assert simulation.in_step()


def test_worker_returns_shards_that_it_had_no_time_for(simulation: Simulation) -> None:
    groups = {digit: some_users(4, digit) for digit in "2468"}
    simulation.users.add(*itertools.chain(*groups.values()))
    simulation.pool.page_sizes = (1,)
    # A page a second, and a margin of 30 seconds: seven pages.
    result = simulation.work(*groups, pages_per_second=1.0, seconds=35.5)
    assert result.prefixes == ["4", "6", "8"]
    assert simulation.table.active() >= subs_of(groups["2"])
    rounds = 0
    while result.prefixes:
        before, rounds = len(result.prefixes), rounds + 1
        result = simulation.work(*result.prefixes, pages_per_second=1.0, seconds=35.5)
        assert len(result.prefixes) < before
    assert rounds == 3
    assert simulation.in_step()


def test_worker_returns_the_whole_batch_without_time(simulation: Simulation) -> None:
    result = simulation.work("1", "2", seconds=30)
    assert result.prefixes == ["1", "2"]
    assert simulation.calls.operations == []


@pytest.fixture
def _small_pools_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "SMALL_POOL", 20)


@pytest.mark.usefixtures("_small_pools_are_small")
def test_worker_splits_a_shard_that_needs_more_than_its_time(simulation: Simulation) -> None:
    simulation.knows(*some_users(60, "b"))
    simulation.pool.page_sizes = (7,)
    result = simulation.work("b", "c", pages_per_second=1.0, seconds=33.5)
    assert result.counts["listed"] == 35
    assert result.prefixes == [*shards.children("b"), "c"]


@pytest.mark.usefixtures("_small_pools_are_small")
def test_worker_returns_a_shard_that_had_part_of_the_time(simulation: Simulation) -> None:
    simulation.knows(*some_users(60, "b"))
    simulation.pool.page_sizes = (7,)
    result = simulation.work("a", "b", "c", pages_per_second=1.0, seconds=34.5)
    assert result.counts["listed"] == 35
    assert result.prefixes == ["b", "c"]


@pytest.mark.usefixtures("_small_pools_are_small")
def test_worker_does_not_split_a_small_shard(simulation: Simulation) -> None:
    simulation.knows(*some_users(30, "b"))
    simulation.pool.page_sizes = (20, 10)
    simulation.calls.fail(LIST, error_response("TooManyRequestsException"), *range(2, 1_000))
    result = simulation.work("b", "c")
    assert result.counts["listed"] == 20
    assert result.prefixes == ["b", "c"]


@pytest.mark.usefixtures("_small_pools_are_small")
@pytest.mark.parametrize("start", ["", "b4c8"], ids=["the-whole-pool", "a-prefix"])
def test_worker_finishes_a_pool_larger_than_planned(simulation: Simulation, start: str) -> None:
    simulation.knows(*some_users(50, start))
    simulation.users.add(*some_users(5, start, seed=2))
    simulation.table.put(*some_users(5, start, seed=3))
    simulation.pool.page_sizes = (7,)
    left = [start]
    for _ in range(20):
        if not left:
            break
        left = simulation.work(*left, pages_per_second=1.0, seconds=36).prefixes
    assert left == []
    assert simulation.in_step()


def test_worker_splits_a_shard_larger_than_its_memory(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "MAX_USERS", 20)
    gone, *users = some_users(41)
    simulation.knows(*users)
    simulation.table.put(gone)
    simulation.pool.page_sizes = (10,)
    result = simulation.work()
    assert result.prefixes == []
    assert result.counts["deleted"] == 1
    # Of the whole pool three pages, and the rest by prefix.
    assert simulation.pool.listings[""] == 3
    assert simulation.pool.listings.keys() == {"", *HEX_DIGITS}
    assert simulation.in_step()


# A pool that cannot be listed by prefixes


@pytest.mark.parametrize("fault", ["rejects_prefixes", "ignores_filters"])
def test_worker_reports_a_rejected_prefix_as_sequential(simulation: Simulation, fault: str) -> None:
    simulation.users.add(*some_users(20, "a"), *some_users(3, "b"))
    setattr(simulation.pool, fault, True)
    result = simulation.work("b", "a")
    assert result.sequential
    assert result.prefixes == ["b", "a"]
    assert result.counts.total() == 0
    assert simulation.table.items() == {}


def test_worker_deletes_no_user_when_a_prefix_is_rejected(simulation: Simulation) -> None:
    simulation.table.put(*some_users(3, "b"))
    simulation.pool.rejects_prefixes = True
    assert simulation.work("b").sequential
    assert len(simulation.table.active()) == 3


# A paging token that Cognito rejects

REJECTED = error_response("InvalidParameterException")


@pytest.mark.parametrize("start", ["", "b"], ids=["the-whole-pool", "a-prefix"])
def test_worker_lists_a_shard_again_after_a_rejected_marker(simulation: Simulation, start: str) -> None:
    gone, *users = some_users(7, start)
    simulation.knows(gone)
    simulation.users.remove(gone.sub)
    simulation.users.add(*users)
    simulation.pool.page_sizes = (2,)
    # Of its second page, and then of its third.
    simulation.calls.fail(LIST, REJECTED, 2, 5)
    result = simulation.work(start)
    assert (result.prefixes, result.sequential, result.restarts) == ([], False, 0)
    assert simulation.pool.listings == {start: 1 + 2 + 3}
    assert result.counts["deleted"] == 1
    assert simulation.in_step()


def test_worker_skips_a_shard_whose_markers_are_rejected(simulation: Simulation) -> None:
    gone = some_users(1, "b")
    simulation.table.put(*gone)
    simulation.users.add(*some_users(5, "b", seed=2), *some_users(2, "c"))
    simulation.pool.page_sizes = (2,)
    # Every second call asks for a second page.
    simulation.calls.fail(LIST, REJECTED, *range(2, 2 * (MAX_RESTARTS + 1) + 1, 2))
    result = simulation.work("b", "c")
    assert result.prefixes == []
    assert (result.counts["unlisted_shards"], result.counts["deleted"]) == (1, 0)
    assert simulation.pool.listings == {"b": MAX_RESTARTS + 1, "c": 1}
    # Who was on the first page is written; no user counts as deleted.
    assert Counter(sub[0] for sub in simulation.table.active()) == {"b": 1 + 2, "c": 2}


def test_worker_resets_restarts_for_the_next_shard(simulation: Simulation) -> None:
    simulation.users.add(*some_users(3, "b"), *some_users(3, "c"))
    simulation.pool.page_sizes = (2,)
    rejected = range(2, 2 * MAX_RESTARTS + 1, 2)
    simulation.calls.fail(LIST, REJECTED, *rejected, *(call + rejected[-1] + 2 for call in rejected))
    assert simulation.work("b", "c").counts["unlisted_shards"] == 0
    assert simulation.in_step()


@pytest.mark.usefixtures("_small_pools_are_small")
def test_worker_splits_a_large_shard_after_a_rejected_marker(simulation: Simulation) -> None:
    simulation.users.add(*some_users(40, "b"), *some_users(3, "c"))
    simulation.pool.page_sizes = (7,)
    simulation.calls.fail(LIST, REJECTED, 4)
    result = simulation.work("b", "c")
    assert result.prefixes == []
    assert simulation.pool.listings.keys() == {"b", "c", *shards.children("b")}
    assert simulation.in_step()


def test_dry_run_counts_a_shard_once_that_is_listed_again(simulation: Simulation) -> None:
    simulation.users.add(*some_users(5))
    simulation.pool.page_sizes = (2,)
    simulation.calls.fail(LIST, REJECTED, 3)
    assert simulation.work(dry_run=True).counts == {"listed": 5, "created": 5}


def test_sequential_listing_restarts_after_a_rejected_token(simulation: Simulation) -> None:
    simulation.users.add(*some_users(7))
    simulation.pool.rejects_prefixes = True
    simulation.pool.page_sizes = (3,)
    # Of another worker, more than an hour ago.
    result = simulation.work(sequential=True, token="expired", restarts=MAX_RESTARTS - 1)
    assert (result.prefixes, result.token, result.restarts) == ([], None, 0)
    assert result.counts == {"listed": 7, "created": 7}


def test_sequential_listing_returns_its_restarts(simulation: Simulation) -> None:
    simulation.users.add(*some_users(20))
    simulation.pool.page_sizes = (3,)
    simulation.calls.fail(LIST, REJECTED, 2)
    result = simulation.work(sequential=True, pages_per_second=1.0, seconds=33.5, restarts=2)
    assert (result.prefixes, result.restarts) == ([""], 3)
    assert result.token is not None


def test_sequential_listing_ends_after_its_last_restart(simulation: Simulation) -> None:
    simulation.users.add(*some_users(7))
    simulation.pool.page_sizes = (3,)
    result = simulation.work(sequential=True, token="expired", restarts=MAX_RESTARTS)
    assert (result.prefixes, result.token) == ([], None)
    assert result.counts == {"unlisted_shards": 1}


def test_sequential_listing_returns_its_token_and_deletes_no_user(simulation: Simulation) -> None:
    simulation.users.add(*some_users(20))
    gone = some_users(3, seed=2)
    simulation.table.put(*gone)
    simulation.pool.rejects_prefixes = True
    simulation.pool.page_sizes = (3,)
    counts: Counter[str] = Counter()
    result = simulation.work(sequential=True, pages_per_second=1.0, seconds=31.5)
    tokens = []
    while result.prefixes:
        counts += result.counts
        tokens.append(result.token)
        assert result.prefixes == [""]
        assert not result.sequential
        result = simulation.work(sequential=True, pages_per_second=1.0, seconds=31.5, token=result.token)
    counts += result.counts
    # Three pages each, and none of them twice.
    assert (len(tokens), None in tokens, result.token) == (2, False, None)
    assert counts == {"listed": 20, "created": 20}
    assert simulation.calls.count(LIST) == 7
    assert simulation.calls.count(QUERY) == simulation.calls.count(GET) == 0
    assert simulation.table.active() == subs_of(simulation.users.values()) | subs_of(gone)


@pytest.mark.usefixtures("_small_pools_are_small")
def test_sequential_listing_is_never_split(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "MAX_USERS", 20)
    simulation.knows(*some_users(60))
    simulation.pool.page_sizes = (10,)
    result = simulation.work(sequential=True, pages_per_second=1.0, seconds=33.5)
    assert result.counts["listed"] == 50
    assert result.prefixes == [""]


def test_sequential_listing_repeats_a_page_that_was_not_written(simulation: Simulation) -> None:
    simulation.users.add(*some_users(9))
    simulation.pool.page_sizes = (3,)
    simulation.calls.fail(WRITE, error_response("ThrottlingException"), *range(5, 1_000))
    result = simulation.work(sequential=True)
    assert result.counts == {"listed": 3, "created": 3}
    simulation.calls.forget()
    assert simulation.work(sequential=True, token=result.token).counts["listed"] == 6
    assert simulation.in_step()


# A dry run


def test_dry_run_counts_the_changes_of_a_run_and_writes_nothing(simulation: Simulation) -> None:
    users = some_users(12)
    simulation.knows(*users)
    users[0].change(attributes={"name": "Ada"})
    simulation.users.remove(*subs_of(users[1:3]))
    simulation.users.unlisted = {users[3].sub}
    newer = CognitoUser(users[4].sub, users[4].username, {}, modified_at=datetime(2027, 1, 1, tzinfo=UTC))
    simulation.table.put(newer)
    simulation.users.add(*some_users(2, seed=2))
    before = simulation.table.items()
    simulation.calls.forget()
    foretold = simulation.work(dry_run=True).counts
    assert simulation.calls.count(WRITE) == 0
    assert simulation.table.items() == before
    assert foretold == {"listed": 11, "created": 2, "updated": 1, "unchanged": 8, "deleted": 2, "still_in_pool": 1}
    assert simulation.work().counts == foretold


def test_dry_run_names_the_changed_attributes(simulation: Simulation) -> None:
    changed, of_the_application = some_users(2)
    simulation.knows(changed)
    changed.change(attributes={"email": "ada@example.com"})
    simulation.users.add(of_the_application)
    item = {"id": of_the_application.sub, "name": "theirs", "deleted_at": "theirs", "theme": "dark"}
    simulation.table.client.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    examples = {each["sub"]: each for each in simulation.work(dry_run=True, max_examples=10).examples}
    assert examples[changed.sub]["outcome"] == examples[of_the_application.sub]["outcome"] == "updated"
    assert {kind: set(examples[changed.sub][kind]) for kind in ("adds", "replaces", "removes")} == {
        "adds": set(),
        "replaces": {"email", "cognito_modified_at", "observed_at", "synced_at", "synced_attributes"},
        "removes": {"name"},
    }
    assert examples[of_the_application.sub]["replaces"] == ["name"]
    assert examples[of_the_application.sub]["removes"] == ["deleted_at"]


def test_dry_run_repeats_no_example_of_a_split_shard(simulation: Simulation) -> None:
    simulation.users.add(*some_users(130))
    examples, left = [], [""]
    while left:
        result = simulation.work(*left, seconds=33, dry_run=True, max_examples=1000)
        examples += [each["sub"] for each in result.examples]
        left = result.prefixes
    assert len(set(examples)) == len(examples) == 130


def test_dry_run_counts_deletions_over_the_limit(simulation: Simulation) -> None:
    simulation.table.put(*some_users(25, "b"), *some_users(3, "c"))
    result = simulation.work("b", "c", dry_run=True)
    assert result.counts == {"over_limit": 25, "deleted": 3}
    assert result.allow_deletes_needed == 25
    assert simulation.work("b", "c", dry_run=True, allow_deletes=25).counts == {"deleted": 28}


def test_dry_run_logs_users_whom_a_run_deletes(simulation: Simulation, caplog: pytest.LogCaptureFixture) -> None:
    """Also those of a shard over the limit, a hundred in a line: reconcile --dry-run --deletions-file reads them."""
    caplog.set_level(logging.INFO)
    simulation.knows(*some_users(1, "b", seed=2))
    gone = subs_of([*some_users(3, "b"), *some_users(120, "c")])
    simulation.table.put(*some_users(3, "b"), *some_users(120, "c"))
    assert simulation.work("b", "c", dry_run=True).counts["over_limit"] == 120
    assert simulation.calls.count(GET) == 3
    lines = [vars(record)["subs"] for record in caplog.records if record.message == "users would be deleted"]
    assert [len(line) for line in lines] == [3, 100, 20]
    assert {sub for line in lines for sub in line} == gone


def test_dry_run_ends_in_several_rounds_with_the_same_counts(
    simulation: Simulation,
) -> None:
    users = some_users(100)
    simulation.knows(*users)
    simulation.users.remove(*subs_of(users[:75]))
    for user in users[75:85]:
        user.change(attributes={"name": "Ada"})
    simulation.users.add(*some_users(8, seed=2))

    def counted(**batch: Any) -> tuple[dict[str, int], int]:
        counts: Counter[str] = Counter()
        left, invocations = [""], 0
        while left:
            result = simulation.work(*left, seconds=34, allow_deletes=75, **batch)
            counts += result.counts
            left, invocations = result.prefixes, invocations + 1
            assert invocations < 50, "it never ends"
        return {name: counts[name] for name in ("created", "updated", "deleted")}, invocations

    foretold, invocations = counted(dry_run=True)
    assert invocations > 1, "it all fitted into one function's time"
    assert foretold == {"created": 8, "updated": 10, "deleted": 75}
    assert counted()[0] == foretold


def test_worker_reports_progress_after_each_page(simulation: Simulation) -> None:
    simulation.users.add(*some_users(130))
    told: list[int] = []
    batch = Batch(prefixes=("",), pages_per_second=4.0)
    Worker(
        simulation.reader(),
        simulation.table.users(),
        batch,
        lambda: 900.0,
        simulation.clock,
        simulation.clock.sleep,
        one_by_one,
        told.append,
    ).work()
    assert told == [60, 120, 130]


# Deleted users


def test_deletion_check_marks_a_user_when_cognito_confirms(simulation: Simulation) -> None:
    users = some_users(8)
    simulation.knows(*users)
    gone = users[2:5]
    simulation.users.remove(*subs_of(gone))
    assert simulation.work().counts == {"listed": 5, "unchanged": 5, "deleted": 3}
    assert simulation.calls.count(GET) == 3
    items = simulation.table.items()
    for user in gone:
        assert "shard" not in items[user.sub]
        assert items[user.sub]["deleted_at"] > items[user.sub]["observed_at"]
        assert items[user.sub]["name"] == user.attributes["name"]
    assert simulation.table.active() == subs_of(users) - subs_of(gone)
    # And that was that.
    simulation.calls.forget()
    assert simulation.work().counts == {"listed": 5, "unchanged": 5}
    assert simulation.calls.count(GET) == simulation.calls.count(WRITE) == 0


def test_deletion_check_leaves_a_tombstone_if_action_is_delete(simulation: Simulation) -> None:
    simulation.deletion = DeletionPolicy(DeletedUsers.DELETE)
    [gone] = some_users(1)
    simulation.table.put(gone)
    assert simulation.work().counts == {"deleted": 1}
    assert simulation.table.items()[gone.sub].keys() == {"id", "user_pool_id", "deleted_at"}


def test_deletion_check_is_skipped_if_the_batch_says_so(simulation: Simulation) -> None:
    simulation.table.put(*some_users(3))
    assert simulation.work(checks_deletions=False).counts.total() == 0
    assert simulation.calls.operations == [LIST]


def test_deletion_check_keeps_a_user_missing_only_in_the_list(simulation: Simulation) -> None:
    users = some_users(5)
    simulation.knows(*users)
    simulation.users.unlisted = {users[0].sub, users[4].sub}
    before = simulation.table.items()
    assert simulation.work().counts == {"listed": 3, "unchanged": 3, "still_in_pool": 2}
    assert simulation.table.items() == before


def test_deletion_check_deletes_a_user_whose_username_is_reused(simulation: Simulation) -> None:
    gone, heir = some_users(2)
    heir.username = gone.username
    simulation.knows(heir)
    simulation.table.put(gone)
    assert simulation.work().counts == {"listed": 1, "unchanged": 1, "deleted": 1}
    assert simulation.table.active() == {heir.sub}


def test_deletion_check_keeps_an_item_without_a_username(simulation: Simulation) -> None:
    sub = plain_sub(random.Random(1))
    item = {"id": sub, "shard": f"{POOL_ID}#{sub[0]}", "user_pool_id": POOL_ID}
    simulation.table.client.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    assert simulation.work().counts == {"still_in_pool": 1}
    assert simulation.table.active() == {sub}


@pytest.mark.parametrize("dry_run", [False, True])
def test_deletion_check_leaves_an_item_of_another_pool(simulation: Simulation, dry_run: bool) -> None:
    sub = plain_sub(random.Random(1))
    item = {"id": sub, "shard": f"{POOL_ID}#{sub[0]}", "user_pool_id": "eu-west-1_Another1", "username": "ada"}
    simulation.table.client.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    assert simulation.work(dry_run=dry_run).counts.total() == 0
    assert simulation.table.items() == {sub: item}


def test_deletion_check_reads_all_pages_of_the_index(simulation: Simulation) -> None:
    users = some_users(15, "b")
    simulation.knows(*users)
    simulation.table.query_size = 4
    gone = sorted(subs_of(users))[::3]
    simulation.users.remove(*gone)
    assert simulation.work("b").counts["deleted"] == 5
    assert simulation.table.active() == subs_of(users) - set(gone)


def test_deletion_check_reads_only_items_of_its_shard(simulation: Simulation) -> None:
    gone, elsewhere = some_users(4, "b4"), some_users(4, "b5")
    simulation.table.put(*gone, *elsewhere)
    assert simulation.work("b4").counts == {"deleted": 4}
    assert simulation.table.active() == subs_of(elsewhere)


def test_deletion_check_keeps_an_item_written_after_the_listing_began(simulation: Simulation) -> None:
    # Signed up after the page was read on which the list would show it: neither the list nor AdminGetUser counts.
    simulation.knows(*some_users(3))
    [late] = some_users(1, seed=2)

    def sign_up_and_leave() -> None:
        simulation.sign_up(late)
        simulation.users.remove(late.sub)

    simulation.calls.before(QUERY, 1, sign_up_and_leave)
    assert simulation.work().counts == {"listed": 3, "unchanged": 3}
    assert late.sub in simulation.table.active()
    assert simulation.calls.count(GET) == 0


@pytest.mark.parametrize("number", range(1, 40, 3))
def test_deletion_check_keeps_a_sign_up_at_any_moment(simulation: Simulation, number: int) -> None:
    users = some_users(3)
    simulation.knows(*users)
    simulation.users.remove(users[0].sub)
    [late] = some_users(1, seed=2)
    simulation.calls.before(None, number, lambda: simulation.sign_up(late))
    simulation.work()
    if late.sub in simulation.users:
        assert simulation.in_step()
    else:
        assert len(simulation.calls.operations) < number


def test_deletion_check_keeps_a_user_written_during_the_check(simulation: Simulation) -> None:
    # Deleted for AdminGetUser, but written before the item is marked: the condition of the write decides.
    [user] = some_users(1)
    simulation.table.put(user)
    user.change(attributes={"name": "Ada"})
    simulation.calls.after(GET, 1, lambda: simulation.sign_up(user))
    assert simulation.work().counts == {"still_in_pool": 1}
    assert simulation.table.active() == {user.sub}


def test_deletion_check_counts_a_deletion_without_a_response(simulation: Simulation) -> None:
    [gone] = some_users(1)
    simulation.table.put(gone)

    simulation.calls.lose_next(WRITE, ReadTimeoutError(endpoint_url="https://dynamodb"))
    assert simulation.work().counts == {"deleted": 1}


@pytest.mark.parametrize("throttled_calls", [0, 5], ids=["undisturbed", "throttled"])
def test_deletion_check_stops_before_the_timeout(simulation: Simulation, throttled_calls: int) -> None:
    # Four AdminGetUser a second, or less where they are throttled, for 30 seconds: what is left goes to another worker.
    simulation.table.put(*some_users(300, "b"))
    simulation.calls.fail(GET, error_response("TooManyRequestsException"), *range(1, 1 + throttled_calls))
    result = simulation.work("b", "c", pages_per_second=1.0, seconds=60, allow_deletes=500)
    assert result.prefixes == ["b", "c"]
    assert 60 <= len(simulation.table.active()) < 300


# Too many of them


def _hold(simulation: Simulation, living: int, gone: int, start: str = "b") -> set[str]:
    """Make a shard with deleted users. Return the users who are not deleted."""
    users = some_users(living, start)
    simulation.knows(*users)
    simulation.users.remove(*subs_of(users[:gone]))
    return subs_of(users[gone:])


def _over_limit(simulation: Simulation, **batch: Any) -> int:
    """The users whom a worker does not delete, since they are too many; nothing has changed."""
    before = simulation.table.items()
    result = simulation.work("b", **batch)
    assert result.prefixes == []
    assert result.counts["over_limit"] == result.allow_deletes_needed
    assert simulation.table.items() == before
    assert simulation.calls.count(GET) == simulation.calls.count(WRITE) == 0
    return result.allow_deletes_needed


def test_deletion_limit_allows_20_users(simulation: Simulation) -> None:
    assert _hold(simulation, 20, 20) == set()
    assert simulation.work("b").counts == {"deleted": 20}


def test_deletion_limit_rejects_more_in_a_small_shard(simulation: Simulation) -> None:
    _hold(simulation, 30, 21)
    assert _over_limit(simulation) == 21


def test_deletion_limit_allows_a_percentage_of_a_large_shard(simulation: Simulation) -> None:
    left = _hold(simulation, 250, 25)
    assert simulation.work("b", max_delete_percent=10).counts["deleted"] == 25
    assert simulation.table.active() == left


def test_deletion_limit_rejects_more_than_the_percentage(simulation: Simulation) -> None:
    _hold(simulation, 250, 26)
    assert _over_limit(simulation, max_delete_percent=10) == 26


def test_deletion_limit_is_raised_by_allow_deletes(simulation: Simulation) -> None:
    _hold(simulation, 30, 25)
    assert _over_limit(simulation, allow_deletes=24) == 25
    assert simulation.work("b", allow_deletes=25).counts["deleted"] == 25


def test_deletion_limit_applies_to_each_shard(simulation: Simulation) -> None:
    left = _hold(simulation, 40, 35, "b") | _hold(simulation, 30, 25, "d")
    for start in "ace":
        left |= _hold(simulation, 5, 1, start)
    new = some_users(2, "b", seed=2)
    simulation.users.add(*new)
    result = simulation.work(*"abcde")
    assert result.prefixes == []
    assert (result.counts["deleted"], result.counts["created"], result.counts["over_limit"]) == (3, 2, 60)
    assert result.allow_deletes_needed == 35
    assert Counter(sub[0] for sub in simulation.table.active() - left - subs_of(new)) == {"b": 35, "d": 25}
    assert simulation.work(*"abcde", allow_deletes=35).counts["deleted"] == 60
    assert simulation.in_step()


@pytest.mark.parametrize("code", ["NotAuthorizedException", "TooManyRequestsException"])
def test_deletion_check_does_not_run_after_a_partial_listing(simulation: Simulation, code: str) -> None:
    users = some_users(9)
    simulation.knows(*users)
    simulation.users.remove(users[0].sub)
    simulation.pool.page_sizes = (3,)
    simulation.calls.fail(LIST, error_response(code), *range(2, 1_000))
    if code == "NotAuthorizedException":
        with pytest.raises(CognitoRejectedError):
            simulation.work()
    else:
        assert simulation.work().prefixes == [""]
    assert simulation.table.active() == subs_of(users)
    assert simulation.calls.count(QUERY) == simulation.calls.count(GET) == 0


def test_deletion_check_keeps_all_users_of_an_empty_small_listing(simulation: Simulation) -> None:
    users = some_users(20)
    simulation.knows(*users)
    simulation.users.unlisted = subs_of(users)
    assert simulation.work().counts == {"still_in_pool": 20}
    assert simulation.table.active() == subs_of(users)


def test_deletion_check_keeps_all_users_of_an_empty_listing(simulation: Simulation) -> None:
    users = some_users(21)
    simulation.knows(*users)
    simulation.users.unlisted = subs_of(users)
    assert simulation.work().counts == {"over_limit": 21}
    assert simulation.table.active() == subs_of(users)


# The process is killed at any call


class _Life:
    """A pool whose users are all new or changed, and one run after another, each in its own table."""

    def __init__(self, client: DynamoDBClient, clock: Clock) -> None:
        self.client = client
        self.clock = clock
        self.tables = itertools.count()

    def begin(self) -> Simulation:
        simulation = Simulation(self.client, self.clock, f"users-{next(self.tables)}")
        new, changed, gone, unlisted, same, unconfirmed = some_users(6, "b")
        simulation.knows(changed, gone, unlisted, same)
        simulation.users.add(new, unconfirmed)
        changed.change(attributes={"name": "Ada"}, enabled=False)
        unconfirmed.status = "UNCONFIRMED"
        simulation.users.remove(gone.sub)
        simulation.users.unlisted = {unlisted.sub}
        simulation.pool.page_sizes = (2, 0, 2, 2)
        return simulation

    @staticmethod
    def state(simulation: Simulation) -> dict[str, Any]:
        """The table, but for the moments; that they are there counts."""
        return {
            sub: {name: name in MOMENTS or value for name, value in item.items()}
            for sub, item in simulation.table.items().items()
        }


@pytest.mark.parametrize("moment", ["before", "after"])
def test_run_killed_at_any_call_and_repeated_syncs_the_table(client: DynamoDBClient, clock: Clock, moment: str) -> None:
    with mock_aws():
        life = _Life(client, clock)
        undisturbed = life.begin()
        counts = undisturbed.work("b").counts
        assert counts == {
            "listed": 4, "created": 1, "updated": 1, "unchanged": 1, "unconfirmed": 1, "deleted": 1, "still_in_pool": 1
        }  # fmt: skip
        expected = life.state(undisturbed)
        assert sum("deleted_at" in item for item in expected.values()) == 1

        for number in range(1, len(undisturbed.calls.operations) + 1):
            killed = life.begin()
            getattr(killed.calls, moment)(None, number, kill_process)
            with pytest.raises(ProcessKilled):
                killed.work("b")
            assert len(killed.calls.operations) == number
            killed.calls.forget()
            killed.work("b")
            assert life.state(killed) == expected, f"killed {moment} call {number}"


# What it costs


@pytest.mark.parametrize("kind", [plain_sub, regional_sub], ids=["plain", "regional"])
@pytest.mark.parametrize("ends_with_an_empty_page", [False, True], ids=["ends", "ends-empty"])
def test_run_calls_list_users_about_once_per_page(
    simulation: Simulation, kind: Callable[..., str], ends_with_an_empty_page: bool
) -> None:
    source = random.Random(7)
    crowd = [CognitoUser(kind(source)) for _ in range(60)] + [CognitoUser(kind(source, "b4")) for _ in range(130)]
    simulation.knows(*crowd)
    simulation.pool.ends_with_an_empty_page = ends_with_an_empty_page
    reader, table = simulation.reader(), simulation.table.users()

    def is_inhabited(prefix: str) -> bool:
        page = reader.page(prefix, None, 1)
        return bool(page.users) or page.next_token is not None

    planned = shards.plan(100_000, 0.25, is_inhabited, lambda prefix: bool(table.active_subs(prefix)[0]))
    result = simulation.work(*planned.prefixes, pages_per_second=1e9)
    assert result.counts == {"listed": len(crowd), "unchanged": len(crowd)}
    assert len(planned.prefixes) >= 16 or kind is regional_sub
    for prefix, calls in simulation.pool.listings.items():
        users = sum(user.sub.startswith(prefix) for user in crowd)
        assert calls <= (math.ceil(users / 60) + 2 if users else 1), prefix
    # Each level of an empty prefix is asked for once: what is above it is inhabited.
    assert all(any(user.sub.startswith(prefix[:-1]) for user in crowd) for prefix in simulation.pool.listings if prefix)


def test_run_reads_an_unchanged_page_once_and_writes_nothing(simulation: Simulation) -> None:
    simulation.knows(*some_users(130))
    simulation.work()
    assert simulation.calls.count(LIST) == simulation.calls.count(READ) == 3
    assert simulation.calls.count(QUERY) == 16
    assert simulation.calls.count(WRITE) == simulation.calls.count(GET) == 0


def test_worker_counts_each_outcome_of_a_write() -> None:
    # The others are no outcomes of UserTable.write.
    others = {Outcome.KEPT, Outcome.UNCONFIRMED, Outcome.NOT_OURS, Outcome.STILL_IN_POOL}
    assert set(reconciliation._COUNT) == set(Outcome) - others
