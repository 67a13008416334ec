"""Starts the executions of the retry queue, which post_confirmation could not start."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync import executions, message_batch, settings
from cognito_user_sync.sync_request import parse

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Three attempts of at most 1 + 3 s, with a short pause between them.
_SLOWEST_START_SECONDS = 15.0

logger = logging.getLogger(__name__)


@cache
def _states() -> SFNClient:
    return boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of SQS messages, each a SyncRequest. Returns the messages that SQS must deliver again.

    Raises InvalidEventError if the event is not a batch of SQS messages.
    """
    return message_batch.handle(
        event,
        _start,
        (BotoCoreError, ClientError),
        lambda: context.get_remaining_time_in_millis() / 1000 >= _SLOWEST_START_SECONDS,
    )


def _start(message: Any) -> None:
    request = parse(message)
    started = executions.start(_states(), settings.user_sync_state_machine_arn(), request)
    logger.info("started" if started else "was started before", extra={"sub": request.sub})
