"""One run of the reconciliation in virtual time.

The handlers plan_shards and reconcile_shards, and everything that they call, are the real code. Simulated are the state
machine modules/reconciliation/reconciliation.asl.json (its order, its Map, its number of transitions), the step
EnsureTrigger, Lambda, Cognito and DynamoDB.
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast
from unittest.mock import patch

from benchmarks.generated_users import GeneratedUsers
from benchmarks.simulated_dynamodb import SimulatedDynamoDB
from benchmarks.virtual_time import VirtualTime
from cognito_user_sync import clients, rate_limit, settings, user
from cognito_user_sync.group_reconciliation import GroupWorker
from cognito_user_sync.handlers import plan_shards, reconcile_shards
from cognito_user_sync.rate_limit import RateLimiter, RetryUntilDeadline
from cognito_user_sync.reconciliation import PARALLEL, Worker
from cognito_user_sync.user_pool import UserPool
from tests.fakes.calls import Calls
from tests.fakes.clock import RunningContext
from tests.fakes.cognito_pool import CognitoPool, Quota
from tests.fakes.fake_aws import cognito_client
from tests.samples import POOL_ID, environment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Json: TypeAlias = dict[str, Any]
Answer = TypeVar("Answer")

ATTRIBUTES = ("name", "email", "phone_number")

# As modules/reconciliation has them.
_FUNCTION_SECONDS = 900
_PLANNER_GB = 512 / 1024
_WORKER_GB = 1769 / 1024

# The entered states: ListRuns to EnsureTrigger; PlanShards and IsWorkLeft; ReconcileBatches; Summarize to Done. Each
# batch is one more.
_STATES_BEFORE = 7
_STATES_OF_PLAN = 2
_STATES_OF_MAP = 1
_STATES_AFTER = 3
# EnsureTrigger reads the pool's configuration and its MFA settings.
_ENSURE_TRIGGER_CALLS = 2


@dataclass(frozen=True)
class Assumptions:
    """Assumptions about AWS."""

    quota_per_second: float = 30
    """Of ListUsers, for the whole account."""
    cognito_seconds: float = 0.06
    dynamodb_seconds: float = 0.005
    start_seconds: float = 0.1
    """From the invocation by Step Functions to the first line of the function."""
    cold_start_seconds: float = 0.1
    """The same, if no instance of the function is idle."""
    processor_seconds: float = 0.001
    """CPU time of one boto3 call. The threads of a function share one processor."""


class SimulatedAws:
    """A pool, an empty table and their time."""

    def __init__(self, users: GeneratedUsers, assumptions: Assumptions) -> None:
        self.time = VirtualTime()
        calls = Calls()
        self.calls = calls.counts
        self.gb_seconds = 0.0
        self._idle_instances: Counter[str] = Counter()
        self.users = users
        self.assumptions = assumptions
        self.pool = CognitoPool(users, calls=calls)
        self.pool.quota = Quota(assumptions.quota_per_second, self.time)
        self.pool.delay = partial(self._call, assumptions.cognito_seconds)
        self.cognito = cognito_client(self.pool)
        self.dynamodb = SimulatedDynamoDB(self.calls, partial(self._call, assumptions.dynamodb_seconds))

    def _call(self, seconds: float) -> None:
        """Advance the time by that of a boto3 call."""
        self.time.compute(self.assumptions.processor_seconds)
        self.time.sleep(seconds)

    def invoke(self, name: str, gigabytes: float, function: Callable[[RunningContext], Answer]) -> Answer:
        """Call a function with Lambda's context."""
        called_at = self.time.seconds
        self.calls["Lambda"] += 1
        is_warm = self._idle_instances[name] > 0
        self._idle_instances[name] -= is_warm
        self.time.sleep(self.assumptions.start_seconds if is_warm else self.assumptions.cold_start_seconds)
        try:
            return function(RunningContext(self.time, _FUNCTION_SECONDS))
        finally:
            self.gb_seconds += (self.time.seconds - called_at) * gigabytes
            self._idle_instances[name] += 1

    def in_parallel(self, act: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
        return self.time.in_parallel(act, arguments, PARALLEL)


class SimulatedRun:
    """A run of the state machine over a pool and its table, at `list_users_per_second`."""

    def __init__(
        self, aws: SimulatedAws, list_users_per_second: float, max_concurrency: int = 4, sync_groups: bool = False
    ) -> None:
        self._aws = aws
        self._max_concurrency = max_concurrency
        self._environment = environment(
            ATTRIBUTES=json.dumps(ATTRIBUTES),
            LIST_USERS_PER_SECOND=str(list_users_per_second),
            MAX_CONCURRENCY=str(max_concurrency),
            **({"SYNC_GROUPS": "true"} if sync_groups else {}),
        )
        self._pool = UserPool(aws.cognito, POOL_ID)
        self._table = settings.user_table(cast("DynamoDBClient", aws.dynamodb), self._environment)

    def execute(self, run_input: Mapping[str, Any] | None = None) -> Json:
        """Run the state machine with this input, {} by default. Returns its summary."""
        with self._code_in_virtual_time():
            event: Json = {"input": {**(run_input or {})}, "started_at": user.now(), "trigger": {"result": "unchanged"}}
            self._aws.calls["StepFunctions"] += _STATES_BEFORE
            self._aws.invoke("pool_trigger", _PLANNER_GB, self._ensure_trigger)
            while True:
                event["plan"] = self._plan(event)
                if not event["plan"]["batches"]:
                    self._aws.calls["StepFunctions"] += _STATES_AFTER
                    summary: Json = event["plan"]["summary"]
                    return summary
                event["results"] = self._map(event["plan"]["batches"])

    def _plan(self, event: Mapping[str, Any]) -> Json:
        self._aws.calls["StepFunctions"] += _STATES_OF_PLAN
        return self._aws.invoke(
            "plan_shards",
            _PLANNER_GB,
            lambda context: _as_json(plan_shards.handler(_as_json(event), context)),
        )

    def _map(self, batches: list[Json]) -> list[Json]:
        """Run Step Functions' inline Map: the next free lane takes the next batch."""
        self._aws.calls["StepFunctions"] += _STATES_OF_MAP + len(batches)
        waiting = deque(enumerate(batches))
        results: dict[int, Json] = {}

        def lane() -> None:
            while waiting:
                number, batch = waiting.popleft()
                results[number] = self._aws.invoke("reconcile_shards", _WORKER_GB, partial(self._reconcile, batch))

        self._aws.time.run([lane] * min(self._max_concurrency, len(batches)))
        return [results[number] for number in range(len(batches))]

    def _reconcile(self, batch: Json, context: RunningContext) -> Json:
        return _as_json(reconcile_shards.handler(batch, context))

    def _ensure_trigger(self, _: RunningContext) -> None:
        self._aws.time.sleep(_ENSURE_TRIGGER_CALLS * self._aws.assumptions.cognito_seconds)

    @contextmanager
    def _code_in_virtual_time(self) -> Iterator[None]:
        """Replace the clocks, random numbers, clients and settings of the code under test."""
        time = self._aws.time
        datetime = time.datetime
        with (
            patch.dict("os.environ", self._environment),
            patch.multiple(clients, user_pool=lambda **_: self._pool, user_table=lambda **_: self._table),
            patch.object(user, "datetime", datetime),
            patch.object(rate_limit, "random", random.Random(1)),
            patch.multiple(
                plan_shards,
                RateLimiter=partial(RateLimiter, clock=time, sleep=time.sleep),
                RetryUntilDeadline=partial(RetryUntilDeadline, sleep=time.sleep),
                datetime=datetime,
            ),
            patch.multiple(
                reconcile_shards,
                Worker=partial(Worker, clock=time, sleep=time.sleep, in_parallel=self._aws.in_parallel),
                GroupWorker=partial(GroupWorker, clock=time, sleep=time.sleep, in_parallel=self._aws.in_parallel),
            ),
        ):
            yield


def _as_json(value: Any) -> Json:
    """Return a value as Step Functions passes it."""
    passed: Json = json.loads(json.dumps(value))
    return passed
