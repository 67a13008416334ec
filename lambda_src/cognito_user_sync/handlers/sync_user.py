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
    # One attempt: the state machine tries again, and later. Each look is at most three calls of 1 + 2 s.
    client: CognitoIdentityProviderClient = boto3.client(
        "cognito-idp", config=Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    )
    return UserPool(client, settings.user_pool_id())


@cache
def _table() -> UserTable:
    # At most 3 x (1 + 2) s and two short pauses for each read or write. Where everything is that slow, Lambda ends the
    # function after its 60 s, and the state machine tries again.
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
    """Bring the item to what Cognito says now: what changed is not in the request, nor is it the latest change.

    Looks again where the list shows the user as before the change, or not at all. But who has left is asked for by name
    at once: many changes of one user, and then the deletion, are not to use up the quota of ListUsers.
    """
    is_deletion = request.event_name in DELETIONS
    for seconds in (*_LOOK_AGAIN_SECONDS, None):
        # After a deletion the list may still show the user.
        user = None if is_deletion else _pool().find(request.sub)
        if user is None:
            outcome = _departed(request.sub, is_deletion)
            if outcome is not Outcome.STALE:
                return outcome
        elif seconds is None or _is_as_of_after(user, request):
            return Outcome.UNCONFIRMED if user.status == UNCONFIRMED else _table().write(user)
        if seconds is None or is_deletion:
            break
        time.sleep(seconds)
    raise PoolUnavailable("ListUsers does not show the user, but the user is not known to be gone either")


def _departed(sub: str, is_deletion: bool) -> Outcome:
    """What becomes of a user who is not listed: STALE where nothing says that the user is gone."""
    item = _table().read([sub], consistent=True).get(sub, {})
    if "deleted_at" in item:
        return Outcome.UNCHANGED
    if "username" in item:
        return delete_if_gone(_pool(), _table(), item)
    # There is no name to ask Cognito for, but CloudTrail may have said it.
    return _table().delete(sub, now()) if is_deletion else Outcome.STALE


def _is_as_of_after(user: User, request: SyncRequest) -> bool:
    """Whether the user is shown as of after the change, as far as can be told."""
    return request.event_name not in MOVES_MODIFIED_DATE or (user.modified_at or "") >= request.occurred_at
