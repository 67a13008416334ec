"""Erase a deleted user: remove the data that the module holds, and list the copies that it cannot remove."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cognito_user_sync.user import now
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, Outcome
from cognito_user_sync_cli.deployment import Deployment


class StillInPoolError(Exception):
    """The user is still in the user pool: the next sync would write the item again."""


@dataclass(frozen=True)
class Copy:
    """A place that may still hold data of an erased user."""

    location: str
    data: str
    until: str


def erase(deployment: Deployment, sub: str, whole_item: bool) -> Outcome:
    """Remove what this module wrote to the item of a deleted user, for any value of `deleted_users`.

    A tombstone, with the sub and the time of the deletion, replaces the item for a day: in a table that the module
    created, with deleted_users.action = "delete_item", or with `whole_item`. Otherwise the key, `user_pool_id`,
    `deleted_at` and the application's attributes stay.

    Returns:
        The outcome of UserTable.delete.

    Raises:
        StillInPoolError: The user was not deleted in Cognito. The errors of UserPool and UserTable are raised, too.
    """
    pool, table = deployment.user_pool, deployment.user_table
    checked_at = now()
    item = table.read([sub], consistent=True).get(sub, {})
    username = table.layout.text(item, "username")
    if pool.find(sub) or (username and not pool.is_deleted(sub, username)):
        raise StillInPoolError
    if whole_item or table.is_own or table.deletion.action is DeletedUsers.DELETE_ITEM:
        action = DeletedUsers.DELETE_ITEM
    else:
        action = DeletedUsers.DELETE
    return replace(table, deletion=DeletionPolicy(action)).delete(sub, checked_at, item)


def copies(deployment: Deployment) -> Iterator[Copy]:
    """Yield the places that may still hold data of an erased user. Raises what botocore raises."""
    dynamodb, name = deployment.dynamodb, deployment.user_table.name
    table = dynamodb.describe_table(TableName=name)["Table"]
    if not deployment.user_table.is_own:
        yield Copy("the application's items and attributes", "data of the application", "you delete them")
    for replica in table.get("Replicas", []):
        location = f"replica in {replica['RegionName']}"
        yield Copy(location, "the item", "replication, usually within a second; its own backups are not listed here")
    if table.get("StreamSpecification", {}).get("StreamEnabled"):
        yield Copy("stream of the table", "the item before and after", "24 hours, and as long as its consumers keep it")
    recovery = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    points = recovery.get("PointInTimeRecoveryDescription", {})
    if points.get("PointInTimeRecoveryStatus") == "ENABLED":
        yield Copy("point-in-time recovery", "the item as it was", f"{points.get('RecoveryPeriodInDays', 35)} days")
    for page in dynamodb.get_paginator("list_backups").paginate(TableName=name):
        for backup in page["BackupSummaries"]:
            yield Copy(f"backup {backup['BackupName']}", "the item as it was", "you delete the backup")
    yield Copy(
        "AWS Backup, exports, restored tables", "the item as it was", "you delete them; they are not listed here"
    )
    yield Copy("executions of user_sync", "sub, username, app client ID", "90 days after the end of each")
    yield Copy(
        "executions of the reconciliation", "sub, as an example or of a failure", "90 days after the end of each"
    )
    yield Copy(
        "queues and dead-letter queues", "sub, username, app client ID", "at most 14 days, and 14 more after a requeue"
    )
    yield Copy("logs of functions and state machines", "sub, also in names of executions", _log_retention(deployment))
    yield Copy("acknowledged failures", "sub, in names of log streams", "the first acknowledgement after 14 days")
    yield Copy(
        "CloudTrail",
        "sub and username, in calls and names of executions",
        "90 days, and as long as your trails keep it",
    )
    yield Copy("default event bus", "sub, username, app client ID", "as long as your rules and archives keep it")
    yield Copy("Amazon SES", "the address, after a bounce or a complaint", "you remove it from the suppression list")
    yield Copy("your SES event destinations", "address, sub", "as long as they keep it")


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
    return f"{max(map(int, filter(None, days)))} days" if days and None not in days else "you delete them"
