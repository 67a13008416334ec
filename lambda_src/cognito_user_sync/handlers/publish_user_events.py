"""Publishes events about users on an EventBridge bus, from the records of the table's stream.

Lambda reads the stream, and sends the first record that is not handled, and all later ones, again. So the events of a
user keep their order.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings, user_events

# Three attempts of at most 1 + 5 s, and pauses of at most 1 and 2 s.
_SLOWEST_CALL_SECONDS = 21.0


@cache
def _events() -> Any:
    return boto3.client(
        "events",
        config=Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3}),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of stream records. Returns the first record that Lambda must send again, if any.

    Raises InvalidEventError if the event is not a batch of records of a table.
    """
    failed = user_events.publish(
        _events(),
        settings.event_bus_arn(),
        settings.item_layout(),
        event,
        lambda: context.get_remaining_time_in_millis() / 1000 >= _SLOWEST_CALL_SECONDS,
    )
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}
