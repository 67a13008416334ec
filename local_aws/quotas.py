"""Request quotas: a token bucket an operation, whose burst is one second's worth, and a latency for each call.

Beside them, of ListUsers, the share of its pages that are short or empty.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from local_aws.validation import InvalidSettingError, known_keys, number, operation, shown

if TYPE_CHECKING:
    from collections.abc import Callable

_LISTING: Final = "cognito-idp:ListUsers"


@dataclass
class Quota:
    per_second: float | None
    latency_ms: float
    short_pages: float
    tokens: float
    refilled_at: float

    def take(self, now: float) -> bool:
        if self.per_second is None:
            return True
        self.tokens = min(max(self.per_second, 1.0), self.tokens + (now - self.refilled_at) * self.per_second)
        self.refilled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Quotas:
    """The quotas in force, by exact operation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._quotas: dict[str, Quota] = {}

    def replace(self, value: object) -> None:
        if not isinstance(value, dict):
            raise InvalidSettingError(
                f"quotas {shown(value)} is not an object such as "
                '{"cognito-idp:ListUsers": {"per_second": 30, "latency_ms": 60}}'
            )
        quotas = {}
        for name, quota in value.items():
            if operation(name).endswith("*"):
                raise InvalidSettingError(
                    f"operation {shown(name)} is not one exact operation, e.g. 'cognito-idp:ListUsers'"
                )
            if not isinstance(quota, dict) or not quota:
                raise InvalidSettingError(
                    f"quota {shown(quota)} is not an object with per_second, latency_ms or short_pages"
                )
            known_keys("quota", quota, ("per_second", "latency_ms", "short_pages"))
            if "short_pages" in quota and name != _LISTING:
                raise InvalidSettingError(f"short_pages is allowed with {_LISTING} alone, not {shown(name)}")
            per_second = number("per_second", quota["per_second"], 0.001) if "per_second" in quota else None
            latency = number("latency_ms", quota.get("latency_ms", 0), 0)
            short_pages = number("short_pages", quota.get("short_pages", 0), 0, 0.9)
            quotas[name] = Quota(per_second, latency, short_pages, max(per_second or 0.0, 1.0), self._clock())
        with self._lock:
            self._quotas = quotas

    def clear(self) -> None:
        self.replace({})

    def as_json(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {
                name: {"per_second": quota.per_second, "latency_ms": quota.latency_ms}
                | ({"short_pages": quota.short_pages} if quota.short_pages else {})
                for name, quota in self._quotas.items()
            }

    def take(self, called: str) -> tuple[bool, float]:
        """Whether the call is within its quota, and the seconds it takes longer."""
        with self._lock:
            quota = self._quotas.get(called)
            if quota is None:
                return True, 0.0
            return quota.take(self._clock()), quota.latency_ms / 1000

    def short_pages(self, called: str) -> float:
        """The share of the operation's pages that are short or empty."""
        with self._lock:
            quota = self._quotas.get(called)
            return quota.short_pages if quota else 0.0
