"""examples/owned_pool: the configuration that makes the pool names the trigger."""

from __future__ import annotations

from pathlib import Path

from local_aws.client import LocalAws
from tests.deployed import Deployment, Pool, Terraform

EXAMPLE = Path(__file__).parents[2] / "examples" / "owned_pool"


def test_a_pool_of_ones_own_names_the_trigger_itself_without_a_cycle(
    aws: LocalAws, tmp_path: Path, username: str
) -> None:
    region = {"region": LocalAws.region}
    terraform = Terraform(EXAMPLE, tmp_path / "data", tmp_path / "state")
    terraform("init")
    terraform("apply", "-auto-approve", variables=region)
    outputs = terraform.outputs()
    cognito = aws.client("cognito-idp")
    client = cognito.create_user_pool_client(UserPoolId=outputs["user_pool_id"], ClientName="app")["UserPoolClient"]
    pool = Pool(aws, outputs["user_pool_id"], client["ClientId"], cognito)
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    deployed = Deployment(aws, outputs["user_sync"])
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    assert terraform.warnings(region) == ""
    terraform("destroy", "-auto-approve", variables=region)
