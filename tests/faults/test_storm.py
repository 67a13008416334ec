"""Many random faults, after all other tests: the trigger, which has 1.5 s for its calls, needs the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.parts import with_part
from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Pool
from tests.faults.storm import Figures, storm, warm_up


@pytest.mark.usefixtures("alone")
def test_random_faults_lose_no_user_and_repeat_no_email(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator, pytestconfig: pytest.Config
) -> None:
    users = pytestconfig.getoption("--storm-users") or 100
    seeds = [pytestconfig.getoption("--storm-seed")] if pytestconfig.getoption("--storm-seed") else [1, 2, 3]
    warm_up(aws, pool, deployed)
    for seed in seeds:
        figures = storm(aws, pool, deployed, operator, users, seed)
        print(f"\n{figures.table()}")
        assert_survived(figures)
        if report := pytestconfig.getoption("--storm-report"):
            write_figures(report, figures, users, seed)


def assert_survived(figures: Figures) -> None:
    assert figures.errors == []
    assert figures.lost == {}
    assert figures.emailed_twice == 0
    assert figures.synced == figures.confirmed
    assert figures.emailed_once + figures.outcome_unknown - figures.unknown_and_emailed == figures.confirmed
    assert figures.queued


def write_figures(report: Path, figures: Figures, users: int, seed: int) -> None:
    table = f"`make storm USERS={users} SEED={seed}`:\n\n{figures.table()}"
    page = with_part(report.read_text(encoding="utf-8"), "storm", "storm", table)
    report.write_text(page, encoding="utf-8")
