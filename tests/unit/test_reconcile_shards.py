"""A worker as Lambda runs it: a batch of the plan in, JSON out that the planner understands."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync import clients
from cognito_user_sync.group_reconciliation import GroupWorker
from cognito_user_sync.handlers import plan_shards, reconcile_shards
from cognito_user_sync.item_layout import marshal
from cognito_user_sync.rate_limit import RateLimiter, RetryUntilDeadline
from cognito_user_sync.reconciliation import Worker
from cognito_user_sync.user_pool import CognitoRejectedError, UserPool
from tests.fakes.answers import Response, error_response
from tests.fakes.calls import Calls
from tests.fakes.clock import Clock, FakeContext, RunningContext
from tests.fakes.cognito_pool import LIST, CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import FakeAws, cognito_client
from tests.fakes.simulated_table import LAYOUT, WRITE, SimulatedTable
from tests.fakes.subs import plain_sub, regional_sub
from tests.samples import COUNTS, POOL_ID, SUB, TABLE, environment

LIST_USERS = "cognito-identity-provider.ListUsers"
GET_USER = "cognito-identity-provider.AdminGetUser"
READ_ITEMS = "dynamodb.BatchGetItem"
WRITE_ITEM = "dynamodb.UpdateItem"
QUERY_ITEMS = "dynamodb.Query"

NO_ITEMS = Response({"Items": [], "Count": 0})


def a_batch(**changes: Any) -> dict[str, Any]:
    return {
        "prefixes": ["b4"],
        "pages_per_second": 4.0,
        "checks_deletions": True,
        "token": None,
        "sequential": False,
        "allow_deletes": 0,
        "dry_run": False,
        "max_delete_percent": 10.0,
        **changes,
    }


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    clock = Clock()
    monkeypatch.setattr(reconcile_shards, "Worker", partial(Worker, clock=clock, sleep=clock.sleep))
    monkeypatch.setattr(plan_shards, "RateLimiter", partial(RateLimiter, clock=clock, sleep=clock.sleep))
    monkeypatch.setattr(plan_shards, "RetryUntilDeadline", partial(RetryUntilDeadline, sleep=clock.sleep))
    return clock


def reconcile(batch: dict[str, Any], seconds_left: float = 900) -> Any:
    """What the handler returns, through JSON as Lambda sends it."""
    result = reconcile_shards.handler(json.loads(json.dumps(batch)), FakeContext(seconds_left))
    return json.loads(json.dumps(result))


def listed() -> dict[str, Any]:
    return CognitoUser(SUB, "ada", {"email": "ada@example.com"}).listed()


@pytest.fixture
def answered(aws: FakeAws) -> FakeAws:
    """A shard with one user who has no item yet."""
    aws.on(LIST_USERS, Response({"Users": [listed()]}))
    aws.on(READ_ITEMS, Response({"Responses": {TABLE: []}}))
    aws.on(WRITE_ITEM, Response())
    aws.on(QUERY_ITEMS, NO_ITEMS)
    return aws


def test_reconcile_shards_returns_the_result_as_json(answered: FakeAws) -> None:
    result = reconcile(a_batch())
    counts = result.pop("counts")
    assert {name: count for name, count in counts.items() if count} == {"listed": 1, "created": 1}
    assert counts.keys() <= set(COUNTS)
    assert result == {
        "failed_subs": [],
        "examples": [],
        "prefixes": [],
        "token": None,
        "restarts": 0,
        "allow_deletes_needed": 0,
        "sequential": False,
    }


def test_reconcile_shards_requests_the_shard_of_the_batch(answered: FakeAws) -> None:
    reconcile_shards.handler(a_batch(), FakeContext(900))
    assert answered.operations == [LIST_USERS, READ_ITEMS, WRITE_ITEM, QUERY_ITEMS]
    assert answered.calls[0].body == {"UserPoolId": POOL_ID, "Filter": 'sub ^= "b4"', "Limit": 60}
    assert answered.calls[2].body["Key"] == {"id": {"S": SUB}}
    assert answered.calls[3].body["ExpressionAttributeValues"] == {
        ":shard": {"S": f"{POOL_ID}#b"},
        ":prefix": {"S": "b4"},
    }


def test_reconcile_shards_continues_a_sequential_batch_at_its_token(answered: FakeAws) -> None:
    reconcile_shards.handler(
        a_batch(prefixes=[""], sequential=True, token="page 12", checks_deletions=False), FakeContext(900)
    )
    assert answered.calls[0].body == {"UserPoolId": POOL_ID, "PaginationToken": "page 12", "Limit": 60}
    assert QUERY_ITEMS not in answered.operations


def test_reconcile_shards_reads_no_index_without_a_deletion_check(answered: FakeAws) -> None:
    reconcile_shards.handler(a_batch(checks_deletions=False), FakeContext(900))
    assert answered.operations == [LIST_USERS, READ_ITEMS, WRITE_ITEM]


def test_reconcile_shards_stops_before_the_timeout(aws: FakeAws) -> None:
    assert reconcile(a_batch(prefixes=["1", "2"]), seconds_left=29)["prefixes"] == ["1", "2"]
    assert aws.calls == []


def test_reconcile_shards_retries_calls_itself(answered: FakeAws, clock: Clock) -> None:
    answered.on(LIST_USERS, error_response("TooManyRequestsException"), Response({"Users": [listed()]}))
    answered.on(READ_ITEMS, error_response("ThrottlingException"), Response({"Responses": {TABLE: []}}))
    answered.on(WRITE_ITEM, error_response("InternalServerError", 500), Response())
    answered.on(QUERY_ITEMS, error_response("ThrottlingException"), NO_ITEMS)
    reconcile_shards.handler(a_batch(), FakeContext(900))
    assert answered.operations == [
        operation for operation in (LIST_USERS, READ_ITEMS, WRITE_ITEM, QUERY_ITEMS) for _ in range(2)
    ]
    # One wait for each, and one for the turn of the second ListUsers: all of it on the worker's own clock.
    assert len(clock.slept) == 5


def test_reconcile_shards_returns_deletions_over_the_limit(answered: FakeAws) -> None:
    subs = [f"b4c8d9e0-1234-4abc-8def-{number:012}" for number in range(21)]
    answered.on(QUERY_ITEMS, Response({"Items": [{"id": {"S": sub}} for sub in subs]}))
    result = reconcile(a_batch())
    assert (result["counts"]["over_limit"], result["allow_deletes_needed"]) == (21, 21)
    assert GET_USER not in answered.operations


def test_reconcile_shards_raises_cognito_rejected_error(aws: FakeAws) -> None:
    aws.on(LIST_USERS, error_response("ResourceNotFoundException"))
    with pytest.raises(CognitoRejectedError):
        reconcile(a_batch())
    assert aws.operations == [LIST_USERS]


def test_no_personal_data_is_logged(answered: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    reconcile_shards.handler(a_batch(), FakeContext(900))
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert (record["counts"]["created"], record["left"]) == (1, 0)
    assert "ada" not in repr(record).lower()


def test_reconcile_shards_logs_its_progress(
    answered: FakeAws, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A page takes 3 s.
    monkeypatch.setattr(reconcile_shards, "time", SimpleNamespace(monotonic=itertools.count(0, 3).__next__))
    pages = [Response({"Users": [listed()], "PaginationToken": "more"})] * 5
    answered.on(LIST_USERS, *pages, Response({"Users": [listed()]}))
    caplog.set_level("INFO")
    reconcile_shards.handler(a_batch(), FakeContext(900))
    lines = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [(line["message"], line["listed"]) for line in lines] == [
        ("reconciling", 2),
        ("reconciling", 4),
        ("reconciling", 6),
        ("reconciled", 6),
    ]


# A whole run: the rounds of the state machine, with the real handlers


class Run:
    """The state machine's loop over both handlers, with everything through JSON as between its states."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self.users = UsersInMemory()
        self.pool = CognitoPool(self.users, calls=calls)
        self.clock = clock
        self.rounds = 0

    def __call__(self, seconds: float = 900, **given: Any) -> dict[str, Any]:
        """The summary of a run."""
        state: dict[str, Any] = {"input": given, "started_at": "2026-01-01T00:00:00.000Z", "trigger": {}}
        while True:
            state["plan"] = self._invoke(plan_shards.handler, state, seconds)
            if not state["plan"]["batches"]:
                return dict(state["plan"]["summary"])
            self.rounds += 1
            assert self.rounds < 50
            state["results"] = [
                self._invoke(reconcile_shards.handler, batch, seconds) for batch in state["plan"]["batches"]
            ]

    def _invoke(self, handler: Any, event: dict[str, Any], seconds: float) -> Any:
        return json.loads(json.dumps(handler(json.loads(json.dumps(event)), RunningContext(self.clock, seconds))))


def crowd(count: int) -> list[CognitoUser]:
    source = random.Random(3)
    return [CognitoUser((plain_sub if number % 2 else regional_sub)(source)) for number in range(count)]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedTable]:
    with mock_aws():
        table = SimulatedTable(Calls(), boto3.client("dynamodb"))
        monkeypatch.setattr(clients, "user_table", lambda many: table.users())
        yield table


@pytest.fixture
def run(table: SimulatedTable, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Run:
    run = Run(table.calls, clock)
    monkeypatch.setattr(clients, "user_pool", lambda many: UserPool(cognito_client(run.pool), POOL_ID))
    return run


def counts_of(summary: dict[str, Any]) -> dict[str, int]:
    return {name: summary[name] for name in COUNTS if summary[name]}


@pytest.mark.parametrize("estimated_users", [40, 100_000], ids=["whole", "in-shards"])
def test_run_syncs_the_table_with_the_pool(run: Run, table: SimulatedTable, estimated_users: int) -> None:
    users = crowd(40)
    run.users.add(*users)
    run.pool.facts["EstimatedNumberOfUsers"] = estimated_users
    run.pool.page_sizes = (7, 0, 60)
    table.put(*users[:30])
    run.users.remove(*(user.sub for user in users[:5]))
    summary = run()
    assert counts_of(summary) == {"listed": 35, "created": 10, "unchanged": 25, "deleted": 5}
    assert (summary["problems"], summary["deletion_check_skipped"]) == ([], None)
    assert table.active() == run.users.keys()
    # And a second one finds nothing to do.
    table.calls.forget()
    assert counts_of(run()) == {"listed": 35, "unchanged": 35}
    assert table.calls.count(WRITE) == 0


def test_run_reconciles_a_pool_larger_than_estimated(
    run: Run, table: SimulatedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cognito_user_sync.reconciliation.SMALL_POOL", 10)
    users = crowd(40)
    run.users.add(*users)
    table.put(*users)
    run.users.remove(users[0].sub)
    run.pool.page_sizes = (4,)
    # Time for a few pages of it, after which it is cut.
    summary = run(seconds=30.2)
    assert run.rounds >= 2
    assert run.pool.listings.keys() > {"", "0", "f"}
    assert (summary["deleted"], summary["problems"], summary["deletion_check_skipped"]) == (1, [], None)
    assert table.active() == run.users.keys()


def test_run_lists_a_pool_without_prefixes_in_several_rounds(run: Run, table: SimulatedTable) -> None:
    users = crowd(40)
    run.users.add(*users)
    run.pool.facts["EstimatedNumberOfUsers"] = 100_000
    run.pool.rejects_prefixes = True
    run.pool.page_sizes = (4,)
    gone = CognitoUser(plain_sub(random.Random(9)))
    table.put(*users, gone)
    # 16 pages a second: three of them in the time that a worker has.
    summary = run(seconds=30.1)
    assert run.rounds == 4
    assert counts_of(summary) == {"listed": 40, "unchanged": 40}
    assert len(summary["problems"]) == 1
    assert gone.sub in table.active()
    # The rejected probe, and ten pages.
    assert table.calls.count(LIST) == 11


def test_run_finishes_when_prefixes_are_rejected_later(
    run: Run, table: SimulatedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cognito_user_sync.reconciliation.SMALL_POOL", 10)
    users = crowd(40)
    run.users.add(*users)
    table.put(*users)
    run.pool.rejects_prefixes = True
    run.pool.page_sizes = (4,)
    summary = run(seconds=30.2)
    assert summary["deletion_check_skipped"] == "Cognito did not list this pool by prefixes of sub"
    assert summary["listed"] >= 40
    assert summary["failed"] == 0


def test_run_names_users_who_could_not_be_synced(run: Run, table: SimulatedTable) -> None:
    users = crowd(3)
    run.users.add(*users)
    table.calls.fail(WRITE, error_response("ValidationException"), 2)
    [problem] = run()["problems"]
    [missing] = run.users.keys() - table.active()
    assert problem == f"1 users could not be synced, for example {missing}"


def test_run_deletes_many_users_only_if_allowed(run: Run, table: SimulatedTable) -> None:
    table.put(*crowd(30))
    [problem] = run()["problems"]
    assert problem.endswith("If they were really deleted: cognito-user-sync reconcile --allow-deletes 30")
    assert len(table.active()) == 30
    assert counts_of(run(allow_deletes=30)) == {"deleted": 30}


def test_run_reports_one_limit_for_deletions_in_several_shards(run: Run, table: SimulatedTable) -> None:
    """One number is enough, whatever the order of the shards."""
    run.pool.facts["EstimatedNumberOfUsers"] = 100_000
    source = random.Random(5)
    users = {digit: [CognitoUser(plain_sub(source, digit)) for _ in range(60)] for digit in "0123456789"}
    for crowd_of_shard in users.values():
        run.users.add(*crowd_of_shard)
        table.put(*crowd_of_shard[1:])
    for digit, purged in (("1", 30), ("4", 35), ("7", 25), ("9", 5)):
        run.users.remove(*(user.sub for user in users[digit][-purged:]))
    summary = run()
    assert counts_of(summary) == {"listed": 505, "created": 10, "unchanged": 495, "deleted": 5, "over_limit": 90}
    assert summary["allow_deletes_needed"] == 35
    assert counts_of(run(allow_deletes=35)) == {"listed": 505, "unchanged": 505, "deleted": 90}
    assert table.active() == run.users.keys()


@pytest.mark.parametrize("sequential", [False, True])
def test_run_syncs_all_users_although_markers_are_rejected(run: Run, table: SimulatedTable, sequential: bool) -> None:
    users = crowd(40)
    run.users.add(*users)
    run.pool.facts["EstimatedNumberOfUsers"] = 100_000
    run.pool.rejects_prefixes = sequential
    run.pool.page_sizes = (3,)
    # The planner makes 16 calls, or one that is rejected. In both cases, pages with a marker come after the 18th.
    table.calls.fail(LIST, error_response("InvalidParameterException"), 5 if sequential else 19)
    summary = run()
    assert summary["unlisted_shards"] == 0
    assert table.active() == run.users.keys()


def test_reconcile_shards_reconciles_groups(aws: FakeAws, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setenv("SYNC_GROUPS", "true")
    monkeypatch.setattr(reconcile_shards, "GroupWorker", partial(GroupWorker, clock=clock, sleep=clock.sleep))
    pool = CognitoPool(UsersInMemory(CognitoUser(SUB, "ada", groups={"admin"})))
    pool.groups = ["admin"]
    aws.serve(pool)
    item = {name: marshal(value) for name, value in LAYOUT.to_item(pool.users[SUB].seen()).items()}  # type: ignore[index]
    aws.on(
        QUERY_ITEMS,
        *(Response({"Items": [{"id": {"S": SUB}}] if digit == "b" else []}) for digit in "0123456789abcdef"),
    )
    aws.on(READ_ITEMS, Response({"Responses": {TABLE: [{"id": {"S": SUB}, **item}]}}))
    aws.on(WRITE_ITEM, Response())
    position = {"after": "", "until": "", "sub": ""}
    result = reconcile({"groups": position, "pages_per_second": 4.0, "dry_run": False})
    assert result == {
        "counts": {"groups": 1, "memberships": 1, "groups_updated": 1},
        "failed_subs": [],
        "unlisted": [],
        "left": None,
    }
