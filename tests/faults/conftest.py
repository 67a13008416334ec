"""One deployment for all tests of faults, and its operator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.client import LocalAws
from tests.deployed import DEPLOYMENT, ROOT, Deployment, Operator, Pool, Terraform, make_pool

# Of the retry queue, instead of three minutes.
VISIBILITY_TIMEOUT_SECONDS = "2"
# The example of a service that handles events about users.
EVENT_BUS = "arn:aws:events:us-east-1:000000000000:event-bus/default"
CONSUMER = "their-consumer"
# On demand only, so that no run syncs a user that a fault keeps from the table.
RECONCILIATION = '{ schedule = "none", run_on_apply = "none", overdue_hours = 0, list_users_per_second = 30 }'


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--storm-users", type=int, help="users that sign up while calls fail")
    parser.addoption("--storm-seed", type=int, help="seed that selects the calls that fail")
    parser.addoption("--storm-report", type=Path, help="file to which the figures are written")


@pytest.fixture(scope="session")
def pool(aws: LocalAws) -> Pool:
    return make_pool(aws)


@pytest.fixture(scope="session")
def terraform(pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    folder = tmp_path_factory.mktemp("faults").resolve()
    consumer = {
        "source": os.path.relpath(ROOT / "examples" / "user_events", folder),
        "name": CONSUMER,
        "user_table_arn": "${module.user_sync.user_table_arn}",
    }
    (folder / "consumer.tf.json").write_text(json.dumps({"module": {"consumer": consumer}}))
    run = Terraform.of_copy(DEPLOYMENT, folder)
    variables = {
        "user_pool_id": pool.id,
        "stage": "faults",
        "reconciliation": RECONCILIATION,
        "sync_groups": "true",
        "user_events": json.dumps({"event_bus_arn": EVENT_BUS}),
    }
    run("apply", "-auto-approve", variables=variables)
    return run


@pytest.fixture(scope="session")
def deployed(aws: LocalAws, terraform: Terraform) -> Deployment:
    deployment = Deployment(aws, terraform.outputs()["user_sync"])
    aws.client("sqs").set_queue_attributes(
        QueueUrl=deployment.outputs["retry_queue_url"],
        Attributes={"VisibilityTimeout": VISIBILITY_TIMEOUT_SECONDS},
    )
    return deployment


@pytest.fixture(scope="session")
def operator(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator.of(deployed, tmp_path_factory.mktemp("operator"))


@pytest.fixture(autouse=True)
def _faults_end_with_their_test(aws: LocalAws) -> Iterator[None]:
    yield
    aws.clear_faults()
