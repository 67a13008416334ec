"""Calls that share a quota: within the rate, slower while other clients need it, and retried until the deadline."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from cognito_user_sync import rate_limit
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError
from tests.fakes.clock import Clock


@dataclass
class Limited:
    """A rate limiter with its own clock, and the time of each call."""

    per_second: float = 4.0
    clock: Clock = field(default_factory=Clock)
    at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(self.per_second, self.clock, self.clock.sleep)

    def call(self, times: int = 1, error: Exception | None = None) -> None:
        def noted() -> None:
            self.at.append(self.clock.seconds)
            if error:
                raise error

        for _ in range(times):
            if error:
                with pytest.raises(type(error)):
                    self.limiter.call(noted)
            else:
                self.limiter.call(noted)

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.at)]


def test_rate_limiter_spaces_calls_evenly() -> None:
    limited = Limited(per_second=4)
    limited.call(5)
    assert limited.at == [0, 0.25, 0.5, 0.75, 1.0]


def test_rate_limiter_includes_the_time_of_calls() -> None:
    limited = Limited(per_second=4)
    for _ in range(5):
        limited.limiter.call(limited.clock.sleep, 0.2)
    assert limited.clock.seconds == pytest.approx(4 * 0.25 + 0.2)


def test_rate_limiter_passes_arguments_and_result() -> None:
    assert RateLimiter(1.0, Clock()).call("{}-{}".format, "a", "b") == "a-b"


def test_rate_limiter_catches_up_at_most_a_second() -> None:
    limited = Limited(per_second=4)
    limited.call()
    limited.clock.seconds = 100
    limited.call(8)
    # Those of the last second without a delay, and then one by one again.
    assert limited.at[1:] == [100, 100, 100, 100, 100, 100.25, 100.5, 100.75]


def test_rate_limiter_slows_down_after_a_throttled_call() -> None:
    limited = Limited(per_second=4)
    limited.call(2)
    limited.call(error=CognitoUnavailableError())
    limited.call()
    # The turn of the next was given before; from then on it is two thirds of the pace.
    assert limited.gaps == [0.25, 0.25, 0.25]
    limited.call()
    assert limited.gaps[-1] == 0.375


def test_rate_limiter_slows_down_to_an_eighth() -> None:
    limited = Limited(per_second=4)
    limited.call(12, error=CognitoUnavailableError())
    assert limited.gaps[1:7] == [0.375, 0.5625, 0.84375, 1.265625, 1.8984375, 2.0]
    assert max(limited.gaps) == 0.25 * 8


def test_rate_limiter_recovers_the_rate_gradually() -> None:
    limited = Limited(per_second=4)
    limited.call(2, error=CognitoUnavailableError())
    limited.call(60)
    slowed = limited.gaps[2:]
    assert [round(gap, 9) for gap in slowed] == sorted((round(gap, 9) for gap in slowed), reverse=True)
    assert slowed[0] > slowed[1] > slowed[2]
    assert round(slowed[-1], 9) == 0.25


@pytest.mark.parametrize(
    "error", [CognitoRejectedError(), TableUnavailableError(), TableRejectedError()], ids=lambda e: type(e).__name__
)
def test_rate_limiter_keeps_the_rate_after_other_errors(error: Exception) -> None:
    limited = Limited(per_second=4)
    limited.call(3, error=error)
    limited.call(2)
    assert limited.gaps == [0.25] * 4


class _Interrupted(float):
    """A number in whose division every other thread gets its turn."""

    def __rtruediv__(self, dividend: float) -> float:
        for _ in range(20):
            os.sched_yield()
        return dividend / float(self)


def test_rate_limiter_limits_all_threads_together() -> None:
    # The clock stands still, so the delay of each call shows its position.
    turns = [0.0]
    limited = RateLimiter(_Interrupted(8), lambda: 0.0, turns.append)
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: limited.call(int), range(400)))
    assert sorted(turns) == [turn / 8 for turn in range(400)]


class Flaky:
    """Fails with these in turn, and succeeds then."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self, answer: str) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


def test_retry_repeats_calls_while_aws_is_unavailable() -> None:
    clock = Clock()
    flaky = Flaky(CognitoUnavailableError(), TableUnavailableError(), CognitoUnavailableError())
    assert RetryUntilDeadline(lambda: 900, clock.sleep).call(flaky, "answer") == "answer"
    assert flaky.calls == 4
    assert len(clock.slept) == 3


@pytest.mark.parametrize(
    "error", [CognitoRejectedError("no"), TableRejectedError("no"), KeyError("no")], ids=lambda e: type(e).__name__
)
def test_retry_raises_other_errors(error: Exception) -> None:
    clock = Clock()
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        RetryUntilDeadline(lambda: 900, clock.sleep).call(flaky, "answer")
    assert (flaky.calls, clock.slept) == (1, [])


def test_retry_pauses_are_random_and_grow_to_eight_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr(rate_limit.random, "uniform", uniform)
    clock = Clock()
    RetryUntilDeadline(lambda: 900, clock.sleep).call(Flaky(*[CognitoUnavailableError()] * 9), "answer")
    assert bounds == [(0, longest) for longest in (0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8, 8, 8)]
    assert clock.slept == [high for _, high in bounds]


def test_retry_raises_out_of_time_error_before_the_timeout() -> None:
    clock = Clock()
    retry = RetryUntilDeadline(lambda: 900 - clock.seconds, clock.sleep)
    flaky = Flaky(*[TableUnavailableError("ThrottlingException")] * 10_000)
    with pytest.raises(OutOfTimeError, match="ThrottlingException"):
        retry.call(flaky, "answer")
    assert 870 <= clock.seconds < 880
    assert not retry.has_time()


def test_retry_reserves_the_last_seconds() -> None:
    assert RetryUntilDeadline(lambda: 30.1).has_time()
    assert not RetryUntilDeadline(lambda: 30.0).has_time()


def test_retry_makes_the_first_call_without_time() -> None:
    # Who has started something finishes it: the margin is there for that.
    assert RetryUntilDeadline(lambda: 5).call(Flaky(), "answer") == "answer"
