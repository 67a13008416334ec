"""Sizes of DynamoDB items, and the units that DynamoDB bills for them.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the billed size of an item in the form of boto3's client.

    Raises:
        ValueError: The item has an attribute that is not a string, number, boolean or set of strings.
    """
    size = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size += len(name.encode())
        if kind == "S":
            size += len(value.encode())
        elif kind == "N":
            size += math.ceil(len(value.strip("-0.")) / 2) + 1
        elif kind == "BOOL":
            size += 1
        elif kind == "SS":
            size += sum(len(text.encode()) for text in value)
        else:
            raise ValueError(f"the size of the type {kind} is unknown")
    return size


def write_units(before: int, after: int) -> int:
    """Return the units of a write that changes an item from `before` to `after` bytes. 0 bytes: no item."""
    return math.ceil(max(before, after) / WRITE_UNIT_BYTES)


def read_units(size: int) -> float:
    """Return the units of an eventually consistent read. A missing item costs as much as a small one."""
    return max(1, math.ceil(size / READ_UNIT_BYTES)) / 2


def index_write_units(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Return the units of a change of an index entry. {}: no entry. A move is a delete and a put.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
    """
    if before == after:
        return 0
    return sum(write_units(0, item_bytes(entry)) for entry in (before, after) if entry)
