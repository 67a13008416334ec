"""Syncs a user after a change, of which CloudTrail says who and when, but not into what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from cognito_user_sync.deletion import sync_missing_user
from cognito_user_sync.sync_request import NO_APP_CLIENT, Change, NotConsistentYetError, SyncRequest, happened_within
from cognito_user_sync.user import INVITED, User, timestamp
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import Outcome, UserTable

logger = logging.getLogger(__name__)

# After these events the user does not exist.
DELETIONS = frozenset({"AdminDeleteUser", "DeleteUser"})
# With these calls a user replaces a temporary password: the rule has the challenge NEW_PASSWORD_REQUIRED alone
# (modules/change_tracking).
FIRST_SIGN_INS = frozenset({"AdminRespondToAuthChallenge", "RespondToAuthChallenge"})
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

# As long as the longest invocation of a Lambda function: another one that has read the user before this change may
# still write what it read.
_SETTLED_AFTER = timedelta(minutes=15)

# An administrator can give a temporary password to a user who was welcomed long ago. Step Functions rejects names for
# 90 days, so a user who was created within that time, less a day for delays, is not welcomed twice.
_WELCOMED_WITHIN = timedelta(days=89)


def sync_change(
    pool: UserPool, table: UserTable, change: Change, welcome: Callable[[SyncRequest], object] | None = None
) -> Outcome:
    """Write what Cognito says of the user now.

    After a deletion ListUsers is not called: many changes of a user who is then deleted would use up its quota.

    Args:
        pool: Where the user is read.
        table: Where the user is written.
        change: What happened to the user.
        welcome: Starts the execution of a request as a sign-up does: called after the first sign-in of an invited user,
            again if the change comes again. What it raises is raised.

    Returns NOT_OURS if neither the pool nor the table has this user: the event may be of another pool.
    Raises NotConsistentYetError if the change is recent, and what was read or written may be from before it;
    CognitoUnavailableError, CognitoRejectedError, TableUnavailableError, TableRejectedError or UnusableUserError.
    """
    user = None if change.event_name in DELETIONS else pool.find(change.sub)
    outcome = table.write(user) if user else sync_missing_user(pool, table, change.sub)
    if _may_be_from_before(change, user, outcome) and happened_within(_SETTLED_AFTER, change.occurred_at):
        raise NotConsistentYetError(change.sub)
    # By the event, and not by the status in the item: the reconciliation may have written the new one.
    if welcome and user and change.event_name in FIRST_SIGN_INS and user.status != INVITED:
        if happened_within(_WELCOMED_WITHIN, user.created_at):
            welcome(SyncRequest(user.sub, user.username, "sign_up", change.occurred_at, NO_APP_CLIENT))
        else:
            logger.info("no welcome: the user was created too long ago", extra={"sub": user.sub})
    return outcome


def _may_be_from_before(change: Change, user: User | None, outcome: Outcome) -> bool:
    if user is None:
        # The list does not show a new user yet, or another function still writes a deleted one. Other calls of a user
        # may be of another pool, and each costs a ListUsers request.
        may_be_ours = change.event_name.startswith("Admin") or change.event_name in DELETIONS
        return outcome is Outcome.NOT_OURS and may_be_ours
    if change.event_name in FIRST_SIGN_INS and user.status == INVITED:
        return True
    # CloudTrail dates the end of a call, in whole seconds; Cognito dates the change, which comes a moment before.
    # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
    modified_at = timestamp(datetime.fromisoformat(user.modified_at) + timedelta(seconds=1))
    return change.event_name in _MOVES_MODIFIED_DATE and modified_at < change.occurred_at
