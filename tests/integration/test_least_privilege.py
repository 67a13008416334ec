"""Each role has exactly the permissions in docs/security.md, and needs each of them.

One deployment with all features that need permissions. The last column of the table names the scenarios.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest

from local_aws.client import LocalAws
from local_aws.resources import make_function
from tests.deployed import (
    DEPLOYMENT,
    PASSWORD,
    STAGE_WITH_DENIALS,
    Deployment,
    Pool,
    Terraform,
    eventually,
    make_pool,
    make_users,
)
from tests.permissions import DEFINITION, FUNCTIONS, STATE_MACHINES, Permission, table

STAGE = STAGE_WITH_DENIALS
PREFIX = f"cognito-user-sync-{STAGE}"
ROLE_PREFIX = f"{PREFIX}-us-east-1"
ACCOUNT = "000000000000"
CONFIGURATION_SET = "welcome"
EVENT_BUS = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"
SMS_ROLE = "role/service-role/their-sms"
# Enough for users with each first digit of a sub.
USERS = 250
# More than one shard takes, so that reconciliation lists the pool by prefixes.
ESTIMATED_USERS = 2_300


THEIRS = """
def handler(event, context):
    print(event["userName"])
    return event
"""


# --- the deployment


@pytest.fixture(scope="module")
def key(aws: LocalAws) -> str:
    return str(aws.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def pool_with_trigger(aws: LocalAws) -> Iterator[Pool]:
    """A pool with a trigger, and with a key for custom senders."""
    aws.set_cognito({"estimated_users": ESTIMATED_USERS})
    pool = make_pool(aws, {"PostConfirmation": make_function(aws, "theirs", THEIRS)})
    make_users(pool, USERS)
    leave_no_user_of_prefix_0(pool)
    described = pool.cognito.describe_user_pool(UserPoolId=pool.id)["UserPool"]
    sender_key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    pool.cognito.update_user_pool(
        UserPoolId=pool.id,
        LambdaConfig=described["LambdaConfig"] | {"KMSKeyID": sender_key},
        AutoVerifiedAttributes=described["AutoVerifiedAttributes"],
    )
    yield pool
    aws.clear_cognito()


def leave_no_user_of_prefix_0(pool: Pool) -> None:
    """Delete these users, so that a reconciliation has to query the table for the prefix."""
    pages = pool.cognito.get_paginator("list_users").paginate(UserPoolId=pool.id, Filter='sub ^= "0"')
    for username in [user["Username"] for page in pages for user in page["Users"]]:
        pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=username)


def vpc_config(aws: LocalAws) -> dict[str, list[str]]:
    """Return the configuration of the default VPC."""
    ec2 = aws.client("ec2")
    return {
        "subnet_ids": [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]],
        "security_group_ids": [group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]],
    }


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, pool_with_trigger: Pool, key: str, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    aws.client("sesv2").create_configuration_set(ConfigurationSetName=CONFIGURATION_SET)
    terraform = Terraform.of_copy(DEPLOYMENT, tmp_path_factory.mktemp(STAGE))
    variables = {
        "user_pool_id": pool_with_trigger.id,
        "stage": STAGE,
        "chained_function_arn": pool_with_trigger.configuration()["pool"]["LambdaConfig"]["PostConfirmation"],
        "sms_role_arn": f"arn:aws:iam::{ACCOUNT}:{SMS_ROLE}",
        "configuration_set": CONFIGURATION_SET,
        "kms_key_arn": key,
        "reconciliation": "{ list_users_per_second = 30 }",
        "track_changes": "true",
        "sync_groups": "true",
        "on_first_sign_in": "true",
        "user_events": json.dumps({"event_bus_arn": EVENT_BUS}),
        # The one that needs PutItem.
        "deleted_users": '{ action = "delete_item" }',
        "tracing": "true",
        "role_path": "/service/",
        "functions": json.dumps({"vpc_config": vpc_config(aws)}),
    }
    terraform("apply", "-auto-approve", variables=variables)
    deployment = Deployment(aws, terraform.outputs()["user_sync"])
    (first,) = deployment.runs()
    assert deployment.ended(first["executionArn"])["status"] == "SUCCEEDED"
    # A denied call fails, and a message is delivered again, without a long wait.
    aws.client("lambda").update_function_configuration(FunctionName=f"{PREFIX}-pool-trigger", Timeout=8)
    aws.client("sqs").set_queue_attributes(
        QueueUrl=deployment.outputs["retry_queue_url"], Attributes={"VisibilityTimeout": "2"}
    )
    return deployment


# --- the policies


class Policy(NamedTuple):
    """An inline policy of a deployed role."""

    role: str
    name: str
    statements: list[dict[str, Any]]


@pytest.fixture(scope="module")
def policies(aws: LocalAws, deployed: Deployment) -> list[Policy]:
    """The deployed policies. A test that removes a permission restores it."""
    iam = aws.client("iam")
    roles = [role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]]
    found = []
    for role in (role for role in roles if role.startswith(f"{ROLE_PREFIX}-")):
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            assert document.keys() == {"Version", "Statement"}
            found.append(Policy(role, name, [part for each in document["Statement"] for part in _parts(each)]))
    return found


def _parts(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Split a statement into statements with one action and one resource."""
    assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement["Effect"] == "Allow"
    actions, resources = (
        [given] if isinstance(given := statement[name], str) else given for name in ("Action", "Resource")
    )
    for number, (action, resource) in enumerate(itertools.product(actions, resources)):
        yield {**statement, "Sid": f"{statement['Sid']}{number}", "Action": action, "Resource": resource}


@dataclass(frozen=True)
class Names:
    """The names that the table uses for the resources of this deployment."""

    pool: Pool
    key: str
    sender_key: str

    def permission(self, role: str, statement: dict[str, Any]) -> Permission:
        resource = self.resource(statement["Resource"])
        return Permission(role.removeprefix(f"{ROLE_PREFIX}-"), statement["Action"], resource)

    def resource(self, arn: str) -> str:
        if arn == "*":
            return arn
        *_, account, name = arn.split(":", 5)
        assert account == ACCOUNT
        for ours, named in (
            (self.key.rpartition("/")[2], "<kms_key_arn>"),
            (self.sender_key.rpartition("/")[2], "<sender key>"),
            (self.pool.id, "<pool>"),
            (PREFIX, "<prefix>"),
            ("function:theirs", "function:<chained>"),
            (f"configuration-set/{CONFIGURATION_SET}", "configuration-set/<set>"),
            ("event-bus/default", "event-bus/<bus>"),
            (SMS_ROLE, "role/<sms_role_arn>"),
        ):
            name = name.replace(ours, named)
        return name


@pytest.fixture(scope="module")
def names(pool_with_trigger: Pool, key: str) -> Names:
    return Names(pool_with_trigger, key, str(pool_with_trigger.configuration()["pool"]["LambdaConfig"]["KMSKeyID"]))


def test_roles_have_exactly_the_documented_permissions(policies: list[Policy], names: Names) -> None:
    found = [names.permission(policy.role, each) for policy in policies for each in policy.statements]
    assert sorted(found) == sorted(table())


def test_wide_permissions_have_conditions(policies: list[Policy], names: Names) -> None:
    statements = [each for policy in policies for each in policy.statements]
    conditions = {
        (each["Action"], names.resource(each["Resource"])): each["Condition"]["StringEquals"]
        for each in statements
        if "Condition" in each
    }
    sender = {"ses:FromAddress": "welcome@example.com", "ses:FromDisplayName": "Example"}
    assert conditions == {
        ("ses:SendEmail", "identity/*"): sender,
        ("ses:SendEmail", "configuration-set/<set>"): sender,
        ("iam:PassRole", "role/<sms_role_arn>"): {"iam:PassedToService": "cognito-idp.amazonaws.com"},
        ("kms:CreateGrant", "key/<sender key>"): {"kms:EncryptionContext:userpool-id": names.pool.id},
    }
    wide = {each["Action"] for each in statements if each["Resource"] == "*"}
    assert {action.partition(":")[0] for action in wide} == {"dynamodb", "ec2", "logs", "xray"}


def test_state_machines_and_schedules_need_their_permissions(aws: LocalAws, deployed: Deployment, names: Names) -> None:
    states = aws.client("stepfunctions")
    calls = set()
    for machine in STATE_MACHINES:
        arn = deployed.outputs[f"{machine.replace('-', '_')}_state_machine_arn"]
        described = states.describe_state_machine(stateMachineArn=arn)
        assert described["roleArn"].rpartition("/")[2] == f"{ROLE_PREFIX}-{machine}"
        for task in _tasks(json.loads(described["definition"])):
            action, resource = _call(task, arn)
            calls.add(Permission(machine, action, names.resource(resource)))
    for schedule, role, action in (
        ("reconciliation", "schedule", "states:StartExecution"),
        ("trigger-check", "trigger-check", "lambda:InvokeFunction"),
    ):
        target = aws.client("scheduler").get_schedule(Name=f"{PREFIX}-{schedule}")["Target"]
        assert target["RoleArn"].rpartition("/")[2] == f"{ROLE_PREFIX}-{role}"
        calls.add(Permission(role, action, names.resource(target["Arn"])))
    (target,) = aws.client("events").list_targets_by_rule(Rule=f"{PREFIX}-deleted-groups")["Targets"]
    assert target["RoleArn"].rpartition("/")[2] == f"{ROLE_PREFIX}-deleted-groups"
    calls.add(Permission("deleted-groups", "states:StartExecution", names.resource(target["Arn"])))
    assert calls == {permission for permission, shown_by in table().items() if shown_by == DEFINITION}


def _tasks(definition: Any) -> Iterator[dict[str, Any]]:
    """Yield every Task of a definition, also those in a Map."""
    for state in definition["States"].values():
        if state["Type"] == "Task":
            yield state
        elif state["Type"] == "Map":
            yield from _tasks(state["ItemProcessor"])


def _call(task: dict[str, Any], own_arn: str) -> tuple[str, str]:
    match task["Resource"]:
        case "arn:aws:states:::lambda:invoke":
            return "lambda:InvokeFunction", task["Parameters"]["FunctionName"]
        case "arn:aws:states:::aws-sdk:sfn:listExecutions":
            assert task["Parameters"]["StateMachineArn.$"] == "$$.StateMachine.Id"
            return "states:ListExecutions", own_arn
    raise AssertionError(f"what permission does {task['Resource']} need?")


# --- the scenarios


@dataclass
class ScenarioContext:
    """A deployment, a new user, and the permissions that the scenario uses."""

    aws: LocalAws
    deployed: Deployment
    pool: Pool
    username: str

    def __post_init__(self) -> None:
        self._allowed_before, self._denied_before = self._asked(allowed=True), self._asked(allowed=False)

    def allowed(self) -> set[Permission]:
        """Return the permissions that the roles have used since the start of the scenario; resources are ARNs."""
        return set(self._asked(allowed=True) - self._allowed_before)

    def denied(self) -> set[Permission]:
        """Return the permissions that they have been denied since then."""
        return set(self._asked(allowed=False) - self._denied_before)

    def _asked(self, allowed: bool) -> Counter[Permission]:
        """Return the permissions since the start of the local AWS, with their number of uses."""
        own = f"{ROLE_PREFIX}-"
        return Counter(
            {
                Permission(each["role"].removeprefix(own), each["action"], each["resource"]): each["times"]
                for each in self.aws.permissions()
                if each["role"].startswith(own) and each["allowed"] is allowed
            }
        )

    def reached(self, done: Callable[[], object]) -> bool:
        """Wait until `done` is true, or a call was denied. Return whether `done` is true."""
        eventually(lambda: done() or self.denied())
        return bool(done())

    def invoke(self, function: str, **event: Any) -> str:
        """Return the function's response, or its error."""
        answer = self.aws.client("lambda").invoke(FunctionName=f"{PREFIX}-{function}", Payload=json.dumps(event))
        return answer["Payload"].read().decode()  # type: ignore[no-any-return]

    def leave_item(self, sub: str, username: str) -> None:
        """Put the item of a user that the pool does not have any more."""
        item = {
            "id": sub,
            "username": username,
            "shard": f"{self.pool.id}#{sub[0]}",
            "user_pool_id": self.pool.id,
            "observed_at": "2026-01-01T00:00:00.000Z",
        }
        self.aws.client("dynamodb").put_item(
            TableName=self.deployed.outputs["user_table_name"],
            Item={name: {"S": value} for name, value in item.items()},
        )

    def sign_up(self) -> str:
        sub = self.pool.sign_up(self.username, email=f"{self.username}@example.com", custom__plan="canary")
        self.aws.reset_calls()
        self.pool.confirm(self.username)
        return sub

    def item(self, sub: str) -> dict[str, Any]:
        return self.deployed.item(sub) or {}

    def set_trigger(self, action: str) -> str:
        return self.invoke(
            "pool-trigger",
            action=action,
            user_pool_id=self.pool.id,
            function_arn=self.deployed.outputs["post_confirmation_function_arn"],
            chained_function_arn=self.deployed.outputs["user_pool_trigger"]["chained_function_arn"],
        )


def sign_up_is_synced_with_email(context: ScenarioContext) -> None:
    sub = context.sign_up()
    calls = context.aws.calls_by_caller()[f"{PREFIX}-post-confirmation"]
    assert calls == {"states:StartExecution": 1, "lambda:InvokeFunction": 1}
    assert context.deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert context.item(sub)["status"] == "CONFIRMED"
    assert len(context.deployed.welcomes_to(f"{context.username}@example.com")) == 1


def sign_up_is_queued_and_retried(context: ScenarioContext) -> None:
    context.aws.set_faults([{"operation": "states:StartExecution", "fault": "500"}])
    try:
        sub = context.sign_up()
        assert context.aws.calls_by_caller()[f"{PREFIX}-post-confirmation"]["sqs:SendMessage"] == 1
    finally:
        context.aws.clear_faults()
    assert context.reached(lambda: context.item(sub))


def chained_function_is_invoked(context: ScenarioContext) -> None:
    context.sign_up()
    assert any(context.username in line for line in context.aws.logs()["theirs"])


def change_is_synced(context: ScenarioContext) -> None:
    sub = context.sign_up()
    assert context.reached(lambda: context.item(sub))
    context.pool.cognito.admin_update_user_attributes(
        UserPoolId=context.pool.id,
        Username=context.username,
        UserAttributes=[{"Name": "custom:plan", "Value": "silver canary"}],
    )
    assert context.reached(lambda: context.item(sub)["custom:plan"] == "silver canary")


def invited_user_gets_welcome_email(context: ScenarioContext) -> None:
    attributes = {"email": f"{context.username}@example.com", "email_verified": "true"}
    cognito = context.pool.cognito
    cognito.admin_create_user(
        UserPoolId=context.pool.id,
        Username=context.username,
        TemporaryPassword="Temporary-horse-1",
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )
    challenge = cognito.admin_initiate_auth(
        UserPoolId=context.pool.id,
        ClientId=context.pool.client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": context.username, "PASSWORD": "Temporary-horse-1"},
    )
    cognito.respond_to_auth_challenge(
        ClientId=context.pool.client_id,
        ChallengeName=challenge["ChallengeName"],
        Session=challenge["Session"],
        ChallengeResponses={"USERNAME": context.username, "NEW_PASSWORD": PASSWORD},
    )
    assert context.reached(lambda: context.deployed.welcomes_to(f"{context.username}@example.com"))


def change_of_groups_is_synced(context: ScenarioContext) -> None:
    """SyncUser reads the groups of the new user, and sync_changes those after the change."""
    sub = context.sign_up()
    assert context.deployed.settled(sub)[0]["status"] == "SUCCEEDED"
    assert "groups_observed_at" in context.item(sub)
    member = {"UserPoolId": context.pool.id, "GroupName": context.username}
    context.pool.cognito.create_group(**member)
    context.pool.cognito.admin_add_user_to_group(**member, Username=context.username)
    assert context.reached(lambda: context.item(sub).get("groups") == [context.username])


def groups_are_reconciled(context: ScenarioContext) -> None:
    """One user has left a group, and another group does not exist. The item has both."""
    (known,) = context.pool.cognito.list_users(UserPoolId=context.pool.id, Limit=1, Filter='sub ^= "3"')["Users"]
    sub = next(attribute["Value"] for attribute in known["Attributes"] if attribute["Name"] == "sub")
    context.pool.cognito.create_group(UserPoolId=context.pool.id, GroupName=context.username)
    context.aws.client("dynamodb").update_item(
        TableName=context.deployed.outputs["user_table_name"],
        Key={"id": {"S": sub}},
        UpdateExpression="SET groups = :groups ADD synced_attributes :names",
        ExpressionAttributeValues={
            ":groups": {"SS": [context.username, f"{context.username}-gone"]},
            ":names": {"SS": ["groups"]},
        },
    )
    assert context.deployed.reconcile(only_groups=True)["status"] == "SUCCEEDED"
    assert "groups" not in context.item(sub)


def events_are_published(context: ScenarioContext) -> None:
    sub = context.sign_up()
    assert context.reached(lambda: sub in "".join(context.aws.data().get("events of cognito-user-sync", [])))


def deleted_user_is_synced(context: ScenarioContext) -> None:
    sub = context.sign_up()
    assert context.reached(lambda: context.item(sub))
    context.pool.cognito.admin_delete_user(UserPoolId=context.pool.id, Username=context.username)
    assert context.reached(lambda: "deleted_at" in context.item(sub))


def user_of_reassigned_username_is_deleted(context: ScenarioContext) -> None:
    """The user of the request was deleted, and another user has the username now."""
    successor = context.sign_up()
    assert context.reached(lambda: context.item(successor))
    deleted = f"{(int(successor[0], 16) + 1) % 16:x}{successor[1:]}"
    context.leave_item(deleted, context.username)
    context.aws.client("stepfunctions").start_execution(
        stateMachineArn=context.deployed.outputs["user_sync_state_machine_arn"],
        name=f"password-reset-{deleted}",
        input=json.dumps({"sub": deleted, "username": context.username, "reason": "password_reset"}),
    )
    (execution,) = context.deployed.settled(deleted)
    assert execution["status"] == "SUCCEEDED"
    assert json.loads(execution["output"])["outcome"] == "deleted"
    assert "deleted_at" in context.item(deleted)


def pool_is_reconciled(context: ScenarioContext) -> None:
    """One user has no item, and one item has no user."""
    leave_no_user_of_prefix_0(context.pool)
    table, dynamodb = context.deployed.outputs["user_table_name"], context.aws.client("dynamodb")
    (known,) = context.pool.cognito.list_users(UserPoolId=context.pool.id, Limit=1, Filter='sub ^= "1"')["Users"]
    sub = next(attribute["Value"] for attribute in known["Attributes"] if attribute["Name"] == "sub")
    dynamodb.delete_item(TableName=table, Key={"id": {"S": sub}})
    deleted = f"2{sub[1:]}"
    context.leave_item(deleted, f"{context.username}-deleted")
    assert context.deployed.reconcile()["status"] == "SUCCEEDED"
    assert context.item(sub)["username"] == known["Username"]
    assert "deleted_at" in context.item(deleted)


def run_is_started(context: ScenarioContext) -> None:
    output = context.invoke("start-run", input={})
    (newest, *_) = context.deployed.runs()
    assert newest["executionArn"] in output
    assert context.deployed.ended(newest["executionArn"])["status"] == "SUCCEEDED"


def trigger_is_detached_and_attached(context: ScenarioContext) -> None:
    theirs = context.deployed.outputs["user_pool_trigger"]["chained_function_arn"]
    assert f"detached, {theirs} restored" in context.set_trigger("detach")
    assert f"attached, in place of {theirs}" in context.set_trigger("attach")


def lost_mfa_setting_is_restored(context: ScenarioContext) -> None:
    """It is lost between the update and the read after it."""
    message = {"Message": "It is {####}", "Subject": "Your code"}

    def set_message(configuration: dict[str, str]) -> None:
        context.pool.cognito.set_user_pool_mfa_config(
            UserPoolId=context.pool.id, MfaConfiguration="OPTIONAL", EmailMfaConfiguration=configuration
        )

    def reads() -> int:
        return context.aws.calls().get("cognito-idp:GetUserPoolMfaConfig", 0)

    set_message(message)
    context.aws.set_faults([{"operation": "cognito-idp:GetUserPoolMfaConfig", "fault": "latency", "latency_ms": 500}])
    context.aws.reset_calls()
    try:
        with ThreadPoolExecutor(1) as terraform:
            answer = terraform.submit(context.set_trigger, "detach")
            eventually(lambda: reads() == 2)
            set_message({})
            output = answer.result()
    finally:
        context.aws.clear_faults()
        context.set_trigger("attach")
    assert "EmailMfaConfiguration.Message, EmailMfaConfiguration.Subject disappeared (restored)" in output
    assert context.pool.configuration()["mfa"]["EmailMfaConfiguration"] == message


SCENARIOS: dict[str, Callable[[ScenarioContext], None]] = {
    scenario.__name__: scenario
    for scenario in (
        sign_up_is_synced_with_email,
        sign_up_is_queued_and_retried,
        chained_function_is_invoked,
        change_is_synced,
        invited_user_gets_welcome_email,
        change_of_groups_is_synced,
        groups_are_reconciled,
        events_are_published,
        deleted_user_is_synced,
        user_of_reassigned_username_is_deleted,
        pool_is_reconciled,
        run_is_started,
        trigger_is_detached_and_attached,
        lost_mfa_setting_is_restored,
    )
}
ENFORCED = [permission for permission, shown_by in table().items() if shown_by in SCENARIOS]


@pytest.fixture
def context(aws: LocalAws, deployed: Deployment, pool_with_trigger: Pool, username: str) -> ScenarioContext:
    return ScenarioContext(aws, deployed, pool_with_trigger, username)


def test_every_permission_has_evidence() -> None:
    shown_by = set(table().values())
    assert SCENARIOS.keys() <= shown_by
    others = {each for each in shown_by - SCENARIOS.keys() if not each.startswith("[")}
    assert others == {DEFINITION}
    # A page of AWS is evidence only for what the local AWS does not enforce.
    claimed = {(each.role, each.action) for each in ENFORCED}
    made = {("pool-trigger", "iam:PassRole"), ("pool-trigger", "kms:CreateGrant")}
    pages = {(each.role, each.action) for each, by in table().items() if by.startswith("[")}
    services = {action.partition(":")[0] for _, action in pages - made - claimed}
    assert services == {"dynamodb", "ec2", "kms", "logs", "sqs", "xray"}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario_succeeds_with_all_permissions(context: ScenarioContext, names: Names, scenario: str) -> None:
    """No call is denied, and each permission of the scenario is used."""
    SCENARIOS[scenario](context)
    assert context.denied() == set()
    allowed = {each._replace(resource=names.resource(each.resource)) for each in context.allowed()}
    shown = [permission for permission in ENFORCED if table()[permission] == scenario]
    assert [each for each in shown if not any(fits(each, call) for call in allowed)] == []


def fits(permission: Permission, call: Permission) -> bool:
    return permission[:2] == call[:2] and fnmatchcase(call.resource, permission.resource)


@contextmanager
def without_permission(aws: LocalAws, policies: list[Policy], names: Names, permission: Permission) -> Iterator[str]:
    """Remove one permission from its role in the context. Yields the ARN."""
    iam = aws.client("iam")

    def put(policy: Policy, statements: list[dict[str, Any]]) -> None:
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=policy.role, PolicyName=policy.name, PolicyDocument=json.dumps(document))

    (policy, without) = next(
        (policy, each)
        for policy in policies
        for each in policy.statements
        if names.permission(policy.role, each) == permission
    )
    # A policy has at least one statement.
    nothing = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
    put(policy, [nothing, *(each for each in policy.statements if each is not without)])
    try:
        yield str(without["Resource"])
    finally:
        put(policy, policy.statements)


@pytest.mark.parametrize("permission", ENFORCED, ids=" ".join)
def test_scenario_fails_without_one_permission(
    context: ScenarioContext, policies: list[Policy], names: Names, permission: Permission
) -> None:
    fails = pytest.raises((AssertionError, context.pool.cognito.exceptions.ClientError))
    with without_permission(context.aws, policies, names, permission) as arn, fails:
        SCENARIOS[table()[permission]](context)
    denied = context.denied()
    assert {(each.role, each.action) for each in denied} == {(permission.role, permission.action)}
    assert all(re.fullmatch(arn.replace("*", ".*"), each.resource) for each in denied)


# --- encryption and logs


def test_key_encrypts_all_data_at_rest(aws: LocalAws, deployed: Deployment, key: str) -> None:
    table = aws.client("dynamodb").describe_table(TableName=deployed.outputs["user_table_name"])["Table"]
    keys = {"table": table["SSEDescription"]["KMSMasterKeyArn"]}
    for url in aws.client("sqs").list_queues(QueueNamePrefix=PREFIX)["QueueUrls"]:
        found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["KmsMasterKeyId"])
        keys[url.rpartition("/")[2]] = found["Attributes"]["KmsMasterKeyId"]
    for group in aws.client("logs").describe_log_groups()["logGroups"]:
        # The log group of the deployment is always empty.
        if PREFIX in group["logGroupName"] and group["logGroupName"] != f"/cognito-user-sync/{PREFIX}":
            assert group["retentionInDays"] == 30
            keys[group["logGroupName"]] = group["kmsKeyId"]
    for machine in STATE_MACHINES:
        arn = deployed.outputs[f"{machine.replace('-', '_')}_state_machine_arn"]
        described = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
        logging = described["loggingConfiguration"]
        assert (logging["level"], logging.get("includeExecutionData", False)) == ("ERROR", False)
        keys[machine] = described["encryptionConfiguration"]["kmsKeyId"]
    for name in deployed.functions():
        keys[name] = aws.client("lambda").get_function_configuration(FunctionName=name)["KMSKeyArn"]
    assert set(keys.values()) == {key}
    functions = {f"{PREFIX}-{name}" for name in FUNCTIONS}
    queues = {f"{PREFIX}-{name}{end}" for name in ("retry", "changes") for end in ("", "-dead-letter")}
    queues.add(f"{PREFIX}-user-events-dead-letter")
    logs = {f"/aws/lambda/{name}" for name in functions}
    logs |= {f"/aws/vendedlogs/states/{PREFIX}-{name}" for name in STATE_MACHINES}
    assert keys.keys() == {"table", *queues, *logs, *STATE_MACHINES, *functions}


# --- callers


def test_only_cognito_for_this_pool_may_invoke_a_function(
    aws: LocalAws, deployed: Deployment, pool_with_trigger: Pool
) -> None:
    functions = aws.client("lambda")
    allowed = []
    for name in deployed.functions():
        with suppress(functions.exceptions.ResourceNotFoundException):
            allowed += [
                (name, each) for each in json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"]
            ]
    ((function, statement),) = allowed
    assert function == f"{PREFIX}-post-confirmation"
    assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
    assert statement["Principal"] == {"Service": "cognito-idp.amazonaws.com"}
    pool_arn = pool_with_trigger.cognito.describe_user_pool(UserPoolId=pool_with_trigger.id)["UserPool"]["Arn"]
    assert statement["Condition"] == {
        "ArnLike": {"AWS:SourceArn": pool_arn},
        "StringEquals": {"AWS:SourceAccount": ACCOUNT},
    }


def test_only_the_rule_can_send_a_change(aws: LocalAws, deployed: Deployment) -> None:
    """A function with permission to send to every queue cannot."""
    anything = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    code = """
    import boto3
    def handler(event, context):
        boto3.client("sqs").send_message(QueueUrl=event["queue"], MessageBody="{}")
    """
    make_function(aws, "their-sender", code, anything)

    def send(output: str) -> str:
        event = json.dumps({"queue": deployed.outputs[output]})
        answer = aws.client("lambda").invoke(FunctionName="their-sender", Payload=event)
        return answer["Payload"].read().decode()  # type: ignore[no-any-return]

    assert "explicit deny" in send("changes_queue_url")
    assert send("retry_queue_url") == "null", "the function can send to another queue"


def test_role_is_assumed_by_its_service_only(aws: LocalAws, deployed: Deployment) -> None:
    region = f"us-east-1:{ACCOUNT}"
    expected = {
        **{name: ("lambda.amazonaws.com", {}) for name in FUNCTIONS},
        **{
            name: (
                "states.amazonaws.com",
                {
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    "ArnEquals": {"aws:SourceArn": f"arn:aws:states:{region}:stateMachine:{PREFIX}-{name}"},
                },
            )
            for name in STATE_MACHINES
        },
        "deleted-groups": (
            "events.amazonaws.com",
            {
                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                "ArnEquals": {"aws:SourceArn": f"arn:aws:events:{region}:rule/{PREFIX}-deleted-groups"},
            },
        ),
        **dict.fromkeys(
            ("schedule", "trigger-check"),
            (
                "scheduler.amazonaws.com",
                {
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    "ArnEquals": {"aws:SourceArn": f"arn:aws:scheduler:{region}:schedule-group/default"},
                },
            ),
        ),
    }
    found = {}
    for name in expected:
        document = aws.client("iam").get_role(RoleName=f"{ROLE_PREFIX}-{name}")["Role"]["AssumeRolePolicyDocument"]
        (statement,) = document["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", "sts:AssumeRole")
        found[name] = (statement["Principal"]["Service"], statement.get("Condition", {}))
    assert found == expected
