"""The folders of examples/, applied without changes.

test_owned_pool.py, test_operating.py and tests/faults apply the others.
"""

from __future__ import annotations

from pathlib import Path

from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Terraform, make_pool

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_has_a_test() -> None:
    assert {each.name for each in EXAMPLES.iterdir() if each.is_dir()} == {
        "minimal",
        "complete",
        "owned_pool",
        "user_events",
    }


def test_minimal_example_syncs_users_and_sends_no_email(aws: LocalAws, tmp_path: Path, username: str) -> None:
    pool = make_pool(aws)
    found = pool.configuration()
    before = pool.sign_up(f"{username}-before", email=f"{username}-before@example.com")
    pool.confirm(f"{username}-before")
    terraform = Terraform(EXAMPLES / "minimal", tmp_path / "data", tmp_path / "state")
    variables = {"user_pool_id": pool.id}
    terraform("init")
    terraform("apply", "-auto-approve", variables=variables)
    deployed = Deployment(aws, terraform.outputs()["user_sync"])
    operator = Operator.of(deployed, tmp_path)
    assert "listed" in operator("reconcile", "--follow")
    assert deployed.item(before) is not None
    sub = pool.sign_up(username, email=f"{username}@example.com")
    pool.confirm(username)
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    assert deployed.welcomes_to(f"{username}@example.com") == []
    assert "this deployment sends no welcome" in operator("preview-email", "--username", "ada", expect=2)
    assert "The deployment is healthy." in operator("status")
    assert terraform.warnings(variables) == ""
    terraform("destroy", "-auto-approve", variables=variables)
    after = pool.configuration()
    assert after["pool"].pop("LambdaConfig", {}) == found["pool"].pop("LambdaConfig", {}) == {}
    assert after == found
