"""The picture of the demo's recorded run."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.demo_picture import StaleRunError, check_run, picture

ROOT = Path(__file__).parents[2]
OUTPUT = (ROOT / "demo/output.txt").read_text(encoding="utf-8")
STEPS = (ROOT / "demo/steps.py").read_text(encoding="utf-8")


def test_check_run_accepts_the_recorded_run() -> None:
    check_run(OUTPUT, STEPS)


@pytest.mark.parametrize(
    ("output", "steps", "named"),
    [
        (OUTPUT, STEPS.replace('"terraform destroy"', '"terraform remove"'), "terraform\\ remove, terraform destroy"),
        (OUTPUT, STEPS.replace('"no changes"', 'f"no changes of {planned}"'), "no\\ changes\\ of\\ .+, no changes"),
        (OUTPUT.replace("   ok  no changes\n", ""), STEPS, "no\\ changes"),
        (OUTPUT.replace("| ok     |", "| FAILED |"), STEPS, "not the output of a run that succeeded"),
    ],
)
def test_check_run_rejects_a_run_of_other_steps(output: str, steps: str, named: str) -> None:
    with pytest.raises(StaleRunError) as raised:
        check_run(output, steps)
    assert f"{named}; run: make" in str(raised.value)


def test_picture_has_a_check_of_each_step() -> None:
    drawn = picture("1. Sign up\n   said\n   ok  [confirmed]\n2. Sync\n   ok  synced\n").replace("&#160;", " ")
    assert all(text in drawn for text in ("Sign up", "[confirmed]", "Sync", "synced"))
    assert "said" not in drawn
