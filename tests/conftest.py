"""Fixtures for tests of the deployed module. There is one local AWS per process, since its environment names it."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from local_aws.client import LocalAws
from tests.deployed import (
    CANARY,
    assert_alarms_have_no_personal_data,
    assert_calls_are_documented,
    assert_logs_have_no_personal_data,
    assert_requests_have_no_attributes,
    running_local_aws,
)

# The slowest files, which start first: a worker runs all tests of a deployment. test_storm waits until the other
# workers have ended. test_incidents and test_operating, which deploy under the same name, start in different processes.
_FIRST = (
    *("test_incidents", "test_operating", "test_table_shapes", "test_benchmarks", "test_faults", "test_pool_trigger"),
    *("test_every_user", "test_trigger_recovery", "test_least_privilege", "test_pipelines", "test_try_it"),
    *("test_owned_pool", "test_acceptance", "test_main_job", "test_examples"),
)
# Folders in tests/ whose files share a deployment, and so a worker.
_ONE_DEPLOYMENT = ("faults",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {name: number for number, name in enumerate(_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(_FIRST)))


class DeploymentScheduling(LoadFileScheduling):
    """Runs the tests of a deployment in one worker. A deployment is of a file, or of a folder of _ONE_DEPLOYMENT."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name in _ONE_DEPLOYMENT else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> DeploymentScheduling | None:
    return DeploymentScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[IO[str]]:
    """A file that each worker locks until it ends."""
    folder = tmp_path_factory.getbasetemp()
    with (folder if worker_id == "master" else folder.parent).joinpath("busy").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file


@pytest.fixture
def alone(busy: IO[str]) -> None:
    """Wait until every other worker has ended."""
    fcntl.flock(busy, fcntl.LOCK_EX)


@pytest.fixture(scope="session")
def aws(busy: IO[str]) -> Iterator[LocalAws]:
    with running_local_aws() as started:
        started.scale_waits(0.002)
        yield started
        assert_logs_have_no_personal_data(started)
        assert_requests_have_no_attributes(started)
        assert_alarms_have_no_personal_data(started)
        assert_calls_are_documented(started)


@pytest.fixture
def username() -> str:
    """A unique username."""
    return f"{CANARY}-{uuid.uuid4().hex[:12]}"
