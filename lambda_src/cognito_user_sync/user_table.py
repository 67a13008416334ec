"""All writes to the user table.

Every write is one conditional UpdateItem that names only the attributes that this module owns: whatever else an
application keeps in the item stays. The condition makes repeats, replays and reorderings end in the same item:

* newer wins: an item whose Cognito state was seen later, or is of a later version, is left as it is;
* deleted stays deleted: an observation made before the deletion revives nobody;
* what would change nothing is not written.

docs/architecture.md, "Newer wins, deleted stays deleted", has the reasoning.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from cognito_user_sync.user import ItemValue, User, now, to_item

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


class TableUnavailable(Exception):
    """DynamoDB did not take the write now, but may later: worth a retry, and safe, since writes are idempotent."""


class WriteRefused(Exception):
    """DynamoDB refuses this write, and will again: permissions, a missing table, an item that is too large."""


class Outcome(StrEnum):
    """What a write came to."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """The item already says the same."""
    STALE = "stale"
    """The item is of a newer state than this observation."""
    DELETED = "deleted"
    """The user was found deleted at or after this observation."""


@dataclass(frozen=True)
class UserTable:
    """The table `name`, whose items carry `attributes` of Cognito; `index_keys` are the keys of its indexes."""

    client: DynamoDBClient
    name: str
    attributes: tuple[str, ...]
    index_keys: Set[str]

    def write(self, user: User) -> Outcome:
        """Bring the user's item to this observation, unless it is there or further already.

        Raises TableUnavailable or WriteRefused.
        """
        item = to_item(user, self.attributes, self.index_keys)
        try:
            response = self.client.update_item(**self._update(user, item))
        except self.client.exceptions.ConditionalCheckFailedException as refused:
            found: Any = refused.response.get("Item", {})
            return self._why_not_written(user, found)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code in _TRANSIENT or status >= 500:
                raise TableUnavailable(code) from error
            raise WriteRefused(code) from error
        except (NoConnectionError, HTTPClientError) as error:
            raise TableUnavailable(type(error).__name__) from error
        return Outcome.UPDATED if response.get("Attributes") else Outcome.CREATED

    def _update(self, user: User, item: Mapping[str, ItemValue]) -> Any:
        """The arguments of UpdateItem. Names go in as #aliases: many are reserved words or hold a colon."""
        # A dated observation that differs in nothing but the moment of looking is no change. An undated one has
        # only that moment to be ordered by, so its moment is kept.
        dated = user.modified_at is not None
        compared = [name for name in item if not (dated and name == "observed_at")]
        # Left out above because an index could not hold them: a value from earlier must not stay.
        removed = [name for name in self.attributes if name not in item]

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

        differs = [f"{alias(name)} <> {placeholders[name]}" for name in compared]
        differs += [f"attribute_exists({alias(name)})" for name in [*removed, "deleted_at"]]
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
            + ", ".join(alias(name) for name in [*removed, "deleted_at", "expires_at"]),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {alias: name for name, alias in aliases.items()},
            "ExpressionAttributeValues": values,
            "ReturnValues": "UPDATED_OLD",
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
