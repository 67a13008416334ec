"""All writes and reads of the user table.

Every write is one conditional UpdateItem that names only the attributes that this module owns: whatever else an
application keeps in the item stays. The condition makes repeats, replays and reorderings end in the same item:

* newer wins: an item whose Cognito state was seen later, or is of a later version, is left as it is;
* deleted stays deleted: an observation made before the deletion revives nobody;
* what would change nothing is not written.

A deletion is such a write, too: it marks the item, or leaves a tombstone, since only what remembers a deletion can
tell a late sign-up from a new one.

docs/architecture.md, "Newer wins, deleted stays deleted", has the reasoning.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from cognito_user_sync.aws_errors import sorted_out
from cognito_user_sync.user import SUB, ItemValue, User, now, to_item

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

# A sign-up may be replayed for 14 days from the queue, 14 more after `failures requeue`, and 14 by redriving its
# execution: a deletion is remembered for longer.
TOMBSTONE_DAYS = 45

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
    """The item is of a newer state than this observation."""
    DELETED = "deleted"
    """The user was found deleted at or after this observation; or, of a deletion, is deleted by it."""
    KEPT = "kept"
    """The user is gone, and the item stays as it is, because it is to."""
    UNCONFIRMED = "unconfirmed"
    """The user has never confirmed the sign-up, and is not written."""


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
        """Bring the user's item to this observation, unless it is there or further already.

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
        """Whether a write of this dated observation would change `item`, as `read` found it."""
        if item is None:
            return True
        wanted = to_item(user, self.attributes, self.index_keys)
        return any(item.get(name) != _marshal(wanted[name]) for name in self._compared(user, wanted)) or any(
            name in item for name in self._removed(wanted)
        )

    def would_write(self, user: User, item: Item | None) -> Outcome:
        """What `write` of this dated observation would return, if `item` is as `read` found it. Nothing is written."""
        if item is None or item.keys() == {"id"}:
            return Outcome.CREATED
        refused = self._why_not_written(user, item)
        return Outcome.UPDATED if refused is Outcome.UNCHANGED and self.differs(user, item) else refused

    def delete(self, sub: str, gone_at: str) -> Outcome:
        """Make the item that of a user who was gone at `gone_at`, a `timestamp`.

        A user without an item gets a tombstone: the sign-up may be on its way. Returns DELETED; UNCHANGED where the
        deletion was known; STALE where the item shows the user later than that; KEPT. Raises TableUnavailable or
        TableRefused.
        """
        if self.deletion.action is DeletedUsers.KEEP:
            return Outcome.KEPT
        deletion, tombstone = self._deletion(sub, gone_at), self._tombstone(sub, gone_at)
        # Once more where the item came in between.
        for update in (deletion, tombstone, deletion):
            try:
                with _answering():
                    self.client.update_item(**update)
            except self.client.exceptions.ConditionalCheckFailedException as refused:
                found: Any = refused.response.get("Item", {})
                if "deleted_at" in found:
                    return Outcome.UNCHANGED
                if found.get("observed_at", {}).get("S", "") > gone_at:
                    return Outcome.STALE
            else:
                return Outcome.DELETED
        raise TableUnavailable("the item came and went meanwhile")

    @staticmethod
    def _compared(user: User, item: Mapping[str, ItemValue]) -> list[str]:
        """What has to differ for a write to be one. A dated observation that differs in nothing but the moment of
        looking is no change; an undated one has only that moment to be ordered by, so its moment is kept."""
        return [name for name in item if not (user.modified_at and name == "observed_at")]

    def _removed(self, item: Mapping[str, ItemValue]) -> list[str]:
        """What a living user's item may not have: a value that its index cannot hold any more, and a deletion."""
        return [*(name for name in self.attributes if name not in item), "deleted_at"]

    def _update(self, user: User) -> Any:
        """The arguments of UpdateItem. Names go in as #aliases: many are reserved words or hold a colon."""
        item = to_item(user, self.attributes, self.index_keys)
        removed = self._removed(item)

        aliases: dict[str, str] = {}
        values: dict[str, Any] = {}

        def alias(name: str) -> str:
            return aliases.setdefault(name, f"#n{len(aliases)}")

        def value(content: ItemValue) -> str:
            key = f":v{len(values)}"
            values[key] = _marshal(content)
            return key

        placeholders = {name: value(content) for name, content in item.items()}
        observed_at = placeholders["observed_at"]
        version = value(user.version)
        assignments = [f"{alias(name)} = {placeholder}" for name, placeholder in placeholders.items()]
        assignments.append(f"{alias('synced_at')} = {value(now())}")
        if user.enabled is None:
            # Not said by this observation: true for a new item (who confirms is enabled), kept for an old one.
            assignments.append(f"{alias('enabled')} = if_not_exists({alias('enabled')}, {value(True)})")

        differs = [f"{alias(name)} <> {placeholders[name]}" for name in self._compared(user, item)]
        differs += [f"attribute_exists({alias(name)})" for name in removed]
        condition = (
            f"(attribute_not_exists({alias('deleted_at')}) OR {alias('deleted_at')} < {observed_at})"
            f" AND (attribute_not_exists({alias('observed_at')}) OR {alias('observed_at')} <= {observed_at})"
            f" AND (attribute_not_exists({alias('cognito_modified_at')})"
            f" OR {alias('cognito_modified_at')} <= {version})"
            f" AND ({' OR '.join(differs)})"
        )
        return {
            "TableName": self.name,
            "Key": {"id": {"S": user.sub}},
            "UpdateExpression": f"SET {', '.join(assignments)} REMOVE "
            + ", ".join(alias(name) for name in [*removed, "expires_at"]),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {alias: name for name, alias in aliases.items()},
            "ExpressionAttributeValues": values,
            "ReturnValues": "UPDATED_OLD",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _deletion(self, sub: str, gone_at: str) -> Any:
        """The arguments of UpdateItem for a user who has an item."""
        if self.deletion.action is DeletedUsers.MARK:
            assigned, removed = {"deleted_at": {"S": gone_at}, "synced_at": {"S": now()}}, ["shard"]
        else:
            assigned = {"deleted_at": {"S": gone_at}}
            removed = [name for name in (*self.attributes, *_OWN) if name not in ("deleted_at", "expires_at")]
        if self.deletion.action is DeletedUsers.DELETE or self.deletion.retention_days is not None:
            assigned["expires_at"] = self._expires_at()
        condition = (
            "attribute_exists(id) AND attribute_not_exists(deleted_at)"
            " AND (attribute_not_exists(observed_at) OR observed_at <= :deleted_at)"
        )
        return self._deletion_update(sub, assigned, removed, condition)

    def _tombstone(self, sub: str, gone_at: str) -> Any:
        """The arguments of UpdateItem for a user who has none."""
        assigned = {"deleted_at": {"S": gone_at}, "expires_at": self._expires_at()}
        return self._deletion_update(sub, assigned, [], "attribute_not_exists(id)")

    def _expires_at(self) -> dict[str, str]:
        """As DynamoDB's time to live takes it: a number, seconds since 1970."""
        days = self.deletion.retention_days or TOMBSTONE_DAYS
        return {"N": str(int(time.time()) + days * 24 * 3600)}

    def _deletion_update(self, sub: str, assigned: Mapping[str, Any], removed: Sequence[str], condition: str) -> Any:
        names = {f"#r{index}": name for index, name in enumerate(removed)}
        update = f"SET {', '.join(f'{name} = :{name}' for name in assigned)}"
        return {
            "TableName": self.name,
            "Key": {"id": {"S": sub}},
            "UpdateExpression": f"{update} REMOVE {', '.join(names)}" if names else update,
            "ConditionExpression": condition,
            **({"ExpressionAttributeNames": names} if names else {}),
            "ExpressionAttributeValues": {f":{name}": value for name, value in assigned.items()},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    @staticmethod
    def _why_not_written(user: User, item: Mapping[str, Any]) -> Outcome:
        def text(name: str) -> str:
            return str(item.get(name, {}).get("S", ""))

        if text("deleted_at") >= user.observed_at:
            return Outcome.DELETED
        if text("observed_at") > user.observed_at or text("cognito_modified_at") > user.version:
            return Outcome.STALE
        return Outcome.UNCHANGED


def _marshal(value: ItemValue) -> dict[str, str | bool]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value}


def _answering() -> AbstractContextManager[None]:
    """Raises TableUnavailable or TableRefused, but for a condition that does not hold."""
    return sorted_out(_TRANSIENT, TableUnavailable, TableRefused, but={"ConditionalCheckFailedException"})
