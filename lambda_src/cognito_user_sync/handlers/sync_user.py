"""Writes one user to the table: the first step of a user_sync execution."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from cognito_user_sync import clients
from cognito_user_sync.changes import write_confirmed
from cognito_user_sync.departure import sync_absent
from cognito_user_sync.sync_request import NotConfirmedYet, SyncRequest, parse
from cognito_user_sync.user import UNCONFIRMED, timestamp
from cognito_user_sync.user_table import Outcome

# An answer right after the confirmation may still say UNCONFIRMED: the state machine retries for as long as this.
_CONFIRMED_WITHIN = timedelta(minutes=5)

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ARG001
    """A SyncRequest in; sub, username, reason, client_id and the outcome (user_table.Outcome) out.

    Raises NotConfirmedYet, PoolUnavailable or TableUnavailable, which the state machine retries, or InvalidSyncRequest,
    PoolRefused, TableRefused or UnusableUser.
    """
    request = parse(event)
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
    user = clients.user_pool().get(request.username)
    # Another sub: the user was deleted, and somebody else has the username now.
    if user is None or user.sub != request.sub:
        return sync_absent(clients.user_pool(), clients.user_table(), request.sub)
    if user.status == UNCONFIRMED and _is_recent(request):
        raise NotConfirmedYet(request.sub)
    return write_confirmed(clients.user_table(), user)


def _is_recent(request: SyncRequest) -> bool:
    moment = datetime.now(UTC)
    # Clocks of two functions may differ.
    return timestamp(moment - _CONFIRMED_WITHIN) < request.occurred_at <= timestamp(moment + timedelta(minutes=1))
