"""Request quotas: a token bucket for each operation, whose burst is one second's worth, and a latency for each call."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Quota:
    """`short_pages` is the share of ListUsers' pages that are short or empty."""

    per_second: float | None = None
    latency_ms: float = 0.0
    short_pages: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = max(self.per_second or 0.0, 1.0)
        self._refilled_at: float | None = None

    def take(self, now: float) -> bool:
        if self.per_second is None:
            return True
        passed = now - (now if self._refilled_at is None else self._refilled_at)
        self._tokens = min(max(self.per_second, 1.0), self._tokens + passed * self.per_second)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Quotas:
    """The quotas in force, by exact operation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._quotas: dict[str, Quota] = {}

    def replace(self, value: Any) -> None:
        quotas = {name: Quota(**quota) for name, quota in value.items()}
        with self._lock:
            self._quotas = quotas

    def clear(self) -> None:
        self.replace({})

    def as_json(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {name: asdict(quota) for name, quota in self._quotas.items()}

    def take(self, called: str) -> tuple[bool, float]:
        """Return whether the call is within its quota, and the seconds of its latency."""
        with self._lock:
            quota = self._quotas.get(called)
            if quota is None:
                return True, 0.0
            return quota.take(self._clock()), quota.latency_ms / 1000

    def short_pages(self, called: str) -> float:
        with self._lock:
            quota = self._quotas.get(called)
            return quota.short_pages if quota else 0.0
