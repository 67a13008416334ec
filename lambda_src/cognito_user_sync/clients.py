"""The user pool and the user table, each with a client that a container makes once, at first use."""

from __future__ import annotations

from functools import cache

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import UserTable

# Calls to DynamoDB, and to AdminGetUser, at once, of one reconciliation worker.
PARALLEL = 16
# One attempt: the state machine or the queue tries again, and later.
_ONE_USER = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
# At most 3 x (1 + 2) s and two short pauses.
_ONE_ITEM = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
# One attempt: the reconciliation repeats calls itself, at its pace and as long as it has time.
_MANY = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=PARALLEL)


@cache
def user_pool(many: bool = False) -> UserPool:
    """Return the pool, for one user or for `many`."""
    client = boto3.client("cognito-idp", config=_MANY if many else _ONE_USER)
    _ = client.exceptions  # made at first use, and not safely by several threads at once
    return UserPool(client, settings.user_pool_id())


@cache
def user_table(many: bool = False) -> UserTable:
    """Return the table, for one item or for `many`."""
    client = boto3.client("dynamodb", config=_MANY if many else _ONE_ITEM)
    _ = client.exceptions
    return settings.user_table(client)
