"""Values that tests and benchmarks share: a user, a pool, the settings of the functions, and the table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from cognito_user_sync.item_layout import ItemLayout

POOL_ID: Final = "eu-central-1_abcdefghi"
TABLE: Final = "users"
SUB: Final = "b4c8d9e0-1234-4abc-8def-001122334455"
OTHER_SUB: Final = "b5c8d9e0-1234-4abc-8def-001122334455"

# The counts of a reconciliation run.
COUNTS: Final = (
    *("listed", "created", "updated", "unchanged", "unconfirmed", "other_pool", "failed"),
    *("deleted", "still_in_pool", "over_limit", "unlisted_shards"),
)

_STATE_MACHINES: Final = "arn:aws:states:eu-central-1:111122223333:stateMachine"
USER_SYNC, RECONCILIATION = f"{_STATE_MACHINES}:user-sync", f"{_STATE_MACHINES}:reconciliation"
QUEUE_URL: Final = "https://sqs.eu-central-1.amazonaws.com/111122223333/retry"

# Functions of a pool's triggers: of this module, of the application, and of another trigger.
_LAMBDA: Final = "arn:aws:lambda:eu-central-1:111122223333:function"
OURS, THEIRS, OTHER = f"{_LAMBDA}:ours", f"{_LAMBDA}:theirs", f"{_LAMBDA}:other"


def outputs(**changes: Any) -> dict[str, Any]:
    """Return the module's outputs that the command line reads."""
    return {
        "user_pool_id": POOL_ID,
        "user_table_name": TABLE,
        "user_sync_state_machine_arn": USER_SYNC,
        "reconciliation_state_machine_arn": RECONCILIATION,
        "post_confirmation_function_arn": OURS,
        "retry_queue_url": QUEUE_URL,
        "alarm_names": [],
        "function_arns": {},
        "log_group_arns": {},
        "dashboard_url": "https://example.com",
        "user_pool_trigger": {"attached_function_arn": OURS, "chained_function_arn": None},
        **changes,
    }


def environment(index_keys: Sequence[str] = (), **changes: str) -> dict[str, str]:
    """Return the environment variables of the functions that read the pool or the table."""
    table = {
        "name": TABLE,
        "is_own": True,
        "partition_key": {"name": "id", "value": "{sub}"},
        "sort_key": None,
        "attribute_prefix": "",
        "attribute_names": {},
        "extra_attributes": {},
        "ttl_attribute": "expires_at",
        "index_keys": list(index_keys),
    }
    return {
        "USER_POOL_ID": POOL_ID,
        "USER_TABLE": json.dumps(table),
        "ATTRIBUTES": '["name","email"]',
        "DELETED_USERS": "mark",
        "HAS_SHARD_INDEX": "true",
        "LIST_USERS_PER_SECOND": "16",
        "MAX_CONCURRENCY": "4",
        "MAX_DELETE_PERCENT": "10",
        **changes,
    }


def table_definition(name: str = TABLE, layout: ItemLayout | None = None, email_index: bool = False) -> dict[str, Any]:
    """Return the arguments of CreateTable for a table like the one that modules/user_table makes.

    Args:
        name: The table's name.
        layout: The layout of its items; by default, that of a table of the module without any settings.
        email_index: Add an index on `email`, as an existing table can have.
    """
    layout = layout or ItemLayout(POOL_ID, ("name", "email"))
    partition_key = layout.partition_key.name
    indexes = {"by_shard": layout.name("shard"), **({"by_email": "email"} if email_index else {})}
    names = dict.fromkeys([*layout.key(""), *indexes.values()])
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(*layout.key("")),
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": "S"} for each in names],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": index,
                "KeySchema": _key_schema(key, partition_key),
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
            for index, key in indexes.items()
        ],
    }


def _key_schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


# Senders (welcome_email.from), with the display name and the address that a mail program shows. A plan accepts each.
SENDERS: Final = {
    "a@b.c": ("", "a@b.c"),
    "Hello+1@mail.example.com": ("", "Hello+1@mail.example.com"),
    "Example <hello@example.com>": ("Example", "hello@example.com"),
    "Example Inc. <welcome+1@mail.example.com>": ("Example Inc.", "welcome+1@mail.example.com"),
    '"Example" <hello@example.com>': ("Example", "hello@example.com"),
    "Example, Inc. <hello@example.com>": ("Example, Inc.", "hello@example.com"),
    '"Example, Inc." <hello@example.com>': ("Example, Inc.", "hello@example.com"),
    '"The \\"Shop\\" \\\\ Co" <hello@example.com>': ('The "Shop" \\ Co', "hello@example.com"),
    '"shop@home <3>" <hello@example.com>': ("shop@home <3>", "hello@example.com"),
    "Shop (Berlin); open: now <hello@example.com>": ("Shop (Berlin); open: now", "hello@example.com"),
    "O'Hara & Sons <o'hara@example.com>": ("O'Hara & Sons", "o'hara@example.com"),
    "É <a@example.com>": ("É", "a@example.com"),
    "Müller & Söhne <hallo@example.de>": ("Müller & Söhne", "hallo@example.de"),
    '"Müller, Söhne" <hallo@example.de>': ("Müller, Söhne", "hallo@example.de"),
    "Zoë 😀👩‍👩‍👧 Shop <hello@example.com>": ("Zoë 😀👩‍👩‍👧 Shop", "hello@example.com"),
    "متجر عمر <hello@example.com>": ("متجر عمر", "hello@example.com"),
    "חנות, בע״מ <hello@example.com>": ("חנות, בע״מ", "hello@example.com"),
    "李小龍 商店 <hello@example.com>": ("李小龍 商店", "hello@example.com"),
    "Магазин <hello@xn--80ajoiaictjm2g.xn--p1ai>": ("Магазин", "hello@xn--80ajoiaictjm2g.xn--p1ai"),
    "Müller <hallo@xn--mller-kva.de>": ("Müller", "hallo@xn--mller-kva.de"),
    "hallo@MÜLLER.de": ("", "hallo@xn--mller-kva.de"),
    "Müller & Söhne <hallo@müller.de>": ("Müller & Söhne", "hallo@xn--mller-kva.de"),
    '"李, Inc." <a@例え.テスト>': ("李, Inc.", "a@xn--r8jz45g.xn--zckzah"),
    "दुकान <a@उदाहरण.भारत>": ("दुकान", "a@xn--p1b6ci4b4b3a.xn--h2brj9c"),
    # 320 characters.
    "N" * 300 + " <hello@example.com>": ("N" * 300, "hello@example.com"),
    "ü, " * 99 + "xyz <hello@example.com>": ("ü, " * 99 + "xyz", "hello@example.com"),
    "Shop <" + "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 57, "de"]) + ">": (
        "Shop",
        "a" * 64 + "@" + ".".join(["b" * 63, "c" * 63, "d" * 57, "de"]),
    ),
}
