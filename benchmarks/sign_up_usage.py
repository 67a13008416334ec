"""What one sign-up, one tracked change or one event uses, and what AWS bills for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from benchmarks.figures import Prices
from benchmarks.simulated_run import Assumptions

Json: TypeAlias = dict[str, Any]

NO_WELCOME = "sign-up, no welcome email"
WELCOME = "sign-up, with the welcome email"
TUTORIAL = "sign-up, as in tutorials (email and start in the trigger)"
CHANGE = "change, tracked"
EVENT = "event about a user"
DEFAULT = "default"
TRACKED = "track_changes"

PUBLISHER = "publish-user-events"
FUNCTIONS = ("post-confirmation", "sync-user", "send-welcome", "sync-changes", PUBLISHER)
"""The module's functions that are measured here."""
# Durations on the local AWS are not those on AWS. So the billed time of an invocation is computed from its calls, with
# an assumed time of each. The simulation of the reconciliation assumes the same for Cognito and DynamoDB.
ASSUMED_CALL_MILLISECONDS = {
    "cognito-idp": 1000 * Assumptions().cognito_seconds,
    "dynamodb": 1000 * Assumptions().dynamodb_seconds,
    "events": 30.0,
    "ses": 100.0,
    "states": 50.0,
}
# The code of an invocation, without its calls. handlers/sync_changes.py also sleeps.
ASSUMED_CODE_MILLISECONDS = 20.0
PAUSE_MILLISECONDS = {"sync-changes": 200.0}
# Requests for an empty queue: Lambda has five connections, each of which polls every 20 s.
# https://github.com/getlift/lift/issues/132
EMPTY_POLLS_A_MONTH = 5 * 3 * 60 * 24 * 30

MILLION = 1_000_000
GIGABYTE = 10**9


@dataclass(frozen=True)
class Usage:
    """The mean of one sign-up, one change or one event.

    `invocations` and `local_milliseconds` (the median invocation) are by function, `calls` by caller and operation.
    """

    transitions: float
    invocations: Mapping[str, float]
    local_milliseconds: Mapping[str, float]
    table_write_units: float
    index_write_units: float
    sqs_requests: float
    emails: float
    log_bytes: float
    input_bytes: float
    item_bytes: float
    index_bytes: float
    calls: Mapping[str, Mapping[str, float]]
    events: float = 0

    def billed_milliseconds(self, function: str) -> float:
        """Return the assumed billed duration of this function's invocations."""
        code = ASSUMED_CODE_MILLISECONDS + PAUSE_MILLISECONDS.get(function, 0)
        calls = self.calls.get(function, {})
        return self.invocations[function] * code + sum(
            number * ASSUMED_CALL_MILLISECONDS[operation.partition(":")[0]] for operation, number in calls.items()
        )

    def gb_seconds(self, memory_mb: int) -> float:
        return sum(map(self.billed_milliseconds, self.invocations)) / 1000 * memory_mb / 1024

    def dollars_per_million(self, memory_mb: int, prices: Prices) -> dict[str, float]:
        """Return dollars, by service."""
        return {
            "Step Functions": self.transitions * prices["step_functions_transitions"],
            "Lambda": sum(self.invocations.values()) * prices["lambda_requests"]
            + self.gb_seconds(memory_mb) * prices["lambda_gb_seconds"],
            "DynamoDB": (self.table_write_units + self.index_write_units) * prices["dynamodb_write_units"],
            "SQS": self.sqs_requests * prices["sqs_requests"],
            "SES": self.emails * prices["ses_emails"],
            "EventBridge": self.events * prices["eventbridge_events"],
            "Logs": self.log_bytes * MILLION / GIGABYTE * prices["log_gigabyte"],
        }


@dataclass(frozen=True)
class Standing:
    """What costs money each month. `alarms` are counted as AWS bills them: one for each metric of an alarm."""

    alarms: int
    dashboards: int
    polled_queues: int

    def dollars(self, prices: Prices) -> dict[str, float]:
        """Return dollars a month, by kind."""
        return {
            "alarms": self.alarms * prices["alarm"],
            "dashboard": self.dashboards * prices["dashboard"],
            "queues, empty": self.polled_queues * EMPTY_POLLS_A_MONTH * prices["sqs_requests"] / MILLION,
        }


@dataclass(frozen=True)
class Measurement:
    """`usage` by NO_WELCOME, WELCOME, TUTORIAL, CHANGE, EVENT, of `users` each; `standing` by DEFAULT and TRACKED."""

    users: int
    memory_mb: int
    usage: Mapping[str, Usage]
    standing: Mapping[str, Standing]


def transitions(event_types: Iterable[str]) -> int:
    """Return the billed state transitions of an execution with this history: one for each entered state.

    "Step Functions counts a state transition each time a step of your workflow is executed ... including retries":
    https://aws.amazon.com/step-functions/pricing/

    Raises:
        ValueError: A step failed. Its retries are not counted here.
    """
    kinds = Counter(event_types)
    if failed := [kind for kind in kinds if kind.endswith(("Failed", "TimedOut"))]:
        raise ValueError(f"the execution has failed steps: {', '.join(failed)}")
    return sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))


def alarm_metrics(alarm: Mapping[str, Any]) -> int:
    """Return the number of billed metrics of an alarm from DescribeAlarms. An expression may have several."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1


def billed_bytes(line: str) -> int:
    """Return the billed bytes of a line of a function's log: its length and 26 bytes, as PutLogEvents counts them.

    Lambda's own lines are not counted: system_log_level = WARN keeps them out of the log.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """
    return 0 if '"type": "platform.' in line else len(line.encode()) + 26
