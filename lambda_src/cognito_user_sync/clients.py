"""The user pool and the user table. Each client is made once per execution environment, at first use."""

from __future__ import annotations

from functools import cache

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import UserTable

# Concurrent calls of DynamoDB or AdminGetUser by one reconciliation worker.
PARALLEL = 16
# One attempt: the state machine or the queue retries, after a longer pause.
_ONE_USER = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
# At most 3 x (1 + 2) s and two short pauses.
_ONE_ITEM = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
# One attempt: the reconciliation retries calls itself, within its rate and its time.
_MANY = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=PARALLEL)


@cache
def user_pool(many: bool = False) -> UserPool:
    """Return the pool, with a client for requests of one user, or of `many`."""
    client = boto3.client("cognito-idp", config=_MANY if many else _ONE_USER)
    _ = client.exceptions  # made at first use, which is not thread-safe
    return UserPool(client, settings.user_pool_id())


@cache
def user_table(many: bool = False) -> UserTable:
    """Return the table, with a client for requests of one item, or of `many`."""
    client = boto3.client("dynamodb", config=_MANY if many else _ONE_ITEM)
    _ = client.exceptions
    return settings.user_table(client)
