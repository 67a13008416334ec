"""What is measured of each size: the module and the plain scripts, over the same pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.figures import Figures, measured
from benchmarks.generated_users import GeneratedUsers
from benchmarks.memory import script_megabytes, worker_megabytes
from benchmarks.plain_script import put_batches, put_each
from benchmarks.simulated_run import Assumptions, SimulatedAws, SimulatedRun

SEED = 1
FAST = 30.0
DEFAULT = 15.0
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


@dataclass
class Measurement:
    users: int
    figures: dict[str, Figures] = field(default_factory=dict)
    worker_megabytes: float = 0
    worker_users: int = 0
    script_megabytes: float = 0


def measure(users: int, assumptions: Assumptions, told: Callable[[str], None]) -> Measurement:
    """All scenarios of one size. Raises AssertionError where a run did not do what it had to."""
    measurement = Measurement(users)
    _measure_module(measurement, assumptions, told)
    _measure_default(measurement, assumptions, told)
    _measure_scripts(measurement, assumptions, told)
    return measurement


def sensitivity(users: int, assumptions: Assumptions) -> dict[str, Figures]:
    """The first run, if AWS is slower than assumed."""
    generated = GeneratedUsers(users, SEED)
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
    return {
        what: _first_run(SimulatedAws(generated, assumed), workers) for what, (assumed, workers) in variants.items()
    }


def _first_run(aws: SimulatedAws, workers: int) -> Figures:
    return _executed(aws, SimulatedRun(aws, FAST, workers), FAST)


def _measure_module(measurement: Measurement, assumptions: Assumptions, told: Callable[[str], None]) -> None:
    aws = SimulatedAws(GeneratedUsers(measurement.users, SEED), assumptions)
    run = SimulatedRun(aws, FAST)

    def execute(name: str) -> None:
        told(f"{measurement.users:,} users: {name}")
        measurement.figures[name] = _executed(aws, run, FAST)

    execute(FIRST)
    execute(UNCHANGED)
    told(f"{measurement.users:,} users: memory of the largest worker")
    measurement.worker_megabytes, measurement.worker_users = worker_megabytes(aws, run)

    changed = aws.users.change(CHANGED_ONE_IN)
    gone = aws.users.remove(GONE_ONE_IN)
    execute(CHANGED)
    # Who has never confirmed has no item.
    assert 0.9 * changed <= measurement.figures[CHANGED].write_calls <= changed + gone


def _measure_default(measurement: Measurement, assumptions: Assumptions, told: Callable[[str], None]) -> None:
    aws = SimulatedAws(GeneratedUsers(measurement.users, SEED), assumptions)
    for name in (FIRST_DEFAULT, UNCHANGED_DEFAULT):
        told(f"{measurement.users:,} users: {name}")
        measurement.figures[name] = _executed(aws, SimulatedRun(aws, DEFAULT), DEFAULT)


def _executed(aws: SimulatedAws, run: SimulatedRun, rate: float) -> Figures:
    summary: dict[str, Any] = {}
    figures = measured(aws, rate, lambda: summary.update(run.execute()))
    assert not summary["problems"], summary
    assert summary["listed"] == len(aws.users), summary
    return figures


def _measure_scripts(measurement: Measurement, assumptions: Assumptions, told: Callable[[str], None]) -> None:
    users = GeneratedUsers(measurement.users, SEED)

    def execute(name: str, aws: SimulatedAws, script: Callable[[Any, Any, str, str], None]) -> None:
        told(f"{measurement.users:,} users: {name}")
        measurement.figures[name] = measured(aws, FAST, lambda: script(aws.cognito, aws.dynamodb, "pool", "users"))
        assert len(aws.dynamodb.items) == measurement.users

    aws = SimulatedAws(users, assumptions)
    execute(SCRIPT, aws, put_each)
    execute(SCRIPT_AGAIN, aws, put_each)
    execute(SCRIPT_BATCHES, SimulatedAws(users, assumptions), put_batches)
    few = GeneratedUsers(min(measurement.users, _SCRIPT_USERS_IN_MEMORY), SEED)
    measurement.script_megabytes = script_megabytes(SimulatedAws(few, assumptions))
