"""A deployment of examples/complete for each file. test_incidents, the first one, destroys its deployment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Pool, Terraform, eventually, make_pool
from tests.incidents.operating import EXAMPLE


@pytest.fixture(scope="module")
def pool(aws: LocalAws) -> Pool:
    return make_pool(aws)


@pytest.fixture(scope="module")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    work = tmp_path_factory.mktemp("complete")
    run = Terraform(EXAMPLE, work / "data", work / "terraform.tfstate")
    run("init")
    return run


@pytest.fixture(scope="module")
def terraform(initialized: Terraform, pool: Pool) -> Terraform:
    initialized("apply", "-auto-approve", variables={"user_pool_id": pool.id})
    return initialized


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, terraform: Terraform) -> Deployment:
    deployment = Deployment(aws, terraform.outputs()["user_sync"])
    # The apply started a run, and only one can run at a time.
    eventually(lambda: all(run["status"] != "RUNNING" for run in deployment.runs()))
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
def ada(deployed: Deployment, pool: Pool, username: str) -> str:
    """The sub of a user that signed up, is synced and got the welcome email."""
    sub = pool.sign_up(username, email=f"{username}@example.com", name="Ada-Canary", custom__plan="canary")
    pool.confirm(username)
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    return sub
