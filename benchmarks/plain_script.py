"""The usual scripts, which the module is compared with: one ListUsers loop, one write after another.

They have no rate limit, write unchanged users again, and do not detect deleted users. A put replaces the whole item,
with the application's own attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def put_each(cognito: Any, dynamodb: Any, pool_id: str, table: str) -> None:
    for found in _users(cognito, pool_id):
        dynamodb.put_item(TableName=table, Item=_item(found))


def put_batches(cognito: Any, dynamodb: Any, pool_id: str, table: str) -> None:
    """Write 25 items with each call."""
    requests: list[dict[str, Any]] = []
    for found in _users(cognito, pool_id):
        requests.append({"PutRequest": {"Item": _item(found)}})
        if len(requests) == 25:
            dynamodb.batch_write_item(RequestItems={table: requests})
            requests = []
    if requests:
        dynamodb.batch_write_item(RequestItems={table: requests})


def _users(cognito: Any, pool_id: str) -> Iterator[dict[str, Any]]:
    arguments = {"UserPoolId": pool_id, "Limit": 60}
    while True:
        page = cognito.list_users(**arguments)
        yield from page["Users"]
        if "PaginationToken" not in page:
            return
        arguments["PaginationToken"] = page["PaginationToken"]


def _item(found: dict[str, Any]) -> dict[str, Any]:
    attributes = {attribute["Name"]: attribute["Value"] for attribute in found["Attributes"]}
    return {
        "id": {"S": attributes["sub"]},
        "username": {"S": found["Username"]},
        "name": {"S": attributes.get("name", "")},
        "email": {"S": attributes.get("email", "")},
        "phone_number": {"S": attributes.get("phone_number", "")},
        "status": {"S": found["UserStatus"]},
        "enabled": {"BOOL": found["Enabled"]},
        "created_at": {"S": found["UserCreateDate"].isoformat()},
        "modified_at": {"S": found["UserLastModifiedDate"].isoformat()},
    }
