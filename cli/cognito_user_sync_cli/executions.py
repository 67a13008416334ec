"""Executions of the state machines: list them, describe them, wait for them, and find the cause of a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

from cognito_user_sync.aws_errors import message_of
from cognito_user_sync.sync_request import SyncRequest
from cognito_user_sync_cli.errors_before_send import NOT_SENT

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType
    from mypy_boto3_stepfunctions.type_defs import (
        DescribeExecutionOutputTypeDef,
        ExecutionListItemTypeDef,
        PaginatorConfigTypeDef,
    )

FAILED: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")

# How long after its end an execution can be redriven.
# https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
REDRIVABLE = timedelta(days=14)

# An execution that runs longer is being retried: SyncUser waits at most 7 minutes for a user who is not confirmed yet.
USUAL_DURATION = timedelta(minutes=10)

# The default of 100 would need ten times as many requests, of a quota that the reconciliation uses, too.
_LARGE_PAGES: PaginatorConfigTypeDef = {"PageSize": 1000}

# DescribeExecution is eventually consistent: it may not find an execution that has just started.
_DESCRIBE_ATTEMPTS, _PAUSE_SECONDS = 5, 1.0


@dataclass(frozen=True)
class Cause:
    """Why an execution failed.

    Attributes:
        state: The state that failed. None if the execution failed before its first state.
        error: The name of the error.
        message: The message of the error.
    """

    state: str | None
    error: str
    message: str = field(default="", compare=False)

    @property
    def may_have_sent(self) -> bool:
        """Whether the welcome email may have been sent."""
        return self.state == "SendWelcome" and self.error not in NOT_SENT

    @property
    def is_permanent(self) -> bool:
        """Whether a redrive fails again: the input of the execution is not a SyncRequest."""
        return self.error == "InvalidEventError"


def list_failed(
    states: SFNClient, state_machine_arn: str, since: datetime | None = None
) -> Iterator[ExecutionListItemTypeDef]:
    """Yield the executions that failed since a time and can still be redriven.

    Their order is FAILED, TIMED_OUT, ABORTED, and the newest first for each. Raises what botocore raises.
    """
    redrivable_since = datetime.now(UTC) - REDRIVABLE
    since = max(since or redrivable_since, redrivable_since)
    for status in FAILED:
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=state_machine_arn, statusFilter=status, PaginationConfig=_LARGE_PAGES
        )
        # Executions that have ended are sorted by their end:
        # https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html
        yield from takewhile(
            lambda each: each["stopDate"] >= since, (each for page in pages for each in page["executions"])
        )


def list_retried(states: SFNClient, state_machine_arn: str) -> Iterator[ExecutionListItemTypeDef]:
    """Yield the executions that run for so long that a step must be in a retry. Raises what botocore raises."""
    since = datetime.now(UTC) - USUAL_DURATION
    pages = states.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, statusFilter="RUNNING", PaginationConfig=_LARGE_PAGES
    )
    return (each for page in pages for each in page["executions"] if each.get("redriveDate", each["startDate"]) < since)


def find_by_name(states: SFNClient, state_machine_arn: str, part: str, search_limit: int) -> tuple[Sequence[str], bool]:
    """Search the newest executions by a part of their names.

    Returns:
        The ARNs, the newest first, and whether there are more than `search_limit` executions.
    """
    found, searched = [], 0
    for page in states.get_paginator("list_executions").paginate(
        stateMachineArn=state_machine_arn, PaginationConfig=_LARGE_PAGES
    ):
        found += [each["executionArn"] for each in page["executions"] if part in each["name"]]
        searched += len(page["executions"])
        if searched >= search_limit:
            return found, True
    return found, False


def describe(states: SFNClient, arn: str) -> DescribeExecutionOutputTypeDef:
    """Describe an existing execution, with times in UTC."""
    for attempts_left in reversed(range(_DESCRIBE_ATTEMPTS)):
        try:
            described = states.describe_execution(executionArn=arn)
        except states.exceptions.ExecutionDoesNotExist:
            if not attempts_left:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            described["startDate"] = described["startDate"].astimezone(UTC)
            return described
    raise AssertionError("the last attempt returns or raises")


def wait_for_ends(
    states: SFNClient, redrives: Mapping[str, int], wait_seconds: float
) -> Iterator[DescribeExecutionOutputTypeDef]:
    """Yield executions as they end, until all have ended or the time is over.

    Args:
        states: The client of Step Functions.
        redrives: The least number of redrives of each execution, by ARN. DescribeExecution may still return the state
            before the last redrive.
        wait_seconds: How long to wait.
    """
    deadline, running = time.monotonic() + wait_seconds, dict(redrives)
    while running:
        for arn, least in list(running.items()):
            described = describe(states, arn)
            if described["status"] != "RUNNING" and described.get("redriveCount", 0) >= least:
                del running[arn]
                yield described
        if time.monotonic() >= deadline:
            return
        if running:
            time.sleep(_PAUSE_SECONDS)


def cause_of(states: SFNClient, arn: str, status: str) -> Cause:
    """Return why an execution failed. Makes one request."""
    # Newest first: the event of the failure comes before the one that entered the failed state. The history of a
    # redriven execution has earlier failures, too, which do not count.
    events = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    details = events[0].get("executionFailedEventDetails") or events[0].get("executionTimedOutEventDetails") or {}
    return Cause(next(entered, None), details.get("error") or status, message_of(details.get("cause") or ""))


def sign_up_arn(state_machine_arn: str, sub: str) -> str:
    """Return the ARN of the execution of a user's sign-up."""
    name = SyncRequest(sub, "", "sign_up").execution_name()
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def describe_sign_up(states: SFNClient, state_machine_arn: str, sub: str) -> DescribeExecutionOutputTypeDef | None:
    """Describe the execution of a user's sign-up. None if there is none, or if Step Functions has deleted it."""
    try:
        return states.describe_execution(executionArn=sign_up_arn(state_machine_arn, sub))
    except states.exceptions.ExecutionDoesNotExist:
        return None
