"""Cuts the pool into shards: prefixes of `sub`, so that one worker lists and compares each in about ten minutes.

The subs of newer pools are not random at their start: in a region, every second hex digit is fixed. So a prefix is
split by looking which of its 16 children hold users at all, instead of by arithmetic.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cognito_user_sync.user_pool import PAGE_SIZE, PrefixRejectedError

HEX_DIGITS = "0123456789abcdef"

# Up to here one listing is quick enough.
SMALL_POOL = 2_000
# What one worker may hold in memory: the subs of one prefix.
MAX_USERS = 250_000
# What is planned for, since no two shards are equally large.
_PLANNED_USERS = 200_000
# What one round of the state machine may carry, with 10 bytes each.
MAX_PREFIXES = 4_096
WORKER_SECONDS = 600
# The dashes of a UUID.
_DASHES_AT = frozenset({8, 13, 18, 23})


@dataclass(frozen=True)
class Shards:
    prefixes: tuple[str, ...]
    sequential: bool = False
    """The pool cannot be listed by prefix: one listing from end to end, and nobody is looked for who is gone."""


def children(prefix: str) -> list[str]:
    dash = "-" if len(prefix) in _DASHES_AT else ""
    return [f"{prefix}{dash}{digit}" for digit in HEX_DIGITS]


def plan(
    users: int,
    pages_per_second: float,
    is_inhabited: Callable[[str], bool],
    has_items: Callable[[str], bool],
    has_time: Callable[[], bool] = lambda: True,
) -> Shards:
    """The shards of a pool of about so many users, for workers of so many pages a second each.

    `is_inhabited` returns whether the pool has users of a prefix, and may raise PrefixRejectedError. `has_items`
    returns whether the table has: such a prefix is a shard, too, since its users are deleted.
    Without time, what is left stays large: a worker cuts it.
    """
    if users <= SMALL_POOL:
        return Shards(("",))
    capacity = min(_PLANNED_USERS, int(pages_per_second * PAGE_SIZE * WORKER_SECONDS))
    ready: list[str] = []
    largest_first = [(-users, "")]
    try:
        while largest_first and has_time() and len(ready) + len(largest_first) - 1 + len(HEX_DIGITS) <= MAX_PREFIXES:
            negative, prefix = heapq.heappop(largest_first)
            if prefix and -negative <= capacity:
                ready.append(prefix)
                continue
            inhabited = {child for child in children(prefix) if is_inhabited(child)}
            if not inhabited:
                if not prefix:
                    return Shards(("",), sequential=True)
                ready.append(prefix)
                continue
            for child in children(prefix):
                if child in inhabited:
                    heapq.heappush(largest_first, (negative // len(inhabited), child))
                elif has_items(child):
                    ready.append(child)
    except PrefixRejectedError:
        return Shards(("",), sequential=True)
    return Shards(tuple(sorted([*ready, *(prefix for _, prefix in largest_first)])))


def split(prefixes: Sequence[str], batches: int) -> list[list[str]]:
    """The prefixes in at most `batches` batches. Neighbours begin with different digits: all that begin with one are
    one key of the index by_shard, and DynamoDB takes 1,000 writes a second for each."""
    mixed = sorted(prefixes, key=lambda prefix: prefix[::-1])
    hands = min(batches, len(mixed))
    return [mixed[hand::hands] for hand in range(hands)]
