"""Divides the pool into shards: prefixes of `sub` that one worker reconciles in about ten minutes.

The subs of newer pools are not random at their start: in each region, every second hex digit is fixed. So the planner
checks which of the 16 children of a prefix have users, instead of calculating it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cognito_user_sync.user import HEX_DIGITS
from cognito_user_sync.user_pool import PAGE_SIZE, PrefixRejectedError

# Up to this number of users, one listing is fast enough.
SMALL_POOL = 2_000
# The subs of one prefix that fit into a worker's memory.
MAX_USERS = 250_000
# Less than MAX_USERS, because shards are not equally large.
_PLANNED_USERS = 200_000
# The prefixes of one round of the state machine, with 10 bytes each.
MAX_PREFIXES = 4_096
WORKER_SECONDS = 600
# The dashes of a UUID.
_DASHES_AT = frozenset({8, 13, 18, 23})


@dataclass(frozen=True)
class Shards:
    """The shards of a pool.

    `sequential`: the pool cannot be listed by prefix. It is one listing, without a deletion check.
    """

    prefixes: tuple[str, ...]
    sequential: bool = False


def children(prefix: str) -> list[str]:
    """Return the 16 prefixes that are one digit longer."""
    dash = "-" if len(prefix) in _DASHES_AT else ""
    return [f"{prefix}{dash}{digit}" for digit in HEX_DIGITS]


def plan(
    users: int,
    pages_per_second: float,
    has_users: Callable[[str], bool],
    has_items: Callable[[str], bool],
    has_time: Callable[[], bool] = lambda: True,
) -> Shards:
    """Return the shards of a pool.

    Args:
        users: Estimated number of users.
        pages_per_second: Rate of each worker.
        has_users: Returns whether the pool has users of a prefix. May raise PrefixRejectedError.
        has_items: Returns whether the table has items of a prefix. Without users, their users were deleted, so the
            prefix is a shard, too.
        has_time: Returns whether there is time for one more prefix. Otherwise the remaining shards stay large, and the
            workers split them.
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
            with_users = {child for child in children(prefix) if has_users(child)}
            if not with_users:
                if not prefix:
                    return Shards(("",), sequential=True)
                ready.append(prefix)
                continue
            for child in children(prefix):
                if child in with_users:
                    heapq.heappush(largest_first, (negative // len(with_users), child))
                elif has_items(child):
                    ready.append(child)
    except PrefixRejectedError:
        return Shards(("",), sequential=True)
    return Shards(tuple(sorted([*ready, *(prefix for _, prefix in largest_first)])))


def split(prefixes: Sequence[str], batches: int) -> list[list[str]]:
    """Distribute the prefixes over at most `batches` batches of about the same size.

    Neighboring batches begin with different digits: all prefixes with the same first digit share one key of the index
    by_shard, which DynamoDB limits to 1,000 writes per second.
    """
    mixed = sorted(prefixes, key=lambda prefix: prefix[::-1])
    count = min(batches, len(mixed))
    return [mixed[first::count] for first in range(count)]
