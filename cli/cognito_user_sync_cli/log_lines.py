"""JSON lines in the logs of Lambda functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


def json_lines(
    logs: CloudWatchLogsClient, log_group: str, pattern: str, since: datetime, until: datetime | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of a period that match a filter pattern. Raises what botocore raises.

    CloudWatch filters only log groups of the class STANDARD.
    """
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        filterPattern=pattern,
        startTime=int(since.timestamp() * 1000),
        endTime=int((until or datetime.now(UTC)).timestamp() * 1000),
    )
    for page in pages:
        for event in page["events"]:
            try:
                line = json.loads(event["message"])
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line
