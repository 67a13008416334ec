"""The tfvars files of the environments: only dev may lose its users."""

from __future__ import annotations

from pathlib import Path

import hcl2
import pytest

ENVIRONMENTS = Path(__file__).parents[2] / "environments"
STAGES = sorted(path.stem for path in ENVIRONMENTS.glob("*.tfvars"))


def test_there_are_three_environments() -> None:
    assert STAGES == ["dev", "production", "staging"]


@pytest.mark.parametrize("stage", STAGES)
def test_only_dev_disables_protection_and_backups(stage: str) -> None:
    given = hcl2.loads((ENVIRONMENTS / f"{stage}.tfvars").read_text(encoding="utf-8"))
    off = {"deletion_protection": False, "point_in_time_recovery": False}
    assert given.get("table", {}) == (off if stage == "dev" else {})
