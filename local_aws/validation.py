"""Checks of what the control endpoints are given. Every message names the value and the allowed form."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OPERATION = re.compile(r"[a-z0-9-]+:([A-Z][A-Za-z0-9]*|\*)")


class InvalidSettingError(ValueError):
    """Answered as HTTP 400 with this message."""


def shown(value: object) -> str:
    return json.dumps(value, default=str)


def operation(value: object) -> str:
    if not isinstance(value, str) or not OPERATION.fullmatch(value):
        raise InvalidSettingError(
            f"operation {shown(value)} is not of the form 'service:Operation' as in IAM, "
            "e.g. 'states:StartExecution', or 'service:*'"
        )
    return value


def number(name: str, value: object, low: float, high: float | None = None) -> float:
    allowed = f"a number from {low:g} to {high:g}" if high is not None else f"a number of at least {low:g}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value or (high is not None and value > high):  # type: ignore[operator]
        raise InvalidSettingError(f"{name} {shown(value)} is not {allowed}")
    return float(value)  # type: ignore[arg-type]


def whole_number(name: str, value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidSettingError(f"{name} {shown(value)} is not null or a whole number of at least 0")
    return value


def boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSettingError(f"{name} {shown(value)} is not true or false")
    return value


def known_keys(what: str, given: Iterable[str], allowed: Iterable[str]) -> None:
    for key in given:
        if key not in allowed:
            raise InvalidSettingError(
                f"{what} has the unknown key {shown(key)}; allowed are {', '.join(sorted(allowed))}"
            )
