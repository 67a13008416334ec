"""Syncs a user after a change, of which CloudTrail says who and when, but not into what."""

from __future__ import annotations

import time
from collections.abc import Callable

from cognito_user_sync.departure import sync_absent
from cognito_user_sync.sync_request import Change
from cognito_user_sync.user import UNCONFIRMED, User
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import Outcome, UserTable

# After these events the user does not exist.
DELETIONS = frozenset({"AdminDeleteUser", "DeleteUser"})
# After these events Cognito shows a later UserLastModifiedDate, so that an answer from before is recognized.
_MOVES_MODIFIED_DATE = frozenset(
    {
        "AdminDeleteUserAttributes",
        "AdminDisableUser",
        "AdminEnableUser",
        "AdminUpdateUserAttributes",
        "DeleteUserAttributes",
        "UpdateUserAttributes",
        "VerifyUserAttribute",
    }
)

# ListUsers is eventually consistent: it is asked again after these seconds.
_LIST_AGAIN_SECONDS = (1.0, 2.0)


def sync_change(
    pool: UserPool, table: UserTable, change: Change, sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Write what Cognito says of the user now.

    Asks again if ListUsers shows the user as before the change, or does not show a new user. After a deletion it does
    not ask the list: many changes of a user who is then deleted would use up the quota of ListUsers.

    Returns NOT_OURS if neither the pool nor the table has this user: the event may be of another pool.
    Raises PoolUnavailable, PoolRefused, TableUnavailable, TableRefused or UnusableUser.
    """
    if change.event_name in DELETIONS:
        return sync_absent(pool, table, change.sub)
    user = pool.find(change.sub)
    for seconds in _LIST_AGAIN_SECONDS:
        if _is_as_of_after(user, change):
            break
        sleep(seconds)
        user = pool.find(change.sub)
    return write_confirmed(table, user) if user else sync_absent(pool, table, change.sub)


def write_confirmed(table: UserTable, user: User) -> Outcome:
    """Write a user, unless the user has not confirmed the sign-up."""
    return Outcome.UNCONFIRMED if user.status == UNCONFIRMED else table.write(user)


def _is_as_of_after(user: User | None, change: Change) -> bool:
    """Whether the list shows the user as after the change, as far as Cognito's date tells."""
    if user is None:
        return change.event_name != "AdminCreateUser"
    return change.event_name not in _MOVES_MODIFIED_DATE or user.modified_at >= change.occurred_at
