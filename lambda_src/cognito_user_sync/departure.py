"""The one way in which a user's item becomes that of a deleted user: Cognito itself says that the user is gone."""

from __future__ import annotations

from cognito_user_sync.user import now
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import Item, Outcome, UserTable


def delete_if_gone(pool: UserPool, table: UserTable, item: Item, dry_run: bool = False) -> Outcome:
    """Delete a user whom the list of users does not show, if Cognito knows the user no more; in a dry run, only ask.

    Returns what UserTable.delete returns, or STALE where the user is there after all. Raises what the two raise.
    """
    sub = item["id"]["S"]
    asked_at = now()
    # Of an item without a username nobody can be asked.
    username = item.get("username", {}).get("S")
    if not username or not pool.is_gone(sub, username):
        return Outcome.STALE
    return Outcome.DELETED if dry_run else table.delete(sub, asked_at)
