"""Events that tell other services which users are new, changed or deleted.

An event is made of one record of the table's stream, so that no way of writing an item can be missed. It has the names
of the changed attributes, and no values: a consumer that needs a value reads the item.

docs/user-events.md describes the events for their consumers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.item_layout import FROM_COGNITO, Item, ItemLayout
from cognito_user_sync.log_fields import error_fields
from cognito_user_sync.user import timestamp

SOURCE = "cognito-user-sync"

# The maximum of PutEvents. Its other limit of 256 KB cannot be reached: a test makes the largest events.
# https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
_ENTRIES = 10

# Cognito's dates change with other attributes, or without any that is in the item.
_DATES = ("cognito_created_at", "cognito_modified_at")

# A SequenceNumber has at most 40 digits.
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
_SEQUENCE_DIGITS = 40

logger = logging.getLogger(__name__)


class DetailType(StrEnum):
    """What happened to the user, as EventBridge's detail-type."""

    CREATED = "User Created"
    UPDATED = "User Updated"
    DELETED = "User Deleted"


class Reason(StrEnum):
    """Why there is an event, as far as a record shows it."""

    NEW = "new"
    """Created: the item had no state of this user."""
    RETURNED = "returned"
    """Created: the item was marked as deleted by mistake."""
    ATTRIBUTES = "attributes"
    """Updated: all other changes."""
    STATUS = "status"
    """Updated: only the status or `enabled`."""
    GROUPS = "groups"
    """Updated: only the groups."""
    DELETED = "deleted"
    """Deleted: Cognito has confirmed the deletion."""


# The reason of an update if only these fields changed.
_REASONS = {Reason.STATUS: {"status", "enabled"}, Reason.GROUPS: {"groups"}}


@dataclass(frozen=True)
class UserEvent:
    """An event about one user.

    Attributes:
        id: The same if the event is published again.
        changed: Names of attributes in Cognito, `username`, `status`, `enabled` and `groups`; sorted.
        occurred_at: When the item changed, as a `user.timestamp` of whole seconds.
        sequence: Of two events of a user, the later one has the greater sequence.
    """

    detail_type: DetailType
    id: str
    sub: str
    user_pool_id: str
    reason: Reason
    changed: tuple[str, ...]
    occurred_at: str
    sequence: str

    def to_entry(self, event_bus_arn: str) -> dict[str, str]:
        """Return the entry for PutEvents."""
        detail = {
            "id": self.id,
            "sub": self.sub,
            "user_pool_id": self.user_pool_id,
            "reason": self.reason,
            "changed": self.changed,
            "occurred_at": self.occurred_at,
            "sequence": self.sequence,
        }
        return {
            "EventBusName": event_bus_arn,
            "Source": SOURCE,
            "DetailType": self.detail_type,
            "Detail": json.dumps(detail, ensure_ascii=False),
        }


def publish(
    client: Any, event_bus_arn: str, layout: ItemLayout, event: Any, has_time: Callable[[], bool]
) -> str | None:
    """Publish the events of a batch of stream records, in their order.

    A call has at most one event of each user. So an event that fails is never followed by a later one of the same user.

    Args:
        client: The client. It retries a call whose outcome is unknown, so an event can be published twice.
        event_bus_arn: The event bus.
        layout: The layout of the items.
        event: The event of the stream's event source.
        has_time: Returns whether there is time for one more call.

    Returns:
        The sequence number of the first record that is not handled, or None. Lambda sends it and all later records
        again.

    Raises:
        InvalidEventError: The event is not a batch of records of a table.
    """
    for batch in _batches(_user_events(event, layout)):
        failed = _put(client, event_bus_arn, batch) if has_time() else 0
        if failed is not None:
            return batch[failed][0]
    return None


def _put(client: Any, event_bus_arn: str, batch: Sequence[tuple[str, UserEvent]]) -> int | None:
    """Return the position of the first event that the bus has not accepted, or None."""
    entries = [event.to_entry(event_bus_arn) for _, event in batch]
    try:
        answers = client.put_events(Entries=entries)["Entries"]
    except (BotoCoreError, ClientError) as error:
        logger.warning("events not published", extra={"sub": batch[0][1].sub, **error_fields(error)})
        return 0
    first_failed = None
    for number, ((_, event), answer) in enumerate(zip(batch, answers, strict=True)):
        fields = {"sub": event.sub, "event_id": event.id, "detail_type": event.detail_type}
        if code := answer.get("ErrorCode"):
            logger.warning("event not published", extra={**fields, "code": code})
            first_failed = number if first_failed is None else first_failed
        else:
            logger.info("published", extra=fields)
    return first_failed


def _batches(events: Iterable[tuple[str, UserEvent]]) -> Iterator[list[tuple[str, UserEvent]]]:
    batch: list[tuple[str, UserEvent]] = []
    for each in events:
        if len(batch) == _ENTRIES or any(each[1].sub == event.sub for _, event in batch):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch


def _user_events(event: Any, layout: ItemLayout) -> Iterator[tuple[str, UserEvent]]:
    """Yield the sequence number and the event of each record that has one."""
    try:
        records = [(record["dynamodb"]["SequenceNumber"], record) for record in event["Records"]]
    except (KeyError, TypeError) as error:
        raise InvalidEventError(
            "the event is not a batch of records of a table: expected Records with dynamodb.SequenceNumber"
        ) from error
    for sequence_number, record in records:
        if found := from_record(record, layout):
            yield sequence_number, found


def from_record(record: Mapping[str, Any], layout: ItemLayout) -> UserEvent | None:
    """Return the event of a stream record with both images, or None if no user was created, updated or deleted."""
    change = record["dynamodb"]
    sub = layout.sub_of(change["Keys"])
    if sub is None:
        return None
    old, new = change.get("OldImage", {}), change.get("NewImage", {})
    what = _what(old, new, layout)
    if what is None:
        return None
    detail_type, reason, changed = what
    return UserEvent(
        detail_type=detail_type,
        id=record["eventID"],
        sub=sub,
        user_pool_id=layout.user_pool_id,
        reason=reason,
        changed=tuple(sorted(changed)),
        occurred_at=timestamp(datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC)),
        sequence=change["SequenceNumber"].zfill(_SEQUENCE_DIGITS),
    )


def _what(old: Item, new: Item, layout: ItemLayout) -> tuple[DetailType, Reason, set[str]] | None:
    """Return what happened to the user, why, and which attributes changed.

    An item that is removed, or that loses its pool, says nothing about the user, who may still exist.
    """
    deleted_at = layout.name("deleted_at")
    if not layout.is_ours(new):
        return None
    was_active = layout.is_ours(old) and deleted_at not in old
    if deleted_at in new:
        return (DetailType.DELETED, Reason.DELETED, set()) if was_active else None
    after = _values(new, layout)
    if not was_active:
        return DetailType.CREATED, Reason.RETURNED if layout.is_ours(old) else Reason.NEW, set(after)
    before = _values(old, layout)
    changed = {field for field in before.keys() | after.keys() if before.get(field) != after.get(field)}
    if not changed:
        return None
    reason = next((reason for reason, fields in _REASONS.items() if changed <= fields), Reason.ATTRIBUTES)
    return DetailType.UPDATED, reason, changed


def _values(image: Item, layout: ItemLayout) -> dict[str, Any]:
    """Return the values that came from Cognito, by field. Others are the application's or bookkeeping."""
    synced = layout.synced(image)
    fields = (field for field in (*layout.attributes, *FROM_COGNITO) if field not in _DATES)
    values = {field: image[name] for field in fields if (name := layout.name(field)) in synced and name in image}
    groups = layout.groups(image) if layout.sync_groups else None
    return values | ({"groups": groups} if groups else {})
