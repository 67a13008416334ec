"""Whoever owns the pool in the same configuration names the trigger in it: examples/owned_pool."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "owned_pool"


def test_the_pool_can_name_the_trigger_without_a_cycle(tmp_path: Path) -> None:
    environment = {**os.environ, "TF_DATA_DIR": str(tmp_path / "data")}
    plan = ["plan", "-var=region=us-east-1", "-detailed-exitcode", f"-state={tmp_path}/state"]
    for command, expected in ((["init"], 0), (plan, 2)):  # 2: planned, with something to do
        done = subprocess.run(
            ["terraform", *command, "-input=false", "-no-color"],
            cwd=EXAMPLE,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == expected, done.stderr
    assert "aws_cognito_user_pool.this will be created" in done.stdout
