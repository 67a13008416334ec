"""A DynamoDB client over moto, which evaluates conditions, with the table of modules/user_table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError

from cognito_user_sync.item_layout import ItemLayout, marshal
from cognito_user_sync.user import timestamp
from cognito_user_sync.user_table import DeletionPolicy, UserTable
from tests.fakes.answers import Response, result
from tests.fakes.calls import Calls
from tests.fakes.cognito_pool import LONG_AGO, CognitoUser
from tests.samples import POOL_ID, TABLE, table_definition

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

Json: TypeAlias = dict[str, Any]

READ, WRITE, QUERY = "BatchGetItem", "UpdateItem", "Query"
ATTRIBUTES = ("name", "email")
LAYOUT = ItemLayout(POOL_ID, ATTRIBUTES)
WITH_GROUPS = replace(LAYOUT, sync_groups=True)


def plain(value: Any) -> Any:
    """Return the value of an attribute without its type; a set is sorted."""
    content = next(iter(value.values()))
    return sorted(content) if "SS" in value else content


def plain_item(user: CognitoUser) -> Json:
    """Return the attributes of a user's up-to-date item, without the key."""
    return {name: plain(marshal(value)) for name, value in LAYOUT.to_item(user.seen()).items()}


class SimulatedTable:
    """The methods of a client that UserTable calls. Every call can fail."""

    def __init__(self, calls: Calls, client: DynamoDBClient, name: str = TABLE) -> None:
        self.calls = calls
        self.client = client
        self.name = name
        self.exceptions = client.exceptions
        self.query_size: int | None = None
        """Maximum items per response of Query and Scan, as if more were over a megabyte."""
        self.keys_per_read: int | None = None
        """How many keys of its request a BatchGetItem processes."""
        client.create_table(**table_definition(name))

    def update_item(self, **arguments: Any) -> Any:
        return self._make(WRITE, lambda: self.client.update_item(**arguments))

    def batch_get_item(self, *, RequestItems: Json) -> Any:  # noqa: N803
        [(name, asked)] = RequestItems.items()
        keys = asked["Keys"]
        limit = self.keys_per_read or len(keys)
        request: Any = {name: {**asked, "Keys": keys[:limit]}}
        answer: Json = dict(self._make(READ, lambda: self.client.batch_get_item(RequestItems=request)))
        rest = keys[limit:]
        return {**answer, "UnprocessedKeys": {name: {**asked, "Keys": rest}} if rest else {}}

    def query(self, **arguments: Any) -> Any:
        limit: Json = {"Limit": self.query_size} if self.query_size else {}
        return self._make(QUERY, lambda: self.client.query(**arguments, **limit))

    def scan(self, **arguments: Any) -> Any:
        limit: Json = {"Limit": self.query_size} if self.query_size else {}
        return self._make("Scan", lambda: self.client.scan(**arguments, **limit))

    def _make(self, operation: str, call: Callable[[], object]) -> Any:
        made = self.calls.make(operation, call)
        return result(made, operation) if isinstance(made, Response | BotoCoreError) else made

    def put(self, *users: CognitoUser) -> None:
        """Put the items of these users as a reconciliation of LONG_AGO wrote them."""
        requests: list[Any] = []
        for user in users:
            item: Json = {"id": user.sub, "synced_at": timestamp(LONG_AGO), **LAYOUT.to_item(user.seen())}
            marshalled = {name: marshal(value) for name, value in item.items()}
            requests.append({"PutRequest": {"Item": marshalled}})
        for start in range(0, len(requests), 25):
            self.client.batch_write_item(RequestItems={self.name: requests[start : start + 25]})

    def items(self) -> dict[str, Json]:
        """Return all items by sub."""
        found: list[Any] = []
        for page in self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True):
            found += page["Items"]
        items = [{name: plain(value) for name, value in item.items()} for item in found]
        return {item["id"]: item for item in items}

    def active(self) -> set[str]:
        """Return the subs of the users that are not marked as deleted."""
        return {sub for sub, item in self.items().items() if "deleted_at" not in item}

    def put_with_groups(self, user: CognitoUser) -> None:
        """Write the item of this user as sync_change did at LONG_AGO."""
        UserTable(self.client, self.name, WITH_GROUPS).write(user.seen(with_groups=True))

    def users(self, deletion: DeletionPolicy | None = None, sync_groups: bool = False) -> UserTable:
        client: Any = self
        return UserTable(client, self.name, WITH_GROUPS if sync_groups else LAYOUT, deletion or DeletionPolicy())
