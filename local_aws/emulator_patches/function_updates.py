"""A running invocation continues after an update or the deletion of its function.

On AWS, only later invocations are affected. ministack ends the process.
"""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from local_aws.emulator_patches.patching import expect

# Lambda's longest timeout.
_LONGEST_SECONDS: Final = 900.0

_invalidating: contextvars.ContextVar[bool] = contextvars.ContextVar("invalidating", default=False)


def apply() -> None:
    kill = lambda_runtime.kill_workers
    invalidate = lambda_runtime.invalidate_worker
    expect(invalidate, "kill_workers(doomed)")
    expect(lambda_runtime.release_worker, "worker.in_use = False")

    def kill_idle_workers(workers: list[Any]) -> None:
        busy = [worker for worker in workers if _invalidating.get() and worker.in_use]
        kill([worker for worker in workers if worker not in busy])
        if busy:
            threading.Thread(target=_kill_when_done, args=(kill, busy), daemon=True).start()

    def invalidate_worker(*args: Any, **kwargs: Any) -> None:
        token = _invalidating.set(True)
        try:
            invalidate(*args, **kwargs)
        finally:
            _invalidating.reset(token)

    lambda_runtime.kill_workers = kill_idle_workers
    lambda_runtime.invalidate_worker = lambda_svc.invalidate_worker = invalidate_worker


def _kill_when_done(kill: Any, workers: list[Any]) -> None:
    """Kill workers when they are done. They are in no pool, so nothing else uses or ends them."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while any(worker.in_use for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    kill(workers)
