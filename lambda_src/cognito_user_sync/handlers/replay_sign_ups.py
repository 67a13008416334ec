"""Drains the unstarted queue: starts the executions that post_confirmation could not start."""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync import executions, settings
from cognito_user_sync.sync_request import InvalidSyncRequest, parse

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

logger = logging.getLogger(__name__)


@cache
def _states() -> SFNClient:
    return boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}),
    )


@cache
def _settings() -> settings.ReplaySignUpsSettings:
    return settings.replay_sign_ups()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """A batch of SQS messages, each a SyncRequest. Returns the ones to be delivered again.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    failed = [record["messageId"] for record in event["Records"] if not _replayed(record)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _replayed(record: dict[str, Any]) -> bool:
    try:
        request = parse(json.loads(record["body"]))
        started = executions.start(_states(), _settings().state_machine_arn, request)
    except (ValueError, InvalidSyncRequest, BotoCoreError, ClientError) as error:
        # Delivered again, and to the dead-letter queue in the end, where a person sees it.
        logger.warning("message not replayed", extra={"message_id": record["messageId"], "error": type(error).__name__})
        return False
    logger.info("replayed" if started else "had been started before", extra={"sub": request.sub})
    return True
