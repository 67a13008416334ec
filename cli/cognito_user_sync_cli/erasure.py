"""Erase a deleted user: remove what the module holds, and say which copies it cannot remove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cognito_user_sync.user import now
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome
from cognito_user_sync_cli.deployment import Deployment


class StillInPoolError(Exception):
    """Cognito knows the user: the next sync would write the item again."""


@dataclass(frozen=True)
class Copy:
    """Where something of an erased user may still be."""

    where: str
    what: str
    until: str


def erase(deployment: Deployment, sub: str, whole_item: bool) -> Outcome:
    """Remove what this module has written to the item of a deleted user, whatever `deleted_users` is.

    A tombstone replaces the item in a table of the module, if deleted_users.action is delete_item, or if `whole_item`:
    the sub, and when the user was found deleted, for a day. Otherwise the key, `user_pool_id`, `deleted_at` and the
    application's attributes stay.

    Returns what UserTable.delete returns. Raises StillInPoolError, and what UserPool and UserTable raise.
    """
    pool, table = deployment.user_pool, deployment.user_table
    asked_at = now()
    item = table.read([sub], consistent=True).get(sub, {})
    username = table.layout.text(item, "username")
    if pool.find(sub) or (username and not pool.is_deleted(sub, username)):
        raise StillInPoolError
    if whole_item or table.is_own or table.deletion.action is DeletedUsers.DELETE_ITEM:
        action = DeletedUsers.DELETE_ITEM
    else:
        action = DeletedUsers.DELETE
    return replace(table, deletion=DeletionPolicy(action)).delete(sub, asked_at, item)


def copies(deployment: Deployment) -> Iterator[Copy]:
    """What may still hold something of an erased user. Raises what botocore raises."""
    dynamodb, name = deployment.dynamodb, deployment.user_table.name
    table = dynamodb.describe_table(TableName=name)["Table"]
    if not deployment.user_table.is_own:
        yield Copy("the application's items and attributes", "what the application knows", "you delete them")
    for replica in table.get("Replicas", []):
        where = f"replica in {replica['RegionName']}"
        yield Copy(where, "the item", "replication, usually within a second; its own backups were not looked at")
    if table.get("StreamSpecification", {}).get("StreamEnabled"):
        yield Copy("stream of the table", "the item before and after", "24 hours, and what its consumers keep")
    recovery = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    points = recovery.get("PointInTimeRecoveryDescription", {})
    if points.get("PointInTimeRecoveryStatus") == "ENABLED":
        yield Copy("point-in-time recovery", "the item as it was", f"{points.get('RecoveryPeriodInDays', 35)} days")
    for page in dynamodb.get_paginator("list_backups").paginate(TableName=name):
        for backup in page["BackupSummaries"]:
            yield Copy(f"backup {backup['BackupName']}", "the item as it was", "you delete the backup")
    yield Copy("AWS Backup, exports, restored tables", "the item as it was", "you delete them; they were not looked at")
    yield Copy("executions of user_sync", "sub, username, app client ID", "90 days after the end of each")
    yield Copy("executions of the reconciliation", "sub, as an example or a failure", "90 days after the end of each")
    yield Copy("queues and dead-letter queues", "sub, username, app client ID", "at most 14 days, and 14 for a requeue")
    yield Copy("logs of functions and state machines", "sub, in names of executions, too", _log_retention(deployment))
    yield Copy("acknowledged failures", "sub, in names of log streams", "the next acknowledgement after 14 days")
    yield Copy("CloudTrail", "sub and username, in calls and names of executions", "90 days, and what your trails keep")
    yield Copy("default event bus", "sub, username, app client ID", "what your rules and archives keep")
    yield Copy("Amazon SES", "the address, if it bounced or complained", "you remove it from the suppression list")
    yield Copy("your SES event destinations", "the address, the sub", "what they keep")


def _log_retention(deployment: Deployment) -> str:
    names = {arn.split(":log-group:")[1].removesuffix(":*") for arn in deployment.log_group_arns.values()}
    prefixes = (f"/aws/lambda/{deployment.prefix}-", f"/aws/vendedlogs/states/{deployment.prefix}-")
    days = {
        group.get("retentionInDays")
        for prefix in prefixes
        for page in deployment.logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        for group in page["logGroups"]
        if group["logGroupName"] in names
    }
    return f"{max(map(int, filter(None, days)))} days" if days and None not in days else "no end"
