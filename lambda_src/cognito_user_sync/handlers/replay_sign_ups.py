"""Drains the unstarted queue: starts the executions that post_confirmation could not start."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import executions, settings

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


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
    )
