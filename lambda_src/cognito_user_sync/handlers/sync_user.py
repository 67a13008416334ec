"""Writes one user to the table: the first step of a user_sync execution."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from cognito_user_sync import clients, log_fields
from cognito_user_sync.deletion import sync_missing_user
from cognito_user_sync.sync_request import NotConsistentYetError, SyncRequest, happened_within, parse
from cognito_user_sync.user_table import Outcome

# Right after the trigger, Cognito may still show UNCONFIRMED, or not show a new user at all. The state machine retries
# for this time.
_SHOWN_WITHIN = timedelta(minutes=5)

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ARG001
    """Sync the user of a SyncRequest.

    Returns:
        {"sub", "username", "reason", "client_id", "outcome": a user_table.Outcome}

    Raises:
        NotConsistentYetError, CognitoUnavailableError, TableUnavailableError, AccessDeniedError: The state machine
            retries these.
        InvalidEventError, CognitoRejectedError, TableRejectedError, UnusableUserError: It does not retry these.
    """
    request = parse(event)
    with log_fields.failure_logged(request.sub):
        outcome = _sync(request)
    logger.info("synced", extra={"sub": request.sub, "reason": request.reason, "outcome": outcome})
    return {
        "sub": request.sub,
        "username": request.username,
        "reason": request.reason,
        "client_id": request.client_id,
        "outcome": outcome,
    }


def _sync(request: SyncRequest) -> Outcome:
    pool, table = clients.user_pool(), clients.user_table()
    user = pool.get(request.username)
    # With another sub, the user was deleted, and another user has the username.
    is_this_user = user is not None and user.sub == request.sub
    if user and is_this_user:
        outcome = table.write(pool.with_groups(user) if table.layout.sync_groups else user)
    else:
        outcome = sync_missing_user(pool, table, request.sub)
    if outcome in (Outcome.UNCONFIRMED, Outcome.NOT_OURS) and happened_within(_SHOWN_WITHIN, request.occurred_at):
        raise NotConsistentYetError(request.sub)
    return outcome
