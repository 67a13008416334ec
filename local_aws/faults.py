"""Rules that make calls fail: which operation, how, how often."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, get_args

FaultKind = Literal[
    "throttle",
    "500",
    "timeout",
    "reset",
    "access_denied",
    "kms_access_denied",
    "kms_invalid_state",
    "rejected_marker",
    "latency",
]
KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
_OPERATION: Final = re.compile(r"[a-z0-9-]+:([A-Z][A-Za-z0-9]*|\*)")


@dataclass
class FaultRule:
    """One rule. A seeded rule fires in the same sequence every time it is set.

    Attributes:
        operation: As in IAM, or all operations of a service: `states:*`.
        fault: `kms_*` are for invocations of functions, `rejected_marker` for pages of ListUsers after the first.
        rate: The share of calls that fail.
        times: How often it fires at most.
        seed: Of the random numbers for `rate`.
        after: Whether the call takes effect before it fails.
        function: Name of an invoked function, or the end of it.
        latency_ms: The delay of the fault `latency`, which does not fail the call.
    """

    operation: str
    fault: FaultKind
    rate: float = 1.0
    times: int | None = None
    seed: int | None = None
    after: bool = False
    function: str | None = None
    latency_ms: float = 0.0
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not _OPERATION.fullmatch(self.operation):
            raise ValueError(f'operation "{self.operation}" must be service:Operation as in IAM, or service:*')
        if self.fault not in KINDS:
            raise ValueError(f'fault "{self.fault}" must be one of {", ".join(KINDS)}')
        self._random = random.Random(self.seed)

    def fires(self, called: str, function: str | None, has_marker: bool = False) -> bool:
        """Return whether this rule fires for a call, and count it. Draws a random number only for its operation."""
        service = self.operation.removesuffix("*")
        if called != self.operation and not (service != self.operation and called.startswith(service)):
            return False
        if self.function is not None and not (function or "").endswith(self.function):
            return False
        if self.fault == "rejected_marker" and not has_marker:
            return False
        if self.times is not None and self.fired >= self.times:
            return False
        if self._random.random() >= self.rate:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True)
class Outcome:
    """What the rules decide for one call: seconds to wait, and the fault, if any."""

    delay_seconds: float = 0.0
    fault: FaultKind | None = None
    after: bool = False


class FaultRules:
    """The rules in force. The first that fires fails the call; delays add up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []

    def replace(self, value: Any) -> None:
        rules = [FaultRule(**rule) for rule in value]
        with self._lock:
            self._rules = rules

    def clear(self) -> None:
        self.replace([])

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def outcome(self, called: str, function: str | None, has_marker: bool = False) -> Outcome:
        delay = 0.0
        with self._lock:
            for rule in self._rules:
                if not rule.fires(called, function, has_marker):
                    continue
                if rule.fault == "latency":
                    delay += rule.latency_ms / 1000
                else:
                    return Outcome(delay, rule.fault, rule.after)
        return Outcome(delay)
