"""What Terraform tells a function: its environment, read into a frozen dataclass, or into what it describes.

Every variable is set by the Terraform module of the function; none has a default here, so that a missing one is
found at the first call and not in the data. RETENTION_DAYS is set only where there is one; CHAINED_FUNCTION_ARN, too,
but for pool_trigger, where it is then empty; USER_SYNC_STATE_MACHINE_ARN of sync_changes, to welcome invited users.
TRIGGER_PAUSED_SINCE of pool_trigger is set by an operator (`cognito-user-sync pause trigger`); an apply removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from cognito_user_sync.user_table import DeletionPolicy, UserTable


TRIGGER_PAUSED_SINCE = "TRIGGER_PAUSED_SINCE"


class MissingSettingError(Exception):
    """An environment variable that the function needs is not set, or does not parse."""


@dataclass(frozen=True)
class PlanShardsSettings:
    list_users_per_second: float
    max_concurrency: int
    max_delete_percent: float
    table_name: str
    has_shard_index: bool
    deletion: DeletionPolicy


@dataclass(frozen=True)
class PoolTriggerSettings:
    """The one attachment that pool_trigger makes and undoes."""

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


def plan_shards(environ: Mapping[str, str] = os.environ) -> PlanShardsSettings:
    return PlanShardsSettings(
        list_users_per_second=_number(environ, "LIST_USERS_PER_SECOND"),
        max_concurrency=int(_number(environ, "MAX_CONCURRENCY")),
        max_delete_percent=_number(environ, "MAX_DELETE_PERCENT"),
        table_name=_table(environ)["name"],
        has_shard_index=_text(environ, "HAS_SHARD_INDEX") == "true",
        deletion=_deletion(environ),
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


def user_table(client: DynamoDBClient, environ: Mapping[str, str] = os.environ) -> UserTable:
    """The table, for each function that reads or writes it."""
    # Not for the trigger, which a user waits for.
    from cognito_user_sync.item_layout import ItemLayout, Key
    from cognito_user_sync.user_table import UserTable

    given = _table(environ)
    try:
        layout = ItemLayout(
            user_pool_id=user_pool_id(environ),
            attributes=synced_attributes(environ),
            partition_key=Key(**given["partition_key"]),
            sort_key=Key(**given["sort_key"]) if given["sort_key"] else None,
            attribute_prefix=given["attribute_prefix"],
            attribute_names=given["attribute_names"],
            extra_attributes=given["extra_attributes"],
            ttl_attribute=given["ttl_attribute"],
            index_keys=frozenset(given["index_keys"]),
        )
    except (KeyError, TypeError) as error:
        raise MissingSettingError("environment variable USER_TABLE does not describe a table") from error
    return UserTable(client, given["name"], layout, _deletion(environ), given.get("is_own") is True)


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
        raise MissingSettingError(f"DELETED_USERS {action!r} or RETENTION_DAYS {days!r} is not understood") from error


def _table(environ: Mapping[str, str]) -> dict[str, Any]:
    given = _json(environ, "USER_TABLE")
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise MissingSettingError("environment variable USER_TABLE does not describe a table")
    return given


def _json(environ: Mapping[str, str], name: str) -> Any:
    try:
        return json.loads(_text(environ, name))
    except ValueError as error:
        raise MissingSettingError(f"environment variable {name} is not JSON") from error


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A JSON list of strings; `[]` is a valid one."""
    names = _json(environ, name)
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise MissingSettingError(f"environment variable {name} is not a JSON list of strings")
    return tuple(names)
