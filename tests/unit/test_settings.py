"""A function that Terraform did not set up fully says so at its first call, and names what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import sentinel

import pytest

from cognito_user_sync import settings
from cognito_user_sync.item_layout import ItemLayout, Key
from cognito_user_sync.settings import MissingSettingError
from cognito_user_sync.user_table import DeletedUsers, DeletionPolicy, UserTable
from tests.samples import OURS, POOL_ID, THEIRS, environment

Read = Callable[[Mapping[str, str]], Any]

# As modules of Terraform write it.
TABLE: dict[str, Any] = {
    "name": "theirs",
    "partition_key": {"name": "PK", "value": "USER#{sub}"},
    "sort_key": {"name": "SK", "value": "PROFILE"},
    "attribute_prefix": "cognito_",
    "attribute_names": {"email": "emailAddress"},
    "extra_attributes": {"GSI1PK": "EMAIL#{email|lower}"},
    "ttl_attribute": "ttl",
    "index_keys": ["GSI1PK"],
}

READERS: dict[str, tuple[Read, dict[str, str]]] = {
    "retry_queue_url": (settings.retry_queue_url, {"RETRY_QUEUE_URL": "https://queue"}),
    "user_sync_state_machine_arn": (
        settings.user_sync_state_machine_arn,
        {"USER_SYNC_STATE_MACHINE_ARN": "arn:state-machine"},
    ),
    "reconciliation_state_machine_arn": (
        settings.reconciliation_state_machine_arn,
        {"RECONCILIATION_STATE_MACHINE_ARN": "arn:reconciliation"},
    ),
    "plan_shards": (
        settings.plan_shards,
        {
            "LIST_USERS_PER_SECOND": "7.5",
            "MAX_CONCURRENCY": "4",
            "MAX_DELETE_PERCENT": "10",
            "USER_TABLE": json.dumps(TABLE),
            "HAS_SHARD_INDEX": "true",
            "DELETED_USERS": "delete",
        },
    ),
    "user_pool_id": (settings.user_pool_id, {"USER_POOL_ID": POOL_ID}),
    "pool_trigger": (
        lambda environ: settings.pool_trigger({"CHAINED_FUNCTION_ARN": THEIRS, **environ}),
        {"USER_POOL_ID": POOL_ID, "POST_CONFIRMATION_FUNCTION_ARN": OURS},
    ),
    "user_table": (
        lambda environ: settings.user_table(sentinel.client, environ),
        {
            "USER_POOL_ID": POOL_ID,
            "USER_TABLE": json.dumps(TABLE),
            "ATTRIBUTES": '["name","custom:é"]',
            "DELETED_USERS": "mark",
        },
    ),
    "send_welcome": (settings.synced_attributes, {"ATTRIBUTES": '["name"]'}),
}
REQUIRED = [(function, name) for function, (_, environ) in READERS.items() for name in environ]
LISTS = [(function, name) for function, name in REQUIRED if name == "ATTRIBUTES"]
TABLES = [function for function, name in REQUIRED if name == "USER_TABLE"]
NUMBERS = [("plan_shards", name) for name in ("LIST_USERS_PER_SECOND", "MAX_CONCURRENCY", "MAX_DELETE_PERCENT")]
DELETING = [function for function, name in REQUIRED if name == "DELETED_USERS"]


def test_settings_read_the_environment_of_each_function() -> None:
    assert {function: read(environ) for function, (read, environ) in READERS.items()} == {
        "retry_queue_url": "https://queue",
        "user_sync_state_machine_arn": "arn:state-machine",
        "reconciliation_state_machine_arn": "arn:reconciliation",
        "plan_shards": settings.PlanShardsSettings(
            list_users_per_second=7.5,
            max_concurrency=4,
            max_delete_percent=10,
            table_name="theirs",
            has_shard_index=True,
            deletion=DeletionPolicy(DeletedUsers.DELETE, retention_days=None),
        ),
        "user_pool_id": POOL_ID,
        "pool_trigger": settings.PoolTriggerSettings(POOL_ID, OURS, THEIRS),
        "user_table": UserTable(
            client=sentinel.client,
            name="theirs",
            layout=ItemLayout(
                user_pool_id=POOL_ID,
                attributes=("name", "custom:é"),
                partition_key=Key("PK", "USER#{sub}"),
                sort_key=Key("SK", "PROFILE"),
                attribute_prefix="cognito_",
                attribute_names={"email": "emailAddress"},
                extra_attributes={"GSI1PK": "EMAIL#{email|lower}"},
                ttl_attribute="ttl",
                index_keys=frozenset({"GSI1PK"}),
            ),
            deletion=DeletionPolicy(DeletedUsers.MARK, retention_days=None),
        ),
        "send_welcome": ("name",),
    }


@pytest.mark.parametrize(("value", "read"), [("arn:theirs", "arn:theirs"), ("", None)], ids=["set", "empty"])
def test_settings_allow_no_chained_function(value: str, read: str | None) -> None:
    assert settings.chained_function_arn({"CHAINED_FUNCTION_ARN": value}) == read


def test_pool_trigger_needs_the_chained_function_to_be_set_or_empty() -> None:
    """A missing one is no permission to put back nothing."""
    environ = {"USER_POOL_ID": POOL_ID, "POST_CONFIRMATION_FUNCTION_ARN": OURS}
    assert settings.pool_trigger({**environ, "CHAINED_FUNCTION_ARN": ""}).chained_function_arn is None
    with pytest.raises(MissingSettingError, match=r"\bCHAINED_FUNCTION_ARN is not set"):
        settings.pool_trigger(environ)


@pytest.mark.parametrize(("function", "name"), REQUIRED)
def test_settings_name_a_missing_variable(function: str, name: str) -> None:
    read, environ = READERS[function]
    for incomplete in ({**environ, name: ""}, {other: value for other, value in environ.items() if other != name}):
        with pytest.raises(MissingSettingError, match=rf"\b{name} is not set"):
            read(incomplete)


@pytest.mark.parametrize("value", ["name,email", "name", "[name]", '"name"', "{}", "7", "null", '["name", 7]', "[[]]"])
@pytest.mark.parametrize(("function", "name"), LISTS)
def test_settings_name_an_invalid_list(function: str, name: str, value: str) -> None:
    read, environ = READERS[function]
    with pytest.raises(MissingSettingError, match=rf"\b{name} is not (valid JSON|a JSON)"):
        read({**environ, name: value})


@pytest.mark.parametrize(("function", "name"), LISTS)
def test_settings_allow_an_empty_list(function: str, name: str) -> None:
    read, environ = READERS[function]
    assert read({**environ, name: "[]"}) is not None


def test_user_table_by_default_is_as_a_layout_without_settings() -> None:
    environ = environment()
    assert settings.user_table(sentinel.client, environ) == UserTable(
        sentinel.client, "users", ItemLayout(POOL_ID, ("name", "email")), is_own=True
    )


@pytest.mark.parametrize("value", ["users", "{", "[]", "7", "null", "{}", '{"name": null}', '{"name": 7}'])
@pytest.mark.parametrize("function", TABLES)
def test_settings_name_an_invalid_table(function: str, value: str) -> None:
    read, environ = READERS[function]
    with pytest.raises(MissingSettingError, match=r"\bUSER_TABLE is not (valid JSON$|a valid table: )"):
        read({**environ, "USER_TABLE": value})


@pytest.mark.parametrize(
    "table",
    [
        *({name: value for name, value in TABLE.items() if name != missing} for missing in TABLE),
        {**TABLE, "partition_key": None},
        {**TABLE, "partition_key": {"name": "PK"}},
        {**TABLE, "sort_key": {"name": "SK", "value": "PROFILE", "type": "S"}},
        {**TABLE, "index_keys": None},
    ],
    ids=[*(f"no-{name}" for name in TABLE), "null-key", "key-without-value", "key-of-more", "null-index-keys"],
)
def test_user_table_names_an_incomplete_table(table: dict[str, Any]) -> None:
    read, environ = READERS["user_table"]
    with pytest.raises(MissingSettingError, match=r"\bUSER_TABLE is not a valid table: "):
        read({**environ, "USER_TABLE": json.dumps(table)})


@pytest.mark.parametrize("value", ["fifteen", "1,5", "[1]"])
@pytest.mark.parametrize(("function", "name"), NUMBERS)
def test_settings_name_an_invalid_number(function: str, name: str, value: str) -> None:
    read, environ = READERS[function]
    with pytest.raises(MissingSettingError, match=rf"\b{name} is not a number"):
        read({**environ, name: value})


def test_settings_read_a_table_without_the_index() -> None:
    read, environ = READERS["plan_shards"]
    assert read({**environ, "HAS_SHARD_INDEX": "false"}).has_shard_index is False


@pytest.mark.parametrize("action", DeletedUsers)
@pytest.mark.parametrize(("days", "retention_days"), [("", None), ("30", 30)], ids=["for-ever", "30-days"])
@pytest.mark.parametrize("function", DELETING)
def test_settings_read_the_deletion_policy(
    function: str, days: str, retention_days: int | None, action: DeletedUsers
) -> None:
    read, environ = READERS[function]
    deletion = read({**environ, "DELETED_USERS": str(action), "RETENTION_DAYS": days}).deletion
    assert deletion == DeletionPolicy(action, retention_days)


@pytest.mark.parametrize(
    ("name", "value"), [("DELETED_USERS", "forget"), ("RETENTION_DAYS", "a month"), ("RETENTION_DAYS", "30.5")]
)
@pytest.mark.parametrize("function", DELETING)
def test_settings_name_an_invalid_deletion_policy(function: str, name: str, value: str) -> None:
    read, environ = READERS[function]
    with pytest.raises(MissingSettingError, match=rf"\b{name} (is )?'{value}'"):
        read({**environ, name: value})


@pytest.mark.parametrize(("given", "expected"), [({}, False), ({"SYNC_GROUPS": "true"}, True)], ids=["off", "on"])
def test_settings_read_whether_groups_are_synced(given: dict[str, str], expected: bool) -> None:
    for function in ("plan_shards", "user_table"):
        read, environ = READERS[function]
        found: Any = read({**environ, **given})
        assert getattr(found, "layout", found).sync_groups is expected
