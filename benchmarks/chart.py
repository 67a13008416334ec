"""The curve of the reconciliation's time over the number of users, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from benchmarks import scenarios
from benchmarks.results import Results
from cognito_user_sync.user_pool import PAGE_SIZE

Points = Sequence[tuple[float, float]]

_CURVES = {
    scenarios.SCRIPT: ("script, PutItem each", "#b4413c"),
    scenarios.SCRIPT_BATCHES: ("script, BatchWriteItem of 25", "#d9822b"),
    scenarios.FIRST_DEFAULT: ("module, first run, 15/s (default)", "#7aa6c2"),
    scenarios.FIRST: ("module, first run, 30/s", "#1f5f8b"),
}
_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 230, 40, 60


@dataclass(frozen=True)
class _Axis:
    """Logarithmic: powers of ten from `first` to `last`, drawn from `start` to `end`."""

    first: int
    last: int
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.start + share * (self.end - self.start)

    def powers(self) -> Iterable[float]:
        return (10.0**power for power in range(self.first, self.last + 1))


def reconciliation_chart(results: Results) -> str:
    """Both axes are logarithmic; the dashed line is the quota of ListUsers."""
    measurements = results.reconciliation.measurements
    quota = results.reconciliation.assumptions.quota_per_second
    x = _Axis(3, 6, _LEFT, _WIDTH - _RIGHT)
    y = _Axis(-1, 4, _HEIGHT - _BOTTOM, _TOP)
    drawn = [_text(_LEFT, 22, "Seconds to reconcile so many users", anchor="start", size=15)]
    for users in x.powers():
        drawn.append(_line([(x.at(users), y.start), (x.at(users), y.end)], "#ddd"))
        drawn.append(_text(x.at(users), y.start + 20, f"{users:,.0f}"))
    drawn.append(_text((x.start + x.end) / 2, y.start + 44, "users"))
    for seconds in y.powers():
        drawn.append(_line([(x.start, y.at(seconds)), (x.end, y.at(seconds))], "#ddd"))
        drawn.append(_text(x.start - 8, y.at(seconds) + 4, f"{seconds:,g} s", anchor="end"))
    at_best = [(each.users, each.users / PAGE_SIZE / quota) for each in measurements]
    curves: list[tuple[str, str, Points, str]] = [
        (name, colour, [(each.users, each.figures[scenario].seconds) for each in measurements], "")
        for scenario, (name, colour) in _CURVES.items()
    ]
    curves.append((f"Cognito's quota ({quota:g}/s)", "#444", at_best, "6 5"))
    for number, (name, colour, points, dashes) in enumerate(curves):
        drawn.append(_line([(x.at(users), y.at(seconds)) for users, seconds in points], colour, 2, dashes))
        row = _TOP + 20 + 22 * number
        drawn.append(_line([(x.end + 14, row), (x.end + 38, row)], colour, 2, dashes))
        drawn.append(_text(x.end + 44, row + 4, name, anchor="start", size=11))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n"
    )


def _line(points: Points, colour: str, width: float = 1, dashes: str = "") -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
