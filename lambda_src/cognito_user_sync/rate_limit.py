"""Calls that share a quota with others: evenly spaced, and made again while AWS is busy."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cognito_user_sync.user_pool import CognitoUnavailableError
from cognito_user_sync.user_table import TableUnavailableError

# How far behind its schedule a pace may catch up, and how much slower than asked for it may become.
_CATCH_UP_SECONDS = 1.0
_SLOWEST = 8.0
# Left unused at the end of a function's time, for what is under way.
_MARGIN_SECONDS = 30.0

Answer = TypeVar("Answer")


class OutOfTimeError(Exception):
    """The function's time is over, and the work is not done."""


@dataclass(frozen=True)
class RetryUntilDeadline:
    """Makes a call again while AWS is busy, as long as `seconds_left` says that there is time."""

    seconds_left: Callable[[], float]
    sleep: Callable[[float], None] = time.sleep

    def has_time(self) -> bool:
        return self.seconds_left() > _MARGIN_SECONDS

    def call(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Raises OutOfTimeError, or what `call` raises other than CognitoUnavailableError and TableUnavailableError."""
        longest_seconds = 0.2
        while True:
            try:
                return call(*arguments)
            except (CognitoUnavailableError, TableUnavailableError) as error:
                if not self.has_time():
                    raise OutOfTimeError(str(error)) from error
            self.sleep(random.uniform(0, longest_seconds))  # noqa: S311
            longest_seconds = min(2 * longest_seconds, 8)


@dataclass
class RateLimiter:
    """At most `per_second` calls, of all threads together. Fewer after one that was refused, since somebody else
    needs the quota; a little more after one that was not."""

    per_second: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: float = field(init=False)
    _slower: float = field(default=1.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._next = self.clock()

    def call(self, call: Callable[..., Answer], *arguments: Any) -> Answer:
        """Wait for the turn, and call. Raises what `call` raises."""
        self._wait()
        try:
            answer = call(*arguments)
        except CognitoUnavailableError:
            with self._lock:
                self._slower = min(self._slower * 1.5, _SLOWEST)
            raise
        with self._lock:
            self._slower = max(self._slower * 0.9, 1.0)
        return answer

    def _wait(self) -> None:
        with self._lock:
            now = self.clock()
            turn = max(self._next, now - _CATCH_UP_SECONDS)
            self._next = turn + self._slower / self.per_second
        if turn > now:
            self.sleep(turn - now)
