"""Subs of the two kinds that Cognito makes.

In a newer pool, every second digit at the beginning of a sub is the same for all users, as in f4b8a408-40f1-70....
Subs of an older pool are random UUIDs.
"""

from __future__ import annotations

import random

KEY_BYTES = 16

_REGIONAL_FREE = 0xF0F0F0F0_F0F0_00FF_FFFF_FFFFFFFFFFFF
_REGIONAL_FIXED = 0x04080408_0001_7000_0000_000000000000
_PLAIN_FREE = 0xFFFFFFFF_FFFF_0FFF_3FFF_FFFFFFFFFFFF
_PLAIN_FIXED = 0x00000000_0000_4000_8000_000000000000


def plain_key(source: random.Random) -> bytes:
    """Return the 16 bytes of a sub of an older pool."""
    return (source.getrandbits(128) & _PLAIN_FREE | _PLAIN_FIXED).to_bytes(KEY_BYTES, "big")


def regional_key(source: random.Random) -> bytes:
    """Return the 16 bytes of a sub of a newer pool."""
    return (source.getrandbits(128) & _REGIONAL_FREE | _REGIONAL_FIXED).to_bytes(KEY_BYTES, "big")


def plain_sub(source: random.Random, start: str = "") -> str:
    """Return a sub of an older pool that begins with `start`."""
    return start + sub_of(plain_key(source))[len(start) :]


def regional_sub(source: random.Random, start: str = "") -> str:
    """Return a sub of a newer pool that begins with `start`."""
    return start + sub_of(regional_key(source))[len(start) :]


def numbered_sub(number: int) -> str:
    """Return the sub of a number below 2**32, which is its first part."""
    return f"{number:08x}-40f1-4abc-8def-{number:012x}"


def sub_of(key: bytes) -> str:
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def key_of(sub: str) -> bytes:
    return bytes.fromhex(sub.replace("-", ""))


def bounds(prefix: str) -> tuple[bytes, bytes]:
    """Return the smallest and the largest key whose sub begins with `prefix`."""
    digits = prefix.replace("-", "")
    return bytes.fromhex(digits.ljust(2 * KEY_BYTES, "0")), bytes.fromhex(digits.ljust(2 * KEY_BYTES, "f"))
