"""All writes and reads of the user table.

Every write is one conditional UpdateItem that names only the attributes that this module owns: attributes of an
application stay. The condition makes repeated and reordered writes end in the same item:

* newer wins: by Cognito's date of the last change, and for equal dates by the time of the read;
* deleted stays deleted: an answer of Cognito from before the deletion, or from less than an hour after it, is not
  written;
* an item that says the same already is not written.

A deletion is such a write, too: it marks the item, or leaves a tombstone, which remembers the deletion.

docs/architecture.md, "Newer wins, deleted stays deleted", has the reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from cognito_user_sync.aws_errors import sorted_out
from cognito_user_sync.user import SUB, ItemValue, User, now, timestamp, to_item

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

# The index that holds the ids of living users, by the first hex digit.
BY_SHARD = "by_shard"

# ListUsers is eventually consistent, and may show a deleted user for a while. No later sign-up has the same sub.
LISTED_AFTER_DELETION = timedelta(hours=1)
# What may not be written to a deleted user's item is read within LISTED_AFTER_DELETION, and written within 15 minutes,
# the longest that a Lambda function runs. DynamoDB deletes expired items within a few days.
TOMBSTONE_DAYS = 1

# What this module owns in an item beside the synced attributes and the key.
_OWN = (
    "username",
    "status",
    "enabled",
    "cognito_created_at",
    "cognito_modified_at",
    "observed_at",
    "synced_at",
    "shard",
    "deleted_at",
    "expires_at",
)

Item: TypeAlias = Mapping[str, Any]
"""An item as boto3's client gives it: {"id": {"S": "..."}, "enabled": {"BOOL": True}}."""


class TableUnavailable(Exception):
    """DynamoDB did not answer now, but may later: worth a retry, and safe, since writes are idempotent."""


class TableRefused(Exception):
    """DynamoDB refuses this call, and will again: permissions, a missing table, an item that is too large."""


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


class DeletedUsers(StrEnum):
    """What becomes of the item of a user who is gone."""

    MARK = "mark"
    """It gets `deleted_at`, and keeps all else."""
    DELETE = "delete"
    """It loses what came from Cognito; a tombstone of id, `deleted_at` and `expires_at` stays for a while."""
    KEEP = "keep"


@dataclass(frozen=True)
class DeletionPolicy:
    """`retention_days` after the deletion the whole item expires; None is never, or TOMBSTONE_DAYS of a tombstone."""

    action: DeletedUsers = DeletedUsers.MARK
    retention_days: int | None = None


@dataclass(frozen=True)
class UserTable:
    """The table `name`, whose items carry `attributes` of Cognito; `index_keys` are the keys of its indexes."""

    client: DynamoDBClient
    name: str
    attributes: tuple[str, ...]
    index_keys: Set[str]
    deletion: DeletionPolicy = field(default_factory=DeletionPolicy)

    def write(self, user: User) -> Outcome:
        """Write this answer of Cognito to the user's item, unless the item says the same or is newer.

        Raises TableUnavailable or TableRefused.
        """
        try:
            with _answering():
                response = self.client.update_item(**self._update(user))
        except self.client.exceptions.ConditionalCheckFailedException as refused:
            found: Any = refused.response.get("Item", {})
            return self._why_not_written(user, found)
        return Outcome.UPDATED if response.get("Attributes") else Outcome.CREATED

    def read(self, subs: Sequence[str], consistent: bool = False) -> dict[str, Item]:
        """The items of at most READ_SIZE users, by sub, with what this module owns of them. Unless `consistent`, which
        costs twice as much, one that was written a moment ago may show as it was before.
        Raises TableUnavailable or TableRefused."""
        names = {f"#n{index}": name for index, name in enumerate(dict.fromkeys(("id", *self.attributes, *_OWN)))}
        wanted = dict.fromkeys(subs)
        asked: Any = {
            "Keys": [{"id": {"S": sub}} for sub in wanted],
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": consistent,
        }
        found: dict[str, Item] = {}
        while asked:
            with _answering():
                response = self.client.batch_get_item(RequestItems={self.name: asked})
            items = response["Responses"].get(self.name, [])
            found |= {item["id"]["S"]: item for item in items if item["id"]["S"] in wanted}
            left = response.get("UnprocessedKeys", {}).get(self.name)
            if left and len(left["Keys"]) == len(asked["Keys"]):
                raise TableUnavailable("no key of a BatchGetItem was processed")
            asked = left
        return found

    def living_subs(self, prefix: str, start: Item | None = None) -> tuple[list[str], Item | None]:
        """A page of the subs of users who are not deleted and whose sub begins with `prefix`, at least one digit, in
        order; and where the next page starts, None after the last. What an application put into the table under an
        id that is no sub is left out. Raises TableUnavailable or TableRefused."""
        arguments: dict[str, Any] = {"ExclusiveStartKey": start} if start else {}
        with _answering():
            response = self.client.query(
                TableName=self.name,
                IndexName=BY_SHARD,
                KeyConditionExpression="#shard = :shard AND begins_with(#id, :prefix)",
                ProjectionExpression="#id",
                ExpressionAttributeNames={"#shard": "shard", "#id": "id"},
                ExpressionAttributeValues={":shard": {"S": prefix[0]}, ":prefix": {"S": prefix}},
                **arguments,
            )
        ids = [item["id"]["S"] for item in response["Items"]]
        return [id_ for id_ in ids if SUB.fullmatch(id_)], response.get("LastEvaluatedKey")

    def differs(self, user: User, item: Item | None) -> bool:
        """Whether a write of this user would change `item`, as `read` found it."""
        if item is None:
            return True
        wanted = to_item(user, self.attributes, self.index_keys)
        return any(item.get(name) != _marshal(wanted[name]) for name in _compared(wanted)) or any(
            name in item for name in self._removed(wanted)
        )

    def would_write(self, user: User, item: Item | None) -> Outcome:
        """What `write` of this user would return, if `item` is as `read` found it. Nothing is written."""
        if item is None or item.keys() == {"id"}:
            return Outcome.CREATED
        refused = self._why_not_written(user, item)
        return Outcome.UPDATED if refused is Outcome.UNCHANGED and self.differs(user, item) else refused

    def delete(self, sub: str, gone_at: str) -> Outcome:
        """Make an item that of a user who did not exist at `gone_at`, a `timestamp`.

        Returns DELETED; UNCHANGED if the deletion was known, or there is no item; STALE if the item shows the user
        later than that; KEPT. Raises TableUnavailable or TableRefused.
        """
        if self.deletion.action is DeletedUsers.KEEP:
            return Outcome.KEPT
        try:
            with _answering():
                self.client.update_item(**self._deletion(sub, gone_at))
        except self.client.exceptions.ConditionalCheckFailedException as refused:
            found: Any = refused.response.get("Item", {})
            is_newer = "deleted_at" not in found and found.get("observed_at", {}).get("S", "") > gone_at
            return Outcome.STALE if is_newer else Outcome.UNCHANGED
        return Outcome.DELETED

    def _removed(self, item: Mapping[str, ItemValue]) -> list[str]:
        """What a living user's item may not have: a value that its index cannot hold any more, and a deletion."""
        return [*(name for name in self.attributes if name not in item), "deleted_at"]

    def _update(self, user: User) -> Any:
        """The arguments of UpdateItem. Names go in as #aliases: many are reserved words or hold a colon."""
        item = to_item(user, self.attributes, self.index_keys)
        removed = self._removed(item)
        written = {**item, "synced_at": now()}
        alias = {name: f"#n{index}" for index, name in enumerate([*written, *removed, "expires_at"])}
        value = {name: f":v{index}" for index, name in enumerate(written)}

        differs = [f"{alias[name]} <> {value[name]}" for name in _compared(item)]
        differs += [f"attribute_exists({alias[name]})" for name in removed]
        condition = (
            f"(attribute_not_exists({alias['deleted_at']}) OR {alias['deleted_at']} <= :existed_since)"
            f" AND (attribute_not_exists({alias['cognito_modified_at']})"
            f" OR {alias['cognito_modified_at']} < {value['cognito_modified_at']}"
            f" OR ({alias['cognito_modified_at']} = {value['cognito_modified_at']}"
            f" AND {alias['observed_at']} <= {value['observed_at']}))"
            f" AND ({' OR '.join(differs)})"
        )
        return {
            "TableName": self.name,
            "Key": {"id": {"S": user.sub}},
            "UpdateExpression": f"SET {', '.join(f'{alias[name]} = {value[name]}' for name in written)}"
            f" REMOVE {', '.join(alias[name] for name in [*removed, 'expires_at'])}",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {alias[name]: name for name in alias},
            "ExpressionAttributeValues": {
                ":existed_since": {"S": _existed_since(user)},
                **{value[name]: _marshal(content) for name, content in written.items()},
            },
            "ReturnValues": "UPDATED_OLD",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _deletion(self, sub: str, gone_at: str) -> Any:
        """The arguments of UpdateItem for a user who has an item."""
        values: dict[str, Any] = {":deleted_at": {"S": gone_at}}
        if self.deletion.action is DeletedUsers.MARK:
            values[":synced_at"] = {"S": now()}
            removed = ["shard"]
        else:
            removed = [name for name in (*self.attributes, *_OWN) if name not in ("deleted_at", "expires_at")]
        if self.deletion.action is DeletedUsers.DELETE or self.deletion.retention_days is not None:
            days = self.deletion.retention_days or TOMBSTONE_DAYS
            # As DynamoDB's time to live takes it: a number, seconds since 1970.
            values[":expires_at"] = {"N": str(int(time.time()) + days * 24 * 3600)}
        names = {f"#r{index}": name for index, name in enumerate(removed)}
        return {
            "TableName": self.name,
            "Key": {"id": {"S": sub}},
            "UpdateExpression": f"SET {', '.join(f'{name[1:]} = {name}' for name in values)} REMOVE {', '.join(names)}",
            "ConditionExpression": "attribute_exists(id) AND attribute_not_exists(deleted_at)"
            " AND (attribute_not_exists(observed_at) OR observed_at <= :deleted_at)",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    @staticmethod
    def _why_not_written(user: User, item: Mapping[str, Any]) -> Outcome:
        def text(name: str) -> str:
            return str(item.get(name, {}).get("S", ""))

        if text("deleted_at") > _existed_since(user):
            return Outcome.DELETED
        is_newer = (text("cognito_modified_at"), text("observed_at")) > (user.modified_at, user.observed_at)
        return Outcome.STALE if is_newer else Outcome.UNCHANGED


def _existed_since(user: User) -> str:
    """Return the earliest moment at which this answer proves that the user existed."""
    return timestamp(datetime.fromisoformat(user.observed_at) - LISTED_AFTER_DELETION)


def _compared(item: Mapping[str, ItemValue]) -> list[str]:
    """What has to differ for a write: not the time of the read alone."""
    return [name for name in item if name != "observed_at"]


def _marshal(value: ItemValue) -> dict[str, str | bool]:
    return {"BOOL": value} if isinstance(value, bool) else {"S": value}


def _answering() -> AbstractContextManager[None]:
    """Raises TableUnavailable or TableRefused, but for a condition that does not hold."""
    return sorted_out(_TRANSIENT, TableUnavailable, TableRefused, but={"ConditionalCheckFailedException"})
