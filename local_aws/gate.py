"""All calls pass the gate: it counts them, applies quotas, and fails those for which a rule says so."""

from __future__ import annotations

import contextvars
import threading
from collections import Counter, defaultdict

from local_aws.faults import FaultRules, Outcome
from local_aws.quotas import Quotas

# The operation of the HTTP request that is being answered. The emulator's own code for it is not counted again.
counted_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("counted_operation", default=None)


class CallCounter:
    """Calls since the last reset, failed ones included. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_caller: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def count(self, operation: str, caller: str) -> None:
        with self._lock:
            self._by_caller[caller][operation] += 1

    def by_operation(self) -> dict[str, int]:
        with self._lock:
            return dict(sorted(sum(self._by_caller.values(), Counter[str]()).items()))

    def by_caller(self) -> dict[str, dict[str, int]]:
        with self._lock:
            return {caller: dict(sorted(calls.items())) for caller, calls in sorted(self._by_caller.items())}

    def reset(self) -> None:
        with self._lock:
            self._by_caller.clear()


class Gate:
    def __init__(self) -> None:
        self.calls = CallCounter()
        self.faults = FaultRules()
        self.quotas = Quotas()

    def admit(self, operation: str, caller: str, function: str | None = None, has_marker: bool = False) -> Outcome:
        """Count a call, and decide whether it fails.

        Args:
            operation: As IAM names it.
            caller: Who calls.
            function: Name of the invoked Lambda function.
            has_marker: Whether a page of ListUsers continues from a token.
        """
        self.calls.count(operation, caller)
        within_quota, latency = self.quotas.take(operation)
        if not within_quota:
            return Outcome(latency, "throttle")
        outcome = self.faults.outcome(operation, function, has_marker)
        return Outcome(latency + outcome.delay_seconds, outcome.fault, outcome.after)

    def admit_in_process(self, operation: str, caller: str, function: str | None = None) -> Outcome:
        """As `admit`, for a call that the emulator makes inside itself, unless an HTTP request made it."""
        if counted_operation.get() == operation:
            counted_operation.set(None)
            return Outcome()
        return self.admit(operation, caller, function)


gate = Gate()
