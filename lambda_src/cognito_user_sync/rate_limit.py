"""Limits the rate of calls that share a quota with other clients, and retries calls while AWS is busy."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cognito_user_sync.user_pool import CognitoUnavailableError
from cognito_user_sync.user_table import TableUnavailableError

# After a pause, the calls of this time may follow without a delay.
_CATCH_UP_SECONDS = 1.0
# Throttling slows the rate by up to this factor: by _SLOW_DOWN for a throttled call, and _SPEED_UP for another one.
_SLOWEST = 8.0
_SLOW_DOWN = 1.5
_SPEED_UP = 0.9
# Reserved at the end of a function's time for calls in progress.
_MARGIN_SECONDS = 30.0

Answer = TypeVar("Answer")


class OutOfTimeError(Exception):
    """The function's time is over before the work is done."""


@dataclass(frozen=True)
class RetryUntilDeadline:
    """Retries calls while AWS is busy and `seconds_left` returns enough time."""

    seconds_left: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def has_time(self) -> bool:
        return self.seconds_left() > _MARGIN_SECONDS

    def call(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Return the result of `call`, which is retried after CognitoUnavailableError and TableUnavailableError.

        Raises OutOfTimeError, or the other errors of `call`.
        """
        max_pause_seconds = 0.2
        while True:
            try:
                return call(*arguments)
            except (CognitoUnavailableError, TableUnavailableError) as error:
                if not self.has_time():
                    raise OutOfTimeError(str(error)) from error
            self.sleep(random.uniform(0, max_pause_seconds))  # noqa: S311
            max_pause_seconds = min(2 * max_pause_seconds, 8)


@dataclass
class RateLimiter:
    """Limits calls to `per_second` in all threads together.

    The rate adapts to other clients of the quota: a throttled call lowers it, and each other call raises it again.
    """

    per_second: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next_at: float = field(init=False)
    _slowdown: float = field(default=1.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._next_at = self.clock()

    def call(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Wait until the rate allows the call, and return its result. Raises the errors of `call`."""
        self._wait()
        try:
            answer = call(*arguments)
        except CognitoUnavailableError:
            with self._lock:
                self._slowdown = min(self._slowdown * _SLOW_DOWN, _SLOWEST)
            raise
        with self._lock:
            self._slowdown = max(self._slowdown * _SPEED_UP, 1.0)
        return answer

    def _wait(self) -> None:
        with self._lock:
            now = self.clock()
            call_at = max(self._next_at, now - _CATCH_UP_SECONDS)
            self._next_at = call_at + self._slowdown / self.per_second
        if call_at > now:
            self.sleep(call_at - now)
