"""Generated users: 16 bytes each in memory. All attributes follow from the position in the list."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from tests.fakes.clock import EPOCH
from tests.fakes.subs import KEY_BYTES, bounds, plain_key, regional_key, sub_of

_UNCONFIRMED_ONE_IN = 50
_NO_PHONE_ONE_IN = 3
GROUPS = tuple(f"group-{number:02}" for number in range(100))


class GeneratedUsers:
    """A UserStore of `count` users in the order of their subs, the same for each seed. Half have each kind of sub."""

    def __init__(self, count: int, seed: int) -> None:
        source = random.Random(seed)
        keys = [(regional_key if number % 2 else plain_key)(source) for number in range(count)]
        keys.sort()
        self._keys = b"".join(keys)
        self._count = count
        self._changed: set[int] = set()
        self._deleted: set[int] = set()
        self._listed_group = ""
        self._members: list[str] = []

    def __len__(self) -> int:
        return self._count - len(self._deleted)

    def positions(self, prefix: str, after: str) -> Iterator[str]:
        found = self._range(prefix)
        return map(str, self._active(range(int(after) + 1, found.stop) if after else found))

    def position_of(self, username: str) -> str | None:
        """Return the position of a user, whose username is the sub."""
        return next(self.positions(username, ""), None)

    def groups_of(self, position: str) -> Sequence[str]:
        """Return the groups of a user: one or two of GROUPS, by the position."""
        number = int(position)
        return sorted({GROUPS[number % len(GROUPS)], GROUPS[number // len(GROUPS) % len(GROUPS)]})

    def members(self, group: str) -> Sequence[str]:
        if self._listed_group != group:
            self._listed_group = group
            wanted, count = GROUPS.index(group), len(GROUPS)
            everyone = self._active(range(self._count))
            self._members = [str(each) for each in everyone if wanted in (each % count, each // count % count)]
        return self._members

    def _range(self, prefix: str) -> range:
        lowest, highest = bounds(prefix)
        everyone = range(self._count)
        return range(bisect_left(everyone, lowest, key=self._key), bisect_right(everyone, highest, key=self._key))

    def _active(self, positions: range) -> Iterator[int]:
        return (position for position in positions if position not in self._deleted)

    def change(self, one_in: int) -> int:
        """Change every `one_in`-th user. Returns the number of changed users."""
        changed = [*self._active(range(0, self._count, one_in))]
        self._changed.update(changed)
        return len(changed)

    def remove(self, one_in: int) -> int:
        """Delete every `one_in`-th user from the pool. Returns the number of deleted users."""
        deleted = [*self._active(range(1, self._count, one_in))]
        self._deleted.update(deleted)
        return len(deleted)

    def listed(self, position: str) -> dict[str, Any]:
        sub = sub_of(self._key(int(position)))
        number = int(position) * 7919 % self._count
        created_at = EPOCH - timedelta(seconds=3600 + 97 * number)
        is_changed = int(position) in self._changed
        attributes = [
            {"Name": "email", "Value": f"person{number}@mail.example.com"},
            {"Name": "email_verified", "Value": "true"},
            {"Name": "name", "Value": f"Person {number}{' Newname' if is_changed else ''}"},
            {"Name": "sub", "Value": sub},
        ]
        if number % _NO_PHONE_ONE_IN:
            attributes.append({"Name": "phone_number", "Value": f"+4930{number:08}"})
        return {
            "Username": sub,
            "Attributes": attributes,
            "UserCreateDate": created_at,
            "UserLastModifiedDate": EPOCH + timedelta(milliseconds=number) if is_changed else created_at,
            "Enabled": True,
            "UserStatus": "UNCONFIRMED" if number % _UNCONFIRMED_ONE_IN == 1 else "CONFIRMED",
        }

    def _key(self, position: int) -> bytes:
        return self._keys[KEY_BYTES * position : KEY_BYTES * (position + 1)]
