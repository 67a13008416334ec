"""Runs that reconcile the groups of a pool, in virtual time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from benchmarks.figures import Figures, measured
from benchmarks.generated_users import GROUPS, GeneratedUsers
from benchmarks.scenarios import DEFAULT, SEED
from benchmarks.simulated_run import ATTRIBUTES, Assumptions, SimulatedAws, SimulatedRun
from cognito_user_sync import group_reconciliation
from cognito_user_sync.item_layout import ItemLayout, marshal
from cognito_user_sync.user import UNCONFIRMED, from_cognito
from tests.samples import POOL_ID

_FILLED_AT = "2025-12-01T00:00:00.000Z"


@dataclass(frozen=True)
class GroupMeasurement:
    """The figures of two runs of groups alone.

    Attributes:
        memberships: The users of all groups together.
        first: The run after sync_groups was set: no item has groups.
        unchanged: The run after it.
        batches: The batches of the first run.
        largest_batch: The most memberships that a worker had in memory.
        largest_bytes: The size of these in memory.
    """

    groups: int
    memberships: int
    first: Figures
    unchanged: Figures
    batches: int
    largest_batch: int
    largest_bytes: int


class _Measured(group_reconciliation.Members):
    """Records the largest lists of a worker."""

    largest_batch = largest_bytes = 0

    def add(self, group: str, keys: Sequence[bytes]) -> None:
        super().add(group, keys)
        if self.memberships > _Measured.largest_batch:
            shared = {id(groups): groups for groups in self._by_sub.values()}
            sizes = [
                sys.getsizeof(self._by_sub),
                *map(sys.getsizeof, self._by_sub),
                *map(sys.getsizeof, shared.values()),
            ]
            _Measured.largest_batch, _Measured.largest_bytes = self.memberships, sum(sizes)


def measure(users: int, assumptions: Assumptions) -> GroupMeasurement:
    """Reconcile the groups of a pool of this size twice. Raises AssertionError if a run did not do its work."""
    generated = GeneratedUsers(users, SEED)
    aws = SimulatedAws(generated, assumptions)
    aws.pool.groups = [*GROUPS]
    with_item = _fill(aws)
    run = SimulatedRun(aws, DEFAULT, sync_groups=True)
    summaries: list[dict[str, Any]] = []
    _Measured.largest_batch = _Measured.largest_bytes = 0

    def execute() -> None:
        with patch.object(group_reconciliation, "Members", _Measured):
            summaries.append(run.execute({"only_groups": True}))

    first, unchanged = (measured(aws, DEFAULT, execute) for _ in range(2))
    memberships = sum(len(generated.members(group)) for group in GROUPS)
    for summary in summaries:
        assert (summary["problems"], summary["groups"], summary["memberships"]) == ([], len(GROUPS), memberships)
    # An item is written once for each batch that lists one of its groups.
    assert with_item <= summaries[0]["groups_updated"] <= 2 * with_item
    assert unchanged.write_calls == 0
    return GroupMeasurement(
        groups=len(GROUPS),
        memberships=memberships,
        first=first,
        unchanged=unchanged,
        batches=summaries[0]["batches"],
        largest_batch=_Measured.largest_batch,
        largest_bytes=_Measured.largest_bytes,
    )


def _fill(aws: SimulatedAws) -> int:
    """Put the item of each confirmed user into the table, without groups. Returns their number."""
    layout = ItemLayout(POOL_ID, ATTRIBUTES)
    number = 0
    for position in aws.users.positions("", ""):
        user = from_cognito(aws.users.listed(position), _FILLED_AT)
        if user.status != UNCONFIRMED:
            item = {"id": user.sub, "synced_at": _FILLED_AT, **layout.to_item(user)}
            aws.dynamodb.put_item(Item={name: marshal(value) for name, value in item.items()})
            number += 1
    return number
