"""Evaluates the definitions of alarms.

The local AWS records no metrics. Their values are derived from executions, queues and logs. One value is used for all
periods of an alarm, so that no test waits for minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local_aws.client import LocalAws
from tests.incidents.operating import PREFIX

_ATTRIBUTES = {
    "ApproximateNumberOfMessagesVisible": "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
}


@dataclass(frozen=True)
class Alarms:
    """The alarms of the deployment, for the metrics since a time."""

    aws: LocalAws
    since: datetime
    counted: Mapping[str, float | None] = field(default_factory=dict)
    """Values that the test gives: failures by function, None if AWS counts no invocation, and rates of SES."""

    def state(self, name: str) -> str:
        """Return OK, ALARM or INSUFFICIENT_DATA."""
        (alarm,) = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[f"{PREFIX}-{name}"])["MetricAlarms"]
        value = self._expression(alarm["Metrics"]) if alarm.get("Metrics") else self._metric(alarm)
        if value is None:
            return {"notBreaching": "OK", "ignore": "OK", "missing": "INSUFFICIENT_DATA"}[alarm["TreatMissingData"]]
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        return "ALARM" if value > alarm["Threshold"] else "OK"

    def _expression(self, queries: list[dict[str, Any]]) -> float | None:
        """Metric math: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html"""
        values = {each["Id"]: self._metric(each["MetricStat"]["Metric"]) for each in queries if "MetricStat" in each}
        (expression,) = [each["Expression"] for each in queries if "Expression" in each]
        names = {
            "IF": lambda condition, then, otherwise: then if condition else otherwise,
            "FILL": lambda value, missing: missing if value is None else value,
        }
        try:
            return eval(expression, names | values)  # type: ignore[no-any-return]
        except TypeError:  # a sum with a missing value
            return None

    def _metric(self, metric: dict[str, Any]) -> float | None:
        """Return the value, or None if AWS would have no data."""
        dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions", [])}
        match metric["Namespace"], metric["MetricName"]:
            case "AWS/SQS", name:
                return self._messages(dimensions["QueueName"], _ATTRIBUTES[name])
            case "AWS/States", "ExecutionsFailed":
                return self._failed_executions(dimensions["StateMachineArn"])
            case "AWS/Lambda", "Errors" | "Throttles" | "IteratorAge" if dimensions["FunctionName"] in self.counted:
                return self.counted[dimensions["FunctionName"]]
            case "AWS/SES", name if name in self.counted:
                return self.counted[name]
            case "AWS/Lambda", "Errors" | "Invocations" as name:
                return self._invocations(dimensions["FunctionName"], only_failed=name == "Errors")
            case namespace, name if namespace == f"CognitoUserSync/{PREFIX}":
                return self._log_lines(name)
            case unknown:
                raise NotImplementedError(f"no value is known of the metric {unknown}")

    def _messages(self, queue: str, attribute: str) -> float | None:
        queues = self.aws.client("sqs")
        try:
            url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
        except queues.exceptions.QueueDoesNotExist:
            return None
        return float(queues.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])["Attributes"][attribute])

    def _executions(self, arn: str) -> list[dict[str, Any]]:
        listed = self.aws.client("stepfunctions").list_executions(stateMachineArn=arn, maxResults=1000)["executions"]
        return [each for each in listed if each["startDate"] >= self.since]

    def _failed_executions(self, arn: str) -> float:
        return float(sum(each["status"] == "FAILED" for each in self._executions(arn)))

    def _invocations(self, function: str, only_failed: bool) -> float | None:
        """Return the invocations by the state machine of sign-ups, from the history of its executions."""
        state = {f"{PREFIX}-sync-user": "SyncUser", f"{PREFIX}-send-welcome": "SendWelcome"}[function]
        states = self.aws.client("stepfunctions")
        counts: Counter[str] = Counter()
        for execution in self._executions(f"arn:aws:states:us-east-1:000000000000:stateMachine:{PREFIX}-user-sync"):
            entered = ""
            events = states.get_execution_history(executionArn=execution["executionArn"], maxResults=1000)["events"]
            for event in events:
                entered = event.get("stateEnteredEventDetails", {}).get("name", entered)
                counts[event["type"]] += entered == state
        ended = counts["TaskFailed"] + counts["TaskSucceeded"]
        return (counts["TaskFailed"] if only_failed else ended) if ended else None

    def _log_lines(self, name: str) -> float | None:
        logs = self.aws.client("logs")
        filters = [
            each
            for page in logs.get_paginator("describe_metric_filters").paginate(filterNamePrefix=PREFIX)
            for each in page["metricFilters"]
            if each["metricTransformations"][0]["metricName"] == name
        ]
        (found,) = filters
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=found["logGroupName"],
            filterPattern=found["filterPattern"],
            startTime=int(self.since.timestamp() * 1000),
        )
        return sum(len(page["events"]) for page in pages) or None
