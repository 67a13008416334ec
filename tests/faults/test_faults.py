"""Nothing lost, nobody greeted twice: each call of the sign-up path fails in each way, under real Cognito calls.

After a fault, only what the documentation says is done: `cognito-user-sync failures redrive` and `requeue`.
docs/reliability.md names these tests.
"""

from __future__ import annotations

import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync.user import timestamp
from local_aws.client import Fault, LocalAws
from tests.deployed import CANARY_PHONE, Deployment, Operator, Pool, eventually, make_users
from tests.faults.storm import is_quiet, keep_score

TRIGGER = "post_confirmation_function_arn"
START: Fault = {"operation": "states:StartExecution", "fault": "500"}
PARK: Fault = {"operation": "sqs:SendMessage", "fault": "500"}
REPLAY: Fault = {"operation": "lambda:InvokeFunction", "function": "retry-sign-ups", "fault": "500"}
READ: Fault = {"operation": "cognito-idp:AdminGetUser", "fault": "500"}
SYNC: Fault = {"operation": "lambda:InvokeFunction", "function": "sync-user", "fault": "500"}
WRITE: Fault = {"operation": "dynamodb:UpdateItem", "fault": "500"}
WELCOME: Fault = {"operation": "lambda:InvokeFunction", "function": "send-welcome", "fault": "500"}
SEND: Fault = {"operation": "ses:SendEmail", "fault": "500"}

# A service that answers "throttled" or "denied" has done nothing; after the others the call may have taken effect.
BEFORE: list[dict[str, Any]] = [{"fault": way} for way in ("throttle", "500", "timeout", "reset", "access_denied")]
AFTER: list[dict[str, Any]] = [{"fault": way, "after": True} for way in ("500", "timeout", "reset")]


def ways(*kinds: dict[str, Any]) -> Any:
    ids = [f"{kind['fault']}{'-after-effect' if kind.get('after') else ''}" for kind in kinds]
    return pytest.mark.parametrize("way", kinds, ids=ids)


def names_of(case: tuple[Fault, dict[str, Any]]) -> str:
    call, way = case
    return f"{call['operation']}-{way['fault']}{'-after-effect' if way.get('after') else ''}"


@dataclass(frozen=True)
class Person:
    """Who signs up, and what becomes of it."""

    aws: LocalAws
    pool: Pool
    deployed: Deployment
    name: str
    sub: str

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    def confirm(self) -> None:
        """Fails the test if the person would see an error, or if Cognito had to call the trigger again."""
        self.aws.reset_calls()
        self.pool.confirm(self.name)
        assert self.aws.calls_by_caller()["cognito-idp.amazonaws.com"] == {"lambda:InvokeFunction": 1}

    def parked(self) -> int:
        """How often the trigger has put the request into the queue."""
        trigger = self.deployed.outputs[TRIGGER].rpartition(":")[2]
        return self.aws.calls_by_caller()[trigger].get("sqs:SendMessage", 0)

    def failed(self) -> dict[str, Any]:
        """The execution, once it has failed: a function that dies starts anew for each retry."""
        (execution,) = self.deployed.settled(self.sub, seconds=60)
        assert execution["status"] == "FAILED"
        return execution

    def is_synced(self) -> bool:
        item = self.deployed.item(self.sub) or {}
        expected = {"username": self.name, "email": self.email, "custom:plan": "canary", "phone_number": CANARY_PHONE}
        return (expected | {"status": "CONFIRMED", "score": "7"}).items() <= item.items()

    def welcomes(self) -> int:
        return len(self.deployed.welcomes_to(self.email))

    def assert_synced_and_greeted_once(self) -> None:
        """... after whatever waits in the queue has been replayed, too."""
        eventually(lambda: is_quiet(self.aws, self.deployed), seconds=60)
        (execution,) = self.deployed.settled(self.sub)
        assert execution["status"] == "SUCCEEDED", execution.get("error")
        assert self.is_synced()
        assert self.welcomes() == 1


@pytest.fixture
def person(aws: LocalAws, pool: Pool, deployed: Deployment, username: str) -> Person:
    sub = pool.sign_up(username, email=f"{username}@example.com", name="Ada Canary", custom__plan="canary")
    keep_score(aws, deployed, sub)
    return Person(aws, pool, deployed, username, sub)


@contextmanager
def failing(aws: LocalAws, *rules: Any) -> Iterator[Callable[[], int]]:
    """Calls fail meanwhile. Gives how many have."""
    aws.set_faults(rules)

    def fired() -> int:
        return sum(rule["fired"] for rule in aws.faults())

    try:
        yield fired
        assert fired() > 0, "nothing failed: the test shows nothing"
    finally:
        aws.clear_faults()


# The trigger starts the execution.


@ways(*BEFORE, *AFTER)
def test_sign_up_is_queued_and_retried_when_start_fails(aws: LocalAws, person: Person, way: dict[str, Any]) -> None:
    with failing(aws, START | way):
        person.confirm()
        assert person.parked() == 1
    person.assert_synced_and_greeted_once()


@ways(*AFTER)
def test_sign_up_is_retried_when_answer_of_queue_is_lost(aws: LocalAws, person: Person, way: dict[str, Any]) -> None:
    with failing(aws, START, PARK | way):
        person.confirm()
        assert person.parked() >= 1
    person.assert_synced_and_greeted_once()


def test_sign_up_is_retried_until_step_functions_is_available(aws: LocalAws, person: Person) -> None:
    with failing(aws, START) as failed:
        person.confirm()
        eventually(lambda: failed() >= 10, seconds=60)
    person.assert_synced_and_greeted_once()


@ways(*BEFORE)
def test_trigger_tries_again_when_start_and_queue_fail_once(aws: LocalAws, person: Person, way: dict[str, Any]) -> None:
    # One that takes its time to fail leaves no time to try again: see the next test.
    times = 1 if way["fault"] == "timeout" else 2
    with failing(aws, START | way | {"times": times}, PARK | {"times": times - 1}):
        person.confirm()
    person.assert_synced_and_greeted_once()


@ways(*BEFORE)
def test_trigger_logs_one_error_when_start_and_queue_fail(aws: LocalAws, person: Person, way: dict[str, Any]) -> None:
    with failing(aws, START | way, PARK | way):
        person.confirm()  # within Cognito's five seconds, with hanging endpoints, too
    group = f"/aws/lambda/{person.deployed.outputs[TRIGGER].rpartition(':')[2]}"
    events = aws.client("logs").filter_log_events(logGroupName=group, filterPattern=f'"{person.sub}"')["events"]
    lines = [json.loads(event["message"]) for event in events if person.sub in event["message"]]
    errors = [line for line in lines if line["level"] == "ERROR"]
    assert [line["sub"] for line in errors] == [person.sub]
    assert person.deployed.executions(person.sub) == []


@ways(*BEFORE, *AFTER)
def test_retry_sign_ups_is_invoked_again_when_it_fails(aws: LocalAws, person: Person, way: dict[str, Any]) -> None:
    with failing(aws, START | {"times": 1}, REPLAY | way) as failed:
        person.confirm()
        eventually(lambda: failed() >= 2)
    person.assert_synced_and_greeted_once()


def test_retried_sign_up_of_deleted_user_is_not_written(aws: LocalAws, person: Person) -> None:
    """The request is older than the five minutes in which Cognito may not show a user yet."""
    person.pool.cognito.admin_delete_user(UserPoolId=person.pool.id, Username=person.name)
    request = {
        "sub": person.sub,
        "username": person.name,
        "reason": "sign_up",
        "occurred_at": timestamp(datetime.now(UTC) - timedelta(hours=1)),
        "client_id": person.pool.client_id,
    }
    queue = person.deployed.outputs["retry_queue_url"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(request))
    (execution,) = person.deployed.settled(person.sub)
    output = json.loads(execution["output"])
    assert (output["outcome"], output["why_not"]) == ("not_ours", "user_deleted")
    assert person.deployed.item(person.sub) == {"id": person.sub, "score": "7"}
    assert person.welcomes() == 0


def test_requeue_syncs_sign_up_of_dead_letter_queue(aws: LocalAws, person: Person, operator: Operator) -> None:
    queues, queue = aws.client("sqs"), person.deployed.outputs["retry_queue_url"]
    found = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["RedrivePolicy"])["Attributes"]
    policy = json.loads(found["RedrivePolicy"])
    dead_letters = queues.get_queue_url(QueueName=policy["deadLetterTargetArn"].rpartition(":")[2])["QueueUrl"]

    def dead() -> bool:
        attributes = queues.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["ApproximateNumberOfMessages"])
        return bool(attributes["Attributes"]["ApproximateNumberOfMessages"] != "0")

    once = {"RedrivePolicy": json.dumps(policy | {"maxReceiveCount": 1})}
    queues.set_queue_attributes(QueueUrl=queue, Attributes=once)
    try:
        with failing(aws, START):
            person.confirm()
            eventually(dead)
    finally:
        queues.set_queue_attributes(QueueUrl=queue, Attributes=found)
    assert operator("failures", "requeue") == "1 sign-up moved back.\n"
    person.assert_synced_and_greeted_once()
    assert not dead()


# The execution writes the item.


PASSING: list[tuple[Fault, dict[str, Any]]] = [
    *((SYNC, way) for way in [*BEFORE, *AFTER]),
    *((READ, way) for way in BEFORE),
    *((WRITE, way) for way in [*BEFORE, *AFTER]),
]
# Of modules/user_sync/user_sync.asl.json: 12 hours of retries, or 6 minutes if IAM denies a call. Here the waits are
# scaled (tests/conftest.py).
RETRIES = 97
DENIED_RETRIES = 10


@pytest.mark.parametrize(("call", "way"), PASSING, ids=map(names_of, PASSING))
def test_user_sync_retries_when_a_call_fails_three_times(
    aws: LocalAws, person: Person, call: Fault, way: dict[str, Any]
) -> None:
    with failing(aws, call | way | {"times": 3}):
        person.confirm()
        person.assert_synced_and_greeted_once()


def test_user_sync_retries_through_a_long_outage(aws: LocalAws, person: Person) -> None:
    """DynamoDB is away until SyncUser waits as long as it ever does, which is after ten attempts."""
    calls_of_an_attempt = 3  # clients.py
    with failing(aws, WRITE) as failed:
        person.confirm()
        eventually(lambda: failed() >= calls_of_an_attempt * 10, seconds=60)
        (execution,) = person.deployed.executions(person.sub)
        assert execution["status"] == "RUNNING"
        assert person.welcomes() == 0
    person.assert_synced_and_greeted_once()


def test_redrive_syncs_user_when_all_retries_failed(aws: LocalAws, person: Person, operator: Operator) -> None:
    with failing(aws, SYNC) as failed:
        person.confirm()
        person.failed()
        assert failed() == 1 + RETRIES
        assert person.welcomes() == 0
    assert operator("failures", "redrive").startswith("1 redriven.")
    person.assert_synced_and_greeted_once()


@pytest.mark.parametrize("call", [READ, WRITE, SEND], ids=["read", "write", "send"])
def test_user_sync_retries_when_iam_denies_at_first(aws: LocalAws, person: Person, call: Fault) -> None:
    """IAM is eventually consistent: 2 + 4 + 8 + 16 + 32 s are the first five waits."""
    with failing(aws, call | {"fault": "access_denied", "times": 5}):
        person.confirm()
        person.assert_synced_and_greeted_once()


@pytest.mark.parametrize(
    "operation", ["cognito-idp:DescribeUserPool", "cognito-idp:ListUsers", "dynamodb:BatchGetItem"]
)
def test_reconciliation_retries_when_iam_denies_at_first(
    aws: LocalAws, deployed: Deployment, person: Person, operation: str
) -> None:
    """PlanShards and ReconcileShards. (EnsureTrigger, which a dry run leaves out, repeats its calls itself.)"""
    person.confirm()
    person.assert_synced_and_greeted_once()
    with failing(aws, {"operation": operation, "fault": "access_denied", "times": 5}):
        assert deployed.reconcile(dry_run=True)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
def test_user_sync_names_the_denied_call_and_is_redriven(
    aws: LocalAws, person: Person, operator: Operator, call: Fault
) -> None:
    with failing(aws, call | {"fault": "access_denied"}) as failed:
        person.confirm()
        execution = person.failed()
        assert failed() == 1 + DENIED_RETRIES
    assert execution["error"] == "AccessDeniedError"
    assert json.loads(execution["cause"])["errorMessage"].endswith(call["operation"].rpartition(":")[2])
    assert operator("failures", "redrive").startswith("1 redriven.")
    person.assert_synced_and_greeted_once()


# ... and greets.


@pytest.mark.parametrize("call", [WELCOME, SEND], ids=["invoke", "send"])
def test_welcome_email_is_retried_when_throttled(aws: LocalAws, person: Person, call: Fault) -> None:
    with failing(aws, call | {"fault": "throttle", "times": 3}):
        person.confirm()
        person.assert_synced_and_greeted_once()


@pytest.mark.parametrize(
    ("call", "way"),
    [(WELCOME, "throttle"), (SEND, "access_denied")],
    ids=["invoke-throttle", "send-access_denied"],
)
def test_redrive_sends_welcome_email_that_was_not_sent(
    aws: LocalAws, person: Person, operator: Operator, call: Fault, way: str
) -> None:
    with failing(aws, call | {"fault": way}):
        person.confirm()
        person.failed()
        assert person.is_synced(), "a failing welcome does not undo the sync"
    assert operator("failures", "redrive").startswith("1 redriven.")
    person.assert_synced_and_greeted_once()


@pytest.mark.parametrize("way", ["500", "access_denied"])
def test_welcome_email_is_retried_when_user_cannot_be_read(aws: LocalAws, person: Person, way: str) -> None:
    slow: Fault = {
        "operation": WELCOME["operation"],
        "function": "send-welcome",
        "fault": "latency",
        "latency_ms": 2000,
    }
    aws.set_faults([WELCOME | slow])
    person.confirm()
    eventually(person.is_synced)
    with failing(aws, READ | {"fault": way}) as failed:
        eventually(lambda: failed() >= 5)
        assert person.welcomes() == 0
    person.assert_synced_and_greeted_once()


UNKNOWN: list[tuple[Fault, dict[str, Any]]] = [
    *((WELCOME, way) for way in [*BEFORE, *AFTER] if way["fault"] != "throttle"),
    *((SEND, way) for way in [*BEFORE, *AFTER] if way["fault"] not in {"throttle", "access_denied"}),
]


@pytest.mark.parametrize(("call", "way"), UNKNOWN, ids=map(names_of, UNKNOWN))
def test_redrive_skips_welcome_email_of_unknown_outcome(
    aws: LocalAws, person: Person, operator: Operator, call: Fault, way: dict[str, Any]
) -> None:
    with failing(aws, call | way):
        person.confirm()
        person.failed()
    sent = 1 if way.get("after") else 0
    assert person.is_synced(), "a failing welcome does not undo the sync"
    assert person.welcomes() == sent
    assert "SendWelcome" in operator("failures")
    assert "1 left alone: the welcome email may have been sent." in operator("failures", "redrive")
    person.failed()
    assert person.welcomes() == sent
    # The person looks in the sending statistics, and decides. Only in the one case it was right to send again.
    operator("failures", "redrive", "--all")
    (execution,) = person.deployed.settled(person.sub)
    assert execution["status"] == "SUCCEEDED"
    assert person.welcomes() == sent + 1


# The pool's trigger is set.


def test_trigger_is_set_when_pool_description_is_stale(aws: LocalAws, deployed: Deployment, pool: Pool) -> None:
    found = pool.configuration()
    aws.set_cognito({"description_delay_seconds": 1})
    event = {"user_pool_id": pool.id, "function_arn": deployed.outputs[TRIGGER]}
    try:
        for action in ("detach", "attach"):
            function = deployed.outputs["function_arns"]["pool-trigger"]
            answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event | {"action": action}))
            assert json.load(answer["Payload"]) == {"action": action, "result": f"{action}ed"}
    finally:
        aws.clear_cognito()
    assert pool.configuration() == found


# A function that dies after its side effect and before its answer; events that come twice, or late.

DYING = """
import os
from cognito_user_sync.handlers.{handler} import handler as real
def handler(event, context):
    real(event, context)
    os._exit(1)
"""


@contextmanager
def dying(aws: LocalAws, deployed: Deployment, handler: str) -> Iterator[None]:
    """The function ends its process when its work is done."""
    functions = aws.client("lambda")
    name = deployed.outputs[TRIGGER].rpartition(":")[2].replace("post-confirmation", handler.replace("_", "-"))
    sources = Path(__file__).parents[2] / "lambda_src"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sources.rglob("*.py"):
            archive.write(file, file.relative_to(sources))
        archive.writestr("dying.py", DYING.format(handler=handler))
    found = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_code(FunctionName=name, ZipFile=content.getvalue())
    functions.update_function_configuration(FunctionName=name, Handler="dying.handler")
    try:
        yield
    finally:
        # The same code, without the wrapper.
        functions.update_function_configuration(FunctionName=name, Handler=found)


def test_sync_user_is_retried_when_it_dies_after_the_write(aws: LocalAws, person: Person, deployed: Deployment) -> None:
    with dying(aws, deployed, "sync_user"):
        person.confirm()
        eventually(lambda: aws.calls_by_caller().get("states.amazonaws.com", {}).get("lambda:InvokeFunction", 0) >= 3)
        assert person.is_synced()
    person.assert_synced_and_greeted_once()


def test_send_welcome_sends_once_when_it_dies_after_the_send(
    aws: LocalAws, person: Person, deployed: Deployment, operator: Operator
) -> None:
    with dying(aws, deployed, "send_welcome"):
        person.confirm()
        person.failed()
    assert operator("failures", "redrive").startswith("0 redriven.")
    assert person.is_synced()
    assert person.welcomes() == 1
    # The function has logged that SES accepted the email.
    assert "1 failure acknowledged: the welcome email was sent." in operator("failures", "resolve")
    operator("failures", "redrive", "--all")
    assert person.welcomes() == 1


def test_retry_sign_ups_starts_once_when_it_dies_after_the_start(
    aws: LocalAws, person: Person, deployed: Deployment
) -> None:
    with failing(aws, START | {"times": 1}), dying(aws, deployed, "retry_sign_ups"):
        person.confirm()
        (execution,) = deployed.settled(person.sub)
        assert execution["status"] == "SUCCEEDED"
        assert not is_quiet(aws, deployed), "the message comes back"
    person.assert_synced_and_greeted_once()


def test_trigger_sends_one_email_when_event_is_delivered_again(
    aws: LocalAws, person: Person, deployed: Deployment
) -> None:
    # Confirmed, but Cognito could not invoke the trigger.
    with (
        failing(aws, {"operation": "lambda:InvokeFunction", "function": "post-confirmation", "fault": "500"}),
        pytest.raises(person.pool.cognito.exceptions.UnexpectedLambdaException),
    ):
        person.pool.confirm(person.name)
    event = {
        "version": "1",
        "region": aws.region,
        "userPoolId": person.pool.id,
        "userName": person.name,
        "callerContext": {"awsSdkVersion": "aws-sdk", "clientId": person.pool.client_id},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {
            "userAttributes": {
                "sub": person.sub,
                "email": person.email,
                "phone_number": CANARY_PHONE,
                "custom:plan": "canary",
            }
        },
        "response": {},
    }

    def deliver(_: int) -> Any:
        answer = aws.client("lambda").invoke(FunctionName=deployed.outputs[TRIGGER], Payload=json.dumps(event))
        return json.load(answer["Payload"])

    with ThreadPoolExecutor(3) as cognito:
        assert list(cognito.map(deliver, range(3))) == [event] * 3
    person.assert_synced_and_greeted_once()
    assert deliver(4) == event
    person.assert_synced_and_greeted_once()


# The reconciliation finds everyone else.


@pytest.fixture
def many_shards(aws: LocalAws) -> Iterator[None]:
    """The pool is taken for a larger one: a shard for each first digit of a sub."""
    aws.set_cognito({"estimated_users": 2_001})
    yield
    aws.clear_cognito()


def leave_items(aws: LocalAws, deployed: Deployment, of: str, subs: list[str]) -> None:
    """Items like that of the user `of`, of users whom Cognito does not know any more."""
    table, dynamodb = deployed.outputs["user_table_name"], aws.client("dynamodb")
    item = dynamodb.get_item(TableName=table, Key={"id": {"S": of}}, ConsistentRead=True)["Item"]
    pool_id = item["user_pool_id"]["S"]
    for sub in subs:
        own = {"id": sub, "username": f"canary-{sub}", "shard": f"{pool_id}#{sub[0]}"}
        dynamodb.put_item(TableName=table, Item=item | {name: {"S": value} for name, value in own.items()})


@pytest.mark.usefixtures("many_shards")
def test_shard_over_the_deletion_limit_stops_no_other_shard(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator
) -> None:
    usernames = make_users(pool, 60)
    operator("reconcile")
    shards = sorted({sub[0] for sub in usernames})
    assert len(shards) >= 10
    full, *others = shards
    purged, deleted = ([f"{shard}{str(uuid.uuid4())[1:]}" for shard in each] for each in (full * 25, others))
    leave_items(aws, deployed, next(iter(usernames)), [*purged, *deleted])
    new = next(iter(make_users(pool, 1)))

    def gone(subs: list[str]) -> list[bool]:
        return ["deleted_at" in (deployed.item(sub) or {}) for sub in subs]

    said = operator("reconcile", expect=1)
    counts = dict(re.findall(r"│ (created|deleted|over limit) +│ +(\d+) ", said))
    assert counts == {"created": "1", "deleted": str(len(others)), "over limit": "25"}
    assert (all(gone(deleted)), any(gone(purged))) == (True, False)
    assert (deployed.item(new) or {})["status"] == "FORCE_CHANGE_PASSWORD"
    # Both name the command, which is enough.
    command = r"cognito-user-sync (reconcile --allow-deletes 25)\b"
    assert re.search(command, operator("status", expect=1))
    (typed,) = re.findall(command, said)
    operator(*typed.split())
    assert all(gone(purged))


def test_rejected_paging_markers_leave_out_no_user(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator
) -> None:
    usernames = make_users(pool, 250)
    operator("reconcile")
    changed, deleted, *_ = usernames
    new = next(iter(make_users(pool, 1)))
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username=usernames[changed])
    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=usernames[deleted])
    # As often as a listing begins again, at most.
    at_random: dict[str, Any] = {"fault": "rejected_marker", "rate": 0.3, "seed": 1, "times": 5}
    with failing(aws, {"operation": "cognito-idp:ListUsers", **at_random}):
        said = operator("reconcile")
    assert re.search(r"deleted +│ +1 ", said), said
    found = {sub: deployed.item(sub) or {} for sub in (changed, deleted, new)}
    assert (found[changed]["enabled"], "deleted_at" in found[deleted], "username" in found[new]) == (False, True, True)
