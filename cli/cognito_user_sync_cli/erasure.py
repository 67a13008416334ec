"""Erase a deleted user: remove what the module holds, and say which copies it cannot remove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cognito_user_sync.user import now
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome
from cognito_user_sync_cli.deployment import Deployment


class StillInPool(Exception):
    """Cognito knows the user: the next sync would write the item again."""


@dataclass(frozen=True)
class Copy:
    """Where something of an erased user may still be."""

    where: str
    what: str
    until: str


def erase(deployment: Deployment, sub: str, whole_item: bool) -> Outcome:
    """Remove what this module has written to the item of a deleted user, whatever `deleted_users` is.

    In a table of the module a tombstone is left for a day: the sub, and when the user was found deleted. In an existing
    table the key, `user_pool_id`, `deleted_at` and the application's attributes stay, unless `whole_item`.

    Returns what UserTable.delete returns. Raises StillInPool, and what UserPool and UserTable raise.
    """
    pool, table = deployment.user_pool, deployment.user_table
    asked_at = now()
    item = table.read([sub], consistent=True).get(sub, {})
    username = table.layout.text(item, "username")
    if pool.find(sub) or (username and not pool.is_gone(sub, username)):
        raise StillInPool
    is_own = table.name == deployment.own_table_name
    action = DeletedUsers.DELETE_ITEM if whole_item or is_own else DeletedUsers.DELETE
    return replace(table, deletion=DeletionPolicy(action)).delete(sub, asked_at, item)


def copies(deployment: Deployment) -> Iterator[Copy]:
    """What may still hold something of an erased user. Raises what botocore raises."""
    dynamodb, name = deployment.dynamodb, deployment.user_table.name
    table = dynamodb.describe_table(TableName=name)["Table"]
    for replica in table.get("Replicas", []):
        yield Copy(f"replica in {replica['RegionName']}", "the item", "replication, usually within a second")
    if table.get("StreamSpecification", {}).get("StreamEnabled"):
        yield Copy("stream of the table", "the item before and after", "24 hours, and what its consumers keep")
    recovery = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery_of_points = recovery.get("PointInTimeRecoveryDescription", {})
    if recovery_of_points.get("PointInTimeRecoveryStatus") == "ENABLED":
        days = recovery_of_points.get("RecoveryPeriodInDays", 35)
        yield Copy("point-in-time recovery", "the item as it was", f"{days} days")
    for page in dynamodb.get_paginator("list_backups").paginate(TableName=name):
        for backup in page["BackupSummaries"]:
            yield Copy(f"backup {backup['BackupName']}", "the item as it was", "you delete the backup")
    yield Copy("AWS Backup, exports, restored tables", "the item as it was", "not looked at")
    yield Copy("executions of user_sync", "sub, username, app client ID", "90 days after the end of each")
    yield Copy("queues and dead-letter queues", "sub, username, app client ID", "at most 14 days, and 14 for a requeue")
    groups = deployment.logs.get_paginator("describe_log_groups").paginate(
        logGroupNamePrefix=f"/aws/lambda/{deployment.prefix}-"
    )
    days_kept = {group.get("retentionInDays") for page in groups for group in page["logGroups"]}
    if days_kept:
        kept = "no end" if None in days_kept else f"{max(day for day in days_kept if day)} days"
        yield Copy("logs of functions", "sub", kept)
    yield Copy("CloudTrail", "sub and username, in calls and names of executions", "90 days, and what your trails keep")
    yield Copy("default event bus", "sub, username, app client ID", "what your rules and archives keep")
    yield Copy("Amazon SES", "the welcome email", "delivery; events: what your configuration set's destinations keep")
