"""The progress that the demo prints, and the picture of its recorded run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from demo.deployment import resources_so_far
from demo.report import Report
from docs.demo_picture import StaleRunError, check_run, picture

PLANNED = "Plan: 2 to add, 1 to change, 1 to destroy.\n"
DONE = (
    "a.b: Creation complete after 0s [id=x]\na.c: Modifications complete after 0s\na.d: Destruction complete after 1s\n"
)


@pytest.mark.parametrize(
    ("output", "progress"),
    [
        ("", ""),
        ("data.a.b: Read complete after 0s\n", ""),
        (PLANNED, "0 of 4"),
        (PLANNED + DONE + "a.e: Still creating... [10s elapsed]\n", "3 of 4"),
    ],
)
def test_progress_counts_the_planned_resources(output: str, progress: str) -> None:
    assert resources_so_far(output) == progress


def test_piped_progress_is_a_line_every_ten_seconds() -> None:
    printed = io.StringIO()
    now = 100.0
    with Report(Console(file=printed)).waiting("terraform apply", lambda: now) as progress:
        for seconds, done in ((4, ""), (10, ""), (14, "9 of 64"), (21, "36 of 64")):
            now = 100.0 + seconds
            progress(done)
    assert printed.getvalue() == "   terraform apply: 10 s\n   terraform apply: 36 of 64, 21 s\n"


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
