"""The deployment of examples/complete: for what an operator types when all is well, and in each incident."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Pool, Terraform, eventually, make_pool
from tests.incidents.operating import EXAMPLE


@pytest.fixture(scope="session")
def people(aws: LocalAws) -> Pool:
    return make_pool(aws)


@pytest.fixture(scope="session")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    work = tmp_path_factory.mktemp("complete")
    run = Terraform(EXAMPLE, work / "data", work / "terraform.tfstate")
    run("init")
    return run


@pytest.fixture(scope="session")
def terraform(initialized: Terraform, people: Pool) -> Terraform:
    initialized("apply", "-auto-approve", variables={"user_pool_id": people.id})
    return initialized


@pytest.fixture(scope="session")
def deployed(aws: LocalAws, terraform: Terraform) -> Deployment:
    deployment = Deployment(aws, terraform.outputs()["user_sync"])
    # The run that the apply has started: no other can run beside it.
    eventually(lambda: all(run["status"] != "RUNNING" for run in deployment.runs()), seconds=60)
    return deployment


@pytest.fixture
def operator(deployed: Deployment, tmp_path: Path) -> Operator:
    return Operator.of(deployed, tmp_path)


@pytest.fixture(autouse=True)
def _faults_end_with_their_test(aws: LocalAws) -> Iterator[None]:
    yield
    aws.clear_faults()
    aws.clear_quotas()


@pytest.fixture
def ada(deployed: Deployment, people: Pool, username: str) -> str:
    """The sub of a user who has signed up, and is synced and welcomed."""
    sub = people.sign_up(username, email=f"{username}@example.com", name="Ada-Canary", custom__plan="canary")
    people.confirm(username)
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    return sub
