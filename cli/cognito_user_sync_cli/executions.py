"""Executions of the state machines: listed, and how they ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import (
        DescribeExecutionOutputTypeDef,
        ExecutionListItemTypeDef,
        PaginatorConfigTypeDef,
    )

FAILED: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")

# An execution can be redriven for so long after its end.
# https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
REDRIVABLE = timedelta(days=14)

# Longer than any execution takes whose user is confirmed late: SyncUser waits 7 minutes.
USUAL = timedelta(minutes=10)

# 100 would be the default: ten times as many calls of a quota that the reconciliation needs, too.
_LARGE_PAGES: PaginatorConfigTypeDef = {"PageSize": 1000}

# DescribeExecution may not know at once what has been started a moment ago.
_LOOKS, _PAUSE_SECONDS = 5, 1.0


@dataclass(frozen=True)
class End:
    """How an execution failed. `state` is where, None if before the first."""

    state: str | None
    error: str


def failed(states: SFNClient, state_machine_arn: str) -> Iterator[ExecutionListItemTypeDef]:
    """The executions that failed and can still be redriven: FAILED, TIMED_OUT, ABORTED, each newest first. Raises what
    botocore raises."""
    since = datetime.now(UTC) - REDRIVABLE
    for status in FAILED:
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=state_machine_arn, statusFilter=status, PaginationConfig=_LARGE_PAGES
        )
        # Those that are over are listed by their end:
        # https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html
        yield from takewhile(
            lambda each: each["stopDate"] >= since, (each for page in pages for each in page["executions"])
        )


def retried(states: SFNClient, state_machine_arn: str) -> Iterator[ExecutionListItemTypeDef]:
    """The executions that have been running for so long that a step is being retried. Raises what botocore raises."""
    since = datetime.now(UTC) - USUAL
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, statusFilter="RUNNING", PaginationConfig=_LARGE_PAGES
    )
    return (each for page in pages for each in page["executions"] if each.get("redriveDate", each["startDate"]) < since)


def describe(states: SFNClient, arn: str) -> DescribeExecutionOutputTypeDef:
    """An execution that is known to exist, its times in UTC."""
    for looks_left in reversed(range(_LOOKS)):
        try:
            described = states.describe_execution(executionArn=arn)
        except states.exceptions.ExecutionDoesNotExist:
            if not looks_left:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            described["startDate"] = described["startDate"].astimezone(UTC)
            return described
    raise AssertionError("the last look returns or raises")


def end_of(states: SFNClient, arn: str, status: str) -> End:
    """How an execution that failed came to its end, at one call."""
    # Newest first: how the execution ended, and before it how its last state was entered. An execution that was
    # redriven has ended before, too: of that only the last end counts.
    events = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    details = events[0].get("executionFailedEventDetails") or events[0].get("executionTimedOutEventDetails") or {}
    return End(next(entered, None), details.get("error") or status)


def message_of(cause: str) -> str:
    """What a cause says: a function's error comes as JSON with its message and stack trace."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def named(states: SFNClient, state_machine_arn: str, part: str, among: int) -> tuple[Sequence[str], bool]:
    """ARNs of the executions with `part` in their names, newest first, and whether there are more than the newest
    `among` that were looked at."""
    found, looked = [], 0
    for page in states.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, PaginationConfig=_LARGE_PAGES
    ):
        found += [each["executionArn"] for each in page["executions"] if part in each["name"]]
        looked += len(page["executions"])
        if looked >= among:
            return found, True
    return found, False
