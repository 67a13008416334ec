"""The one way in which an item becomes that of a deleted user: Cognito itself says that the user does not exist."""

from __future__ import annotations

from cognito_user_sync.item_layout import Item
from cognito_user_sync.user import now
from cognito_user_sync.user_pool import CognitoUnavailableError, UserPool
from cognito_user_sync.user_table import Outcome, UserTable


def delete_if_not_in_pool(pool: UserPool, table: UserTable, sub: str, item: Item, dry_run: bool = False) -> Outcome:
    """Delete a user whom the list of users does not show, if Cognito does not know the user; in a dry run, only ask.

    Returns what UserTable.delete returns, or STALE if the user exists. Raises what the two raise.
    """
    asked_at = now()
    # Without a username there is no user to ask for.
    username = table.layout.text(item, "username")
    if not username or not pool.is_deleted(sub, username):
        return Outcome.STALE
    return Outcome.DELETED if dry_run else table.delete(sub, asked_at, item)


def sync_missing_user(pool: UserPool, table: UserTable, sub: str) -> Outcome:
    """Apply the deletion policy to a user whom Cognito did not show.

    Returns NOT_OURS if the table has no user of this sub and this pool either; UNCHANGED if the deletion is known.
    Raises CognitoUnavailableError also where Cognito knows the user after all: its answers are not consistent yet.
    """
    item = table.read([sub], consistent=True).get(sub, {})
    if not table.layout.is_ours(item):
        return Outcome.NOT_OURS
    if table.layout.name("deleted_at") in item:
        return Outcome.UNCHANGED
    outcome = delete_if_not_in_pool(pool, table, sub, item)
    if outcome is Outcome.STALE:
        raise CognitoUnavailableError("Cognito did not show the user, and does not say that the user is deleted either")
    return outcome
