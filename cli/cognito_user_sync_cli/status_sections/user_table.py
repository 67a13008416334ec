"""Sections `user_table` and `users`: the table and its indexes, and whether a sample of users is in the table."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from cognito_user_sync import settings
from cognito_user_sync.user import UNCONFIRMED, timestamp
from cognito_user_sync.user_table import BY_SHARD
from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem
from cognito_user_sync_cli.terminal import counted

# A user may be missing in the table for this time: executions and tracked changes take less.
_SYNCED_WITHIN = timedelta(minutes=15)
# The index of table.email_index.
_BY_EMAIL = "by_email"
# An apply creates an empty table under this name, and then a restore to this name is impossible.
_RESTORE = (
    "Do not apply: this would create an empty table. Restore it first:"
    " docs/operations.md#the-table-was-deleted-or-is-wrong"
)


def check_user_table(deployment: Deployment) -> Findings:
    name = deployment.user_table_name
    answer = none_if_missing(lambda: deployment.dynamodb.describe_table(TableName=name))
    if answer is None:
        yield Problem(f"the table {name} does not exist. {_RESTORE}")
        return
    table = answer["Table"]
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    # Counts active users, of all pools that share the table. Without the index, counts all items.
    users = indexes.get(BY_SHARD, table).get("ItemCount", 0)
    yield Fact("users", users, f"{users:,} users (count of DynamoDB, up to six hours old, all pools)")
    if BY_SHARD not in indexes and _needs_shard_index(deployment):
        how = "apply again" if _is_created_by_module(deployment) else "terraform plan prints the command"
        yield Problem(
            f"the table {name} has no index {BY_SHARD}: the reconciliation does not find deleted users. To create"
            f" it: {how}"
        )
    if _BY_EMAIL not in indexes and _has_email_index(deployment):
        yield Problem(
            f"the table {name} has no index {_BY_EMAIL}: applications do not find users by email address. To create"
            " it: apply again"
        )


def _is_created_by_module(deployment: Deployment) -> bool:
    return deployment.user_table_name == f"{deployment.prefix}-users"


def _needs_shard_index(deployment: Deployment) -> bool:
    """Return whether the table should have the index: always if this module created the table."""
    if _is_created_by_module(deployment) or deployment.reconciliation_state_machine_arn is None:
        return _is_created_by_module(deployment)
    with deployment.environment("plan-shards") as variables:
        return settings.plan_shards(variables).has_shard_index


def _has_email_index(deployment: Deployment) -> bool:
    """Return whether Terraform created the index: its key is an extra attribute of the module's table."""
    table = none_if_missing(lambda: deployment.user_table) if _is_created_by_module(deployment) else None
    return table is not None and bool(table.layout.index_keys & table.layout.extra_attributes.keys())


def check_users(deployment: Deployment) -> Findings:
    """Check whether users of the pool are in the table: one page, of a random shard if there are more pages."""
    page = deployment.user_pool.page()
    if page.next_token:
        page = deployment.user_pool.page(random.choice("0123456789abcdef"))  # noqa: S311 - a sample
    table = none_if_missing(lambda: deployment.user_table)
    if table is None:
        # The function that describes the table is missing. The section `functions` reports it.
        return
    items = table.read([user.sub for user in page.users]) if page.users else {}
    latest = timestamp(datetime.now(UTC) - _SYNCED_WITHIN)
    users = [user for user in page.users if user.status != UNCONFIRMED and user.modified_at < latest]
    missing = [user.sub for user in users if not table.layout.is_ours(items.get(user.sub, {}))]
    checked = f"{len(missing):,} of {counted(len(users), 'checked user')}"
    yield Fact("checked", len(users))
    yield Fact("missing", missing, f"{checked} missing in the table")
    if missing:
        yield Problem(
            f"{checked} missing in the table, for example {missing[0]}. To sync them: cognito-user-sync reconcile"
        )
