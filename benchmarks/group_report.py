"""The figures of groups as tables, for docs/benchmarks.md and docs/cost.md."""

from __future__ import annotations

from benchmarks import markdown
from benchmarks.figures import Figures, Prices
from benchmarks.group_scenario import GroupMeasurement
from benchmarks.sign_up_usage import ASSUMED_CALL_MILLISECONDS, MILLION

_CALLS = ("ListUsersInGroup", "Query", "BatchGetItem", "UpdateItem", "AdminListGroupsForUser", "Lambda")


def times(measured: GroupMeasurement) -> str:
    """Return the time and the calls of the runs, for docs/benchmarks.md."""
    rows = [
        [name, f"{figures.seconds / 60:,.0f}", *(f"{figures.calls.get(each, 0):,}" for each in _CALLS)]
        for name, figures in _runs(measured).items()
    ]
    return (
        f"{measured.first.users:,} users in {measured.groups} groups, with {measured.memberships:,} memberships, at"
        f" {measured.first.list_users_per_second:g}/s:\n\n{markdown.table(('run', 'minutes', *_CALLS), rows, (0,))}\n\n"
        f"The first run took {measured.batches} batches, one after another. A worker had at most"
        f" {measured.largest_batch:,} memberships in memory, in {measured.largest_bytes / MILLION:,.0f} MB of the"
        " 1,769 MB of its function."
    )


def costs(measured: GroupMeasurement, memory_mb: int, prices: Prices) -> str:
    """Return the dollars of a million of each, for docs/cost.md."""
    read = ASSUMED_CALL_MILLISECONDS["cognito-idp"] / 1000 * memory_mb / 1024 * prices["lambda_gb_seconds"]
    rows = [
        ["each sign-up, password reset and tracked change, in addition", "1 AdminListGroupsForUser", f"{read:.2f}"],
        [
            "each change of a user's groups, in addition to a tracked change",
            "1 AdminListGroupsForUser, 1 BatchGetItem",
            f"{read + prices['dynamodb_read_units']:.2f}",
        ],
    ]
    for name, figures in _runs(measured).items():
        calls = ", ".join(
            f"{MILLION * figures.calls[each] / figures.users:,.0f} {each}" for each in _CALLS if figures.calls.get(each)
        )
        rows.append([f"user, {name}", calls, f"{figures.dollars_per_million_users(prices):.2f}"])
    return markdown.table(("a million times", "calls", "$"), rows, (0, 1))


def _runs(measured: GroupMeasurement) -> dict[str, Figures]:
    return {"first run of groups": measured.first, "run of groups, nothing changed": measured.unchanged}
