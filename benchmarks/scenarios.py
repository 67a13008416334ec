"""What is measured of each size: the module and the plain scripts, over the same pool."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.figures import Figures, measured
from benchmarks.generated_users import GeneratedUsers
from benchmarks.memory import script_megabytes, worker_megabytes
from benchmarks.plain_script import put_batches, put_each
from benchmarks.simulated_run import Assumptions, SimulatedAws, SimulatedRun
from tests.samples import POOL_ID, TABLE

SEED = 1
FAST = 30.0
DEFAULT = 15.0
# Of the comparison of what is assumed, and of what is priced.
MIDDLE_USERS = 100_000
CHANGED_ONE_IN = 100
GONE_ONE_IN = 1000

FIRST = "module, first run"
UNCHANGED = "module, nothing changed"
CHANGED = f"module, 1 in {CHANGED_ONE_IN} changed, 1 in {GONE_ONE_IN} gone"
FIRST_DEFAULT = "module, first run, default rate"
UNCHANGED_DEFAULT = "module, nothing changed, default rate"
SCRIPT = "script, PutItem each"
SCRIPT_AGAIN = "script, PutItem each, again"
SCRIPT_BATCHES = "script, BatchWriteItem of 25"

_SCRIPT_USERS_IN_MEMORY = 6_000


@dataclass(frozen=True)
class Measurement:
    """Of one size. A worker's megabytes are those of the one with the most users, `worker_users`."""

    users: int
    figures: Mapping[str, Figures]
    worker_megabytes: float
    worker_users: int
    script_megabytes: float


@dataclass(frozen=True)
class _Part:
    """Of a measurement: what runs over one table came to, and the memory of those that share it."""

    figures: Mapping[str, Figures]
    megabytes: float = 0
    worker_users: int = 0


def measure(sizes: Sequence[int], assumptions: Assumptions, told: Callable[[str], None]) -> list[Measurement]:
    """All scenarios of each size. Raises AssertionError where a run did not do what it had to."""
    with _processes() as processes:

        def begin(part: Callable[[int, Assumptions], _Part], users: int) -> Future[_Part]:
            begun = processes.submit(part, users, assumptions)
            begun.add_done_callback(lambda _: told(f"{users:,} users: {part.__name__.strip('_').replace('_', ' ')}"))
            return begun

        # The longest first, so that no core waits for it at the end.
        begun = {
            users: [begin(part, users) for part in (_module, _module_by_default, _scripts)]
            for users in sorted(sizes, reverse=True)
        }
        return [_measurement(users, *(part.result() for part in begun[users])) for users in sizes]


def _measurement(users: int, module: _Part, module_by_default: _Part, scripts: _Part) -> Measurement:
    return Measurement(
        users,
        {**module.figures, **module_by_default.figures, **scripts.figures},
        module.megabytes,
        module.worker_users,
        scripts.megabytes,
    )


def _processes() -> ProcessPoolExecutor:
    """One for each core: the runs' time is virtual, so what runs beside them changes no figure."""
    return ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))


def sensitivity(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    """The first run, if AWS is slower than assumed."""
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
    with _processes() as processes:
        figures = processes.map(partial(_first_run, users), *zip(*variants.values(), strict=True))
        return dict(zip(variants, figures, strict=True))


def _first_run(users: int, assumptions: Assumptions, workers: int) -> Figures:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    return _executed(aws, SimulatedRun(aws, FAST, workers), FAST)


def _module(users: int, assumptions: Assumptions) -> _Part:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    run = SimulatedRun(aws, FAST)
    figures = {FIRST: _executed(aws, run, FAST), UNCHANGED: _executed(aws, run, FAST)}
    megabytes, worker_users = worker_megabytes(aws, run)

    changed = aws.users.change(CHANGED_ONE_IN)
    gone = aws.users.remove(GONE_ONE_IN)
    figures[CHANGED] = _executed(aws, run, FAST)
    # Who has never confirmed has no item.
    assert 0.9 * changed <= figures[CHANGED].write_calls <= changed + gone
    return _Part(figures, megabytes, worker_users)


def _module_by_default(users: int, assumptions: Assumptions) -> _Part:
    aws = SimulatedAws(GeneratedUsers(users, SEED), assumptions)
    run = SimulatedRun(aws, DEFAULT)
    return _Part({FIRST_DEFAULT: _executed(aws, run, DEFAULT), UNCHANGED_DEFAULT: _executed(aws, run, DEFAULT)})


def _executed(aws: SimulatedAws, run: SimulatedRun, rate: float) -> Figures:
    summary: dict[str, Any] = {}
    figures = measured(aws, rate, lambda: summary.update(run.execute()))
    assert not summary["problems"], summary
    assert summary["listed"] == len(aws.users), summary
    return figures


def _scripts(users: int, assumptions: Assumptions) -> _Part:
    generated = GeneratedUsers(users, SEED)

    def executed(aws: SimulatedAws, script: Callable[[Any, Any, str, str], None]) -> Figures:
        figures = measured(aws, FAST, lambda: script(aws.cognito, aws.dynamodb, POOL_ID, TABLE))
        assert len(aws.dynamodb.items) == users
        return figures

    aws = SimulatedAws(generated, assumptions)
    figures = {
        SCRIPT: executed(aws, put_each),
        SCRIPT_AGAIN: executed(aws, put_each),
        SCRIPT_BATCHES: executed(SimulatedAws(generated, assumptions), put_batches),
    }
    few = GeneratedUsers(min(users, _SCRIPT_USERS_IN_MEMORY), SEED)
    return _Part(figures, script_megabytes(SimulatedAws(few, assumptions)))
