"""Values that tests and benchmarks share: a user, a pool, the settings of the functions, and the table."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Final

POOL_ID: Final = "eu-central-1_abcdefghi"
TABLE: Final = "users"
SUB: Final = "b4c8d9e0-1234-4abc-8def-001122334455"
OTHER_SUB: Final = "b5c8d9e0-1234-4abc-8def-001122334455"

# What a run of the reconciliation counts.
COUNTS: Final = ("listed", "created", "updated", "unchanged", "unconfirmed", "failed", "deleted", "still_there")

_STATE_MACHINES: Final = "arn:aws:states:eu-central-1:111122223333:stateMachine"
USER_SYNC, RECONCILIATION = f"{_STATE_MACHINES}:user-sync", f"{_STATE_MACHINES}:reconciliation"
QUEUE_URL: Final = "https://sqs.eu-central-1.amazonaws.com/111122223333/unstarted"

# Functions that a pool may have as triggers: the module's, the application's, and one of another trigger.
_LAMBDA: Final = "arn:aws:lambda:eu-central-1:111122223333:function"
OURS, THEIRS, OTHER = f"{_LAMBDA}:ours", f"{_LAMBDA}:theirs", f"{_LAMBDA}:other"


def environment(**changes: str) -> dict[str, str]:
    """Return the environment variables of the functions that read the pool or the table."""
    return {
        "USER_POOL_ID": POOL_ID,
        "USER_TABLE_NAME": TABLE,
        "ATTRIBUTES": '["name","email"]',
        "INDEX_KEYS": "[]",
        "DELETED_USERS": "mark",
        "HAS_SHARD_INDEX": "true",
        "LIST_USERS_PER_SECOND": "16",
        "MAX_CONCURRENCY": "4",
        "MAX_DELETE_PERCENT": "10",
        **changes,
    }


def table_definition(name: str = TABLE, *, email_index: bool = False) -> dict[str, Any]:
    """Return the arguments of CreateTable for the table that modules/user_table makes.

    Args:
        name: The table's name.
        email_index: With the index by_email, as `table.email_index` adds it.
    """
    table = _table()
    attributes, indexes = [*table["attribute"]], [*table["global_secondary_index"]]
    if email_index:
        added = {kind: block["content"][0] for each in table["dynamic"] for kind, block in each.items()}
        attributes.append({**added["attribute"], "name": "email"})
        indexes.append({**added["global_secondary_index"], "name": "by_email"})
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",  # the default of `table.billing_mode`
        "KeySchema": _key_schema(table),
        "AttributeDefinitions": [{"AttributeName": each["name"], "AttributeType": each["type"]} for each in attributes],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index["name"],
                "KeySchema": _key_schema(index),
                "Projection": {"ProjectionType": index["projection_type"]},
            }
            for index in indexes
        ],
    }


@cache
def _table() -> Any:
    # Late, because the benchmarks need no table definition.
    import hcl2
    from hcl2.utils import SerializationOptions

    source = (Path(__file__).parents[1] / "modules" / "user_table" / "main.tf").read_text(encoding="utf-8")
    plain = SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)
    [resource] = hcl2.loads(source, serialization_options=plain)["resource"]
    return resource["aws_dynamodb_table"]["this"]


def _key_schema(block: Any) -> list[dict[str, str]]:
    keys = {"HASH": block["hash_key"], "RANGE": block.get("range_key")}
    return [{"AttributeName": name, "KeyType": kind} for kind, name in keys.items() if name]
