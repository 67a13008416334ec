"""What the demo prints while Terraform works."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from demo.deployment import resources_so_far
from demo.report import Report

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
