"""Verifies deletions: a user is deleted only if Cognito confirms that the user does not exist."""

from __future__ import annotations

from cognito_user_sync.item_layout import Item
from cognito_user_sync.user import now
from cognito_user_sync.user_pool import CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import Outcome, UserTable


def delete_if_not_in_pool(pool: UserPool, table: UserTable, sub: str, item: Item, dry_run: bool = False) -> Outcome:
    """Apply the deletion policy to a user whom ListUsers does not show, if Cognito confirms the deletion.

    A dry run changes nothing.

    Returns the result of UserTable.delete, or STILL_IN_POOL. Raises the errors of UserPool.is_deleted and
    UserTable.delete.
    """
    checked_at = now()
    username = table.layout.text(item, "username")
    # Cognito cannot verify the deletion of an item without a username.
    if not username or not pool.is_deleted(sub, username):
        return Outcome.STILL_IN_POOL
    return Outcome.DELETED if dry_run else table.delete(sub, checked_at, item)


def sync_missing_user(pool: UserPool, table: UserTable, sub: str) -> Outcome:
    """Apply the deletion policy to a user whom a read of Cognito did not return, if Cognito confirms the deletion.

    Returns NOT_OURS if the table has no item of this user and this pool, and UNCHANGED if the deletion is known.
    Raises CognitoUnavailableError also if Cognito does not confirm the deletion: its answers are not consistent yet.
    """
    item = table.read([sub], consistent=True).get(sub, {})
    if not table.layout.is_ours(item):
        return Outcome.NOT_OURS
    if table.layout.name("deleted_at") in item:
        return Outcome.UNCHANGED
    outcome = delete_if_not_in_pool(pool, table, sub, item)
    if outcome in (Outcome.STALE, Outcome.STILL_IN_POOL):
        raise CognitoUnavailableError("Cognito did not return the user, but does not confirm the deletion either")
    return outcome
