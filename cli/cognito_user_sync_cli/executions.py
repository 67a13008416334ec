"""Executions of the state machines: listed, and how they ended."""

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
    """How an execution failed.

    Attributes:
        state: Where; None if before the first state.
        message: What the error says.
    """

    state: str | None
    error: str
    message: str = field(default="", compare=False)

    @property
    def may_have_sent(self) -> bool:
        """Whether the welcome email may have been sent."""
        return self.state == "SendWelcome" and self.error not in NOT_SENT

    @property
    def is_hopeless(self) -> bool:
        """Whether another attempt fails, too: the input of the execution is not a SyncRequest."""
        return self.error == "InvalidEventError"


def failed(
    states: SFNClient, state_machine_arn: str, since: datetime | None = None
) -> Iterator[ExecutionListItemTypeDef]:
    """The executions that failed, since then, and can still be redriven: FAILED, TIMED_OUT, ABORTED, each newest first.
    Raises what botocore raises."""
    redrivable_since = datetime.now(UTC) - REDRIVABLE
    since = max(since or redrivable_since, redrivable_since)
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


def ended(
    states: SFNClient, redrives: Mapping[str, int], wait_seconds: float
) -> Iterator[DescribeExecutionOutputTypeDef]:
    """The executions that end within this time, each as soon as it is known.

    Args:
        redrives: How often each execution, by ARN, has been redriven at least: DescribeExecution may still show it as
            before.
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


def end_of(states: SFNClient, arn: str, status: str) -> End:
    """How an execution that failed came to its end, at one call."""
    # Newest first: how the execution ended, and before it how its last state was entered. An execution that was
    # redriven has ended before, too: of that only the last end counts.
    events = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    details = events[0].get("executionFailedEventDetails") or events[0].get("executionTimedOutEventDetails") or {}
    return End(next(entered, None), details.get("error") or status, message_of(details.get("cause") or ""))


def sign_up_arn(state_machine_arn: str, sub: str) -> str:
    """The ARN of the execution of a user's sign-up."""
    name = SyncRequest(sub, "", "sign_up").execution_name()
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


def of_sign_up(states: SFNClient, state_machine_arn: str, sub: str) -> DescribeExecutionOutputTypeDef | None:
    """The execution of a user's sign-up; None if there is none, or if Step Functions has forgotten it."""
    try:
        return states.describe_execution(executionArn=sign_up_arn(state_machine_arn, sub))
    except states.exceptions.ExecutionDoesNotExist:
        return None


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
