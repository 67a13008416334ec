"""An export needs the same memory for any number of users."""

from __future__ import annotations

import pytest

from benchmarks.transfer_run import FROM_POOL, FROM_TABLE, measure

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize(
    ("kind", "calls"),
    [(FROM_TABLE, {"Query": 16, "BatchGetItem": 112}), (FROM_POOL, {"ListUsers": 176})],
    ids=["table", "pool"],
)
def test_export_of_10000_users_needs_the_memory_of_1000(kind: str, calls: dict[str, int]) -> None:
    few, many = (measure(users, (kind,))[kind] for users in (1_000, 10_000))
    assert many.calls == calls
    assert many.file_bytes > 9 * few.file_bytes > 2 * MEGABYTE
    # A page of Query has up to a megabyte of subs. The records of 10,000 users would take 15 megabytes.
    assert many.peak_bytes - few.peak_bytes < 8 * MEGABYTE
