"""Users by the million: 16 bytes each, and everything else about a user follows from the position in the list."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from benchmarks.virtual_time import EPOCH

KEY_BYTES = 16

# Subs of newer pools: x4x8x4x8-x0x1-70..., every second digit of a region is fixed. Others are plain UUIDs.
_REGIONAL_FREE = 0xF0F0F0F0_F0F0_00FF_FFFF_FFFFFFFFFFFF
_REGIONAL_FIXED = 0x04080408_0001_7000_0000_000000000000
_PLAIN_FREE = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_PLAIN_FIXED = 0x00000000_0000_4000_8000_000000000000

# One of so many has never confirmed, and one of so many has no phone.
_UNCONFIRMED_ONE_IN = 50
_NO_PHONE_ONE_IN = 3


def key_of(sub: str) -> bytes:
    return bytes.fromhex(sub.replace("-", ""))


def sub_of(key: bytes) -> str:
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def bounds(prefix: str) -> tuple[bytes, bytes]:
    """The smallest and the largest key whose sub begins with `prefix`."""
    digits = prefix.replace("-", "")
    return bytes.fromhex(digits.ljust(2 * KEY_BYTES, "0")), bytes.fromhex(digits.ljust(2 * KEY_BYTES, "f"))


class GeneratedUsers:
    """`count` users, the same for each `seed`, half of them with each kind of sub, in the order of their subs."""

    def __init__(self, count: int, seed: int) -> None:
        rng = random.Random(seed)
        keys = [
            (rng.getrandbits(128) & _REGIONAL_FREE | _REGIONAL_FIXED)
            if number % 2
            else (rng.getrandbits(128) & _PLAIN_FREE | _PLAIN_FIXED)
            for number in range(count)
        ]
        keys.sort()
        self._keys = b"".join(key.to_bytes(KEY_BYTES, "big") for key in keys)
        self._count = count
        self._changed: set[int] = set()
        self._gone: set[int] = set()

    def __len__(self) -> int:
        return self._count - len(self._gone)

    def positions(self, prefix: str) -> range:
        """Of the users whose sub begins with `prefix`."""
        lowest, highest = bounds(prefix)
        everyone = range(self._count)
        return range(bisect_left(everyone, lowest, key=self._key), bisect_right(everyone, highest, key=self._key))

    def position(self, sub: str) -> int | None:
        """Of a user who is still there."""
        return next(self.living(self.positions(sub)), None)

    def living(self, positions: range) -> Iterator[int]:
        return (position for position in positions if position not in self._gone)

    def change(self, one_in: int) -> int:
        """One of so many users changes; returns how many."""
        changed = [*self.living(range(0, self._count, one_in))]
        self._changed.update(changed)
        return len(changed)

    def remove(self, one_in: int) -> int:
        """One of so many users is deleted from the pool; returns how many."""
        gone = [*self.living(range(1, self._count, one_in))]
        self._gone.update(gone)
        return len(gone)

    def found(self, position: int) -> dict[str, Any]:
        """The user as boto3 gives it in an answer of ListUsers."""
        sub = sub_of(self._key(position))
        number = position * 7919 % self._count
        created_at = EPOCH - timedelta(seconds=3600 + 97 * number)
        is_changed = position in self._changed
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
