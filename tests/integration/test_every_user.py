"""Users other than new ones: existing, changed and deleted users.

One deployment: first with change tracking, then without it, when only reconciliation finds the changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local_aws.client import CognitoSettings, LocalAws
from tests.deployed import (
    DEPLOYMENT,
    PASSWORD,
    Deployment,
    Operator,
    Pool,
    Terraform,
    eventually,
    make_pool,
    make_users,
)

STAGE = "everyone"
USERS = 960
# More than one shard takes, so that reconciliation lists the pool by prefixes.
MANY: CognitoSettings = {"estimated_users": 3_000}
RECONCILIATION = "{ list_users_per_second = 30 }"


@pytest.fixture(scope="module")
def large_pool(aws: LocalAws) -> Iterator[Pool]:
    aws.set_cognito(MANY)
    yield make_pool(aws)
    aws.clear_cognito()


@pytest.fixture(scope="module")
def usernames(large_pool: Pool) -> dict[str, str]:
    return make_users(large_pool, USERS)


@pytest.fixture(scope="module")
def key(aws: LocalAws) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def terraform(
    tmp_path_factory: pytest.TempPathFactory, large_pool: Pool, usernames: dict[str, str], key: str
) -> Iterator[Terraform]:
    run = Terraform.of_copy(DEPLOYMENT, tmp_path_factory.mktemp("everyone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", large_pool.id)
        patch.setenv("TF_VAR_stage", STAGE)
        patch.setenv("TF_VAR_reconciliation", RECONCILIATION)
        run("apply", "-auto-approve", variables=tracked(key))
        yield run


def tracked(key: str) -> dict[str, str]:
    return {"track_changes": "true", "on_first_sign_in": "true", "kms_key_arn": key, "sync_groups": "true"}


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, terraform: Terraform) -> Deployment:
    return Deployment(aws, terraform.outputs()["user_sync"])


@pytest.fixture
def operator(deployed: Deployment, tmp_path: Path) -> Operator:
    return Operator.of(deployed, tmp_path)


def items(deployed: Deployment) -> dict[str, dict[str, Any]]:
    pages = (
        deployed.aws.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=deployed.outputs["user_table_name"], ConsistentRead=True)
    )
    return {
        item["id"]["S"]: {name: next(iter(value.values())) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    }


def test_existing_users_are_synced_by_first_apply(
    deployed: Deployment, large_pool: Pool, usernames: dict[str, str]
) -> None:
    (first,) = deployed.runs()
    first = deployed.ended(first["executionArn"])
    assert first["status"] == "SUCCEEDED", first.get("cause")
    summary = json.loads(first["output"])
    assert (summary["listed"], summary["created"], summary["failed"]) == (USERS, USERS, 0)
    found = items(deployed)
    assert {sub: item["username"] for sub, item in found.items()} == usernames
    assert {item["status"] for item in found.values()} == {"FORCE_CHANGE_PASSWORD"}
    assert all("cognito_created_at" in item for item in found.values())
    recipients = {address for mail in deployed.aws.outbox() for address in mail.to}
    assert not recipients & {f"{username}@example.com" for username in usernames.values()}


def test_second_run_writes_nothing(aws: LocalAws, deployed: Deployment) -> None:
    aws.reset_calls()
    run = deployed.reconcile()
    assert run["status"] == "SUCCEEDED", run.get("cause")
    assert (run["summary"]["unchanged"], run["summary"]["created"], run["summary"]["updated"]) == (USERS, 0, 0)
    calls = aws.calls()
    assert "dynamodb:UpdateItem" not in calls
    assert "cognito-idp:AdminGetUser" not in calls
    # 16 shards: for each one call that checks the prefix, and one page that is not full.
    assert calls["cognito-idp:ListUsers"] <= USERS / 60 + 2 * 16


def test_changes_are_synced_immediately(deployed: Deployment, large_pool: Pool, usernames: dict[str, str]) -> None:
    changed, disabled, deleted, *_ = usernames
    cognito = large_pool.cognito
    cognito.admin_update_user_attributes(
        UserPoolId=large_pool.id, Username=usernames[changed], UserAttributes=[{"Name": "name", "Value": "Ada Canary"}]
    )
    cognito.admin_disable_user(UserPoolId=large_pool.id, Username=usernames[disabled])
    cognito.admin_delete_user(UserPoolId=large_pool.id, Username=usernames[deleted])

    def all_synced() -> bool:
        found = [deployed.item(sub) or {} for sub in (changed, disabled, deleted)]
        return found[0].get("name") == "Ada Canary" and found[1]["enabled"] is False and "deleted_at" in found[2]

    eventually(all_synced)
    marked = deployed.item(deleted)
    assert marked is not None
    assert marked["username"] == usernames[deleted], "a marked item keeps its attributes"
    assert "shard" not in marked
    assert [deployed.executions(sub) for sub in (changed, disabled, deleted)] == [[], [], []]


def test_password_change_and_own_deletion_are_synced(deployed: Deployment, large_pool: Pool, username: str) -> None:
    sub = large_pool.sign_up(username, email=f"{username}@example.com")
    large_pool.confirm(username)
    deployed.settled(sub)
    before = deployed.item(sub)
    assert before is not None
    large_pool.cognito.admin_set_user_password(
        UserPoolId=large_pool.id, Username=username, Password="Another-horse-2", Permanent=True
    )
    eventually(lambda: (deployed.item(sub) or {})["cognito_modified_at"] > before["cognito_modified_at"])
    large_pool.cognito.delete_user(AccessToken=token(large_pool, username, "Another-horse-2"))
    eventually(lambda: "deleted_at" in (deployed.item(sub) or {}))


def test_changes_of_groups_are_synced(deployed: Deployment, large_pool: Pool, usernames: dict[str, str]) -> None:
    cognito, (first, second) = large_pool.cognito, list(usernames)[30:32]
    for group in ("staff", "admin"):
        cognito.create_group(UserPoolId=large_pool.id, GroupName=group)
    for group, sub in (("staff", first), ("admin", first), ("admin", second)):
        cognito.admin_add_user_to_group(UserPoolId=large_pool.id, GroupName=group, Username=usernames[sub])
    eventually(lambda: (groups(deployed, first), groups(deployed, second)) == (["admin", "staff"], ["admin"]))
    cognito.admin_remove_user_from_group(UserPoolId=large_pool.id, GroupName="staff", Username=usernames[first])
    eventually(lambda: groups(deployed, first) == ["admin"])
    # The event names no user: it starts a reconciliation of groups.
    cognito.delete_group(UserPoolId=large_pool.id, GroupName="admin")
    eventually(lambda: groups(deployed, first) == groups(deployed, second) == [])
    eventually(lambda: all(run["status"] == "SUCCEEDED" for run in deployed.runs()))


def groups(deployed: Deployment, sub: str) -> list[str]:
    return sorted((deployed.item(sub) or {}).get("groups", []))


def token(pool: Pool, username: str, password: str) -> str:
    """Sign in, and return the access token."""
    signed_in = pool.cognito.admin_initiate_auth(
        UserPoolId=pool.id,
        ClientId=pool.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": password},
    )
    return str(signed_in["AuthenticationResult"]["AccessToken"])


@pytest.mark.parametrize("names_pool", [True, False], ids=["pool named", "pool not named"])
def test_change_by_the_user_is_synced(
    aws: LocalAws, deployed: Deployment, large_pool: Pool, username: str, names_pool: bool
) -> None:
    """AWS does not document whether CloudTrail's record of such a call names the pool."""
    sub = large_pool.sign_up(username, email=f"{username}@example.com")
    large_pool.confirm(username)
    deployed.settled(sub)
    access_token = token(large_pool, username, PASSWORD)
    aws.set_cognito({**MANY, "self_service_names_pool": names_pool})
    try:
        large_pool.cognito.update_user_attributes(
            AccessToken=access_token, UserAttributes=[{"Name": "name", "Value": "Joan Canary"}]
        )
        eventually(lambda: (deployed.item(sub) or {}).get("name") == "Joan Canary")
        large_pool.cognito.delete_user(AccessToken=access_token)
        eventually(lambda: "deleted_at" in (deployed.item(sub) or {}))
    finally:
        aws.set_cognito(MANY)


def test_change_of_another_pools_user_is_ignored(aws: LocalAws, deployed: Deployment, username: str) -> None:
    """There is no write, no tombstone and no failure. The event does not name the pool.

    The deletion is retried for a while: the user could be of this pool, with an item that is still being written.
    """
    other = make_pool(aws)
    sub = other.sign_up(username, email=f"{username}@example.com")
    other.confirm(username)
    access_token = token(other, username, PASSWORD)
    aws.set_cognito({**MANY, "self_service_names_pool": False})
    try:
        other.cognito.update_user_attributes(
            AccessToken=access_token, UserAttributes=[{"Name": "name", "Value": "Joan Canary"}]
        )
        eventually(lambda: outcomes(deployed, sub) == ["not_ours"])
        assert is_empty(deployed, "changes_queue_url")
        other.cognito.delete_user(AccessToken=access_token)
        eventually(
            lambda: "NotConsistentYetError" in str(deployed.aws.logs()[f"{prefix_of(deployed)}sync-changes"][-1:])
        )
    finally:
        aws.set_cognito(MANY)
        aws.client("sqs").purge_queue(QueueUrl=deployed.outputs["changes_queue_url"])
    assert deployed.item(sub) is None
    assert outcomes(deployed, sub) == ["not_ours"]


def outcomes(deployed: Deployment, sub: str) -> list[str]:
    """Return the outcomes of the user's changes, from the function's log."""
    lines = [line for line in deployed.aws.logs().get(f"{prefix_of(deployed)}sync-changes", []) if sub in line]
    return [fields["outcome"] for fields in map(json.loads, lines) if "outcome" in fields]


def prefix_of(deployed: Deployment) -> str:
    return str(deployed.outputs["user_table_name"]).removesuffix("users")


def is_empty(deployed: Deployment, output: str) -> bool:
    """Return whether a queue and its dead-letter queue have no message, also none in flight."""
    queues = deployed.aws.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    queue = deployed.outputs[output]
    counts = [
        queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][name]
        for url in (queue, f"{queue}-dead-letter")
        for name in names
    ]
    return set(counts) == {"0"}


def sign_in_with_a_temporary_password(pool: Pool, username: str) -> None:
    """Let an administrator set a temporary password, and the user replace it."""
    pool.cognito.admin_set_user_password(
        UserPoolId=pool.id, Username=username, Password="Temporary-horse-1", Permanent=False
    )
    challenge = pool.cognito.admin_initiate_auth(
        UserPoolId=pool.id,
        ClientId=pool.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": username, "PASSWORD": "Temporary-horse-1"},
    )
    assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"
    pool.cognito.respond_to_auth_challenge(
        ClientId=pool.client_id,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=challenge["Session"],
        ChallengeResponses={"USERNAME": username, "NEW_PASSWORD": PASSWORD},
    )


def test_invited_user_gets_one_email_at_first_sign_in(
    aws: LocalAws, deployed: Deployment, operator: Operator, large_pool: Pool, username: str
) -> None:
    """The sign-in confirms the user without a trigger. A later temporary password has no effect."""
    attributes = {"email": f"{username}@example.com", "email_verified": "true", "custom:plan": "canary"}
    invited = large_pool.cognito.admin_create_user(
        UserPoolId=large_pool.id,
        Username=username,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )["User"]
    sub = next(each["Value"] for each in invited["Attributes"] if each["Name"] == "sub")
    eventually(lambda: (deployed.item(sub) or {}).get("status") == "FORCE_CHANGE_PASSWORD")
    assert "Welcome email: none: an administrator created the user, and the user has not signed in yet." in operator(
        "user", sub
    )
    assert deployed.executions(sub) == []

    # The first start fails: the message is delivered again after the item was written.
    queue = deployed.outputs["changes_queue_url"]
    queues = aws.client("sqs")
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    aws.set_faults([{"operation": "states:StartExecution", "fault": "500", "times": 1}])
    try:
        sign_in_with_a_temporary_password(large_pool, username)
        (execution,) = deployed.settled(sub)
    finally:
        aws.clear_faults()
        queues.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    assert execution["executionArn"].endswith(f":sign-up-{sub}")
    assert json.loads(execution["input"])["client_id"] == "CLIENT_ID_NOT_APPLICABLE"
    assert json.loads(execution["output"])["sent"] is True
    assert (deployed.item(sub) or {})["status"] == "CONFIRMED"
    assert "Welcome email: sent, message ID " in operator("user", sub)

    synced = len(outcomes(deployed, sub))
    sign_in_with_a_temporary_password(large_pool, username)
    eventually(lambda: len(outcomes(deployed, sub)) >= synced + 2)
    eventually(lambda: is_empty(deployed, "changes_queue_url"))
    assert len(deployed.executions(sub)) == 1
    assert len(deployed.welcomes_to(f"{username}@example.com")) == 1


def test_invited_user_without_a_verified_address_gets_no_email(
    deployed: Deployment, operator: Operator, large_pool: Pool, usernames: dict[str, str]
) -> None:
    sub = list(usernames)[5]
    assert (deployed.item(sub) or {})["status"] == "FORCE_CHANGE_PASSWORD"
    sign_in_with_a_temporary_password(large_pool, usernames[sub])
    (execution,) = deployed.settled(sub)
    assert json.loads(execution["output"])["why_not"] == "address_not_verified"
    eventually(lambda: (deployed.item(sub) or {})["status"] == "CONFIRMED")
    assert "Welcome email: skipped: the email address is not verified." in operator("user", sub)
    assert deployed.welcomes_to(f"{usernames[sub]}@example.com") == []


def test_failed_call_syncs_nothing(deployed: Deployment, large_pool: Pool, usernames: dict[str, str]) -> None:
    untouched = list(usernames)[3]
    with pytest.raises(large_pool.cognito.exceptions.InvalidPasswordException):
        large_pool.cognito.admin_set_user_password(
            UserPoolId=large_pool.id, Username=usernames[untouched], Password="short"
        )
    changed = list(usernames)[4]
    large_pool.cognito.admin_enable_user(UserPoolId=large_pool.id, Username=usernames[changed])
    eventually(lambda: outcomes(deployed, changed))
    assert outcomes(deployed, untouched) == []


def test_second_run_ends_immediately_when_another_runs(aws: LocalAws, deployed: Deployment) -> None:
    states = aws.client("stepfunctions")
    arn = deployed.outputs["reconciliation_state_machine_arn"]
    aws.set_quotas({"cognito-idp:ListUsers": {"per_second": 30, "latency_ms": 150}})
    try:
        older = states.start_execution(stateMachineArn=arn, input="{}")["executionArn"]
        eventually(lambda: states.get_execution_history(executionArn=older)["events"][5:])
        younger = deployed.reconcile()
        assert younger["status"] == "SUCCEEDED"
        assert younger["summary"] == {
            "result": "not run: another run, which began earlier, is not over yet",
            "running_execution_arn": older,
        }
        assert deployed.ended(older)["status"] == "SUCCEEDED"
    finally:
        aws.clear_quotas()


def test_a_second_plan_is_empty(terraform: Terraform, key: str) -> None:
    assert terraform.warnings(tracked(key)) == ""


def test_plan_fails_when_removed_key_is_not_named(terraform: Terraform, key: str) -> None:
    planned = terraform("plan", expect=1)
    assert f"kms_key_arn was {key} and is now null." in planned.stderr


def test_reconciliation_syncs_changes_without_tracking(
    aws: LocalAws, terraform: Terraform, deployed: Deployment, large_pool: Pool, usernames: dict[str, str], key: str
) -> None:
    terraform("apply", "-auto-approve", variables=removed(key))
    changed, disabled, deleted = list(usernames)[10:13]
    cognito = large_pool.cognito
    cognito.admin_update_user_attributes(
        UserPoolId=large_pool.id,
        Username=usernames[changed],
        UserAttributes=[{"Name": "name", "Value": "Grace Canary"}],
    )
    cognito.admin_disable_user(UserPoolId=large_pool.id, Username=usernames[disabled])
    cognito.admin_delete_user(UserPoolId=large_pool.id, Username=usernames[deleted])
    # No event: one user joins a group, and the item of another has a group that does not exist.
    joined, left = list(usernames)[13:15]
    cognito.create_group(UserPoolId=large_pool.id, GroupName="editors")
    cognito.admin_add_user_to_group(UserPoolId=large_pool.id, GroupName="editors", Username=usernames[joined])
    give_group(deployed, left, "gone")
    before = deployed.item(changed)
    assert before is not None
    assert "name" not in before
    aws.set_quotas({"cognito-idp:ListUsers": {"short_pages": 0.2}})
    try:
        run = deployed.reconcile()
    finally:
        aws.clear_quotas()
    assert run["status"] == "SUCCEEDED", run.get("cause")
    assert (run["summary"]["updated"], run["summary"]["deleted"]) == (2, 1)
    found = items(deployed)
    assert (found[changed].get("name"), found[disabled]["enabled"]) == ("Grace Canary", False)
    assert "deleted_at" in found[deleted]
    assert (groups(deployed, joined), groups(deployed, left)) == (["editors"], [])
    counts = {name: run["summary"][name] for name in ("groups", "memberships", "groups_updated")}
    assert counts == {"groups": 2, "memberships": 1, "groups_updated": 2}


def give_group(deployed: Deployment, sub: str, group: str) -> None:
    """Add a group to an item, as a sync of a user in this group does."""
    deployed.aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"],
        Key={"id": {"S": sub}},
        UpdateExpression="SET groups = :group, groups_observed_at = :time ADD synced_attributes :names",
        ExpressionAttributeValues={
            ":group": {"SS": [group]},
            ":time": {"S": "2026-01-01T00:00:00.000Z"},
            ":names": {"SS": ["groups", "groups_observed_at"]},
        },
    )


def removed(key: str) -> dict[str, str]:
    """Return the variables without a key, with permission for the previous one."""
    return {"previous_kms_key_arns": json.dumps([key]), "sync_groups": "true"}


def test_removed_key_encrypts_nothing_and_stays_with_the_roles(
    aws: LocalAws, terraform: Terraform, deployed: Deployment, key: str
) -> None:
    """Messages and running executions are still encrypted with it."""
    assert terraform.warnings(removed(key)) == ""
    prefix = deployed.outputs["user_table_name"].removesuffix("-users")
    described: list[Any] = [aws.client("dynamodb").describe_table(TableName=f"{prefix}-users")["Table"]]
    sqs, states, iam = aws.client("sqs"), aws.client("stepfunctions"), aws.client("iam")
    for url in sqs.list_queues(QueueNamePrefix=f"{prefix}-")["QueueUrls"]:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert attributes["SqsManagedSseEnabled"] == "true"
        described.append(attributes)
    for name in ("user_sync", "reconciliation"):
        machine = states.describe_state_machine(stateMachineArn=deployed.outputs[f"{name}_state_machine_arn"])
        assert machine["encryptionConfiguration"] == {"type": "AWS_OWNED_KEY"}
    described += [group for group in aws.client("logs").describe_log_groups()["logGroups"] if prefix in str(group)]
    described += [aws.client("lambda").get_function_configuration(FunctionName=name) for name in deployed.functions()]
    assert len(described) > 16
    assert key not in str(described)
    for role in ("sync-user", "retry-sign-ups", "post-confirmation", "user-sync", "reconciliation", "schedule"):
        policy = iam.get_role_policy(RoleName=f"{prefix}-us-east-1-{role}", PolicyName=f"{prefix}-{role}")[
            "PolicyDocument"
        ]
        (statement,) = [each for each in policy["Statement"] if each["Sid"] == "UseKey"]
        assert statement["Resource"] == key


def test_allow_deletes_takes_one_number_for_several_shards(
    operator: Operator, deployed: Deployment, large_pool: Pool, usernames: dict[str, str]
) -> None:
    # Without the users of other tests, whose usernames are unknown here.
    active = {sub for sub, item in items(deployed).items() if "deleted_at" not in item and sub in usernames}
    shards = [sorted(sub for sub in active if sub.startswith(digit)) for digit in "ab"]
    parts = [shard[5:] for shard in shards]
    leaving = [sub for part in parts for sub in part]
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda sub: large_pool.cognito.admin_delete_user(UserPoolId=large_pool.id, Username=usernames[sub]),
                leaving,
            )
        )
    output = operator("reconcile", expect=1)
    assert f"{len(leaving)} users are missing in the pool's list and are not deleted" in output
    command = f"reconcile --allow-deletes {max(map(len, parts))}"
    assert output.rstrip().endswith(f"cognito-user-sync {command}")
    found = items(deployed)
    assert all("deleted_at" not in found[sub] for sub in leaving)

    run = operator(*command.split())
    assert re.search(rf"deleted +│ +{len(leaving)} ", run), run
    found = items(deployed)
    assert all("deleted_at" in found[sub] for sub in leaving)


def test_reconciliation_attaches_and_reports_lost_trigger(
    operator: Operator, deployed: Deployment, large_pool: Pool
) -> None:
    described = large_pool.cognito.describe_user_pool(UserPoolId=large_pool.id)["UserPool"]
    large_pool.cognito.update_user_pool(UserPoolId=large_pool.id, Policies=described["Policies"], LambdaConfig={})
    output = " ".join(operator("reconcile", expect=1).split())
    problem = rf"Problem: the post-confirmation trigger of user pool {large_pool.id} was missing; now it is attached\. "
    assert re.search(rf"{problem}.* cognito-user-sync welcome --since \d{{4}}-\S+$", output), output
    operator("reconcile")
    triggers = large_pool.configuration()["pool"]["LambdaConfig"]
    assert triggers["PostConfirmation"] == deployed.outputs["post_confirmation_function_arn"]


def test_reconciliation_reports_foreign_trigger_and_syncs_users(
    operator: Operator, deployed: Deployment, large_pool: Pool, usernames: dict[str, str]
) -> None:
    foreign = "arn:aws:lambda:us-east-1:000000000000:function:foreign"
    described = large_pool.cognito.describe_user_pool(UserPoolId=large_pool.id)["UserPool"]
    large_pool.cognito.update_user_pool(
        UserPoolId=large_pool.id, Policies=described["Policies"], LambdaConfig={"PostConfirmation": foreign}
    )
    # Not one of the users deleted above.
    changed = next(sub for sub in list(usernames)[20:] if not sub.startswith(("a", "b")))
    large_pool.cognito.admin_update_user_attributes(
        UserPoolId=large_pool.id, Username=usernames[changed], UserAttributes=[{"Name": "name", "Value": "Mary Canary"}]
    )
    assert "Problem: the trigger could not be attached: ForeignTriggerError: " in operator("reconcile", expect=1)
    run = deployed.reconcile()
    assert (run["status"], run["error"]) == ("FAILED", "EndedWithProblems")
    assert "ForeignTriggerError" in run["summary"]["problems"][0]
    assert (deployed.item(changed) or {})["name"] == "Mary Canary"
    assert large_pool.configuration()["pool"]["LambdaConfig"]["PostConfirmation"] == foreign
