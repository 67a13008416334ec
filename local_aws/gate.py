"""The one place every call passes: counted, held to its quota, failed where a rule says so."""

from __future__ import annotations

import contextvars

from local_aws.calls import CallCounter
from local_aws.faults import FaultRules, Outcome
from local_aws.quotas import Quotas

# The operation of the HTTP request being answered, so that the emulator's own code for it is not counted too.
counted_operation: contextvars.ContextVar[str | None] = contextvars.ContextVar("counted_operation", default=None)


class Gate:
    def __init__(self) -> None:
        self.calls = CallCounter()
        self.faults = FaultRules()
        self.quotas = Quotas()

    def admit(self, operation: str, caller: str, function: str | None = None, has_marker: bool = False) -> Outcome:
        """Count the call and say what becomes of it. `function` is the name of an invoked Lambda function;
        `has_marker` says whether a list of users goes on from one."""
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
