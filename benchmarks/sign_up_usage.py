"""What one sign-up, or one tracked change, takes and what AWS bills of it; a Measurement keeps what was measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.figures import Prices
from benchmarks.simulated_run import Assumptions

Json: TypeAlias = dict[str, Any]

NO_WELCOME = "sign-up, no welcome"
WELCOME = "sign-up, with the welcome"
TUTORIAL = "sign-up, as in tutorials (mail and start in the trigger)"
CHANGE = "change, tracked"
DEFAULT = "default"
TRACKED = "track_changes"

FUNCTIONS = ("post-confirmation", "sync-user", "send-welcome", "sync-changes")
"""The module's functions that are measured here."""
# What AWS bills of one invocation follows from the calls that it makes: a laptop's durations are not AWS's, since its
# calls are answered by the same machine. A call takes as long as AWS's service is assumed to; the simulation of the
# reconciliation assumes the same of Cognito and DynamoDB.
ASSUMED_CALL_MILLISECONDS = {
    "cognito-idp": 1000 * Assumptions().cognito_seconds,
    "dynamodb": 1000 * Assumptions().dynamodb_seconds,
    "ses": 100.0,
    "states": 50.0,
}
# Beside its calls, what the code of an invocation takes; handlers/sync_changes.py sleeps besides.
ASSUMED_CODE_MILLISECONDS = 20.0
PAUSE_MILLISECONDS = {"sync-changes": 200.0}
# Of a queue that is empty: Lambda's five connections, each asking every 20 s.
# https://github.com/getlift/lift/issues/132
EMPTY_POLLS_A_MONTH = 5 * 3 * 60 * 24 * 30
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
WRITE_UNIT_BYTES = 1024

MILLION = 1_000_000
GIGABYTE = 10**9


@dataclass(frozen=True)
class Usage:
    """Of one sign-up, or one change: the mean of all that were measured.

    `invocations` and `laptop_milliseconds` (the median invocation) are by function, `calls` by caller and operation.
    """

    transitions: float
    invocations: Mapping[str, float]
    laptop_milliseconds: Mapping[str, float]
    table_write_units: float
    index_write_units: float
    sqs_requests: float
    mails: float
    log_bytes: float
    input_bytes: float
    item_bytes: float
    index_bytes: float
    calls: Mapping[str, Mapping[str, float]]

    def billed_milliseconds(self, function: str) -> float:
        """What AWS is assumed to bill of this function's invocations."""
        code = ASSUMED_CODE_MILLISECONDS + PAUSE_MILLISECONDS.get(function, 0)
        calls = self.calls.get(function, {})
        return self.invocations[function] * code + sum(
            number * ASSUMED_CALL_MILLISECONDS[operation.partition(":")[0]] for operation, number in calls.items()
        )

    def gb_seconds(self, memory_mb: int) -> float:
        return sum(map(self.billed_milliseconds, self.invocations)) / 1000 * memory_mb / 1024

    def dollars_per_million(self, memory_mb: int, prices: Prices) -> dict[str, float]:
        """By service."""
        price = prices.per_million
        return {
            "Step Functions": self.transitions * price["step_functions_transitions"],
            "Lambda": sum(self.invocations.values()) * price["lambda_requests"]
            + self.gb_seconds(memory_mb) * MILLION * prices.gb_second,
            "DynamoDB": (self.table_write_units + self.index_write_units) * price["dynamodb_write_units"],
            "SQS": self.sqs_requests * price["sqs_requests"],
            "SES": self.mails * price["ses_mails"],
            "Logs": self.log_bytes * MILLION / GIGABYTE * prices.log_gigabyte,
        }


@dataclass(frozen=True)
class Standing:
    """What is paid for by the month: `alarms` as AWS counts them, one for each metric that an alarm looks at."""

    alarms: int
    dashboards: int
    polled_queues: int

    def dollars(self, prices: Prices) -> dict[str, float]:
        """By what they are paid for."""
        return {
            "alarms": self.alarms * prices.per_month["alarm"],
            "dashboard": self.dashboards * prices.per_month["dashboard"],
            "queues, empty": self.polled_queues * EMPTY_POLLS_A_MONTH * prices.per_million["sqs_requests"] / MILLION,
        }


@dataclass(frozen=True)
class Measurement:
    """What was counted while `people` signed up, and changed: `usage` by NO_WELCOME, WELCOME, TUTORIAL and CHANGE,
    `standing` by DEFAULT and TRACKED."""

    people: int
    memory_mb: int
    usage: Mapping[str, Usage]
    standing: Mapping[str, Standing]


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """An item of strings, numbers and booleans, as boto3's client gives it, in the size that DynamoDB bills.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    size = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size += len(name.encode())
        if kind == "S":
            size += len(value.encode())
        elif kind == "N":
            size += math.ceil(len(value.strip("-0.")) / 2) + 1
        elif kind == "BOOL":
            size += 1
        elif kind == "SS":
            size += sum(len(text.encode()) for text in value)
        else:
            raise ValueError(f"the size of {kind} is not known here")
    return size


def write_units(before: int, after: int) -> int:
    """Of a write that makes an item of `before` bytes one of `after`; 0 bytes are no item."""
    return math.ceil(max(before, after) / WRITE_UNIT_BYTES)


def index_write_units(before: Json, after: Json) -> int:
    """Of the entry in an index, which holds only keys; {} where there is none. Moving it is a delete and a put.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
    """
    if before == after:
        return 0
    return sum(write_units(0, item_bytes(entry)) for entry in (before, after) if entry)


def transitions(event_types: Iterable[str]) -> int:
    """What AWS bills of an execution with this history: each step that is entered, and each retry of one.

    "Step Functions counts a state transition each time a step of your workflow is executed ... including retries":
    https://aws.amazon.com/step-functions/pricing/. Raises ValueError where a step failed: its retries are not counted
    here, and a usual execution has none.
    """
    kinds = Counter(event_types)
    if failed := [kind for kind in kinds if kind.endswith(("Failed", "TimedOut"))]:
        raise ValueError(f"not a usual execution: {', '.join(failed)}")
    return sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))


def alarm_metrics(alarm: Mapping[str, Any]) -> int:
    """What AWS bills of an alarm as DescribeAlarms gives it: the metrics it looks at, of which an expression may have
    several."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1


def billed_bytes(line: str) -> int:
    """What a line of a function's log adds to the bill: none where it is Lambda's own, which system_log_level = WARN
    keeps out of the log; else its length and 26 bytes, as PutLogEvents counts them.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """
    return 0 if '"type": "platform.' in line else len(line.encode()) + 26
