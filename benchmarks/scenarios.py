"""The runs that are measured for each pool size: of the module, and of the plain scripts over the same pool."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.figures import Figures, measured
from benchmarks.generated_users import GeneratedUsers
from benchmarks.plain_script import put_batches, put_each
from benchmarks.simulated_run import Assumptions, SimulatedAws, SimulatedRun
from tests.samples import POOL_ID, TABLE

SEED = 1
FAST = 30.0
DEFAULT = 15.0
MIDDLE_USERS = 100_000
"""The pool size of the headlines, of docs/cost.md and of the comparison of assumptions."""
CHANGED_ONE_IN = 100
DELETED_ONE_IN = 1000

FIRST = "module, first run"
UNCHANGED = "module, nothing changed"
CHANGED = f"module, 1 in {CHANGED_ONE_IN} changed, 1 in {DELETED_ONE_IN} deleted"
FIRST_DEFAULT = "module, first run, default rate"
UNCHANGED_DEFAULT = "module, nothing changed, default rate"
SCRIPT = "script, PutItem each"
SCRIPT_BATCHES = "script, BatchWriteItem of 25"


@dataclass(frozen=True)
class Measurement:
    """The figures of one pool size, by scenario."""

    users: int
    figures: Mapping[str, Figures]


def measure(sizes: Sequence[int], assumptions: Assumptions, report: Callable[[str], None]) -> list[Measurement]:
    """Run all scenarios for each size.

    Raises:
        AssertionError: A run did not do its work.
    """
    with processes() as pool:

        def start(part: Callable[[int, Assumptions], dict[str, Figures]], users: int) -> Future[dict[str, Figures]]:
            started = pool.submit(part, users, assumptions)
            name = part.__name__.strip("_").replace("_", " ")
            started.add_done_callback(lambda _: report(f"{users:,} users: {name}"))
            return started

        # The longest first, so that no core waits for it at the end.
        started = {
            users: [start(part, users) for part in (_module, _module_by_default, _scripts)]
            for users in sorted(sizes, reverse=True)
        }
        return [
            Measurement(users, {name: each for part in started[users] for name, each in part.result().items()})
            for users in sizes
        ]


def processes() -> ProcessPoolExecutor:
    """Return a pool with one process for each core: time is virtual, so parallel runs do not change the figures."""
    return ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))


def sensitivity(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    """The first run under other assumptions about AWS."""
    base = (
        f"{1000 * assumptions.processor_seconds:g} ms of CPU a call, {1000 * assumptions.cognito_seconds:g} ms a page"
    )
    variants = {
        f"as above: {base}": (assumptions, 4),
        "no CPU at all": (replace(assumptions, processor_seconds=0), 4),
        "1.5 ms of CPU a call": (replace(assumptions, processor_seconds=0.0015), 4),
        "2 ms of CPU a call": (replace(assumptions, processor_seconds=0.002), 4),
        "2 ms of CPU a call, max_concurrency 8": (replace(assumptions, processor_seconds=0.002), 8),
        "100 ms a page": (replace(assumptions, cognito_seconds=0.1), 4),
        "100 ms a page, max_concurrency 8": (replace(assumptions, cognito_seconds=0.1), 8),
        "cold starts take 1 s": (replace(assumptions, cold_start_seconds=1.0), 4),
        "others use 5 of the 30 requests a second": (replace(assumptions, quota_per_second=25), 4),
    }
    with processes() as pool:
        figures = pool.map(partial(_first_run, users), *zip(*variants.values(), strict=True))
        return dict(zip(variants, figures, strict=True))


def _first_run(users: int, assumptions: Assumptions, workers: int) -> Figures:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    return _executed(aws, SimulatedRun(aws, FAST, workers), FAST)


def _module(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    run = SimulatedRun(aws, FAST)
    figures = {FIRST: _executed(aws, run, FAST), UNCHANGED: _executed(aws, run, FAST)}
    changed = aws.users.change(CHANGED_ONE_IN)
    deleted = aws.users.remove(DELETED_ONE_IN)
    figures[CHANGED] = _executed(aws, run, FAST)
    # Unconfirmed users have no item.
    assert 0.9 * changed <= figures[CHANGED].write_calls <= changed + deleted
    return figures


def _module_by_default(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    run = SimulatedRun(aws, DEFAULT)
    return {FIRST_DEFAULT: _executed(aws, run, DEFAULT), UNCHANGED_DEFAULT: _executed(aws, run, DEFAULT)}


def _executed(aws: SimulatedAws, run: SimulatedRun, rate: float) -> Figures:
    summary: dict[str, Any] = {}
    figures = measured(aws, rate, lambda: summary.update(run.execute()))
    assert not summary["problems"], summary
    assert summary["listed"] == len(aws.users), summary
    return figures


def _scripts(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    generated = GeneratedUsers(users, SEED)
    figures = {}
    for name, script in {SCRIPT: put_each, SCRIPT_BATCHES: put_batches}.items():
        aws = SimulatedAws(generated, assumptions)
        figures[name] = measured(aws, FAST, partial(script, aws.cognito, aws.dynamodb, POOL_ID, TABLE))
        assert len(aws.dynamodb.items) == users
    return figures
