"""A clock that advances only when the code under test sleeps, and Lambda contexts that use it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from cognito_user_sync import deletion, reconciliation, user_pool, user_table
from cognito_user_sync.user import timestamp

if TYPE_CHECKING:
    import pytest

# When every clock starts.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Replaces `time.monotonic` (call it), `time.sleep`, `user.now` and `datetime`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.slept: list[float] = []
        self._moments = 0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> str:
        """Return the time as a `timestamp`, which is later in each call."""
        self._moments += 1
        return timestamp(EPOCH + timedelta(seconds=self.seconds, milliseconds=self._moments))

    def replace_now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Replace `user.now` in each module that imports it."""
        for module in (deletion, reconciliation, user_pool, user_table):
            monkeypatch.setattr(module, "now", self.now)

    @property
    def datetime(self) -> type[datetime]:
        clock = self

        class ClockDatetime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return (EPOCH + timedelta(seconds=clock.seconds)).astimezone(tz)

        return ClockDatetime


@dataclass(frozen=True)
class FakeContext:
    """Lambda's context of an invocation with this remaining time."""

    seconds_left: float = 5.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)


class RunningContext:
    """Lambda's context of an invocation that has `seconds` from now. Call it for the remaining seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock = clock
        self.ends_at = clock.seconds + seconds

    def __call__(self) -> float:
        return self.ends_at - self.clock.seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self() * 1000)
