"""Reads the settings of the functions from their environment variables.

The Terraform module of a function sets its variables. Variables have no default here: a missing one fails the first
invocation. These variables are optional:

* RETENTION_DAYS
* SYNC_GROUPS
* CHAINED_FUNCTION_ARN, which pool_trigger gets always, empty if there is no chained function
* USER_SYNC_STATE_MACHINE_ARN of sync_changes, if invited users get the welcome email
* TRIGGER_PAUSED_SINCE of pool_trigger, which `cognito-user-sync pause trigger` sets and an apply removes
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from cognito_user_sync.item_layout import ItemLayout
    from cognito_user_sync.user_table import DeletionPolicy, UserTable


TRIGGER_PAUSED_SINCE = "TRIGGER_PAUSED_SINCE"


class MissingSettingError(Exception):
    """A required environment variable is not set, or its value is not valid."""


@dataclass(frozen=True)
class PlanShardsSettings:
    list_users_per_second: float
    max_concurrency: int
    max_delete_percent: float
    table_name: str
    has_shard_index: bool
    deletion: DeletionPolicy
    sync_groups: bool = False


@dataclass(frozen=True)
class PoolTriggerSettings:
    """The functions that pool_trigger attaches to the user pool and restores."""

    user_pool_id: str
    function_arn: str
    chained_function_arn: str | None


def retry_queue_url(environ: Mapping[str, str] = os.environ) -> str:
    return _text(environ, "RETRY_QUEUE_URL")


def chained_function_arn(environ: Mapping[str, str] = os.environ) -> str | None:
    return environ.get("CHAINED_FUNCTION_ARN") or None


def user_sync_state_machine_arn(environ: Mapping[str, str] = os.environ) -> str:
    return _text(environ, "USER_SYNC_STATE_MACHINE_ARN")


def first_sign_in_state_machine_arn(environ: Mapping[str, str] = os.environ) -> str | None:
    return environ.get("USER_SYNC_STATE_MACHINE_ARN")


def reconciliation_state_machine_arn(environ: Mapping[str, str] = os.environ) -> str:
    return _text(environ, "RECONCILIATION_STATE_MACHINE_ARN")


def event_bus_arn(environ: Mapping[str, str] = os.environ) -> str:
    return _text(environ, "EVENT_BUS_ARN")


def plan_shards(environ: Mapping[str, str] = os.environ) -> PlanShardsSettings:
    return PlanShardsSettings(
        list_users_per_second=_number(environ, "LIST_USERS_PER_SECOND"),
        max_concurrency=int(_number(environ, "MAX_CONCURRENCY")),
        max_delete_percent=_number(environ, "MAX_DELETE_PERCENT"),
        table_name=_table(environ)["name"],
        has_shard_index=_text(environ, "HAS_SHARD_INDEX") == "true",
        deletion=_deletion(environ),
        sync_groups=sync_groups(environ),
    )


def pool_trigger(environ: Mapping[str, str] = os.environ) -> PoolTriggerSettings:
    if "CHAINED_FUNCTION_ARN" not in environ:
        raise MissingSettingError("environment variable CHAINED_FUNCTION_ARN is not set")
    return PoolTriggerSettings(
        user_pool_id=user_pool_id(environ),
        function_arn=_text(environ, "POST_CONFIRMATION_FUNCTION_ARN"),
        chained_function_arn=chained_function_arn(environ),
    )


def trigger_paused_since(environ: Mapping[str, str] = os.environ) -> str | None:
    return environ.get(TRIGGER_PAUSED_SINCE) or None


def user_pool_id(environ: Mapping[str, str] = os.environ) -> str:
    return _text(environ, "USER_POOL_ID")


def item_layout(environ: Mapping[str, str] = os.environ) -> ItemLayout:
    """Return the layout of the items in the user table."""
    # Imported here to keep the cold start of post_confirmation short.
    from cognito_user_sync.item_layout import ItemLayout, Key

    table = _table(environ)
    try:
        return ItemLayout(
            user_pool_id=user_pool_id(environ),
            attributes=synced_attributes(environ),
            partition_key=Key(**table["partition_key"]),
            sort_key=Key(**table["sort_key"]) if table["sort_key"] else None,
            attribute_prefix=table["attribute_prefix"],
            attribute_names=table["attribute_names"],
            extra_attributes=table["extra_attributes"],
            ttl_attribute=table["ttl_attribute"],
            index_keys=frozenset(table["index_keys"]),
            sync_groups=sync_groups(environ),
        )
    except (KeyError, TypeError) as error:
        raise MissingSettingError(f"environment variable USER_TABLE is not a valid table: {error!r}") from error


def user_table(client: DynamoDBClient, environ: Mapping[str, str] = os.environ) -> UserTable:
    """Return the user table."""
    from cognito_user_sync.user_table import UserTable

    table = _table(environ)
    return UserTable(client, table["name"], item_layout(environ), _deletion(environ), table.get("is_own") is True)


def sync_groups(environ: Mapping[str, str] = os.environ) -> bool:
    return environ.get("SYNC_GROUPS") == "true"


def synced_attributes(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    return _names(environ, "ATTRIBUTES")


def _text(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise MissingSettingError(f"environment variable {name} is not set")
    return value


def _number(environ: Mapping[str, str], name: str) -> float:
    try:
        return float(_text(environ, name))
    except ValueError as error:
        raise MissingSettingError(f"environment variable {name} is not a number") from error


def _deletion(environ: Mapping[str, str]) -> DeletionPolicy:
    from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy

    action = _text(environ, "DELETED_USERS")
    days = environ.get("RETENTION_DAYS")
    try:
        return DeletionPolicy(DeletedUsers(action), int(days) if days else None)
    except ValueError as error:
        allowed = ", ".join(DeletedUsers)
        raise MissingSettingError(
            f"environment variable DELETED_USERS is {action!r}, and RETENTION_DAYS {days!r}: expected one of {allowed},"
            " and a number of days"
        ) from error


def _table(environ: Mapping[str, str]) -> dict[str, Any]:
    table = _json(environ, "USER_TABLE")
    if not isinstance(table, dict) or not isinstance(table.get("name"), str):
        raise MissingSettingError("environment variable USER_TABLE is not a valid table: expected an object with name")
    return table


def _json(environ: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(_text(environ, name))
    except ValueError as error:
        raise MissingSettingError(f"environment variable {name} is not valid JSON") from error


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return a JSON list of strings, which may be empty."""
    names = _json(environ, name)
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise MissingSettingError(f"environment variable {name} is not a JSON list of strings")
    return tuple(names)
