"""examples/owned_pool: the configuration that creates the pool also sets its trigger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws.client import LocalAws
from tests.deployed import ROOT, Deployment, Pool, SignUps, Terraform

REGION = {"region": LocalAws.region}
# A change that Terraform makes with UpdateUserPool.
UNCHANGED = 'auto_verified_attributes = ["email"]'
CHANGED = f'{UNCHANGED}\n  email_verification_subject = "Your code"'


@pytest.fixture(scope="module")
def terraform(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    terraform = Terraform.of_copy(ROOT / "examples" / "owned_pool", tmp_path_factory.mktemp("owned"))
    terraform("apply", "-auto-approve", variables=REGION)
    yield terraform
    terraform("destroy", "-auto-approve", "-refresh=false", variables=REGION)


def owned_pool(aws: LocalAws, terraform: Terraform) -> Pool:
    pool_id = terraform.outputs()["user_pool_id"]
    cognito = aws.client("cognito-idp")
    client = cognito.create_user_pool_client(UserPoolId=pool_id, ClientName="app")["UserPoolClient"]
    return Pool(aws, pool_id, client["ClientId"], cognito)


def test_owned_pool_names_the_trigger_without_a_cycle(aws: LocalAws, terraform: Terraform, username: str) -> None:
    pool = owned_pool(aws, terraform)
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    deployed = Deployment(aws, terraform.outputs()["user_sync"])
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    assert terraform.warnings(REGION) == ""


def test_sign_ups_succeed_while_the_pool_is_changed(aws: LocalAws, terraform: Terraform) -> None:
    """Also if Cognito rejects the change: Terraform does not change the permission of the trigger."""
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


def test_replaced_pool_is_synced_with_email_addresses_as_usernames(
    aws: LocalAws, terraform: Terraform, username: str
) -> None:
    before = terraform.outputs()["user_pool_id"]
    configuration = terraform.folder / "main.tf"
    with_addresses = f'{CHANGED}\n  username_attributes = ["email"]'
    configuration.write_text(configuration.read_text().replace(CHANGED, with_addresses))
    # A change of username_attributes replaces the pool.
    terraform("apply", "-auto-approve", variables=REGION)
    assert terraform.outputs()["user_pool_id"] != before
    pool, email = owned_pool(aws, terraform), f"{username}@example.com"
    sub = pool.sign_up(email, email=email, name="Ada Canary")
    pool.confirm(email)
    deployed = Deployment(aws, terraform.outputs()["user_sync"])
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    (mail,) = deployed.welcomes_to(email)
    assert (mail.subject, mail.text.splitlines()[0]) == ("Welcome, Ada Canary", "Welcome, Ada Canary")
