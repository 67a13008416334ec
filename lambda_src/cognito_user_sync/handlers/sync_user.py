"""Writes one user to the table: the first step of a user_sync execution."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.sync_request import parse
from cognito_user_sync.user_table import UserTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

logger = logging.getLogger(__name__)


@cache
def _table() -> UserTable:
    # At most 3 x (1 + 2) s and two short pauses: inside the function's 15 s.
    client: DynamoDBClient = boto3.client(
        "dynamodb",
        config=Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}),
    )
    of_function = settings.sync_user()
    return UserTable(client, of_function.table_name, of_function.attributes, of_function.index_keys)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ARG001
    """A SyncRequest in, {"outcome": user_table.Outcome} out.

    Raises InvalidSyncRequest, TableUnavailable (retried by the state machine) or WriteRefused.
    """
    request = parse(event)
    outcome = _table().write(request.confirmed_user())
    logger.info("synced", extra={"sub": request.sub, "reason": request.reason, "outcome": outcome})
    return {"outcome": outcome}
