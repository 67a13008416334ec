"""Whoever owns the pool in the same configuration names the trigger in it: examples/owned_pool."""

from __future__ import annotations

from pathlib import Path

from tests.integration.conftest import Terraform

EXAMPLE = Path(__file__).parents[2] / "examples" / "owned_pool"


def test_the_pool_can_name_the_trigger_without_a_cycle(tmp_path: Path) -> None:
    terraform = Terraform(EXAMPLE, tmp_path / "data", tmp_path / "state")
    terraform("init")
    planned = terraform("plan", "-detailed-exitcode", variables={"region": "us-east-1"}, expect=2)  # 2: something to do
    assert "aws_cognito_user_pool.this will be created" in planned.stdout
