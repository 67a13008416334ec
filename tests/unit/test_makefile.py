"""What make says to somebody who is new here, or who mistypes a stage."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # As a person's shell has it, also when make itself runs the tests.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_make_alone_lists_the_targets() -> None:
    listed = make()
    assert listed.returncode == 0
    targets = [line.split()[0] for line in listed.stdout.splitlines()]
    assert {"demo", "test", "check", "package", "plan", "apply", "destroy", "local-aws-up"} <= set(targets)


@pytest.mark.parametrize("target", ["plan", "apply", "destroy", "package"])
@pytest.mark.parametrize("stage", ["", "prod", "dev staging", "../dev"])
def test_an_unknown_stage_is_refused_with_the_known_ones(target: str, stage: str) -> None:
    refused = make(target, f"ENV={stage}")
    assert refused.returncode == 2
    known = " ".join(sorted(path.stem for path in (ROOT / "environments").glob("*.tfvars")))
    assert f'ENV is "{stage}": it must be one of {known}, as in: make plan ENV=dev' in refused.stderr
    assert refused.stdout == ""
