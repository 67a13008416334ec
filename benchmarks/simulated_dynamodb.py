"""The part of DynamoDB that a reconciliation uses: one table with the index by_shard. Calls take virtual time.

Conditions and updates are evaluated as the code writes them.
"""

from __future__ import annotations

import marshal
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from benchmarks import expressions
from benchmarks.dynamodb_units import item_bytes, read_units, write_units
from tests.fakes.answers import error_response, result
from tests.fakes.subs import bounds, key_of, sub_of

Item: TypeAlias = dict[str, Any]

# Of a page of a query: 1 MB of `id` and `shard` with their names.
_INDEX_ITEM_BYTES = 44
_INDEX_PAGE_ITEMS = 1024 * 1024 // _INDEX_ITEM_BYTES
_KEY_CONDITION = re.compile(r"(#?\w+) = (:\w+) AND begins_with\((#?\w+), (:\w+)\)")


class ConditionalCheckFailedException(ClientError):
    pass


class Items:
    """Items by key, without the key. Each is kept as bytes, since there may be a million."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> Item | None:
        kept = self._kept.get(key)
        return None if kept is None else marshal.loads(kept)  # noqa: S302 - written by put

    def put(self, key: bytes, item: Item) -> None:
        self._kept[key] = marshal.dumps(item)


class Index:
    """The keys of each shard, sorted when they are read."""

    def __init__(self) -> None:
        self._keys: dict[str, set[bytes]] = {}
        self._sorted: dict[str, list[bytes]] = {}

    def move(self, key: bytes, before: str | None, after: str | None) -> int:
        """Move a key between shards. Returns the write units of it."""
        if before == after:
            return 0
        for shard in filter(None, (before, after)):
            self._sorted.pop(shard, None)
        if before is not None:
            self._keys[before].remove(key)
        if after is not None:
            self._keys.setdefault(after, set()).add(key)
        return (before is not None) + (after is not None)

    def page(self, shard: str, prefix: str, after: bytes | None) -> tuple[list[bytes], bool]:
        """Return the next keys of a shard, and whether there may be more."""
        keys = self._sorted.get(shard)
        if keys is None:
            keys = self._sorted[shard] = sorted(self._keys.get(shard, ()))
        lowest, highest = bounds(prefix)
        start = bisect_right(keys, after) if after else bisect_left(keys, lowest)
        stop = bisect_right(keys, highest)
        return keys[start : min(stop, start + _INDEX_PAGE_ITEMS)], stop > start + _INDEX_PAGE_ITEMS


class SimulatedDynamoDB:
    """The methods of boto3's client that the code under test calls. Units are those of on-demand capacity.

    Args:
        calls: Counts each call.
        delay: Advances the time by that of a call.
    """

    exceptions = SimpleNamespace(ConditionalCheckFailedException=ConditionalCheckFailedException)

    def __init__(self, calls: Counter[str], delay: Callable[[], object]) -> None:
        self.items = Items()
        self.write_units = 0.0
        self.read_units = 0.0
        self._index = Index()
        self._calls = calls
        self._delay = delay

    def update_item(
        self,
        *,
        Key: Mapping[str, Any],  # noqa: N803
        UpdateExpression: str,  # noqa: N803
        ConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: Mapping[str, Any],  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str] | None = None,  # noqa: N803
        **given: Any,
    ) -> dict[str, Any]:
        self._charge("UpdateItem")
        names, values = ExpressionAttributeNames or {}, ExpressionAttributeValues
        sub = Key["id"]["S"]
        key = key_of(sub)
        found = self.items.get(key)
        before = found or {}
        self._check(sub, ConditionExpression, names, values)
        after = dict(before)
        assignments, removed = expressions.update(UpdateExpression)
        for alias, placeholder in assignments:
            after[names.get(alias, alias)] = values[placeholder]
        for alias in removed:
            after.pop(names.get(alias, alias), None)
        self._put(key, before, after)
        if given.get("ReturnValues") == "UPDATED_OLD":
            touched = {names.get(alias, alias) for alias, _ in assignments} & before.keys()
            return {"Attributes": {name: before[name] for name in touched}} if touched else {}
        return {}

    def put_item(self, *, Item: Mapping[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
        self._charge("PutItem")
        key = key_of(Item["id"]["S"])
        if "ConditionExpression" in given:
            names, values = given["ExpressionAttributeNames"], given["ExpressionAttributeValues"]
            self._check(Item["id"]["S"], given["ConditionExpression"], names, values)
        self._put(key, self.items.get(key) or {}, {name: value for name, value in Item.items() if name != "id"})
        return {}

    def batch_write_item(self, *, RequestItems: Mapping[str, list[Any]]) -> dict[str, Any]:  # noqa: N803
        """Write PutRequests."""
        self._charge("BatchWriteItem")
        ((_, requests),) = RequestItems.items()
        if len(requests) > 25:
            raise ValueError("more than 25 items")
        for request in requests:
            item = request["PutRequest"]["Item"]
            key = key_of(item["id"]["S"])
            self._put(key, self.items.get(key) or {}, {name: value for name, value in item.items() if name != "id"})
        return {"UnprocessedItems": {}}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._charge("BatchGetItem")
        ((table, asked),) = RequestItems.items()
        subs = [key["id"]["S"] for key in asked["Keys"]]
        if len(subs) > 100 or len(set(subs)) < len(subs):
            raise ValueError("more than 100 keys, or one of them twice")
        names = {asked["ExpressionAttributeNames"][alias] for alias in asked["ProjectionExpression"].split(", ")}
        items = []
        for sub in subs:
            key = key_of(sub)
            item = self.items.get(key)
            self.read_units += read_units(_size(item))
            if item is not None:
                items.append({"id": {"S": sub}, **{name: value for name, value in item.items() if name in names}})
        return {"Responses": {table: items}, "UnprocessedKeys": {}}

    def query(
        self,
        *,
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeNames: Mapping[str, str],  # noqa: N803
        ExpressionAttributeValues: Mapping[str, Any],  # noqa: N803
        ExclusiveStartKey: Mapping[str, Any] | None = None,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Query the index by_shard."""
        self._charge("Query")
        asked = _KEY_CONDITION.fullmatch(KeyConditionExpression)
        if asked is None or [ExpressionAttributeNames[asked[group]] for group in (1, 3)] != ["shard", "id"]:
            raise ValueError(f"unknown key condition: {KeyConditionExpression}")
        shard, prefix = (ExpressionAttributeValues[asked[group]]["S"] for group in (2, 4))
        after = key_of(ExclusiveStartKey["id"]["S"]) if ExclusiveStartKey else None
        keys, has_more = self._index.page(shard, prefix, after)
        self.read_units += read_units(len(keys) * _INDEX_ITEM_BYTES)
        answer: dict[str, Any] = {"Items": [{"id": {"S": sub_of(key)}} for key in keys]}
        if has_more:
            answer["LastEvaluatedKey"] = {"id": {"S": sub_of(keys[-1])}, "shard": {"S": shard}}
        return answer

    def _check(self, sub: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Raise ConditionalCheckFailedException with the item unless the condition holds."""
        found = self.items.get(key_of(sub))
        whole = {} if found is None else {"id": {"S": sub}, **found}
        if not expressions.condition(condition)(whole, names, values):
            self.write_units += max(1, write_units(0, _size(found)))
            shown: dict[str, Any] = {"Item": whole} if found else {}
            failed = error_response("ConditionalCheckFailedException", **shown)
            result(failed, "UpdateItem", lambda _: ConditionalCheckFailedException)

    def _put(self, key: bytes, before: Item, after: Item) -> None:
        self.items.put(key, after)
        self.write_units += write_units(_size(before), _size(after))
        self.write_units += self._index.move(key, before.get("shard", {}).get("S"), after.get("shard", {}).get("S"))

    def _charge(self, operation: str) -> None:
        self._calls[operation] += 1
        self._delay()


def _size(item: Item | None) -> int:
    """Return the billed size of an item that is kept without its key; 0 if there is none."""
    return len("id") + 36 + item_bytes(item) if item else 0
