"""The pool in pieces: every user in exactly one, none of them too large for a worker, none of them for nothing."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_user_sync.shards import Shards, children, plan, split
from cognito_user_sync.user import HEX_DIGITS
from cognito_user_sync.user_pool import CognitoUnavailableError, PrefixRejectedError
from tests.fakes.subs import plain_sub, regional_sub

SMALL_POOL, MAX_USERS, MAX_PREFIXES = 2_000, 250_000, 4_096
# What one worker of this many pages a second does in its ten minutes.
PAGES_PER_SECOND = 1.0
CAPACITY = 60 * 600


def among(subs: Iterable[str]) -> Callable[[str], bool]:
    """Whether there are users, or items, of a prefix."""
    beginnings = {sub[:length] for sub in subs for length in range(len(sub) + 1)}
    return lambda prefix: prefix in beginnings


def nowhere(prefix: str) -> bool:
    return False


def everywhere(prefix: str) -> bool:
    return True


def unasked(prefix: str) -> bool:
    raise AssertionError(f"asked for {prefix!r}")


def subs_of(kind: Callable[[random.Random], str], count: int) -> list[str]:
    source = random.Random(20260101)
    return [kind(source) for _ in range(count)]


def holders(prefixes: Iterable[str], sub: str) -> list[str]:
    """The shards that a user is in."""
    return [prefix for prefix in prefixes if sub.startswith(prefix)]


def test_children_are_16_prefixes() -> None:
    assert children("") == list(HEX_DIGITS)
    assert children("f4") == [f"f4{digit}" for digit in "0123456789abcdef"]


@pytest.mark.parametrize("kind", [plain_sub, regional_sub], ids=["plain", "regional"])
def test_children_include_the_dashes_of_a_sub(kind: Callable[[random.Random], str]) -> None:
    for sub in subs_of(kind, 20):
        prefix = ""
        while prefix != sub:
            [prefix] = [child for child in children(prefix) if sub.startswith(child)]


@pytest.mark.parametrize("users", [0, 1, SMALL_POOL])
def test_plan_returns_one_shard_for_a_small_pool(users: int) -> None:
    assert plan(users, PAGES_PER_SECOND, unasked, unasked) == Shards(("",))


@pytest.mark.parametrize("users", [SMALL_POOL + 1, 16 * CAPACITY])
def test_plan_divides_a_larger_pool_by_the_first_digit(users: int) -> None:
    assert plan(users, PAGES_PER_SECOND, everywhere, unasked) == Shards(tuple(HEX_DIGITS))


def test_plan_divides_shards_until_they_fit_into_a_workers_time() -> None:
    planned = plan(16 * CAPACITY + 16, PAGES_PER_SECOND, everywhere, unasked)
    assert planned == Shards(tuple(first + second for first in HEX_DIGITS for second in HEX_DIGITS))


def test_plan_returns_smaller_shards_for_slower_workers() -> None:
    assert len(plan(16 * CAPACITY, PAGES_PER_SECOND / 2, everywhere, unasked).prefixes) == 256


def test_plan_returns_shards_that_fit_into_memory() -> None:
    # With room to spare, since no two are equally large.
    assert len(plan(16 * MAX_USERS * 4 // 5, 1e6, everywhere, unasked).prefixes) == 16
    assert len(plan(16 * MAX_USERS * 4 // 5 + 16, 1e6, everywhere, unasked).prefixes) == 256


def test_plan_skips_digits_that_are_fixed_in_a_region() -> None:
    subs = subs_of(regional_sub, 5_000)
    planned = plan(16 * CAPACITY + 16, PAGES_PER_SECOND, among(subs), nowhere)
    # x4x: the second digit is the same for all.
    assert planned == Shards(tuple(f"{first}4{third}" for first in HEX_DIGITS for third in HEX_DIGITS))


def test_plan_divides_a_pool_with_both_kinds_of_subs() -> None:
    subs = [*subs_of(plain_sub, 2_000), *subs_of(regional_sub, 2_000)]
    is_inhabited = among(subs)
    planned = plan(200 * CAPACITY, PAGES_PER_SECOND, is_inhabited, nowhere)
    assert all(len(holders(planned.prefixes, sub)) == 1 for sub in subs[::20])
    assert all(is_inhabited(prefix) for prefix in planned.prefixes)
    assert len(planned.prefixes) > 200


def test_plan_divides_only_large_shards() -> None:
    # Two first digits hold all users: what is under them is divided, each by how many of its children are inhabited.
    subs = ["0" + digit for digit in HEX_DIGITS] + ["f0", "f1"]
    planned = plan(20 * CAPACITY, PAGES_PER_SECOND, among(subs), nowhere)
    assert [prefix for prefix in planned.prefixes if prefix[0] == "0"] == ["0" + digit for digit in HEX_DIGITS]
    assert {prefix for prefix in planned.prefixes if prefix[0] == "f"} == {"f0", "f1"}


def test_plan_is_sequential_if_no_prefix_has_users() -> None:
    assert plan(SMALL_POOL + 1, PAGES_PER_SECOND, nowhere, everywhere) == Shards(("",), sequential=True)


@pytest.mark.parametrize("rejected", ["0", "7", "f", "a3"])
def test_plan_is_sequential_if_a_prefix_is_rejected(rejected: str) -> None:
    def is_inhabited(prefix: str) -> bool:
        if prefix == rejected:
            raise PrefixRejectedError
        return True

    assert plan(100 * CAPACITY, PAGES_PER_SECOND, is_inhabited, unasked) == Shards(("",), sequential=True)


def test_plan_raises_cognito_unavailable_error() -> None:
    def is_inhabited(prefix: str) -> bool:
        raise CognitoUnavailableError

    with pytest.raises(CognitoUnavailableError):
        plan(SMALL_POOL + 1, PAGES_PER_SECOND, is_inhabited, nowhere)


def test_plan_returns_prefixes_with_items_only() -> None:
    planned = plan(SMALL_POOL + 1, PAGES_PER_SECOND, among(["3", "7"]), among(["7", "9abc"]))
    assert planned == Shards(("3", "7", "9"))


def test_plan_checks_items_of_each_divided_prefix() -> None:
    planned = plan(100 * CAPACITY, PAGES_PER_SECOND, among(["3c", "3d"]), among(["3ef", "5"]))
    assert {"3ef"[:2], "5"} <= set(planned.prefixes)


def test_plan_keeps_a_prefix_whose_users_were_deleted() -> None:
    # "a" had users when the planner asked for it, and none of its children has.
    planned = plan(100 * CAPACITY, PAGES_PER_SECOND, lambda prefix: prefix in ("a", "b") or prefix[0] == "b", nowhere)
    assert "a" in planned.prefixes
    assert holders(planned.prefixes, "a123") == ["a"]


def test_plan_limits_the_number_of_shards() -> None:
    planned = plan(10**9, PAGES_PER_SECOND, everywhere, unasked)
    assert MAX_PREFIXES - 16 < len(planned.prefixes) <= MAX_PREFIXES
    assert max(len(prefix) for prefix in planned.prefixes) == 3


def test_plan_ends_with_a_wrong_estimate() -> None:
    [sub] = subs_of(plain_sub, 1)
    planned = plan(10**9, PAGES_PER_SECOND, among([sub]), nowhere)
    assert planned == Shards((sub,))


def _regional(number: int) -> str:
    return regional_sub(random.Random(number))


_SUBS = st.one_of(st.uuids().map(str), st.integers(min_value=0).map(_regional))
# Neighbours: subs that differ only somewhere after a shared beginning.
_ALIKE = st.builds(
    lambda start, rest: [str(uuid.UUID(start + tail)) for tail in rest],
    st.text(HEX_DIGITS, min_size=20, max_size=20),
    st.lists(st.text(HEX_DIGITS, min_size=12, max_size=12), max_size=10),
)


@settings(deadline=None, max_examples=150)
@given(
    users=st.lists(_SUBS, max_size=60),
    alike=_ALIKE,
    gone=st.lists(_SUBS, max_size=20),
    estimate=st.integers(0, 10**7),
    pages_per_second=st.floats(0.01, 30),
)
def test_plan_has_each_user_and_item_in_one_shard(
    users: list[str], alike: list[str], gone: list[str], estimate: int, pages_per_second: float
) -> None:
    inhabitants = [*users, *alike]
    planned = plan(estimate, pages_per_second, among(inhabitants), among(gone))
    assert len(planned.prefixes) <= MAX_PREFIXES
    for sub in [*inhabitants, *gone]:
        assert len(holders(planned.prefixes, sub)) == 1
    ordered = sorted(planned.prefixes)
    assert all(not after.startswith(before) for before, after in itertools.pairwise(ordered))
    assert planned.sequential == (estimate > SMALL_POOL and not inhabitants)


def test_split_starts_neighboring_batches_with_different_digits() -> None:
    batches = split([f"{first}{second}" for first in HEX_DIGITS for second in HEX_DIGITS], 128)
    assert all(batches[number][0][0] != batches[number + 1][0][0] for number in range(127))


def test_split_distributes_prefixes_in_turn() -> None:
    assert split(["0", "1", "2", "3", "4", "5", "6"], 3) == [["0", "3", "6"], ["1", "4"], ["2", "5"]]


@pytest.mark.parametrize("count", [0, 1, 3, 128, 129, 4_096])
def test_split_returns_each_prefix_once_and_no_empty_batch(count: int) -> None:
    prefixes = [f"{number:04x}" for number in range(count)]
    batches = split(prefixes, 128)
    assert len(batches) == min(count, 128)
    assert sorted(prefix for batch in batches for prefix in batch) == prefixes
    sizes = {len(batch) for batch in batches}
    assert not sizes or max(sizes) - min(sizes) <= 1
