"""The main job, end to end: a confirmed user is synced to the table and gets a welcome email.

One deployment for all tests, since the provider takes 25 s for a queue. The last test destroys it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_terraform import terraform

from local_aws.client import LocalAws
from tests.deployed import (
    CANARY_PHONE,
    DEPLOYMENT,
    SENDER,
    Deployment,
    Pool,
    SignUps,
    Terraform,
    assert_requests_have_no_attributes,
    eventually,
    make_pool,
)

pytestmark = pytest.mark.usefixtures("aws", "pool")

# The configuration of the pool before the module is applied.
FOUND: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def found(pool: Pool) -> None:
    FOUND.update(pool.configuration())


@pytest.fixture(scope="module", autouse=True)
def during_first_apply(aws: LocalAws, found: None, pool: Pool) -> Iterator[SignUps]:
    """Users sign up from before the first apply until a test stops them."""
    aws.reset_calls()
    with SignUps(pool) as users:
        yield users


@pytest.fixture
def deployed(aws: LocalAws, deployment: Any) -> Deployment:
    return Deployment(aws, deployment.outputs["user_sync"]["value"])


@terraform("deployment", scope="module", teardown=terraform.TEARDOWN_OFF)  # the last test destroys it
def test_attach_changes_only_the_trigger_of_the_pool(deployed: Deployment, pool: Pool) -> None:
    after = pool.configuration()
    triggers = after["pool"].get("LambdaConfig", {})
    assert triggers.pop("PostConfirmation") == deployed.outputs["post_confirmation_function_arn"]
    expected = json.loads(json.dumps(FOUND, default=str))
    expected["pool"].setdefault("LambdaConfig", {})
    after["pool"].setdefault("LambdaConfig", {})
    assert json.loads(json.dumps(after, default=str)) == expected


def test_sign_ups_during_first_apply_are_synced_once_attached(
    aws: LocalAws, deployed: Deployment, during_first_apply: SignUps
) -> None:
    """From the first on, each invocation of the trigger results in one execution, one item and one welcome email."""
    states, machine = aws.client("stepfunctions"), deployed.outputs["user_sync_state_machine_arn"]

    def executions() -> list[Any]:
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
        return [execution for page in pages for execution in page["executions"]]

    eventually(executions)
    during_first_apply.stop()
    assert during_first_apply.failures == []
    invocations = aws.calls_by_caller()["cognito-idp.amazonaws.com"]["lambda:InvokeFunction"]
    assert len(during_first_apply.subs) > invocations, "some users sign up before the trigger is attached"
    expected = {f"sign-up-{sub}": "SUCCEEDED" for sub in during_first_apply.subs[-invocations:]}
    eventually(lambda: {execution["name"]: execution["status"] for execution in executions()} == expected)
    addresses = [(deployed.item(sub) or {})["email"] for sub in during_first_apply.subs[-invocations:]]
    mails = Counter(mail.to[0] for mail in aws.outbox() if SENDER in mail.source)
    assert {address: mails[address] for address in addresses} == dict.fromkeys(addresses, 1)


def test_confirmed_user_is_synced_and_gets_welcome_email(deployed: Deployment, pool: Pool, username: str) -> None:
    email = f"{username}@example.com"
    sub = pool.sign_up(username, email=email, name="Zoë <b> Canary", custom__plan="canary gold")
    pool.confirm(username)
    (execution,) = deployed.settled(sub)

    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert execution["name"] == f"sign-up-{sub}"
    assert execution["request"].keys() == {"sub", "username", "reason", "occurred_at", "client_id"}
    output = json.loads(execution["output"])
    assert output.pop("message_id")
    assert output == {
        "sub": sub,
        "username": username,
        "reason": "sign_up",
        "client_id": pool.client_id,
        "outcome": "created",
        "sent": True,
    }
    item = deployed.item(sub)
    assert item is not None
    written = {name: item.pop(name) for name in ("observed_at", "synced_at")}
    assert execution["request"]["occurred_at"] <= written["observed_at"] <= written["synced_at"]
    dates = {name: item.pop(name) for name in ("cognito_created_at", "cognito_modified_at")}
    assert dates["cognito_created_at"] <= dates["cognito_modified_at"] <= written["observed_at"]
    assert sorted(item.pop("synced_attributes")) == sorted({*item, *dates} - {"id", "shard", "user_pool_id"})
    assert item == {
        "id": sub,
        "username": username,
        "email": email,
        "email_lower": email,
        "name": "Zoë <b> Canary",
        "phone_number": CANARY_PHONE,
        "custom:plan": "canary gold",
        "status": "CONFIRMED",
        "enabled": True,
        "shard": f"{pool.id}#{sub[0]}",
        "user_pool_id": pool.id,
    }
    (mail,) = deployed.welcomes_to(email)
    assert mail.subject == "Welcome, Zoë <b> Canary"
    assert mail.text.startswith("Welcome, Zoë <b> Canary\n")
    assert mail.html == f"<p>Congratulations {username} (Zoë &lt;b&gt; Canary, canary gold)</p>"


def test_requests_hold_no_attribute_of_the_user(aws: LocalAws, deployed: Deployment, pool: Pool, username: str) -> None:
    """Neither the message of the queue nor the execution, whose events every rule of the account can match."""
    sub = pool.sign_up(username, email=f"{username}@example.com", name="Ada Canary", custom__plan="canary")
    aws.set_faults([{"operation": "states:StartExecution", "fault": "500", "times": 1}])
    try:
        pool.confirm(username)
    finally:
        aws.clear_faults()
    deployed.settled(sub)
    eventually(lambda: "SUCCEEDED" in events_of(aws.data(), sub))
    data = aws.data()
    prefix = "cognito-user-sync-test"
    for where in (f"messages of {prefix}-retry", f"history of {prefix}-user-sync", "events of aws.states"):
        assert any(username in text for text in data[where]), f"{where}: not recorded, so the next line proves nothing"
    assert_requests_have_no_attributes(aws)


def events_of(data: dict[str, list[str]], sub: str) -> list[str]:
    """Return the statuses of the user's executions, from their status-change events."""
    details = [json.loads(detail) for detail in data["events of aws.states"] if sub in detail]
    return [detail["status"] for detail in details]


def test_federated_sign_up_has_its_status_from_the_first_write(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    sub = aws.sign_in_federated(pool.id, username, {"email": f"{username}@example.com", "name": "Ada Canary"})
    (execution,) = deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED"
    output = json.loads(execution["output"])
    assert (output["outcome"], output["username"]) == ("created", f"Google_{username}")
    # The provider's claim is not mapped to email_verified.
    assert output["why_not"] == "address_not_verified"
    item = deployed.item(sub)
    assert item is not None
    assert (item["status"], item["name"]) == ("EXTERNAL_PROVIDER", "Ada Canary")


def test_sync_user_waits_until_cognito_shows_confirmation(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    sub = pool.sign_up(username, email=f"{username}@example.com")

    def reads() -> int:
        return aws.calls_by_caller().get("cognito-user-sync-test-sync-user", {}).get("cognito-idp:AdminGetUser", 0)

    aws.set_cognito({"confirmation_delay_seconds": 60})
    try:
        aws.reset_calls()
        pool.confirm(username)
        eventually(lambda: reads() > 1)
        assert deployed.item(sub) is None
    finally:
        aws.clear_cognito()
    (execution,) = deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED", execution.get("error")
    assert (deployed.item(sub) or {})["status"] == "CONFIRMED"
    assert len(deployed.welcomes_to(f"{username}@example.com")) == 1


def test_each_function_of_a_sign_up_makes_these_aws_calls(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    sub = pool.sign_up(username, email=f"{username}@example.com")
    aws.reset_calls()
    pool.confirm(username)
    deployed.settled(sub)
    calls = aws.calls_by_caller()
    prefix = "cognito-user-sync-test-"
    assert {caller.removeprefix(prefix): made for caller, made in calls.items() if caller.startswith(prefix)} == {
        "post-confirmation": {"states:StartExecution": 1},
        "sync-user": {"cognito-idp:AdminGetUser": 1, "dynamodb:UpdateItem": 1},
        "send-welcome": {"cognito-idp:AdminGetUser": 1, "ses:SendEmail": 1},
    }
    assert aws.calls()["states:StartExecution"] == 1


def test_password_reset_syncs_without_welcome_email(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    email = f"{username}@example.com"
    sub = pool.sign_up(username, email=email)
    pool.confirm(username)
    deployed.settled(sub)
    aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"],
        Key={"id": {"S": sub}},
        UpdateExpression="SET #score = :score, #status = :status",
        ExpressionAttributeNames={"#score": "score", "#status": "status"},
        ExpressionAttributeValues={":score": {"N": "7"}, ":status": {"S": "RESET_REQUIRED"}},
    )
    pool.reset_password(username)

    reset, sign_up = sorted(deployed.settled(sub, count=2), key=lambda execution: execution["request"]["reason"])
    assert (sign_up["request"]["reason"], reset["request"]["reason"]) == ("sign_up", "password_reset")
    assert reset["status"] == "SUCCEEDED"
    assert len(deployed.welcomes_to(email)) == 1
    item = deployed.item(sub)
    assert item is not None
    assert item["score"] == "7", "attributes of the application are kept"
    assert item["status"] == "CONFIRMED"
    assert item["observed_at"] >= reset["request"]["occurred_at"]
    assert json.loads(reset["output"]) == {
        "sub": sub,
        "username": username,
        "reason": "password_reset",
        "client_id": pool.client_id,
        "outcome": "updated",
        "sent": False,
        "why_not": "not_a_sign_up",
    }


def test_trigger_starts_one_execution_when_event_is_repeated(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    email = f"{username}@example.com"
    sub = pool.sign_up(username, email=email)
    pool.confirm(username)
    deployed.settled(sub)
    event = {
        "version": "1",
        "region": aws.region,
        "userPoolId": pool.id,
        "userName": username,
        "callerContext": {"awsSdkVersion": "aws-sdk", "clientId": pool.client_id},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {"userAttributes": {"sub": sub, "email": email}},
        "response": {},
    }
    answer = aws.client("lambda").invoke(
        FunctionName=deployed.outputs["post_confirmation_function_arn"], Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer
    assert json.load(answer["Payload"]) == event
    assert len(deployed.settled(sub)) == 1
    assert len(deployed.welcomes_to(email)) == 1
    queue = aws.client("sqs").get_queue_attributes(
        QueueUrl=deployed.outputs["retry_queue_url"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert queue["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_user_without_email_is_synced_without_welcome_email(deployed: Deployment, pool: Pool, username: str) -> None:
    sub = pool.sign_up(username, name="Canary's mail")
    pool.cognito.admin_confirm_sign_up(UserPoolId=pool.id, Username=username)
    (execution,) = deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED"
    output = json.loads(execution["output"])
    assert (output["sent"], output["why_not"]) == (False, "no_deliverable_address")
    item = deployed.item(sub)
    assert item is not None
    assert item["name"] == "Canary's mail"
    assert not {"email", "email_lower"} & item.keys(), "DynamoDB rejects an empty key of an index"


def test_sign_up_is_retried_when_step_functions_fails(
    aws: LocalAws, deployed: Deployment, pool: Pool, username: str
) -> None:
    email = f"{username}@example.com"
    sub = pool.sign_up(username, email=email)
    aws.set_faults([{"operation": "states:StartExecution", "fault": "500", "times": 1}])
    try:
        pool.confirm(username)
    finally:
        aws.clear_faults()
    (execution,) = deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED"
    assert deployed.item(sub) is not None
    assert len(deployed.welcomes_to(email)) == 1


@pytest.fixture
def terraform_again(deployment: Any) -> Terraform:
    runner = deployment.terraform
    return Terraform(Path(runner.module_dir), Path(runner.work_dir), Path(runner.state_path))


def test_second_plan_has_no_changes_and_no_warnings(deployed: Deployment, terraform_again: Terraform) -> None:
    assert terraform_again.warnings() == ""


@pytest.mark.parametrize(
    ("variables", "message"),
    (
        pytest.param(
            {"stage": "other"},
            "This state has the deployment cognito-user-sync-test of user pool {pool}, but the variables are those of"
            " cognito-user-sync-other of user pool {pool}.",
            id="state of another value of stage",
        ),
        pytest.param(
            {"user_pool_id": "us-east-1_Missing01"},
            "reading Cognito User Pool (us-east-1_Missing01)",
            id="a pool that does not exist",
        ),
        pytest.param(
            {"user_pool_id": "eu-west-1_Elsewhere"},
            "User pool eu-west-1_Elsewhere is in the region eu-west-1, but the region of the AWS provider is"
            " us-east-1.",
            id="a pool in another region",
        ),
    ),
)
def test_plan_fails_when_pool_or_stage_is_wrong(
    deployed: Deployment, terraform_again: Terraform, pool: Pool, variables: dict[str, str], message: str
) -> None:
    before = terraform_again.state.read_bytes()
    planned = terraform_again("plan", variables=variables, expect=1)
    assert message.format(pool=pool.id) in planned.stderr
    assert terraform_again.state.read_bytes() == before


def test_second_deployment_of_same_name_fails_without_changes(
    aws: LocalAws, deployed: Deployment, tmp_path: Path
) -> None:
    second = Terraform.of_copy(DEPLOYMENT, tmp_path)
    variables = {"user_pool_id": make_pool(aws).id}
    aws.reset_calls()
    failed = second("apply", "-auto-approve", variables=variables, expect=1)
    assert "creating CloudWatch Logs Log Group (/cognito-user-sync/cognito-user-sync-test)" in failed.stderr
    assert "Another deployment has this name and stage: change one." in failed.stderr
    # The second deployment can be renamed or destroyed.
    second("plan", variables={**variables, "stage": "second"})
    second("destroy", "-auto-approve", variables=variables)
    reads = ("Describe", "Get", "List")
    # Terraform's calls: the first deployment may still have work of the tests before.
    calls = {made for made in aws.calls_by_caller()["root"] if not made.partition(":")[2].startswith(reads)}
    assert calls == {"logs:CreateLogGroup"}


def test_destroy_restores_the_pool_while_users_sign_up(
    aws: LocalAws, deployed: Deployment, terraform_again: Terraform, pool: Pool
) -> None:
    """It keeps a protected table, and what the table depends on: docs/deploying.md."""
    table = deployed.outputs["user_table_name"]
    dynamodb = aws.client("dynamodb")
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    with SignUps(pool) as users:
        failed = terraform_again("destroy", "-auto-approve", expect=1)
    assert "Table is protected against deletion" in failed.stderr
    assert users.failures == []
    assert len(users.subs) > 1
    # The trigger returns success even if StartExecution and SendMessage are denied.
    prefix = table.removesuffix("users")
    assert [each for each in aws.permissions() if each["role"].startswith(prefix) and not each["allowed"]] == []
    after = pool.configuration()
    for configuration in (after, FOUND):
        if not configuration["pool"].get("LambdaConfig"):
            configuration["pool"].pop("LambdaConfig", None)
    assert after == FOUND
    assert deployed.functions() == []

    roles = {f"{prefix}us-east-1-sync-user"}
    assert in_state(terraform_again) == {
        "aws_dynamodb_table": {table},
        "aws_cloudwatch_log_group": {f"/cognito-user-sync/{prefix.removesuffix('-')}"},
        "aws_iam_role": roles,
        "aws_iam_role_policy": roles,
    }
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    terraform_again("destroy", "-auto-approve", "-refresh=false")
    assert in_state(terraform_again) == {}


def in_state(terraform: Terraform) -> dict[str, set[str]]:
    """Return the names of the resources in the state, by type. A policy has the name of its role."""
    found: dict[str, set[str]] = {}
    for resource in json.loads(terraform.state.read_text())["resources"]:
        if resource["mode"] == "managed":
            attributes = [each["attributes"] for each in resource["instances"]]
            names = {each.get("role", each["name"]) for each in attributes}
            found.setdefault(resource["type"], set()).update(names)
    return found
