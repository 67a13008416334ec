"""The pages and the README show the measured figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import pages
from benchmarks.figures import Prices
from benchmarks.first_invocation import FirstInvocations, Times
from benchmarks.results import Results
from benchmarks.sign_up_path import MAIL_AND_START, MODULE_SHAPE, Spread

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/benchmarks.md", "docs/cost.md", "docs/using-the-table.md")


@pytest.fixture
def results() -> Results:
    return Results.load()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for page in PAGES:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_results_are_stored_whole(results: Results, tmp_path: Path) -> None:
    changed = replace(results, machine="another")
    changed.store(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == changed != results


def test_pages_show_the_results_and_nothing_else(copy: Path) -> None:
    """A figure that was typed into a page is replaced."""
    written = pages.documents(copy)
    assert written == {page: (copy / page).read_text(encoding="utf-8") for page in PAGES}
    for page, text in written.items():
        start = text.index("written by make bench")
        digit = next(place for place in range(start, len(text)) if text[place].isdigit())
        (copy / page).write_text(f"{text[:digit]}7777{text[digit:]}", encoding="utf-8")
    assert pages.documents(copy) == written


def test_first_invocation_is_compared_at_the_smallest_memory(results: Results) -> None:
    times = Times(initialization=100, call=60, slowest_call=70, together=160, limited_together=300)
    slow = Times(initialization=100, call=150, slowest_call=170, together=250, limited_together=375)
    quick = replace(times, call=30)
    by_memory = {512: {MODULE_SHAPE: quick, MAIL_AND_START: slow}, 256: {MODULE_SHAPE: times, MAIL_AND_START: slow}}
    measured = replace(results, first_invocations=FirstInvocations(9, "cgroup v2", by_memory))
    said = pages.benchmark_parts(measured, Prices.load())["first invocation"]
    assert "quota of cgroup v2" in said
    assert "Measured: 0.40, **missed**." in said
    assert "Measured: 0.80, **missed**." in said
    assert "| 256 MB, 0.145 vCPU | this module: start | 100 | 60 | 70 | 0.40 | 160 | 0.64 | 300 | 0.80 |" in said


def test_first_invocation_without_a_cpu_quota_is_not_measured(results: Results) -> None:
    said = pages.benchmark_parts(replace(results, first_invocations=None), Prices.load())["first invocation"]
    assert said.startswith("Not measured: this machine has no CPU quota")


def test_missed_target_is_shown(results: Results) -> None:
    slow = {MODULE_SHAPE: Spread(7, 9), MAIL_AND_START: Spread(10, 12)}
    path = results.sign_up_path
    missed = replace(results, sign_up_path=replace(path, handler={**path.handler, **slow}))
    said = pages.benchmark_parts(missed, Prices.load())["sign-up path"]
    assert "Measured: 0.70, **missed**." in said
