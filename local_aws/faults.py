"""Rules that make calls fail: which operation, how, how often."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from local_aws.validation import InvalidSettingError, boolean, known_keys, number, operation, shown, whole_number

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
_KMS: Final = ("kms_access_denied", "kms_invalid_state")
_KEYS: Final = ("operation", "fault", "rate", "times", "seed", "after", "function", "latency_ms")


@dataclass
class FaultRule:
    """One rule. A seeded rule fires in the same sequence every time it is set."""

    operation: str
    fault: FaultKind
    rate: float = 1.0
    times: int | None = None
    seed: int | None = None
    after: bool = False
    function: str | None = None
    latency_ms: float = 0.0
    fired: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @classmethod
    def from_json(cls, value: object) -> FaultRule:
        if not isinstance(value, dict):
            raise InvalidSettingError(
                f"fault {shown(value)} is not an object such as "
                '{"operation": "states:StartExecution", "fault": "throttle"}'
            )
        known_keys("fault", value, _KEYS)
        for key in ("operation", "fault"):
            if key not in value:
                raise InvalidSettingError(f"fault {shown(value)} lacks the key '{key}'")
        name, fault, function = operation(value["operation"]), value["fault"], value.get("function")
        if fault not in KINDS:
            raise InvalidSettingError(f"fault {shown(fault)} is not one of {', '.join(KINDS)}")
        _check_latency(value)
        _check_function(name, function)
        if fault == "rejected_marker" and name != "cognito-idp:ListUsers":
            raise InvalidSettingError(
                f"the fault 'rejected_marker' is allowed with cognito-idp:ListUsers alone, not {shown(name)}"
            )
        if fault in _KMS and name != "lambda:InvokeFunction":
            raise InvalidSettingError(
                f"the fault '{fault}' is allowed with lambda:InvokeFunction alone, not {shown(name)}"
            )
        return cls(
            operation=name,
            fault=cast("FaultKind", fault),
            rate=number("rate", value.get("rate", 1.0), 0, 1),
            times=whole_number("times", value.get("times")),
            seed=whole_number("seed", value.get("seed")),
            after=boolean("after", value.get("after", False)),
            function=function,
            latency_ms=number("latency_ms", value.get("latency_ms", 0), 0),
        )

    def as_json(self) -> dict[str, Any]:
        shown_rule: dict[str, Any] = {
            "operation": self.operation,
            "fault": self.fault,
            "rate": self.rate,
            "times": self.times,
            "seed": self.seed,
            "after": self.after,
        }
        if self.function is not None:
            shown_rule["function"] = self.function
        if self.fault == "latency":
            shown_rule["latency_ms"] = self.latency_ms
        return {**shown_rule, "fired": self.fired}

    def fires(self, called: str, function: str | None, has_marker: bool = False) -> bool:
        """Whether this rule fires for a call, and counts it if so. Draws only for calls of its own operation."""
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


def _check_latency(value: dict[str, object]) -> None:
    if value["fault"] != "latency":
        if "latency_ms" in value:
            raise InvalidSettingError("latency_ms is allowed with the fault 'latency' alone")
        return
    if value.get("after"):
        raise InvalidSettingError("after true is not allowed with the fault 'latency'")
    if "latency_ms" not in value:
        raise InvalidSettingError("the fault 'latency' lacks the key 'latency_ms'")


def _check_function(called: str, function: object) -> None:
    if function is None:
        return
    if not isinstance(function, str) or not function:
        raise InvalidSettingError(f"function {shown(function)} is not the name of a function or its end")
    if called not in ("lambda:InvokeFunction", "lambda:*"):
        raise InvalidSettingError(
            f"function is allowed with the operation 'lambda:InvokeFunction' alone, not {shown(called)}"
        )


@dataclass(frozen=True)
class Outcome:
    """What the rules make of one call: seconds to wait, and the rule that fails it, if any."""

    delay_seconds: float = 0.0
    fault: FaultKind | None = None
    after: bool = False


class FaultRules:
    """The rules in force. The first that fires fails the call; delays add up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[FaultRule] = []

    def replace(self, value: object) -> None:
        if not isinstance(value, list):
            raise InvalidSettingError(f"faults {shown(value)} is not a list of faults")
        rules = [FaultRule.from_json(rule) for rule in value]
        with self._lock:
            self._rules = rules

    def clear(self) -> None:
        self.replace([])

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [rule.as_json() for rule in self._rules]

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
