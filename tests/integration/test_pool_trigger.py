"""A pool with a post-confirmation trigger: the trigger is rejected, chained, changed during sign-ups, lost, attached.

One deployment for all tests: each test starts with the state of the one before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.client import LocalAws
from local_aws.resources import make_function
from tests.deployed import DEPLOYMENT, Deployment, Pool, SignUps, Terraform, eventually, make_pool
from tests.integration.pool_triggers import ANY_TRIGGER, configuration_of, set_trigger, trigger_of, with_trigger

STAGE = "changes"
FUNCTION = f"cognito-user-sync-{STAGE}-post-confirmation"
POOL_TRIGGER = f"cognito-user-sync-{STAGE}-pool-trigger"
MODULE = "module.user_sync.module.pool_trigger[0]"
ATTACH, GUARD = f"{MODULE}.aws_lambda_invocation.attach", f"{MODULE}.aws_lambda_invocation.guard"
REJECTED = "rejected"

# The pool's existing trigger. It stores its events, and rejects the sign-ups of some usernames.
THEIRS = """
import boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl="{queue}", MessageBody=json.dumps(event))
    if event["userName"].startswith("rejected"):
        raise ValueError("not allowed: " + event["userName"])
    event["response"]["addedBy"] = "theirs"
    return event
"""


class TheirTrigger:
    def __init__(self, aws: LocalAws) -> None:
        self._sqs = aws.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="their-events")["QueueUrl"]
        sending = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
        self.arn = make_function(aws, "their-trigger", THEIRS.format(queue=self._queue), sending)

    def events(self) -> list[dict[str, Any]]:
        """Return the events since the last call."""
        found = []
        while messages := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture(scope="module")
def theirs(aws: LocalAws) -> TheirTrigger:
    return TheirTrigger(aws)


@pytest.fixture(scope="module")
def owned(aws: LocalAws, theirs: TheirTrigger) -> Pool:
    """A pool with triggers."""
    pre_authentication = make_function(aws, "their-pre-authentication", ANY_TRIGGER)
    return make_pool(aws, {"PostConfirmation": theirs.arn, "PreAuthentication": pre_authentication})


@pytest.fixture(scope="module")
def found(owned: Pool) -> dict[str, Any]:
    """The pool's configuration before the module is applied."""
    return owned.configuration()


@pytest.fixture(scope="module", autouse=True)
def terraform(tmp_path_factory: pytest.TempPathFactory, owned: Pool) -> Iterator[Terraform]:
    """The configuration of the other tests, for this pool, in another folder."""
    run = Terraform.of_copy(DEPLOYMENT, tmp_path_factory.mktemp("changes"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", owned.id)
        patch.setenv("TF_VAR_stage", STAGE)
        yield run


@pytest.fixture(scope="module")
def deployed(aws: LocalAws, terraform: Terraform) -> Deployment:
    return Deployment(aws, terraform.outputs()["user_sync"])


@pytest.fixture
def ours(deployed: Deployment) -> str:
    return str(deployed.outputs["post_confirmation_function_arn"])


def error_at_confirmation(pool: Pool, username: str) -> str:
    pool.sign_up(username, email=f"{username}@example.com")
    with pytest.raises(ClientError) as raised:
        pool.confirm(username)
    return str(raised.value).replace(username, "<username>")


# Reject or chain.


def test_plan_fails_when_pool_has_a_foreign_trigger(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], username: str
) -> None:
    sentence = (
        f"User pool {owned.id} has the post-confirmation trigger {theirs.arn}, which is not this module's. Set "
        "chained_function_arn to exactly this ARN, so that this module's function invokes it, or remove it from the "
        "pool (by a destroy, if it belongs to another deployment of this module)."
    )
    for command in (["plan"], ["apply", "-auto-approve"]):
        failed = terraform(*command, expect=1)
        assert failed.stderr.endswith(sentence)
        assert failed.stderr.count("Error: ") == 1
        assert "Warning: Check block" not in failed.stdout
    assert not terraform.state.exists()
    assert owned.configuration() == found
    owned.sign_up(username, email=f"{username}@example.com")
    owned.confirm(username)
    assert [event["userName"] for event in theirs.events()] == [username]


def test_apply_replaces_only_the_trigger_when_it_is_chained(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any]
) -> None:
    with SignUps(owned) as sign_ups:
        terraform("apply", "-auto-approve", variables={"chained_function_arn": theirs.arn})
    assert sign_ups.failures == []
    arn = terraform.outputs()["user_sync"]["post_confirmation_function_arn"]
    assert terraform.outputs()["user_sync"]["user_pool_trigger"] == {
        "attached_function_arn": arn,
        "chained_function_arn": theirs.arn,
    }
    assert configuration_of(owned) == with_trigger(found, arn)
    assert {event["request"]["userAttributes"]["sub"] for event in theirs.events()} == set(sign_ups.subs)


def test_policy_of_chained_function_is_deleted_after_its_calls(terraform: Terraform) -> None:
    """Terraform then updates the function first. The order needs this test: retries of a call can hide a wrong one."""
    resources = json.loads(terraform.state.read_text())["resources"]
    (policy,) = [each for each in resources if (each["type"], each["name"]) == ("aws_iam_role_policy", "chained")]
    assert [instance.get("create_before_destroy") for instance in policy["instances"]] == [True]


def test_chained_function_gets_event_and_its_answer_is_returned(
    aws: LocalAws, deployed: Deployment, ours: str, owned: Pool, theirs: TheirTrigger, username: str
) -> None:
    sub = owned.sign_up(username, email=f"{username}@example.com", custom__plan="canary")
    owned.confirm(username)
    (execution,) = deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED"
    assert len(deployed.welcomes_to(f"{username}@example.com")) == 1
    (event,) = theirs.events()
    assert event["userName"] == username
    assert event["triggerSource"] == "PostConfirmation_ConfirmSignUp"
    assert event["request"]["userAttributes"]["custom:plan"] == "canary"
    answer = json.load(aws.client("lambda").invoke(FunctionName=ours, Payload=json.dumps(event))["Payload"])
    assert theirs.events() == [event]
    assert answer == {**event, "response": {"addedBy": "theirs"}}


def test_error_of_chained_function_reaches_the_user_unchanged(
    terraform: Terraform, deployed: Deployment, owned: Pool, theirs: TheirTrigger, ours: str
) -> None:
    chained = error_at_confirmation(owned, f"{REJECTED}-1")
    set_trigger(owned, theirs.arn)
    lost = f"post-confirmation trigger of user pool {owned.id} is {theirs.arn}, and not this module's function"
    assert lost in terraform.warnings({"chained_function_arn": theirs.arn})
    direct = error_at_confirmation(owned, f"{REJECTED}-2")
    set_trigger(owned, ours)
    assert chained == direct
    assert "not allowed: <username>" in chained
    (event, _) = theirs.events()
    sub = event["request"]["userAttributes"]["sub"]
    assert deployed.settled(sub)[0]["status"] == "SUCCEEDED", "the user is confirmed and synced despite the error"


def test_apply_fails_when_chained_function_does_not_exist(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    """The trigger is attached by then, and its error at a confirmation names no ARN."""
    failed = terraform("apply", "-auto-approve", variables={"chained_function_arn": f"{theirs.arn}-typo"}, expect=1)
    named = f"chained_function_arn is {theirs.arn}-typo, which {ours} cannot invoke: ResourceNotFoundException."
    assert named in failed.stderr
    shown = error_at_confirmation(owned, f"{REJECTED}-3")
    assert "could not be invoked: ResourceNotFoundException" in shown
    assert "arn:" not in shown
    terraform("apply", "-auto-approve", variables={"chained_function_arn": theirs.arn})
    assert configuration_of(owned) == with_trigger(found, ours)


# What a caller with permission to invoke the function can do with it.


@pytest.mark.parametrize(
    "named",
    [
        {"action": "detach", "chained_function_arn": "another"},
        {"action": "detach", "chained_function_arn": None},
        {"action": "attach", "function_arn": "another"},
    ],
    ids=str,
)
def test_pool_trigger_rejects_other_functions(
    aws: LocalAws, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str, named: dict[str, str | None]
) -> None:
    another = ours.replace(FUNCTION, "another")
    event = {"user_pool_id": owned.id, "function_arn": ours, "chained_function_arn": theirs.arn} | {
        name: another if value == "another" else value for name, value in named.items()
    }
    answer = aws.client("lambda").invoke(FunctionName=POOL_TRIGGER, Payload=json.dumps(event))
    assert json.load(answer["Payload"])["errorType"] == "InvalidEventError"
    assert configuration_of(owned) == with_trigger(found, ours)


# A lost trigger.


def test_plan_reports_lost_trigger_and_how_to_attach_it(
    aws: LocalAws, terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    given = {"chained_function_arn": theirs.arn}
    set_trigger(owned, None)
    warnings = terraform.warnings(given)
    assert f"post-confirmation trigger of user pool {owned.id} is none, and not this module's function" in warnings
    assert "module.pool_trigger[0].aws_lambda_invocation.attach" in warnings

    terraform("apply", "-auto-approve", f"-replace={ATTACH}", variables=given)
    assert configuration_of(owned) == with_trigger(found, ours)
    assert terraform.warnings(given) == ""


def test_schedule_attaches_a_lost_trigger_again(aws: LocalAws, owned: Pool, found: dict[str, Any], ours: str) -> None:
    """With the target and input of the schedule. The alarm trigger-missing counts the error of the function."""
    scheduler = aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=f"cognito-user-sync-{STAGE}-trigger-check")
    expression = schedule.pop("ScheduleExpression")
    for fact in ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"):
        del schedule[fact]
    set_trigger(owned, None)
    scheduler.update_schedule(**schedule, ScheduleExpression="rate(1 minute)")
    try:
        eventually(lambda: trigger_of(owned) == ours, seconds=90)
    finally:
        scheduler.update_schedule(**schedule, ScheduleExpression=expression)
    assert configuration_of(owned) == with_trigger(found, ours)
    eventually(lambda: "TriggerMissingError" in errors_of_pool_trigger(aws))


def errors_of_pool_trigger(aws: LocalAws) -> list[str]:
    """Return the types of errors with which invocations ended."""
    events = aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{POOL_TRIGGER}")["events"]
    lines = [json.loads(event["message"]) for event in events]
    return [line["errorType"] for line in lines if "errorType" in line]


def test_apply_reports_foreign_trigger_and_leaves_it(
    aws: LocalAws, terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    another = make_function(aws, "their-other-trigger", ANY_TRIGGER)
    set_trigger(owned, another)
    given = {"chained_function_arn": theirs.arn}
    applied = terraform("apply", "-auto-approve", variables=given)
    lost = f"post-confirmation trigger of user pool {owned.id} is {another}, and not this module's function"
    assert lost in applied.stdout
    assert "0 added, 0 changed, 0 destroyed" in applied.stdout
    assert trigger_of(owned) == another

    request = {"action": "attach", "user_pool_id": owned.id, "function_arn": ours, **given}
    answer = aws.client("lambda").invoke(FunctionName=POOL_TRIGGER, Payload=json.dumps(request))
    assert json.load(answer["Payload"])["errorType"] == "ForeignTriggerError"
    assert trigger_of(owned) == another

    set_trigger(owned, None)
    aws.client("lambda").invoke(FunctionName=POOL_TRIGGER, Payload=json.dumps(request))
    assert configuration_of(owned) == with_trigger(found, ours), "the trigger is attached if the pool has none"


# Changes, each in one apply, while users sign up.


def test_attach_trigger_detaches_when_false_and_attaches_when_true(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    given = {"chained_function_arn": theirs.arn}
    with SignUps(owned) as sign_ups:
        terraform("apply", "-auto-approve", variables=given | {"attach_trigger": "false"})
        assert configuration_of(owned) == with_trigger(found, theirs.arn)
        assert terraform.warnings(given | {"attach_trigger": "false"}) == ""
        terraform("apply", "-auto-approve", variables=given)
    assert sign_ups.failures == []
    assert configuration_of(owned) == with_trigger(found, ours)
    assert {event["request"]["userAttributes"]["sub"] for event in theirs.events()} == set(sign_ups.subs)


def test_replaced_function_is_detached_until_it_exists_again(
    terraform: Terraform, owned: Pool, deployed: Deployment, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    given = {"chained_function_arn": theirs.arn}
    replace = "-replace=module.user_sync.module.sign_up.module.post_confirmation.aws_lambda_function.this"
    with SignUps(owned) as sign_ups:
        terraform("apply", "-auto-approve", replace, variables=given)
    assert sign_ups.failures == []
    assert configuration_of(owned) == with_trigger(found, ours)
    assert terraform.warnings(given) == ""
    with SignUps(owned) as later:
        eventually(lambda: len(later.subs) > 1)
    assert later.failures == []
    assert deployed.settled(later.subs[0])[0]["status"] == "SUCCEEDED"
    theirs.events()


def test_chained_function_is_not_invoked_when_no_longer_named(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any], ours: str
) -> None:
    with SignUps(owned) as sign_ups:
        terraform("apply", "-auto-approve")
    assert sign_ups.failures == []
    assert configuration_of(owned) == with_trigger(found, ours)
    theirs.events()
    with SignUps(owned) as later:
        eventually(lambda: len(later.subs) > 1)
    assert later.failures == []
    assert theirs.events() == []


def test_destroy_restores_chained_function_after_partial_apply(
    terraform: Terraform, owned: Pool, theirs: TheirTrigger, found: dict[str, Any]
) -> None:
    """The guard still has the input of the apply before."""
    given = {"chained_function_arn": theirs.arn}
    terraform("apply", "-auto-approve", f"-target={MODULE}.module.function", variables=given)
    terraform("destroy", "-auto-approve", f"-target={GUARD}", variables=given)
    assert configuration_of(owned) == with_trigger(found, theirs.arn)
