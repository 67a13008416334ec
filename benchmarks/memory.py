"""Peak memory of the code under test, by tracemalloc.

Of a run over a table that is complete already: then the simulation keeps nothing new, and what is allocated is what the
code holds and the answers it works on, which boto3 would have made as well. Python itself, boto3 and the stacks of
threads are not in it.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

from benchmarks.plain_script import put_each
from benchmarks.simulated_run import Json, SimulatedAws, SimulatedRun
from tests.samples import POOL_ID, TABLE

_MEGABYTE = 1024 * 1024


def worker_megabytes(aws: SimulatedAws, run: SimulatedRun) -> tuple[float, int]:
    """Of the worker with the most users, and how many these are. The table has to be complete."""

    def users(batch: Json) -> int:
        return sum(aws.users.count(prefix) for prefix in batch["prefixes"])

    largest = max(run.first_batches(), key=users)
    return _peak_megabytes(lambda: run.work(largest)), users(largest)


def script_megabytes(aws: SimulatedAws) -> float:
    return _peak_megabytes(lambda: put_each(aws.cognito, _NoTable(), POOL_ID, TABLE))


class _NoTable:
    """Takes items and keeps none, since what a table keeps is not the script's."""

    def put_item(self, **_: Any) -> None:
        pass


def _peak_megabytes(act: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        act()
        return (tracemalloc.get_traced_memory()[1] - before) / _MEGABYTE
    finally:
        tracemalloc.stop()
