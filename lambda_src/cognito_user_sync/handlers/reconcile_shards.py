"""Reconciles one batch of shards: a worker of the reconciliation."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.reconciliation import PARALLEL, Batch, Worker
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import UserTable

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient

# Between two lines that say how far a batch is: `cognito-user-sync reconcile` follows them.
_PROGRESS_SECONDS = 5.0

logger = logging.getLogger(__name__)

# One attempt each: the worker repeats calls itself, at its pace and as long as it has time.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=PARALLEL)


@cache
def _pool() -> UserPool:
    client: CognitoIdentityProviderClient = boto3.client("cognito-idp", config=_CONFIG)
    _ = client.exceptions  # made at first use, and not safely by several threads at once
    return UserPool(client, settings.user_pool_id())


@cache
def _table() -> UserTable:
    client: DynamoDBClient = boto3.client("dynamodb", config=_CONFIG)
    _ = client.exceptions  # made at first use, and not safely by several threads at once
    return settings.user_table(client)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A Batch in, a Result out. Raises InvalidInput, or what Worker.work raises."""
    batch = Batch.from_json(event)
    worker = Worker(
        _pool(), _table(), batch, lambda: context.get_remaining_time_in_millis() / 1000, progress=_logged_progress()
    )
    result = worker.work()
    counts = dict(result.counts)
    logger.info(
        "reconciled",
        extra={
            "prefixes": event["prefixes"],
            "counts": counts,
            "listed": counts.get("listed", 0),
            "left": len(result.prefixes),
        },
    )
    return result.to_json()


def _logged_progress() -> Callable[[int], None]:
    """Logs the number of users that it is told, every few seconds."""
    last = time.monotonic()

    def log(listed: int) -> None:
        nonlocal last
        moment = time.monotonic()
        if moment - last >= _PROGRESS_SECONDS:
            last = moment
            logger.info("reconciling", extra={"listed": listed})

    return log
