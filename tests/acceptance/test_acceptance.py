"""The main job in an account, from a pool without the module to the deletion of all resources: docs/acceptance.md.

One deployment for all tests: each test starts with the state of the one before it.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.acceptance import facts, leftovers
from tests.acceptance.account import Account
from tests.acceptance.run import POOL_SETTINGS, Run, UninterruptedTerraform, clean_up, interrupted
from tests.deployed import PASSWORD, Deployment, Pool

USERNAME = "canary-acceptance"
# CloudTrail usually delivers within five minutes.
CHANGE_SECONDS = 600


@pytest.fixture(scope="module")
def pool(run: Run) -> Pool:
    return run.create_pool()


@pytest.fixture(scope="module")
def found(pool: Pool) -> dict[str, Any]:
    """The pool's settings before the module is applied."""
    return settings_of(pool)


@pytest.fixture(scope="module")
def terraform(run: Run, found: dict[str, Any]) -> UninterruptedTerraform:
    terraform = run.terraform()
    terraform("apply", "-auto-approve", variables=run.variables)
    return terraform


@pytest.fixture(scope="module")
def deployed(run: Run, terraform: UninterruptedTerraform) -> Deployment:
    return run.deployment(terraform)


@pytest.fixture(scope="module")
def seen() -> dict[str, str]:
    """Answers to questions of facts.py that the tests see."""
    return {}


@pytest.fixture(scope="module")
def sub(account: Account, pool: Pool, deployed: Deployment) -> str:
    """The sub of a user that signs up and is confirmed, with the emailed code if it can be read."""
    attributes = {"email": account.email, "name": "Zoë <b> Canary", "custom:plan": "canary gold"}
    user: str = pool.cognito.sign_up(
        ClientId=pool.client_id,
        Username=USERNAME,
        Password=PASSWORD,
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )["UserSub"]
    if code := account.mailbox.code("sign-up"):
        pool.cognito.confirm_sign_up(ClientId=pool.client_id, Username=USERNAME, ConfirmationCode=code)
    else:
        # First: the welcome email is sent to verified addresses only, and so is Cognito's code for a new password.
        pool.cognito.admin_update_user_attributes(
            UserPoolId=pool.id, Username=USERNAME, UserAttributes=[{"Name": "email_verified", "Value": "true"}]
        )
        pool.cognito.admin_confirm_sign_up(UserPoolId=pool.id, Username=USERNAME)
    return user


@pytest.fixture(scope="module")
def changed_at(run: Run, pool: Pool, sub: str, deployed: Deployment) -> datetime:
    """The time when an administrator changed the name of an existing user, and the new user changed an attribute."""
    wait_for_item(run, deployed, sub)
    for user in run.existing_users:
        wait_for_item(run, deployed, user)
    changed_at = datetime.now(UTC)
    changed = next(iter(run.existing_users.values()))
    pool.cognito.admin_update_user_attributes(
        UserPoolId=pool.id, Username=changed, UserAttributes=[{"Name": "name", "Value": "Canary after"}]
    )
    signed_in = pool.cognito.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": USERNAME, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    pool.cognito.update_user_attributes(
        AccessToken=signed_in["AccessToken"], UserAttributes=[{"Name": "custom:plan", "Value": "canary silver"}]
    )
    return changed_at


def settings_of(pool: Pool) -> dict[str, Any]:
    """Return all settings of the pool as JSON. A missing list of triggers is an empty one."""
    settings: dict[str, Any] = json.loads(json.dumps(pool.configuration(), default=str))
    settings["pool"].setdefault("LambdaConfig", {})
    return settings


def wait_for_item(run: Run, deployed: Deployment, sub: str) -> dict[str, Any]:
    return run.account.eventually(lambda: deployed.item(sub))


def execution_of(run: Run, deployed: Deployment, sub: str, reason: str) -> dict[str, Any]:
    """Return the user's only execution for a reason when it has ended."""

    def ended() -> dict[str, Any] | None:
        executions = [each for each in deployed.executions(sub) if each["request"]["reason"] == reason]
        assert len(executions) < 2
        return next((each for each in executions if each["status"] != "RUNNING"), None)

    execution = run.account.eventually(ended)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    return execution


def test_apply_changes_the_trigger_and_nothing_else(
    run: Run, pool: Pool, found: dict[str, Any], deployed: Deployment, seen: dict[str, str]
) -> None:
    after = settings_of(pool)
    assert after["pool"]["LambdaConfig"].pop("PostConfirmation") == deployed.outputs["post_confirmation_function_arn"]
    assert after == found
    seen["settings"] = f"yes: all {len(found['pool'])} settings of a pool in the {POOL_SETTINGS['UserPoolTier']} tier"


def test_resources_have_the_tag(run: Run, deployed: Deployment) -> None:
    """Otherwise an empty list by tag after destroy would prove nothing."""
    expected = {deployed.outputs["user_table_arn"], deployed.outputs["post_confirmation_function_arn"]}
    run.account.eventually(lambda: expected <= set(leftovers.tagged(run.account, run.id)))


def test_existing_users_are_synced_by_first_reconciliation(run: Run, deployed: Deployment) -> None:
    for sub, username in run.existing_users.items():
        item = wait_for_item(run, deployed, sub)
        assert (item["username"], item["name"]) == (username, "Canary before")


def test_sign_up_is_synced_and_gets_one_welcome_email(
    run: Run, account: Account, deployed: Deployment, sub: str
) -> None:
    execution = execution_of(run, deployed, sub, "sign_up")
    assert json.loads(execution["output"])["sent"] is True
    item = wait_for_item(run, deployed, sub)
    assert {name: item[name] for name in ("username", "email", "name", "custom:plan", "status")} == {
        "username": USERNAME,
        "email": account.email,
        "name": "Zoë <b> Canary",
        "custom:plan": "canary gold",
        "status": "CONFIRMED",
    }
    assert account.mailbox.welcome_subjects() in (None, [f"Acceptance test {run.id}: welcome, {USERNAME}"])


def test_password_reset_updates_the_item_and_sends_no_email(
    run: Run, account: Account, pool: Pool, deployed: Deployment, sub: str, changed_at: datetime
) -> None:
    """The status in the item is wrong before, so that a write is visible."""
    deployed.aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"],
        Key={"id": {"S": sub}},
        UpdateExpression="SET score = :score, #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":score": {"N": "7"}, ":status": {"S": "RESET_REQUIRED"}},
    )
    pool.cognito.forgot_password(ClientId=pool.client_id, Username=USERNAME)
    if code := account.mailbox.code("password reset"):
        pool.cognito.confirm_forgot_password(
            ClientId=pool.client_id, Username=USERNAME, ConfirmationCode=code, Password=PASSWORD + "x"
        )
    else:
        print("\nThe event of a password reset comes from this test and not from Cognito: there is no code.")
        invoke_trigger(account, pool, deployed, sub)
    execution = execution_of(run, deployed, sub, "password_reset")
    assert not json.loads(execution["output"])["sent"]
    item = run.account.eventually(
        lambda: (deployed.item(sub) or {}).get("status") == "CONFIRMED" and deployed.item(sub)
    )
    assert item["score"] == "7", "attributes of the application are kept"
    assert len(account.mailbox.welcome_subjects() or [""]) == 1


def invoke_trigger(account: Account, pool: Pool, deployed: Deployment, sub: str) -> None:
    """Invoke the trigger with the event of a password reset, as AWS documents it."""
    event = {
        "version": "1",
        "region": account.region,
        "userPoolId": pool.id,
        "userName": USERNAME,
        "callerContext": {"awsSdkVersion": "aws-sdk", "clientId": pool.client_id},
        "triggerSource": "PostConfirmation_ConfirmForgotPassword",
        "request": {
            "userAttributes": {
                "sub": sub,
                "email": account.email,
                "email_verified": "true",
                "cognito:user_status": "CONFIRMED",
                "name": "Zoë <b> Canary",
                "custom:plan": "canary silver",
            }
        },
        "response": {},
    }
    answer = account.client("lambda").invoke(
        FunctionName=deployed.outputs["post_confirmation_function_arn"], Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer
    assert json.load(answer["Payload"]) == event


def test_lost_trigger_is_reported_by_plan_and_repaired_by_apply(
    run: Run, pool: Pool, terraform: UninterruptedTerraform, deployed: Deployment
) -> None:
    pool.cognito.update_user_pool(
        UserPoolId=pool.id,
        LambdaConfig={},
        MfaConfiguration="OPTIONAL",
        UserPoolTags={**run.tags, "owner": "another-team"},
        **POOL_SETTINGS,
    )
    assert settings_of(pool)["pool"]["LambdaConfig"] == {}
    warning = terraform.warnings(run.variables)
    assert "is none, and not this module's function" in warning
    # The command in the warning, with the name of the module in this configuration.
    replace = re.search(r"-replace='(?:<module\.NAME\.>)?([^']+)'", warning)
    assert replace
    terraform("apply", "-auto-approve", f"-replace=module.user_sync.{replace[1]}", variables=run.variables)
    after = settings_of(pool)["pool"]["LambdaConfig"]
    assert after == {"PostConfirmation": deployed.outputs["post_confirmation_function_arn"]}
    assert terraform.warnings(run.variables) == ""


def test_change_is_synced_through_cloudtrail(
    run: Run, account: Account, deployed: Deployment, changed_at: datetime, seen: dict[str, str]
) -> None:
    if not account.logs_management_events():
        seen["change-delay"] = "not tried: no trail"
        pytest.skip("not tried: no trail logs the management events of this region")
    changed = next(iter(run.existing_users))
    begun = time.monotonic()
    already = (datetime.now(UTC) - changed_at).total_seconds()
    account.eventually(
        lambda: (deployed.item(changed) or {}).get("name") == "Canary after", seconds=CHANGE_SECONDS - already
    )
    waited = already + time.monotonic() - begun
    seen["change-delay"] = f"at most {waited:.0f} s"


def test_questions_are_asked(
    run: Run, account: Account, pool: Pool, sub: str, changed_at: datetime, seen: dict[str, str]
) -> None:
    """The answers are written to docs/aws-facts.md only if they are from AWS."""
    before = facts.PAGE.read_bytes()
    unconfirmed = "canary-unconfirmed"
    pool.cognito.sign_up(ClientId=pool.client_id, Username=unconfirmed, Password=PASSWORD)
    context = facts.Context(
        account=account,
        pool=pool,
        username=USERNAME,
        sub=sub,
        unconfirmed_username=unconfirmed,
        changed_sub=next(iter(run.existing_users)),
        self_service_sub=sub,
        changed_at=changed_at,
        seen=seen,
        record_seconds=facts.RECORD_SECONDS if account.is_aws else 0,
    )
    answers = facts.ask(context)
    assert answers.keys() == {question.key for question in facts.QUESTIONS}
    assert facts.record_answers(account, answers) == account.is_aws
    assert account.is_aws or facts.PAGE.read_bytes() == before


def test_destroy_restores_the_pool_and_leaves_nothing(run: Run, pool: Pool) -> None:
    """Uses only what the folder of the run holds, as `make acceptance-clean` does."""
    expected = settings_of(pool)
    del expected["pool"]["LambdaConfig"]["PostConfirmation"]
    again = Run.load(run.account, run.folder)
    again.terraform()("destroy", "-auto-approve", variables=again.variables)
    assert settings_of(pool) == expected
    of_the_pool = {f"user pool {run.name} {pool.id}", expected["pool"]["Arn"]}
    try:
        run.account.eventually(lambda: set(again.left_over()) <= of_the_pool, seconds=300)
    except AssertionError:
        assert set(again.left_over()) == of_the_pool
    pool.cognito.delete_user_pool(UserPoolId=pool.id)
    again.clean()
    assert not run.folder.exists()


def test_clean_up_deletes_what_a_killed_terraform_left(run: Run, account: Account) -> None:
    """They are in no state, because Terraform was killed during their creation."""
    killed = Run.begin(account, run.folder.parent)
    killed.create_pool()
    name = killed.name
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
    account.client("iam").create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(trust))
    denied = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    account.client("iam").put_role_policy(
        RoleName=f"{name}-role", PolicyName="inline", PolicyDocument=json.dumps(denied)
    )
    account.client("logs").create_log_group(logGroupName=f"/acceptance/{name}", tags=killed.tags)
    account.client("ssm").put_parameter(Name=f"/acceptance/{name}", Value="a", Type="String")
    queue = account.client("sqs").create_queue(QueueName=f"{name}-queue", tags=killed.tags)["QueueUrl"]
    arn = account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    events = account.client("events")
    events.put_rule(Name=f"{name}-rule", ScheduleExpression="rate(1 day)", State="DISABLED")
    events.put_targets(Rule=f"{name}-rule", Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
    account.client("cloudwatch").put_dashboard(
        DashboardName=f"{name}-dashboard", DashboardBody=json.dumps({"widgets": []})
    )
    kinds = {kind.name for kind, _ in leftovers.named(account, killed.id)}
    assert kinds == {"user pool", "role", "log group", "parameter", "queue", "rule", "dashboard"}
    assert clean_up(account, run.folder.parent) == []
    assert leftovers.left_over(account, killed.id) == []
    assert interrupted(run.folder.parent) == []
