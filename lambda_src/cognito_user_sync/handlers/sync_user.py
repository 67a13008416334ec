"""Writes one user to the table: the first step of a user_sync execution."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.departure import delete_if_gone
from cognito_user_sync.sync_request import CHANGED, DELETIONS, MOVES_MODIFIED_DATE, SyncRequest, parse
from cognito_user_sync.user import UNCONFIRMED, User, now
from cognito_user_sync.user_pool import PoolUnavailable, UserPool
from cognito_user_sync.user_table import Outcome, UserTable

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient

# ListUsers may show a user as it was for a moment after a change: looked again after so many seconds.
_LOOK_AGAIN_SECONDS = (1.0, 2.0)

logger = logging.getLogger(__name__)


@cache
def _pool() -> UserPool:
    # One attempt: the state machine tries again, and later. At most 5 x (1 + 2) s and the pauses above.
    client: CognitoIdentityProviderClient = boto3.client(
        "cognito-idp", config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    )
    return UserPool(client, settings.user_pool_id())


@cache
def _table() -> UserTable:
    # At most 3 x (1 + 2) s and two short pauses for each of a read and three writes: with _pool's, inside the
    # function's 60 s.
    client: DynamoDBClient = boto3.client(
        "dynamodb",
        config=Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3}),
    )
    return settings.user_table(client)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ARG001
    """A SyncRequest in, {"outcome": user_table.Outcome} out.

    Raises PoolUnavailable or TableUnavailable, which the state machine retries, or InvalidSyncRequest, PoolRefused,
    TableRefused or UnusableUser.
    """
    request = parse(event)
    outcome = _sync_changed(request) if request.reason == CHANGED else _table().write(request.confirmed_user())
    logger.info("synced", extra={"sub": request.sub, "reason": request.reason, "outcome": outcome})
    return {"outcome": outcome}


def _sync_changed(request: SyncRequest) -> Outcome:
    """Bring the item to what Cognito says now: what changed is not in the request, nor is it the latest change."""
    # After a deletion the list may still show the user.
    user = None if request.event_name in DELETIONS else _look(request)
    if user is not None:
        return Outcome.UNCONFIRMED if user.status == UNCONFIRMED else _table().write(user)
    item = _table().read([request.sub], consistent=True).get(request.sub, {})
    if "deleted_at" in item:
        return Outcome.UNCHANGED
    if "username" in item:
        outcome = delete_if_gone(_pool(), _table(), item)
    elif request.event_name in DELETIONS:
        # There is no name to ask Cognito for, and CloudTrail has said it.
        outcome = _table().delete(request.sub, now())
    else:
        outcome = Outcome.STALE
    if outcome is Outcome.STALE:
        raise PoolUnavailable("ListUsers does not show the user, but the user is not known to be gone either")
    return outcome


def _look(request: SyncRequest) -> User | None:
    """The user, not as of before the change if that can be helped."""
    for seconds in (*_LOOK_AGAIN_SECONDS, None):
        user = _pool().find(request.sub)
        seen = user is not None and (
            request.event_name not in MOVES_MODIFIED_DATE or (user.modified_at or "") >= request.occurred_at
        )
        if seen or seconds is None:
            break
        time.sleep(seconds)
    return user
