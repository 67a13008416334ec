"""Reads and writes the user table.

Every write is one conditional UpdateItem of the attributes that this module manages. It does not change attributes of
an application. The condition makes writes idempotent, and independent of their order:

* An item of another pool is not changed.
* Newer wins: by Cognito's UserLastModifiedDate, and for equal dates by the time of the read.
* Stale answers never resurrect deleted users: an answer of Cognito from before the deletion, or from less than an hour
  after it, is not written.
* An item that has the same values is not written.
* Groups are ordered by the time of their read alone: a change of groups does not move the date.

Which attributes an update removes depends on the item. So the first attempt is for the item as it was read, or for one
with nothing to remove. If the condition fails, DynamoDB returns the item, and the next attempt is for that item.

docs/architecture.md, "The newer state wins, and deleted users stay deleted", has the reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from cognito_user_sync.aws_errors import translate_errors
from cognito_user_sync.item_layout import Item, ItemLayout, ItemValue, has, marshal
from cognito_user_sync.user import HEX_DIGITS, UNCONFIRMED, User, now, timestamp

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Error codes after which the same request may succeed.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
TRANSIENT = frozenset(
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

# The maximum of BatchGetItem.
READ_SIZE = 100

# The index of active users, by pool and first hex digit of the sub.
BY_SHARD = "by_shard"

# ListUsers is eventually consistent, and may show a deleted user for a while. A sub is never reused.
LISTED_AFTER_DELETION = timedelta(hours=1)
# A stale answer is read within LISTED_AFTER_DELETION, and written within 15 minutes, the longest time that a Lambda
# function runs. DynamoDB deletes expired items within a few days.
TOMBSTONE_DAYS = 1

# Fields of an active user's item that are not from Cognito, and that a tombstone does not have.
_BOOKKEEPING_OF_ACTIVE_USERS = ("observed_at", "synced_at", "shard")
# Not a status of Cognito.
DELETED_STATUS = "DELETED"
# Attempts to write an item that other writers change at the same time.
_ATTEMPTS = 3


class TableUnavailableError(Exception):
    """DynamoDB is throttling, failing or not responding. A retry may succeed, and is safe: writes are idempotent."""


class TableRejectedError(Exception):
    """DynamoDB rejects the request, and would reject a retry: the table is missing, or the item is too large."""


class Outcome(StrEnum):
    """Result of a write or a deletion."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """The item already has these values, or the user is already marked as deleted."""
    STALE = "stale"
    """Not written: the item has a newer answer of Cognito than this one."""
    STILL_IN_POOL = "still_in_pool"
    """Not deleted: Cognito does not say that the user was deleted."""
    DELETED = "deleted"
    """Of a write: not written, because the user was deleted later, or shortly before. Of a deletion: done."""
    KEPT = "kept"
    """The user was deleted. The item is left unchanged (deleted_users.action = keep)."""
    UNCONFIRMED = "unconfirmed"
    """Not written: the user has not confirmed the sign-up."""
    NOT_OURS = "not_ours"
    """Neither the pool nor the table has this user."""
    OTHER_POOL = "other_pool"
    """Not written: the item belongs to a user of another pool."""


class DeletedUsers(StrEnum):
    """How to handle the item of a user deleted from the pool."""

    MARK = "mark"
    """Set `deleted_at`, the status DELETED and `enabled` false, and remove the keys of the module's indexes."""
    DELETE = "delete"
    """Remove all that this module wrote, except a tombstone: `deleted_at` and `user_pool_id`. Attributes of an
    application stay."""
    DELETE_ITEM = "delete_item"
    """Replace the whole item with a tombstone that expires."""
    KEEP = "keep"


@dataclass(frozen=True)
class DeletionPolicy:
    """How to handle deleted users. A marked item expires `retention_days` after the deletion; None is never."""

    action: DeletedUsers = DeletedUsers.MARK
    retention_days: int | None = None


@dataclass(frozen=True)
class UserTable:
    """The table `name`, whose items have this layout. `is_own` is whether this module creates the table."""

    client: DynamoDBClient
    name: str
    layout: ItemLayout
    deletion: DeletionPolicy = field(default_factory=DeletionPolicy)
    is_own: bool = False

    def write(self, user: User, item: Item = MappingProxyType({})) -> Outcome:
        """Write this answer of Cognito to the user's item, unless the item has the same values or is newer.

        Args:
            user: The answer of Cognito.
            item: The item as `read` returned it. Without it, and if it has changed since, the write may need one more
                request.

        Raises TableUnavailableError or TableRejectedError.
        """

        def update(found: Item) -> Outcome:
            # Only the groups may be newer than those in the item.
            if user.groups is not None and self._has_newer_attributes(found, user):
                request = self._groups_update(user.sub, user.groups, user.groups_observed_at, found)
            else:
                request = self._update(user, found)
            response = self.client.update_item(**request)
            return Outcome.UPDATED if response.get("Attributes") else Outcome.CREATED

        def skip(found: Item) -> Outcome | None:
            outcome = self.outcome(user, found)
            return None if outcome in (Outcome.CREATED, Outcome.UPDATED) else outcome

        return skip(item) or self._attempt(item, update, skip)

    def write_groups(self, sub: str, groups: frozenset[str], observed_at: str, item: Item) -> Outcome:
        """Write the groups of a user, as read at `observed_at`, to the item of an active user.

        Returns:
            UPDATED, UNCHANGED, STALE if the item has a later read of the groups, DELETED, or NOT_OURS.

        Raises TableUnavailableError or TableRejectedError.
        """
        layout = self.layout

        def update(found: Item) -> Outcome:
            self.client.update_item(**self._groups_update(sub, groups, observed_at, found))
            return Outcome.UPDATED

        def skip(found: Item) -> Outcome | None:
            if not layout.is_ours(found):
                return Outcome.NOT_OURS
            if layout.name("deleted_at") in found:
                return Outcome.DELETED
            if not layout.are_groups_newer(observed_at, found):
                return Outcome.STALE
            return Outcome.UNCHANGED if layout.groups(found) == groups else None

        return skip(item) or self._attempt(item, update, skip)

    def replace_groups(self, sub: str, groups: frozenset[str], item: Item) -> Outcome:
        """Write groups of which only some were read, if the item's groups are still those of `item`.

        The time of the last read of all groups stays: a read since then may have other groups.

        Returns UPDATED, or STALE if the item has changed. Raises TableUnavailableError or TableRejectedError.
        """
        try:
            with _translate_errors():
                self.client.update_item(**self._groups_update(sub, groups, None, item))
        except self.client.exceptions.ConditionalCheckFailedException:
            return Outcome.STALE
        return Outcome.UPDATED

    def read(self, subs: Sequence[str], consistent: bool = False, fields: Sequence[str] = ()) -> dict[str, Item]:
        """Return the items of at most READ_SIZE users by sub, with the attributes that this module manages.

        Args:
            subs: The users.
            consistent: Reads are eventually consistent otherwise. A consistent read costs twice as much.
            fields: Read only the key and these fields.

        Raises TableUnavailableError or TableRejectedError.
        """
        attributes = (*self.layout.key(""), *map(self.layout.name, fields)) if fields else self.layout.names()
        names = {f"#n{index}": name for index, name in enumerate(attributes)}
        unique_subs = dict.fromkeys(subs)
        request: Any = {
            "Keys": [self.layout.key(sub) for sub in unique_subs],
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": consistent,
        }
        found: dict[str, Item] = {}
        while request:
            with _translate_errors():
                response = self.client.batch_get_item(RequestItems={self.name: request})
            for item in response["Responses"].get(self.name, []):
                sub = self.layout.sub_of(item)
                if sub in unique_subs:
                    found[sub] = item
            unprocessed = response.get("UnprocessedKeys", {}).get(self.name)
            if unprocessed and len(unprocessed["Keys"]) == len(request["Keys"]):
                raise TableUnavailableError("BatchGetItem processed none of the keys")
            request = unprocessed
        return found

    def active_subs(self, prefix: str, start: Item | None = None) -> tuple[list[str], Item | None]:
        """Return a page of the subs of this pool's active users, and the start of the next page, None after the last.

        Args:
            prefix: At least one digit. The subs begin with it, and are sorted.
            start: Start of the page.

        Raises TableUnavailableError or TableRejectedError.
        """
        arguments: dict[str, Any] = {"ExclusiveStartKey": start} if start else {}
        with _translate_errors():
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
        subs = [sub for item in response["Items"] if (sub := self.layout.sub_of(item))]
        return subs, response.get("LastEvaluatedKey")

    def all_active_subs(self, after: str, call: Callable[..., Any]) -> Iterator[list[str]]:
        """Yield the subs of this pool's active users in pages, sorted.

        Args:
            after: Only later subs are yielded. "" is before all.
            call: Calls a function with arguments, and repeats it if it fails.

        Raises the errors of `active_subs` and of `call`.
        """
        for digit in HEX_DIGITS:
            if digit < after[:1]:
                continue
            start: Item | None = self.layout.index_key(after) if digit == after[:1] else None
            while True:
                subs, start = call(self.active_subs, digit, start)
                yield subs
                if start is None:
                    break

    def outcome(self, user: User, item: Item) -> Outcome:
        """Return what `write` would return for an item as `read` returned it, or {}. Nothing is written."""
        if user.status == UNCONFIRMED:
            return Outcome.UNCONFIRMED
        layout = self.layout
        values = layout.to_item(user, item)
        if not layout.is_ours(item):
            if layout.name("user_pool_id") in item:
                return Outcome.OTHER_POOL
            # An application's attribute with a name of this module does not make the item newer.
            replaced = {*values, layout.name("synced_at"), layout.name("deleted_at")}
            return Outcome.CREATED if replaced.isdisjoint(item) else Outcome.UPDATED
        if layout.text(item, "deleted_at") > _existed_since(user):
            return Outcome.DELETED
        if self._has_newer_attributes(item, user):
            has_newer_groups = layout.text(item, "groups_observed_at") >= user.groups_observed_at
            writes_groups = user.groups is not None and layout.name("deleted_at") not in item and not has_newer_groups
            return Outcome.UPDATED if writes_groups else Outcome.STALE
        if layout.name("deleted_at") not in item and all(has(item, *each) for each in self._compared(values)):
            return Outcome.UNCHANGED
        return Outcome.UPDATED

    def delete(self, sub: str, checked_at: str, item: Item) -> Outcome:
        """Apply the deletion policy to the item of a user who did not exist at `checked_at`.

        Args:
            sub: The deleted user.
            checked_at: A `timestamp` from before the request to Cognito.
            item: The item as `read` returned it.

        Returns:
            DELETED, KEPT, UNCHANGED if the policy has been applied before, STALE if the item was observed after
            `checked_at`, or NOT_OURS if there is no item of this pool.

        Raises TableUnavailableError or TableRejectedError.
        """
        layout, action = self.layout, self.deletion.action
        if action is DeletedUsers.KEEP:
            return Outcome.KEPT

        def skip(found: Item) -> Outcome | None:
            if not layout.is_ours(found):
                return Outcome.NOT_OURS
            if layout.name("deleted_at") in found and self._is_policy_applied(found):
                return Outcome.UNCHANGED
            return Outcome.STALE if layout.text(found, "observed_at") > checked_at else None

        def delete(found: Item) -> Outcome:
            if action is DeletedUsers.DELETE_ITEM:
                self.client.put_item(**self._tombstone(sub, checked_at, found))
            else:
                self.client.update_item(**self._deletion(sub, checked_at, found))
            return Outcome.DELETED

        return skip(item) or self._attempt(item, delete, skip)

    def _has_newer_attributes(self, item: Item, user: User) -> bool:
        """Return whether an item of this pool has a newer answer of Cognito than this one."""
        layout = self.layout
        versions = layout.text(item, "cognito_modified_at"), layout.text(item, "observed_at")
        return layout.is_ours(item) and versions > (user.modified_at, user.observed_at)

    def _attempt(self, item: Item, act: Callable[[Item], Outcome], skip: Callable[[Item], Outcome | None]) -> Outcome:
        """Call `act` for `item`, and again for each newer state of it, unless `skip` returns an outcome for that."""
        for _ in range(_ATTEMPTS):
            try:
                with _translate_errors():
                    return act(item)
            except self.client.exceptions.ConditionalCheckFailedException as failed:
                found: Any = failed.response.get("Item", {})
            if outcome := skip(found):
                return outcome
            if found == item:
                raise TableRejectedError("an attribute of the item has another type than this module writes")
            item = found
        raise TableUnavailableError("other writers keep changing the item")

    def _update(self, user: User, found: Item) -> Any:
        """Return the arguments of UpdateItem for a user whose item is like `found`."""
        layout, expression = self.layout, _Expression(self.layout)
        values = layout.to_item(user, found)
        update = expression.update({**values, layout.name("synced_at"): now()}, layout.removed(found, values))
        if layout.is_ours(found):
            condition = self._can_be_updated(expression, user, values, found)
        else:
            # Another writer may have added the first answer of Cognito.
            added = self._can_be_updated(expression, user, values, {})
            condition = f"({expression.is_missing('user_pool_id')} OR ({added}))"
        return {
            "Key": layout.key(user.sub),
            "UpdateExpression": update,
            "ReturnValues": "UPDATED_OLD",
            **self._conditional(expression, condition),
        }

    def _can_be_updated(self, expression: _Expression, user: User, values: Mapping[str, ItemValue], found: Item) -> str:
        """Return the condition of an update: an item of this pool, not newer, still like `found`, and different."""
        synced = self.layout.synced(found)
        conditions = [expression.is_of_this_pool(), expression.is_not_newer_than(user)]
        if synced:
            conditions.append(expression.has_synced(synced))
        else:
            same = expression.compare("synced_attributes", "=", values[self.layout.name("synced_attributes")])
            conditions.append(f"({expression.is_missing('synced_attributes')} OR {same})")
        conditions.append(expression.is_as_in(found, "deleted_at"))
        if self.layout.name("groups_observed_at") in values:
            conditions.append(expression.has_no_later_groups_than(user.groups_observed_at))
        removes_nothing = self.layout.name("deleted_at") not in found and synced <= self.layout.listed(values)
        if removes_nothing:
            conditions.append(expression.differs(self._compared(values)))
        return " AND ".join(conditions)

    def _groups_update(self, sub: str, groups: frozenset[str], observed_at: str | None, found: Item) -> Any:
        """Return the arguments of UpdateItem for the groups of an active user whose item is like `found`.

        Without `observed_at`, the groups must still be those of `found`.
        """
        layout, name = self.layout, self.layout.name
        expression = _Expression(layout)
        synced = layout.synced(found)
        values = layout.groups_to_item(groups, observed_at or layout.text(found, "groups_observed_at"))
        if not values[name("groups_observed_at")]:
            del values[name("groups_observed_at")]
        listed = synced - {name("groups")} | values.keys()
        written: dict[str, ItemValue] = {**values, name("synced_attributes"): listed, name("synced_at"): now()}
        conditions = [
            expression.is_of_this_pool(),
            expression.is_missing("deleted_at"),
            expression.has_synced(synced),
            *(
                [expression.is_as_in(found, "groups"), expression.is_as_in(found, "groups_observed_at")]
                if observed_at is None
                else [expression.has_no_later_groups_than(observed_at)]
            ),
        ]
        return {
            "Key": layout.key(sub),
            "UpdateExpression": expression.update(written, sorted(synced & {name("groups")})),
            "ReturnValues": "UPDATED_OLD",
            **self._conditional(expression, " AND ".join(conditions)),
        }

    def _deletion(self, sub: str, checked_at: str, found: Item) -> Any:
        """Return the arguments of UpdateItem for a deleted user whose item is like `found`."""
        layout, name = self.layout, self.layout.name
        expression = _Expression(layout)
        written: dict[str, ItemValue] = {name("deleted_at"): checked_at}
        synced = layout.synced(found)
        if self.deletion.action is DeletedUsers.MARK:
            # Keys of an application's index stay.
            indexed = layout.index_keys & layout.extra_attributes.keys() if self.is_own else set()
            removed = sorted({name("shard"), *indexed})
            written[name("synced_at")] = now()
            # Attributes of these names that are not synced are the application's.
            marks: dict[str, ItemValue] = {name("status"): DELETED_STATUS, name("enabled"): False}
            written |= {each: value for each, value in marks.items() if each in synced}
            if self.deletion.retention_days is not None:
                written[layout.ttl_attribute] = _expiry(self.deletion.retention_days)
                # The next update removes the TTL attribute if this module set it, and not the application.
                written[name("synced_attributes")] = synced | {layout.ttl_attribute}
        else:
            bookkeeping = {name(each) for each in (*_BOOKKEEPING_OF_ACTIVE_USERS, "synced_attributes")}
            removed = sorted(synced | bookkeeping)
        # What is written and removed depends on the synced attributes.
        condition = f"{expression.can_be_deleted(checked_at, found)} AND {expression.has_synced(synced)}"
        return {
            "Key": layout.key(sub),
            "UpdateExpression": expression.update(written, removed),
            **self._conditional(expression, condition),
        }

    def _tombstone(self, sub: str, checked_at: str, found: Item) -> Any:
        """Return the arguments of PutItem that replaces the item of a deleted user, which is like `found`."""
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

    def _is_policy_applied(self, found: Item) -> bool:
        """Return whether a deleted user's item has nothing that the deletion policy removes."""
        layout, action = self.layout, self.deletion.action
        if action is DeletedUsers.MARK:
            return True
        synced = layout.synced(found)
        bookkeeping = {layout.name(each) for each in _BOOKKEEPING_OF_ACTIVE_USERS}
        is_tombstone = synced <= {layout.ttl_attribute} and bookkeeping.isdisjoint(found)
        # A tombstone of DELETE_ITEM must expire.
        return is_tombstone and (action is DeletedUsers.DELETE or layout.ttl_attribute in synced)

    def _conditional(self, expression: _Expression, condition: str) -> dict[str, Any]:
        """Return the arguments that all writes have."""
        return {
            "TableName": self.name,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": expression.names,
            "ExpressionAttributeValues": expression.values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _compared(self, item: Mapping[str, ItemValue]) -> Iterable[tuple[str, ItemValue]]:
        """Return the values of which one must differ for a write: all but the time of the read."""
        return [each for each in item.items() if each[0] != self.layout.name("observed_at")]


class _Expression:
    """The expressions of one write. Each name has an alias: many are reserved words or contain a colon."""

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
        """Return the condition that the field is as in `found`, also with a type that this module does not write."""
        name = self._layout.name(field)
        return f"{self.name(name)} = {self._marshalled(found[name])}" if name in found else self.is_missing(field)

    def has_synced(self, synced: frozenset[str]) -> str:
        """Return the condition that these are the item's synced attributes."""
        return self.compare("synced_attributes", "=", synced) if synced else self.is_missing("synced_attributes")

    def is_of_this_pool(self) -> str:
        return self.compare("user_pool_id", "=", self._layout.user_pool_id)

    def is_not_newer_than(self, user: User) -> str:
        """Return the condition that the item has no newer answer of Cognito than this one."""
        is_newer = self.compare("cognito_modified_at", "<", user.modified_at)
        is_same = self.compare("cognito_modified_at", "=", user.modified_at)
        is_read_later = self.compare("observed_at", "<=", user.observed_at)
        return f"({self.is_missing('cognito_modified_at')} OR {is_newer} OR ({is_same} AND {is_read_later}))"

    def has_no_later_groups_than(self, observed_at: str) -> str:
        """Return the condition that the item has no later read of the groups."""
        is_earlier = self.compare("groups_observed_at", "<=", observed_at)
        return f"({self.is_missing('groups_observed_at')} OR {is_earlier})"

    def differs(self, values: Iterable[tuple[str, ItemValue]]) -> str:
        """Return the condition that the item has another value for one of these attributes."""
        return f"({' OR '.join(f'{self.name(name)} <> {self.value(value)}' for name, value in values)})"

    def can_be_deleted(self, checked_at: str, found: Item) -> str:
        """Return the condition that the item is of this pool, not observed later, and not deleted by another writer."""
        not_observed = f"{self.is_missing('observed_at')} OR {self.compare('observed_at', '<=', checked_at)}"
        return f"{self.is_of_this_pool()} AND {self.is_as_in(found, 'deleted_at')} AND ({not_observed})"

    def update(self, written: Mapping[str, ItemValue], removed: Iterable[str]) -> str:
        """Return an expression that sets and removes attributes. Those that it sets are not removed."""
        assigned = [f"{self.name(each)} = {self.value(value)}" for each, value in written.items()]
        removals = [self.name(each) for each in removed if each not in written]
        return f"SET {', '.join(assigned)}{' REMOVE ' if removals else ''}{', '.join(removals)}"


def _existed_since(user: User) -> str:
    """Return the latest moment at which this answer of Cognito proves that the user existed."""
    return timestamp(datetime.fromisoformat(user.observed_at) - LISTED_AFTER_DELETION)


def _expiry(days: int) -> int:
    # The format of DynamoDB's time to live: seconds since 1970.
    return int(time.time()) + days * 24 * 3600


def _translate_errors() -> AbstractContextManager[None]:
    """Translate errors into TableUnavailableError, AccessDeniedError and TableRejectedError."""
    return translate_errors(
        TRANSIENT, TableUnavailableError, TableRejectedError, passed_through={"ConditionalCheckFailedException"}
    )
