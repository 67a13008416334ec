"""Time and calls of the reconciliation in the benchmark's virtual time must not grow unnoticed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks import expressions, group_scenario
from benchmarks.figures import Figures, measured
from benchmarks.generated_users import GeneratedUsers
from benchmarks.simulated_run import ATTRIBUTES, Assumptions, SimulatedAws, SimulatedRun
from benchmarks.virtual_time import VirtualTime
from cognito_user_sync.item_layout import ItemLayout, marshal
from cognito_user_sync.user import from_cognito
from tests.fakes.subs import key_of, sub_of
from tests.samples import POOL_ID

RATE = 30
MANY, FEW = 20_000, 5_000
PAGE_SIZE, PARALLEL = 60, 16
# A pool of this size is cut at the first digit, and each has users.
PREFIXES = 16


def first_run(users: int, assumptions: Assumptions | None = None) -> tuple[SimulatedAws, Figures]:
    aws = SimulatedAws(GeneratedUsers(users, seed=1), assumptions or Assumptions())
    return aws, run(aws)


def run(aws: SimulatedAws) -> Figures:
    return measured(aws, RATE, SimulatedRun(aws, RATE).execute)


@pytest.fixture(scope="module")
def many() -> tuple[Figures, Figures]:
    """A first run, and one with nothing changed."""
    aws, first = first_run(MANY)
    return first, run(aws)


def test_reconciliation_of_20000_users_takes_14_seconds(many: tuple[Figures, Figures]) -> None:
    first, second = many

    assert first.seconds <= 14
    assert second.seconds <= 14


def test_reconciliation_lists_each_user_once(many: tuple[Figures, Figures]) -> None:
    for figures in many:
        assert figures.calls["ListUsers"] <= math.ceil(MANY / PAGE_SIZE) + 2 * PREFIXES
        assert figures.calls["BatchGetItem"] <= figures.calls["ListUsers"]


def test_reconciliation_writes_nothing_in_a_second_run(many: tuple[Figures, Figures]) -> None:
    first, second = many

    assert first.write_calls > 0.9 * MANY
    assert second.write_calls == 0
    assert second.write_units == 0


def test_reconciliation_calls_per_user_do_not_grow(many: tuple[Figures, Figures]) -> None:
    of_few = first_run(FEW)[1]

    for api, count in many[0].calls.items():
        assert count / MANY <= of_few.calls[api] / FEW + 2 * PREFIXES / MANY, api


def test_figures_are_the_same_each_time() -> None:
    assert first_run(3_000)[1] == first_run(3_000)[1]


def test_reconciliation_writes_all_users() -> None:
    aws, _ = first_run(3_000)

    for position in range(0, 3_000, 61):
        user = from_cognito(aws.users.listed(str(position)), "2025-01-01T00:00:00.000Z")
        item = aws.dynamodb.items.get(key_of(user.sub))
        if user.status == "UNCONFIRMED":
            assert item is None
            continue
        assert item is not None
        layout = ItemLayout(POOL_ID, ATTRIBUTES)
        wanted = {name: marshal(value) for name, value in layout.to_item(user).items()}
        moments = dict.fromkeys(("observed_at", "synced_at"))
        assert {**item, **moments} == {**wanted, **moments}


def test_reconciliation_writes_changes_and_deletions() -> None:
    aws, _ = first_run(3_000)
    gone = [sub_of(key_of(aws.users.listed(str(position))["Username"])) for position in (1, 1001, 2001)]
    changed = aws.users.change(one_in=100)
    assert aws.users.remove(one_in=1000) == len(gone)

    figures = run(aws)

    assert figures.calls["AdminGetUser"] == len(gone)
    assert figures.write_calls == changed + len(gone)
    for sub in gone:
        item = aws.dynamodb.items.get(key_of(sub))
        assert item is not None
        assert "deleted_at" in item
    assert run(aws).write_calls == 0


def test_reconciliation_is_complete_when_throttled() -> None:
    aws, figures = first_run(6_000, replace(Assumptions(), quota_per_second=10))

    assert aws.pool.throttled > 0
    assert figures.seconds >= 6_000 / PAGE_SIZE / 10 - 1
    assert figures.calls["UpdateItem"] == 0.98 * 6_000


def test_lanes_run_in_the_order_of_their_time() -> None:
    time = VirtualTime()
    seen: list[tuple[str, float]] = []

    def lane(name: str, seconds: float) -> None:
        for _ in range(2):
            time.sleep(seconds)
            seen.append((name, time.seconds))

    time.run([lambda: lane("slow", 3), lambda: lane("fast", 2)])

    assert seen == [("fast", 2), ("slow", 3), ("fast", 4), ("slow", 6)]
    assert time.seconds == 6


def test_run_raises_the_error_of_a_lane_after_all_end() -> None:
    time = VirtualTime()
    ended: list[float] = []

    def failing() -> None:
        time.sleep(1)
        raise ValueError("of a lane")

    def working() -> None:
        time.sleep(2)
        ended.append(time.seconds)

    with pytest.raises(ValueError, match="of a lane"):
        time.run([failing, working])
    assert ended == [2]


def test_parallel_calls_share_threads_and_a_processor() -> None:
    time = VirtualTime()

    time.in_parallel(lambda _: time.sleep(1), range(PARALLEL + 1), PARALLEL)
    assert time.seconds == 2

    time.in_parallel(lambda _: time.compute(1), range(3), PARALLEL)
    assert time.seconds == 5


@pytest.mark.parametrize(
    ("item", "holds"),
    [
        ({}, True),
        ({"a": {"S": "1"}}, True),
        ({"a": {"S": "2"}}, True),
        ({"a": {"S": "3"}}, False),
        ({"a": {"S": "2"}, "b": {"S": ""}}, False),
    ],
)
def test_condition_is_evaluated_as_in_dynamodb(item: dict[str, dict[str, str]], holds: bool) -> None:
    condition = expressions.condition("(attribute_not_exists(#a) OR #a < :v OR #a <= :v) AND b <> :w")

    assert condition(item, {"#a": "a"}, {":v": {"S": "2"}, ":w": {"S": ""}}) is holds


@pytest.mark.parametrize(("item", "holds"), [({}, False), ({"a": {"S": "1"}}, False), ({"a": {"S": "2"}}, True)])
def test_condition_on_a_missing_attribute(item: dict[str, dict[str, str]], holds: bool) -> None:
    assert expressions.condition("a = :v")(item, {}, {":v": {"S": "2"}}) is holds


@pytest.mark.parametrize("expression", ["a > :v", "size(a) < :v", "a < :v AND", "(a < :v", "a < :v b"])
def test_condition_rejects_unknown_expressions(expression: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        expressions.condition(expression)


def test_groups_of_2000_users_are_reconciled_in_virtual_time() -> None:
    figures = group_scenario.measure(2_000, Assumptions())
    assert (figures.groups, figures.batches) == (100, 1)
    assert figures.largest_batch == figures.memberships
    # One or two pages of each group, and no AdminListGroupsForUser.
    assert figures.first.calls["ListUsersInGroup"] == 120
    assert "AdminListGroupsForUser" not in figures.first.calls
    assert figures.unchanged.seconds < figures.first.seconds
