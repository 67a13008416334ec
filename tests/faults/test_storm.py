"""A storm of faults, after all other tests: the trigger gives up after 1.5 s, and so needs the processor for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.parts import with_part
from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Pool
from tests.faults.storm import Figures, storm


@pytest.mark.usefixtures("alone")
def test_a_storm_loses_nobody_and_greets_nobody_twice(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator, pytestconfig: pytest.Config
) -> None:
    users = pytestconfig.getoption("--storm-users") or 100
    seeds = [pytestconfig.getoption("--storm-seed")] if pytestconfig.getoption("--storm-seed") else [1, 2, 3]
    for seed in seeds:
        figures = storm(aws, pool, deployed, operator, users, seed)
        print(f"\n{figures.table()}")
        assert figures == figures_of_a_survived_storm(figures, users)
        if report := pytestconfig.getoption("--storm-report"):
            write_figures(report, figures, users, seed)


def figures_of_a_survived_storm(figures: Figures, users: int) -> Figures:
    """The same, but for what must be so."""
    assert figures.parked > 0
    assert figures.greeted_once + figures.outcome_unknown - figures.unknown_and_greeted == users
    return Figures(
        confirmed=users,
        failed_for_the_user=0,
        parked=figures.parked,
        redriven=figures.redriven,
        synced=users,
        greeted_once=figures.greeted_once,
        greeted_twice=0,
        outcome_unknown=figures.outcome_unknown,
        unknown_and_greeted=figures.unknown_and_greeted,
        lost=0,
    )


def write_figures(report: Path, figures: Figures, users: int, seed: int) -> None:
    table = f"`make storm USERS={users} SEED={seed}`:\n\n{figures.table()}"
    page = with_part(report.read_text(encoding="utf-8"), "storm", "storm", table)
    report.write_text(page, encoding="utf-8")
