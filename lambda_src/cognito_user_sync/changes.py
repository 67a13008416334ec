"""Syncs a user after a change that CloudTrail recorded. CloudTrail does not record the new values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cognito_user_sync.deletion import sync_missing_user
from cognito_user_sync.item_layout import Item, ItemLayout
from cognito_user_sync.sync_request import NO_APP_CLIENT, Change, NotConsistentYetError, SyncRequest, happened_within
from cognito_user_sync.user import INVITED, User, timestamp
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import Outcome, UserTable

logger = logging.getLogger(__name__)

# After these events the user does not exist.
DELETIONS = frozenset({"AdminDeleteUser", "DeleteUser"})
# With these calls a user replaces a temporary password: the EventBridge rule matches only the challenge
# NEW_PASSWORD_REQUIRED (modules/change_tracking).
FIRST_SIGN_INS = frozenset({"AdminRespondToAuthChallenge", "RespondToAuthChallenge"})
# After these events a user has other groups. UserLastModifiedDate stays.
GROUP_CHANGES = frozenset({"AdminAddUserToGroup", "AdminRemoveUserFromGroup"})
# After these events Cognito shows a later UserLastModifiedDate, so an answer from before is recognized.
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

# The longest time that a Lambda function runs: another function that has read the user before this change may still
# write the old values.
_SETTLED_AFTER = timedelta(minutes=15)

# An administrator can give a temporary password to a user who got the welcome email long ago. Step Functions rejects a
# name for 90 days, so a user who was created within that time, less a day for delays, does not get the email twice.
_WELCOMED_WITHIN = timedelta(days=89)


def sync_change(
    pool: UserPool, table: UserTable, change: Change, welcome: Callable[[SyncRequest], object] | None = None
) -> Outcome:
    """Write the user's current state in Cognito to the table.

    After a deletion ListUsers is not called: the changes of deleted users would use up its quota.

    Args:
        pool: Pool of the user.
        table: Table of the user.
        change: What happened to the user.
        welcome: Starts an execution as a sign-up does. It is called after the first sign-in of an invited user, and
            again if the change is delivered again. Its errors are raised.

    Returns:
        The result of the write or deletion. NOT_OURS if neither the pool nor the table has this user: the event may be
        of another pool.

    Raises:
        NotConsistentYetError: The change is recent, and Cognito's answer or the item may be from before it.
        CognitoUnavailableError, CognitoRejectedError, TableUnavailableError, TableRejectedError, UnusableUserError
    """
    user = None if change.event_name in DELETIONS else pool.find(change.sub)
    if user and table.layout.sync_groups:
        user = pool.with_groups(user)
    # Read before the write, which replaces it.
    item = table.read([change.sub], consistent=True).get(change.sub, {}) if change.event_name in GROUP_CHANGES else {}
    outcome = table.write(user, item) if user else sync_missing_user(pool, table, change.sub)
    may_be_from_before = _may_be_from_before(change, user, outcome) or _may_lack_group_change(
        change, user, table.layout, item
    )
    if may_be_from_before and happened_within(_SETTLED_AFTER, change.occurred_at):
        raise NotConsistentYetError(change.sub)
    # Decided by the event, not by the status in the item: the reconciliation may have written the new status.
    if welcome and user and change.event_name in FIRST_SIGN_INS and user.status != INVITED:
        if happened_within(_WELCOMED_WITHIN, user.created_at):
            welcome(SyncRequest(user.sub, user.username, "sign_up", change.occurred_at, NO_APP_CLIENT))
        else:
            logger.info("no welcome email: the user was created more than 89 days ago", extra={"sub": user.sub})
    return outcome


def _may_be_from_before(change: Change, user: User | None, outcome: Outcome) -> bool:
    if user is None:
        # ListUsers does not show a new user yet, or another function still writes a deleted one. Other events may be of
        # another pool, and each retry costs a ListUsers request.
        may_be_ours = change.event_name.startswith("Admin") or change.event_name in DELETIONS
        return outcome is Outcome.NOT_OURS and may_be_ours
    if change.event_name in FIRST_SIGN_INS and user.status == INVITED:
        return True
    # CloudTrail records the end of a call, in whole seconds. Cognito records the change, a moment before.
    # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    modified_at = timestamp(datetime.fromisoformat(user.modified_at) + timedelta(seconds=1))
    return change.event_name in _MOVES_MODIFIED_DATE and modified_at < change.occurred_at


def _may_lack_group_change(change: Change, user: User | None, layout: ItemLayout, item: Item) -> bool:
    """Return whether Cognito may have returned the groups from before the change: those that the item already had.

    The write moves the time of the item's groups, so each change is read again at most once.
    """
    if change.event_name not in GROUP_CHANGES or user is None or user.groups is None:
        return False
    is_from_before = layout.text(item, "groups_observed_at") < change.occurred_at
    return is_from_before and layout.groups(item) == user.groups
