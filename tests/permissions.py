"""The permissions of the module's roles, from the table in docs/security.md."""

from __future__ import annotations

import itertools
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

SECURITY = Path(__file__).parents[1] / "docs" / "security.md"
FUNCTIONS = (
    "post-confirmation", "retry-sign-ups", "sync-changes", "publish-user-events", "sync-user", "send-welcome",
    "plan-shards", "reconcile-shards", "start-run", "pool-trigger",
)  # fmt: skip
STATE_MACHINES = ("user-sync", "reconciliation")
DEFINITION = "**definition**"


class Permission(NamedTuple):
    """A permission. `role` has no prefix, and `resource` is the text of the table."""

    role: str
    action: str
    resource: str


@cache
def table() -> dict[Permission, str]:
    """Return every permission in docs/security.md with its evidence."""
    _, _, rest = SECURITY.read_text(encoding="utf-8").partition("<!-- permissions: read by")
    found: dict[Permission, str] = {}
    for line in rest.partition("<!-- permissions: end")[0].splitlines()[4:]:
        if not line:
            continue
        roles, actions, resources, _, shown_by = (cell.strip() for cell in line.strip("|").split(" | "))
        for role, action, resource in itertools.product(_roles(roles), _codes(actions), _codes(resources)):
            permission = Permission(role, action, resource.replace("<function>", role))
            assert permission not in found, f"twice in {SECURITY.name}: {permission}"
            found[permission] = shown_by.strip("`")
    return found


def _roles(cell: str) -> list[str]:
    left_out = cell.removeprefix("every function").removeprefix(" but ")
    return [role for role in FUNCTIONS if role != left_out] if cell.startswith("every function") else cell.split(", ")


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
