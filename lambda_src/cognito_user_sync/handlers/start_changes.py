"""Drains the queue of changes: starts the executions that read each changed user anew, and not too many at once.

Each execution costs a ListUsers request, of which the account and region have 30 a second for everybody. Lambda runs
two of this function at most (modules/change_tracking), so the pause after each message bounds the rate.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import executions, settings

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# With two at once at most 10 executions a second: a third of the quota.
_PAUSE_SECONDS = 0.2


@cache
def _states() -> SFNClient:
    return boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of SQS messages in, each a SyncRequest; the ones to be delivered again out.

    Raises InvalidSyncRequest where the event is no such batch.
    """
    return executions.start_queued(
        _states(),
        settings.user_sync_state_machine_arn(),
        event,
        lambda: context.get_remaining_time_in_millis() / 1000,
        _PAUSE_SECONDS,
    )
