"""A pool without a post-confirmation trigger: handover, a partial attach, a replaced trigger, a deleted pool.

One deployment for all tests: each test starts with the state of the one before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local_aws.client import Fault, LocalAws
from local_aws.resources import make_function
from tests.deployed import DEPLOYMENT, Deployment, Pool, Terraform, make_pool
from tests.integration.pool_triggers import ANY_TRIGGER, configuration_of, set_trigger, trigger_of, with_trigger

STAGE = "recovery"
POOL_TRIGGER = f"cognito-user-sync-{STAGE}-pool-trigger"
MODULE = "module.user_sync.module.pool_trigger[0]"
ATTACH, GUARD = f"{MODULE}.aws_lambda_invocation.attach", f"{MODULE}.aws_lambda_invocation.guard"


@pytest.fixture(scope="module")
def owned(aws: LocalAws) -> Pool:
    """A pool with another trigger, but no post-confirmation trigger."""
    return make_pool(aws, {"PreSignUp": make_function(aws, "their-recovery-pre-sign-up", ANY_TRIGGER)})


@pytest.fixture(scope="module")
def found(owned: Pool) -> dict[str, Any]:
    """The pool's configuration before the module is applied."""
    return owned.configuration()


@pytest.fixture(scope="module", autouse=True)
def terraform(tmp_path_factory: pytest.TempPathFactory, owned: Pool, found: dict[str, Any]) -> Iterator[Terraform]:
    run = Terraform.of_copy(DEPLOYMENT, tmp_path_factory.mktemp(STAGE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", owned.id)
        patch.setenv("TF_VAR_stage", STAGE)
        run("apply", "-auto-approve")
        yield run


@pytest.fixture
def ours(terraform: Terraform) -> str:
    return trigger_arn(terraform)


def trigger_arn(terraform: Terraform) -> str:
    return str(terraform.outputs()["user_sync"]["post_confirmation_function_arn"])


def assert_trigger_is_not_reported(terraform: Terraform) -> None:
    """Fails the test if a plan warns of the trigger. It warns of the pre-sign-up trigger, because of the email."""
    warnings = terraform.warnings()
    assert warnings.count("Warning: Check block") == 1, warnings
    assert ":function:their-recovery-pre-sign-up. If this function sets autoVerifyEmail" in warnings


def resources(terraform: Terraform) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(terraform.state.read_text())["resources"]
    return found


def times_logged_by_pool_trigger(aws: LocalAws, words: str) -> int:
    events = aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{POOL_TRIGGER}")["events"]
    return sum(words in event["message"] for event in events)


def test_trigger_moves_to_other_configuration_without_a_gap(
    terraform: Terraform, owned: Pool, found: dict[str, Any], ours: str
) -> None:
    terraform.forget(GUARD)
    terraform("apply", "-auto-approve", variables={"attach_trigger": "false"})
    assert configuration_of(owned) == with_trigger(found, ours), "the owner's configuration manages it from now on"
    terraform("apply", "-auto-approve")
    assert configuration_of(owned) == with_trigger(found, ours)
    assert_trigger_is_not_reported(terraform)


# A partial attach, and detaching.


def attach_partially(aws: LocalAws, terraform: Terraform, pool: Pool, ours: str) -> None:
    """Remove the trigger, and attach it by an apply that fails: Terraform loses the response of the function."""
    set_trigger(pool, None)
    lost_answer: Fault = {
        "operation": "lambda:InvokeFunction",
        "function": POOL_TRIGGER,
        "fault": "access_denied",
        "after": True,
        "times": 1,
    }
    aws.set_faults([lost_answer])
    try:
        terraform("apply", "-auto-approve", f"-replace={ATTACH}", expect=1)
    finally:
        aws.clear_faults()
    assert trigger_of(pool) == ours


def test_apply_retries_partial_attach(
    aws: LocalAws, terraform: Terraform, owned: Pool, found: dict[str, Any], ours: str
) -> None:
    attach_partially(aws, terraform, owned, ours)
    terraform("apply", "-auto-approve")
    assert configuration_of(owned) == with_trigger(found, ours)
    assert_trigger_is_not_reported(terraform)


def test_apply_detaches_after_partial_attach(
    aws: LocalAws, terraform: Terraform, owned: Pool, found: dict[str, Any], ours: str
) -> None:
    attach_partially(aws, terraform, owned, ours)
    terraform("apply", "-auto-approve", variables={"attach_trigger": "false"})
    assert configuration_of(owned) == with_trigger(found, None)


def test_detach_leaves_replaced_trigger(
    aws: LocalAws, terraform: Terraform, owned: Pool, found: dict[str, Any]
) -> None:
    theirs = make_function(aws, "their-replacement", ANY_TRIGGER)
    terraform("apply", "-auto-approve")
    set_trigger(owned, theirs)
    request = {"action": "detach", "user_pool_id": owned.id, "function_arn": trigger_arn(terraform)}
    for _ in range(2):
        answer = aws.client("lambda").invoke(FunctionName=POOL_TRIGGER, Payload=json.dumps(request))
        assert json.load(answer["Payload"])["result"] == f"nothing to detach: the trigger is {theirs}"
    before = times_logged_by_pool_trigger(aws, f"nothing to detach: the trigger is {theirs}")
    terraform("destroy", "-auto-approve", f"-target={GUARD}")
    assert times_logged_by_pool_trigger(aws, f"nothing to detach: the trigger is {theirs}") == before + 1
    assert configuration_of(owned) == with_trigger(found, theirs)


def test_destroy_succeeds_when_deleted_function_is_created_again(
    aws: LocalAws, terraform: Terraform, owned: Pool, found: dict[str, Any], ours: str
) -> None:
    """Only this function can detach the trigger: docs/operations.md."""
    set_trigger(owned, None)
    terraform("apply", "-auto-approve")
    aws.client("lambda").delete_function(FunctionName=POOL_TRIGGER)
    destroyed = terraform("destroy", "-auto-approve", f"-target={GUARD}", expect=1)
    assert f"Function not found: {ours.replace('post-confirmation', 'pool-trigger')}" in destroyed.stderr
    assert configuration_of(owned) == with_trigger(found, ours)
    function = f"{MODULE}.module.function"
    # make destroy finds it in the state.
    kept = {(each.get("module"), each["type"]) for each in resources(terraform)}
    assert {(MODULE, "aws_lambda_invocation"), (function, "aws_lambda_function")} & kept == {
        (MODULE, "aws_lambda_invocation")
    }
    assert "1 added, 0 changed, 0 destroyed" in terraform("apply", "-auto-approve", f"-target={function}").stdout
    terraform("destroy", "-auto-approve", f"-target={GUARD}")
    assert configuration_of(owned) == with_trigger(found, None)


def test_a_deployment_can_be_destroyed_after_its_pool(aws: LocalAws, terraform: Terraform, owned: Pool) -> None:
    set_trigger(owned, None)
    terraform("apply", "-auto-approve")
    deployed = Deployment(aws, terraform.outputs()["user_sync"])
    assert len(deployed.functions()) > 3
    assert trigger_of(owned) == trigger_arn(terraform)
    aws.client("cognito-idp").delete_user_pool(UserPoolId=owned.id)
    request = {"action": "detach", "user_pool_id": owned.id, "function_arn": trigger_arn(terraform)}
    answer = aws.client("lambda").invoke(FunctionName=POOL_TRIGGER, Payload=json.dumps(request))
    assert json.load(answer["Payload"])["result"] == "nothing to detach: the user pool does not exist"
    terraform("destroy", "-auto-approve", "-refresh=false")
    assert deployed.functions() == []
