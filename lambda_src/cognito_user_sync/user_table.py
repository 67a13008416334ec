"""All writes and reads of the user table.

Every write is one conditional UpdateItem that names only the attributes that this module owns: attributes of an
application stay. The condition makes repeated and reordered writes end in the same item:

* an item of another pool stays;
* newer wins: by Cognito's date of the last change, and for equal dates by the time of the read;
* deleted stays deleted: an answer of Cognito from before the deletion, or from less than an hour after it, is not
  written;
* an item that says the same already is not written.

What has to be removed depends on the item. So the first attempt is for an item as it was read, or for one with nothing
to remove. If the condition fails, DynamoDB returns the item, and the next attempt is for an item like that.

docs/architecture.md, "Newer wins, deleted stays deleted", has the reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cognito_user_sync.aws_errors import translated_errors
from cognito_user_sync.item_layout import Item, ItemLayout, ItemValue, has, marshal
from cognito_user_sync.user import UNCONFIRMED, User, now, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Error codes after which the same write may succeed.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionConflictException",
    }
)

# The most keys that one BatchGetItem takes.
READ_SIZE = 100

# The index that holds the keys of active users, by pool and first hex digit.
BY_SHARD = "by_shard"

# ListUsers is eventually consistent, and may show a deleted user for a while. No later sign-up has the same sub.
LISTED_AFTER_DELETION = timedelta(hours=1)
# What may not be written to a deleted user's item is read within LISTED_AFTER_DELETION, and written within 15 minutes,
# the longest that a Lambda function runs. DynamoDB deletes expired items within a few days.
TOMBSTONE_DAYS = 1

# What an active user's item has besides the values of Cognito, and a tombstone has not.
_BOOKKEEPING_OF_ACTIVE_USERS = ("observed_at", "synced_at", "shard")
# Not one of Cognito's.
DELETED_STATUS = "DELETED"
# How often a write is tried for an item that other writers change meanwhile.
_ATTEMPTS = 3


class TableUnavailableError(Exception):
    """DynamoDB did not answer now, but may later: worth a retry, and safe, since writes are idempotent."""


class TableRejectedError(Exception):
    """DynamoDB refuses this call, and will again: a missing table, an item that is too large."""


class Outcome(StrEnum):
    """What a write came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """The item already says the same."""
    STALE = "stale"
    """The item has a newer state than this answer of Cognito."""
    DELETED = "deleted"
    """The user was found deleted, after this answer or shortly before it; or, of a deletion, is deleted by it."""
    KEPT = "kept"
    """The user is deleted, and the deletion policy keeps the item."""
    UNCONFIRMED = "unconfirmed"
    """The user has not confirmed the sign-up, and is not written."""
    NOT_OURS = "not_ours"
    """Neither the pool nor the table has this user."""
    OTHER_POOL = "other_pool"
    """The item is of another pool's user, and stays as it is."""


class DeletedUsers(StrEnum):
    """What happens to the item of a deleted user."""

    MARK = "mark"
    """It gets `deleted_at`, the status DELETED and `enabled` false, leaves the module's indexes, and keeps all else."""
    DELETE = "delete"
    """It loses what this module wrote, except for a tombstone: `deleted_at` and `user_pool_id`. The application's
    attributes stay."""
    DELETE_ITEM = "delete_item"
    """It is replaced as a whole by a tombstone, which expires."""
    KEEP = "keep"


@dataclass(frozen=True)
class DeletionPolicy:
    """`retention_days` after the deletion a marked item expires as a whole; None is never."""

    action: DeletedUsers = DeletedUsers.MARK
    retention_days: int | None = None


@dataclass(frozen=True)
class UserTable:
    """The table `name`, whose items have this layout.

    `is_own`: whether the module made it, so that nothing else is in it.
    """

    client: DynamoDBClient
    name: str
    layout: ItemLayout
    deletion: DeletionPolicy = field(default_factory=DeletionPolicy)
    is_own: bool = False

    def write(self, user: User, item: Item = MappingProxyType({})) -> Outcome:
        """Write this answer of Cognito to the user's item, unless the item says the same or is newer.

        Args:
            user: The answer.
            item: The item as `read` found it. Without it, and also if it has changed since, the write may take a call
                more.

        Raises TableUnavailableError or TableRejectedError.
        """

        def update(found: Item) -> Outcome:
            response = self.client.update_item(**self._update(user, found))
            return Outcome.UPDATED if response.get("Attributes") else Outcome.CREATED

        def refusal(found: Item) -> Outcome | None:
            outcome = self.outcome(user, found)
            return None if outcome in (Outcome.CREATED, Outcome.UPDATED) else outcome

        return refusal(item) or self._attempt(item, update, refusal)

    def read(self, subs: Sequence[str], consistent: bool = False) -> dict[str, Item]:
        """The items of at most READ_SIZE users, by sub, with what this module owns of them. Unless `consistent`, which
        costs twice as much, one that was written a moment ago may show as it was before.
        Raises TableUnavailableError or TableRejectedError."""
        names = {f"#n{index}": name for index, name in enumerate(self.layout.names())}
        wanted = dict.fromkeys(subs)
        asked: Any = {
            "Keys": [self.layout.key(sub) for sub in wanted],
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": consistent,
        }
        found: dict[str, Item] = {}
        while asked:
            with _answering():
                response = self.client.batch_get_item(RequestItems={self.name: asked})
            for item in response["Responses"].get(self.name, []):
                sub = self.layout.sub_of(item)
                if sub in wanted:
                    found[sub] = item
            left = response.get("UnprocessedKeys", {}).get(self.name)
            if left and len(left["Keys"]) == len(asked["Keys"]):
                raise TableUnavailableError("no key of a BatchGetItem was processed")
            asked = left
        return found

    def active_subs(self, prefix: str, start: Item | None = None) -> tuple[list[str], Item | None]:
        """A page of the subs of this pool's users who are not deleted and whose sub begins with `prefix`, at least one
        digit, in order; and where the next page starts, None after the last.

        Raises TableUnavailableError or TableRejectedError.
        """
        arguments: dict[str, Any] = {"ExclusiveStartKey": start} if start else {}
        with _answering():
            response = self.client.query(
                TableName=self.name,
                IndexName=BY_SHARD,
                KeyConditionExpression="#shard = :shard AND begins_with(#key, :prefix)",
                ExpressionAttributeNames={"#shard": self.layout.name("shard"), "#key": self.layout.partition_key.name},
                ExpressionAttributeValues={
                    ":shard": {"S": self.layout.shard(prefix)},
                    ":prefix": {"S": self.layout.key_prefix(prefix)},
                },
                **arguments,
            )
        subs = [
            sub
            for item in response["Items"]
            # A copy under another sort key, which the application made, is not the user's item.
            if (sub := self.layout.sub_of(item)) and item.items() >= self.layout.key(sub).items()
        ]
        return subs, response.get("LastEvaluatedKey")

    def outcome(self, user: User, item: Item) -> Outcome:
        """What `write` of this user would return, if the item is as `read` found it, or {}. Nothing is written."""
        if user.status == UNCONFIRMED:
            return Outcome.UNCONFIRMED
        layout = self.layout
        wanted = layout.to_item(user)
        if not layout.is_ours(item):
            # What the application gave a name of this module says nothing of Cognito.
            if layout.name("user_pool_id") in item:
                return Outcome.OTHER_POOL
            replaced = {*wanted, layout.name("synced_at"), layout.name("deleted_at")}
            return Outcome.CREATED if replaced.isdisjoint(item) else Outcome.UPDATED
        if layout.text(item, "deleted_at") > _existed_since(user):
            return Outcome.DELETED
        moments = layout.text(item, "cognito_modified_at"), layout.text(item, "observed_at")
        if moments > (user.modified_at, user.observed_at):
            return Outcome.STALE
        if layout.name("deleted_at") not in item and all(has(item, *each) for each in self._compared(wanted)):
            return Outcome.UNCHANGED
        return Outcome.UPDATED

    def delete(self, sub: str, checked_at: str, item: Item) -> Outcome:
        """Make an item, as `read` found it, that of a user who did not exist at `checked_at`, a `timestamp`.

        Returns DELETED; UNCHANGED if the deletion was known, and nothing is left that this one removes; STALE if the
        item shows the user later than that; NOT_OURS if there is no item of this pool; KEPT.

        Raises TableUnavailableError or TableRejectedError.
        """
        layout, action = self.layout, self.deletion.action
        if action is DeletedUsers.KEEP:
            return Outcome.KEPT

        def refusal(found: Item) -> Outcome | None:
            if not layout.is_ours(found):
                return Outcome.NOT_OURS
            if layout.name("deleted_at") in found and self._has_nothing_left(found):
                return Outcome.UNCHANGED
            return Outcome.STALE if layout.text(found, "observed_at") > checked_at else None

        def delete(found: Item) -> Outcome:
            if action is DeletedUsers.DELETE_ITEM:
                self.client.put_item(**self._tombstone(sub, checked_at, found))
            else:
                self.client.update_item(**self._deletion(sub, checked_at, found))
            return Outcome.DELETED

        return refusal(item) or self._attempt(item, delete, refusal)

    def _attempt(
        self, item: Item, act: Callable[[Item], Outcome], refusal: Callable[[Item], Outcome | None]
    ) -> Outcome:
        """Write to an item that is like `item`, or to the item that DynamoDB found instead, unless it is refused."""
        for _ in range(_ATTEMPTS):
            try:
                with _answering():
                    return act(item)
            except self.client.exceptions.ConditionalCheckFailedException as failed:
                found: Any = failed.response.get("Item", {})
            if outcome := refusal(found):
                return outcome
            if found == item:
                raise TableRejectedError("an attribute of the item has a type that this module does not write")
            item = found
        raise TableUnavailableError("other writers keep changing the item")

    def _update(self, user: User, found: Item) -> Any:
        """The arguments of UpdateItem for a user whose item is like `found`."""
        layout, name = self.layout, self.layout.name
        item = layout.to_item(user)
        is_ours = layout.is_ours(found)
        before = layout.synced(found) if is_ours else frozenset()
        expression = _Expression(layout)
        is_newer = expression.compare("cognito_modified_at", "<", user.modified_at)
        is_same = expression.compare("cognito_modified_at", "=", user.modified_at)
        is_read_later = expression.compare("observed_at", "<=", user.observed_at)
        conditions = [
            expression.compare("user_pool_id", "=", layout.user_pool_id),
            f"({expression.is_missing('cognito_modified_at')} OR {is_newer} OR ({is_same} AND {is_read_later}))",
        ]
        if before:
            conditions.append(expression.compare("synced_attributes", "=", before))
        else:
            same = expression.compare("synced_attributes", "=", item[name("synced_attributes")])
            conditions.append(f"({expression.is_missing('synced_attributes')} OR {same})")
        if is_ours and name("deleted_at") in found:
            conditions.append(expression.is_as_in(found, "deleted_at"))
        else:
            conditions.append(expression.is_missing("deleted_at"))
            if before <= item.keys():
                differs = (
                    f"{expression.name(each)} <> {expression.value(value)}" for each, value in self._compared(item)
                )
                conditions.append(f"({' OR '.join(differs)})")
        condition = " AND ".join(conditions)
        if not is_ours:
            condition = f"({expression.is_missing('user_pool_id')} OR ({condition}))"
        return {
            "Key": layout.key(user.sub),
            "UpdateExpression": expression.update({**item, name("synced_at"): now()}, layout.removable(found)),
            "ReturnValues": "UPDATED_OLD",
            **self._conditional(expression, condition),
        }

    def _deletion(self, sub: str, checked_at: str, found: Item) -> Any:
        """The arguments of UpdateItem for a deleted user whose item is like `found`."""
        layout, name = self.layout, self.layout.name
        expression = _Expression(layout)
        written: dict[str, ItemValue] = {name("deleted_at"): checked_at}
        synced = layout.synced(found)
        if self.deletion.action is DeletedUsers.MARK:
            # An index of the application stays as it is.
            indexed = layout.index_keys & layout.extra_attributes.keys() if self.is_own else set()
            removed = sorted({name("shard"), *indexed})
            written[name("synced_at")] = now()
            # If they are the application's, since names were changed, they stay as they are.
            says: dict[str, ItemValue] = {name("status"): DELETED_STATUS, name("enabled"): False}
            written |= {each: value for each, value in says.items() if each in synced}
            if self.deletion.retention_days is not None:
                written[layout.ttl_attribute] = _expiry(self.deletion.retention_days)
                # So that the next write removes it again, and none of the application.
                written[name("synced_attributes")] = synced | {layout.ttl_attribute}
        else:
            bookkeeping = {name(each) for each in (*_BOOKKEEPING_OF_ACTIVE_USERS, "synced_attributes")}
            removed = sorted(synced | bookkeeping)
        # What is written and removed depends on what the item got from Cognito.
        condition = f"{expression.can_be_deleted(checked_at, found)} AND {expression.has_synced(synced)}"
        return {
            "Key": layout.key(sub),
            "UpdateExpression": expression.update(written, removed),
            **self._conditional(expression, condition),
        }

    def _tombstone(self, sub: str, checked_at: str, found: Item) -> Any:
        """The arguments of PutItem that replaces the item of a deleted user, which is like `found`."""
        layout, name = self.layout, self.layout.name
        expression = _Expression(layout)
        tombstone: dict[str, ItemValue] = {
            name("user_pool_id"): layout.user_pool_id,
            name("deleted_at"): checked_at,
            layout.ttl_attribute: _expiry(TOMBSTONE_DAYS),
            name("synced_attributes"): frozenset({layout.ttl_attribute}),
        }
        return {
            "Item": {**layout.key(sub), **{each: marshal(value) for each, value in tombstone.items()}},
            **self._conditional(expression, expression.can_be_deleted(checked_at, found)),
        }

    def _has_nothing_left(self, found: Item) -> bool:
        """Whether a deleted user's item has nothing left that the configured deletion removes."""
        layout, action = self.layout, self.deletion.action
        if action is DeletedUsers.MARK:
            return True
        synced = layout.synced(found)
        bookkeeping = {layout.name(each) for each in _BOOKKEEPING_OF_ACTIVE_USERS}
        is_tombstone = synced <= {layout.ttl_attribute} and bookkeeping.isdisjoint(found)
        # One of DELETE_ITEM expires, and must go on to.
        return is_tombstone and (action is DeletedUsers.DELETE or layout.ttl_attribute in synced)

    def _conditional(self, expression: _Expression, condition: str) -> dict[str, Any]:
        """The arguments that every write has."""
        return {
            "TableName": self.name,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": expression.names,
            "ExpressionAttributeValues": expression.values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _compared(self, item: Mapping[str, ItemValue]) -> Iterable[tuple[str, ItemValue]]:
        """What has to differ for a write: not the time of the read alone."""
        return [each for each in item.items() if each[0] != self.layout.name("observed_at")]


class _Expression:
    """The expressions of one write: every name has an alias, since many are reserved words or hold a colon."""

    def __init__(self, layout: ItemLayout) -> None:
        self._layout = layout
        self._names: dict[str, str] = {}
        self._values: list[dict[str, Any]] = []

    @property
    def names(self) -> dict[str, str]:
        return {alias: name for name, alias in self._names.items()}

    @property
    def values(self) -> dict[str, dict[str, Any]]:
        return {f":v{index}": value for index, value in enumerate(self._values)}

    def name(self, name: str) -> str:
        return self._names.setdefault(name, f"#n{len(self._names)}")

    def value(self, value: ItemValue) -> str:
        return self._marshalled(marshal(value))

    def _marshalled(self, value: dict[str, Any]) -> str:
        if value not in self._values:
            self._values.append(value)
        return f":v{self._values.index(value)}"

    def is_missing(self, field: str) -> str:
        return f"attribute_not_exists({self.name(self._layout.name(field))})"

    def compare(self, field: str, operator: str, value: ItemValue) -> str:
        return f"{self.name(self._layout.name(field))} {operator} {self.value(value)}"

    def is_as_in(self, found: Item, field: str) -> str:
        """A condition: the field is as in `found`, whatever type another writer gave it."""
        name = self._layout.name(field)
        return f"{self.name(name)} = {self._marshalled(found[name])}" if name in found else self.is_missing(field)

    def has_synced(self, synced: frozenset[str]) -> str:
        """A condition: the item got these attributes from Cognito."""
        return self.compare("synced_attributes", "=", synced) if synced else self.is_missing("synced_attributes")

    def can_be_deleted(self, checked_at: str, found: Item) -> str:
        """A condition: the item is of this pool, was not seen later than `checked_at`, and is as deleted as `found`."""
        pool = self.compare("user_pool_id", "=", self._layout.user_pool_id)
        not_seen = f"{self.is_missing('observed_at')} OR {self.compare('observed_at', '<=', checked_at)}"
        return f"{pool} AND {self.is_as_in(found, 'deleted_at')} AND ({not_seen})"

    def update(self, written: Mapping[str, ItemValue], removed: Iterable[str]) -> str:
        """SET and REMOVE; what is written is not removed."""
        assigned = [f"{self.name(each)} = {self.value(value)}" for each, value in written.items()]
        left = [self.name(each) for each in removed if each not in written]
        return f"SET {', '.join(assigned)}{' REMOVE ' if left else ''}{', '.join(left)}"


def _existed_since(user: User) -> str:
    """Return the earliest moment at which this answer proves that the user existed."""
    return timestamp(datetime.fromisoformat(user.observed_at) - LISTED_AFTER_DELETION)


def _expiry(days: int) -> int:
    # As DynamoDB's time to live takes it: seconds since 1970.
    return int(time.time()) + days * 24 * 3600


def _answering() -> AbstractContextManager[None]:
    """Raises TableUnavailableError or TableRejectedError, but for a condition that does not hold."""
    return translated_errors(
        _TRANSIENT, TableUnavailableError, TableRejectedError, but={"ConditionalCheckFailedException"}
    )
