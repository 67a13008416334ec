"""examples/owned_pool: the configuration that makes the pool names the trigger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws.client import LocalAws
from tests.deployed import ROOT, Deployment, Pool, SignUps, Terraform

REGION = {"region": LocalAws.region}
# Of a change that Terraform makes with UpdateUserPool.
UNCHANGED = 'auto_verified_attributes = ["email"]'
CHANGED = f'{UNCHANGED}\n  email_verification_subject = "Your code"'


@pytest.fixture(scope="module")
def terraform(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    terraform = Terraform.of_copy(ROOT / "examples" / "owned_pool", tmp_path_factory.mktemp("owned"))
    terraform("apply", "-auto-approve", variables=REGION)
    yield terraform
    terraform("destroy", "-auto-approve", variables=REGION)


def owned_pool(aws: LocalAws, terraform: Terraform) -> Pool:
    pool_id = terraform.outputs()["user_pool_id"]
    cognito = aws.client("cognito-idp")
    client = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="app")["UserPoolClient"]
    return Pool(aws, pool_id, client["ClientId"], cognito)


def assert_sign_up_is_synced(aws: LocalAws, terraform: Terraform, username: str) -> None:
    pool = owned_pool(aws, terraform)
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    deployed = Deployment(aws, terraform.outputs()["user_sync"])
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None


def test_owned_pool_names_the_trigger_without_a_cycle(aws: LocalAws, terraform: Terraform, username: str) -> None:
    assert_sign_up_is_synced(aws, terraform, username)
    assert terraform.warnings(REGION) == ""


def test_sign_ups_succeed_while_the_pool_is_changed(aws: LocalAws, terraform: Terraform) -> None:
    """Also if Cognito rejects the change: Terraform leaves the permission of the trigger alone."""
    configuration = terraform.folder / "main.tf"
    configuration.write_text(configuration.read_text().replace(UNCHANGED, CHANGED))
    with SignUps(owned_pool(aws, terraform)) as users:
        aws.set_faults([{"operation": "cognito-idp:UpdateUserPool", "fault": "access_denied"}])
        try:
            rejected = terraform("apply", "-auto-approve", variables=REGION, expect=1)
        finally:
            aws.clear_faults()
        applied = terraform("apply", "-auto-approve", variables=REGION)
    for run in (rejected, applied):
        assert "Plan: 0 to add, 1 to change, 0 to destroy." in run.stdout
    assert users.failures == []
    assert len(users.subs) > 10


def test_replaced_pool_is_synced(aws: LocalAws, terraform: Terraform, username: str) -> None:
    before = terraform.outputs()["user_pool_id"]
    terraform("apply", "-auto-approve", "-replace=aws_cognito_user_pool.this", variables=REGION)
    assert terraform.outputs()["user_pool_id"] != before
    assert_sign_up_is_synced(aws, terraform, username)
