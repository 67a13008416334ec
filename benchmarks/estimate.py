"""How long, and for how much, for pools of any size: from measured calls per user, and the quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.figures import Figures, Prices

SIZES = (10_000, 1_000_000, 50_000_000)
RATES = (15.0, 30.0)


@dataclass(frozen=True)
class Estimate:
    users: int
    list_users_per_second: float
    seconds: float
    dollars: float


def estimate(measured: Sequence[Figures], users: int, list_users_per_second: float, prices: Prices) -> Estimate:
    """For `users`, from the measured run that comes nearest: of the same rate if there is one, and in size.

    Calls per user stay the same; time is that of the ListUsers calls; workers are paid for the whole time.
    """

    def distance(figures: Figures) -> tuple[bool, float]:
        ratio = figures.users / users
        return figures.list_users_per_second != list_users_per_second, max(ratio, 1 / ratio)

    nearest = min(measured, key=distance)
    times = users / nearest.users
    seconds = nearest.calls["ListUsers"] * times / (list_users_per_second * nearest.share_of_rate)
    by_calls = Figures(
        users=users,
        list_users_per_second=list_users_per_second,
        seconds=seconds,
        calls={name: round(count * times) for name, count in nearest.calls.items()},
        write_units=nearest.write_units * times,
        read_units=nearest.read_units * times,
        gb_seconds=nearest.gb_seconds / nearest.seconds * seconds,
    )
    return Estimate(users, list_users_per_second, seconds, sum(by_calls.dollars(prices).values()))
