"""Whoever owns the pool in the same configuration names the trigger in it: examples/owned_pool."""

from __future__ import annotations

from pathlib import Path

from local_aws.client import LocalAws
from tests.deployed import Deployment, Pool, Terraform

EXAMPLE = Path(__file__).parents[2] / "examples" / "owned_pool"
REGION = {"region": LocalAws.region}


def test_the_pool_names_the_trigger_itself_without_a_cycle(aws: LocalAws, tmp_path: Path, username: str) -> None:
    terraform = Terraform(EXAMPLE, tmp_path / "data", tmp_path / "state")
    terraform("init")
    terraform("apply", "-auto-approve", variables=REGION)
    outputs = terraform.outputs()
    cognito = aws.client("cognito-idp")
    client = cognito.create_user_pool_client(UserPoolId=outputs["user_pool_id"], ClientName="app")["UserPoolClient"]
    pool = Pool(aws, outputs["user_pool_id"], client["ClientId"], cognito)
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    deployed = Deployment(aws, outputs["user_sync"])
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    assert terraform.warnings(REGION) == ""
    terraform("destroy", "-auto-approve", variables=REGION)
