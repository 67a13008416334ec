"""Counts calls by operation and by who made them."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict


class CallCounter:
    """Calls since the last reset, failed ones included. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_caller: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def count(self, operation: str, caller: str) -> None:
        with self._lock:
            self._by_caller[caller][operation] += 1

    def by_operation(self) -> dict[str, int]:
        with self._lock:
            total: Counter[str] = Counter()
            for operations in self._by_caller.values():
                total.update(operations)
        return dict(sorted(total.items()))

    def by_caller(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return {caller: dict(sorted(calls.items())) for caller, calls in sorted(self._by_caller.items())}

    def reset(self) -> None:
        with self._lock:
            self._by_caller.clear()
