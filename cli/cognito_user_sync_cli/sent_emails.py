"""Find out whether the welcome email of a failed execution was sent.

The sources are the log of send-welcome, and the events of SES in a log group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import boto3

from cognito_user_sync.welcome_email import SUB_TAG
from cognito_user_sync.welcome_outcome import SENT
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.failures import Failure
from cognito_user_sync_cli.log_lines import json_lines

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

# How long after a failure an event of its email may still arrive.
_LATE = timedelta(days=1)
# Without an event of any welcome email within this time before or after a failure, the log group may get no events.
_NEAR = timedelta(days=1)


class Verdict(StrEnum):
    """Whether a welcome email was sent."""

    SENT = "sent"
    NOT_SENT = "not sent"
    TOO_EARLY = "too early"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class LogGroup:
    """A CloudWatch log group, with a client for its region."""

    logs: CloudWatchLogsClient
    name: str

    @classmethod
    def of(cls, deployment: Deployment, name_or_arn: str) -> Self:
        """Return the log group with a name, in the deployment's region, or with an ARN."""
        if not name_or_arn.startswith("arn:"):
            return cls(deployment.logs, name_or_arn)
        region, name = name_or_arn.split(":")[3], name_or_arn.partition(":log-group:")[2].removesuffix(":*")
        same = region == deployment.region
        return cls(deployment.logs if same else boto3.client("logs", region_name=region), name)

    def lines(self, text: str, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
        """Yield the JSON lines of a period that contain a text."""
        return json_lines(self.logs, self.name, f'"{text}"', since, until)


def verdict(failure: Failure, log: LogGroup, events: LogGroup | None, events_within: timedelta) -> Verdict:
    """Return whether the welcome email of a failed execution was sent. Raises what botocore raises.

    Args:
        failure: The failed execution.
        log: The log group of send-welcome. The function may have logged that SES accepted the email, and failed after.
        events: The log group with the events of SES, if there is one.
        events_within: After this time without an event, the email counts as not sent.
    """
    sub, since, until = failure.sub, failure.started_at, failure.ended_at + _LATE
    if sub is None:
        return Verdict.UNKNOWN
    if any(line.get("welcome_email") == SENT and line.get("sub") == sub for line in log.lines(sub, since, until)):
        return Verdict.SENT
    if events is None:
        return Verdict.UNKNOWN
    if any(sub in _subs(event) for event in events.lines(sub, since, until)):
        return Verdict.SENT
    if datetime.now(UTC) - failure.ended_at < events_within:
        return Verdict.TOO_EARLY
    near = events.lines(SUB_TAG, failure.ended_at - _NEAR, failure.ended_at + _NEAR)
    return Verdict.NOT_SENT if any(_subs(event) for event in near) else Verdict.UNKNOWN


def _subs(event: dict[str, Any]) -> list[str]:
    """Return the subs in an event of SES, as EventBridge writes it to a log group.

    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
    """
    try:
        return list(event["detail"]["mail"]["tags"][SUB_TAG])
    except (KeyError, TypeError):
        return []
