"""DynamoDB as far as a reconciliation sees it: one table with the index by_shard, whose calls take their time.

Conditions and updates are evaluated as written, so that the code under test is held to them. An item is kept as one
string of bytes, since there may be a million.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

from botocore.exceptions import ClientError

from benchmarks import expressions
from tests.fakes.answers import error_response, result
from tests.fakes.subs import bounds, key_of, sub_of

Item: TypeAlias = dict[str, Any]
Schema: TypeAlias = tuple[tuple[str, str], ...]

# Of a page of a query: 1 MB of `id` and `shard` with their names.
_INDEX_ITEM_BYTES = 44
_INDEX_PAGE_ITEMS = 1024 * 1024 // _INDEX_ITEM_BYTES
_WRITE_UNIT_BYTES = 1024
_READ_UNIT_BYTES = 4096
_PACK: Mapping[str, Callable[[Any], str]] = {"BOOL": lambda value: "1" if value else "0", "SS": "\1".join}
_UNPACK: Mapping[str, Callable[[str], Any]] = {"BOOL": "1".__eq__, "SS": lambda value: value.split("\1")}
_KEY_CONDITION = re.compile(r"(#?\w+) = (:\w+) AND begins_with\((#?\w+), (:\w+)\)")


class ConditionalCheckFailedException(ClientError):
    pass


class Items:
    """Items by key, packed: the names and types of an item once for all that have the same."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._schemas: dict[Schema, int] = {}
        self._schema: list[Schema] = []
        self._names_bytes: list[int] = []

    def __len__(self) -> int:
        return len(self._packed)

    def get(self, key: bytes) -> Item | None:
        """The item without its id."""
        packed = self._packed.get(key)
        if packed is None:
            return None
        schema = self._schema[packed[0]]
        item: Item = {}
        for (name, kind), value in zip(schema, packed[1:].decode().split("\0"), strict=True):
            item[name] = {kind: _UNPACK.get(kind, str)(value)}
        return item

    def put(self, key: bytes, item: Mapping[str, Any]) -> int:
        """Returns the item's size as DynamoDB counts it."""
        names, values = [], []
        for name, typed in item.items():
            ((kind, value),) = typed.items()
            names.append((name, kind))
            values.append(_PACK.get(kind, str)(value))
        number = self._number(tuple(names))
        self._packed[key] = bytes([number]) + "\0".join(values).encode()
        return self._size(self._packed[key])

    def size(self, key: bytes) -> int:
        """As DynamoDB counts it; 0 where there is no item."""
        packed = self._packed.get(key)
        return self._size(packed) if packed else 0

    def _size(self, packed: bytes) -> int:
        return len("id") + 36 + self._names_bytes[packed[0]] + len(packed) - len(self._schema[packed[0]])

    def _number(self, schema: Schema) -> int:
        number = self._schemas.setdefault(schema, len(self._schemas))
        if number == len(self._schema):
            self._schema.append(schema)
            self._names_bytes.append(sum(len(name.encode()) for name, _ in schema))
        return number


class Index:
    """The keys of each shard, sorted when they are asked for."""

    def __init__(self) -> None:
        self._keys: dict[str, set[bytes]] = {}
        self._sorted: dict[str, list[bytes]] = {}

    def move(self, key: bytes, before: str | None, after: str | None) -> int:
        """Returns the write units that this takes."""
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
        """The next keys of a shard, and whether there may be more."""
        keys = self._sorted.get(shard)
        if keys is None:
            keys = self._sorted[shard] = sorted(self._keys.get(shard, ()))
        lowest, highest = bounds(prefix)
        start = bisect_right(keys, after) if after else bisect_left(keys, lowest)
        stop = bisect_right(keys, highest)
        return keys[start : min(stop, start + _INDEX_PAGE_ITEMS)], stop > start + _INDEX_PAGE_ITEMS


class SimulatedDynamoDB:
    """What the code under test calls of boto3's client. The units are those on demand.

    Args:
        calls: Counts each call.
        delay: Takes the time of a call.
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
        """Of PutRequests."""
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
            # Eventually consistent: half a unit, also for an item that is not there.
            self.read_units += _units(self.items.size(key), _READ_UNIT_BYTES) / 2
            item = self.items.get(key)
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
        """Of the index by_shard."""
        self._charge("Query")
        asked = _KEY_CONDITION.fullmatch(KeyConditionExpression)
        if asked is None or [ExpressionAttributeNames[asked[group]] for group in (1, 3)] != ["shard", "id"]:
            raise ValueError(f"not understood: {KeyConditionExpression}")
        shard, prefix = (ExpressionAttributeValues[asked[group]]["S"] for group in (2, 4))
        after = key_of(ExclusiveStartKey["id"]["S"]) if ExclusiveStartKey else None
        keys, has_more = self._index.page(shard, prefix, after)
        self.read_units += _units(len(keys) * _INDEX_ITEM_BYTES, _READ_UNIT_BYTES) / 2
        answer: dict[str, Any] = {"Items": [{"id": {"S": sub_of(key)}} for key in keys]}
        if has_more:
            answer["LastEvaluatedKey"] = {"id": {"S": sub_of(keys[-1])}, "shard": {"S": shard}}
        return answer

    def _check(self, sub: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
        """Raise ConditionalCheckFailedException with the item unless the condition holds."""
        key = key_of(sub)
        found = self.items.get(key)
        whole = {} if found is None else {"id": {"S": sub}, **found}
        if not expressions.condition(condition)(whole, names, values):
            self.write_units += _units(self.items.size(key), _WRITE_UNIT_BYTES)
            shown: dict[str, Any] = {"Item": whole} if found else {}
            failed = error_response("ConditionalCheckFailedException", **shown)
            result(failed, "UpdateItem", lambda _: ConditionalCheckFailedException)

    def _put(self, key: bytes, before: Item, after: Item) -> None:
        old_size = self.items.size(key)
        size = self.items.put(key, after)
        self.write_units += _units(max(old_size, size), _WRITE_UNIT_BYTES)
        self.write_units += self._index.move(key, before.get("shard", {}).get("S"), after.get("shard", {}).get("S"))

    def _charge(self, operation: str) -> None:
        self._calls[operation] += 1
        self._delay()


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))
