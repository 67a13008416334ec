"""Each call of the sign-up path fails in each way: every user is synced and gets exactly one welcome email.

Cognito calls are real. After a fault, a test runs the documented commands only, `cognito-user-sync failures redrive`
and `requeue`. docs/reliability.md names these tests.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync.user import timestamp
from local_aws.client import Fault, LocalAws
from tests.deployed import CANARY_PHONE, ROOT, Deployment, Operator, Pool, eventually, make_pool, make_users
from tests.faults.conftest import CONSUMER
from tests.faults.storm import is_quiet, keep_score

TRIGGER = "post_confirmation_function_arn"
START: Fault = {"operation": "states:StartExecution", "fault": "500"}
QUEUE: Fault = {"operation": "sqs:SendMessage", "fault": "500"}
RETRY: Fault = {"operation": "lambda:InvokeFunction", "function": "retry-sign-ups", "fault": "500"}
READ: Fault = {"operation": "cognito-idp:AdminGetUser", "fault": "500"}
SYNC: Fault = {"operation": "lambda:InvokeFunction", "function": "sync-user", "fault": "500"}
WRITE: Fault = {"operation": "dynamodb:UpdateItem", "fault": "500"}
WELCOME: Fault = {"operation": "lambda:InvokeFunction", "function": "send-welcome", "fault": "500"}
SEND: Fault = {"operation": "ses:SendEmail", "fault": "500"}

# After "throttled" and "denied" a call has no effect. After other errors it may have taken effect.
BEFORE: list[dict[str, Any]] = [{"fault": way} for way in ("throttle", "500", "timeout", "reset", "access_denied")]
AFTER: list[dict[str, Any]] = [{"fault": way, "after": True} for way in ("500", "timeout", "reset")]


def ways(*kinds: dict[str, Any]) -> Any:
    ids = [f"{kind['fault']}{'-after-effect' if kind.get('after') else ''}" for kind in kinds]
    return pytest.mark.parametrize("way", kinds, ids=ids)


def id_of_case(case: tuple[Fault, dict[str, Any]]) -> str:
    call, way = case
    return f"{call['operation']}-{way['fault']}{'-after-effect' if way.get('after') else ''}"


@dataclass(frozen=True)
class NewUser:
    """A user that signs up, and the outcome."""

    aws: LocalAws
    pool: Pool
    deployed: Deployment
    name: str
    sub: str

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    def confirm(self) -> None:
        """Confirm. Fails the test if the user would see an error, or if Cognito has to invoke the trigger again."""
        self.aws.reset_calls()
        self.pool.confirm(self.name)
        assert self.aws.calls_by_caller()["cognito-idp.amazonaws.com"] == {"lambda:InvokeFunction": 1}

    def queued(self) -> int:
        """Return how many times the trigger has sent the request to the retry queue."""
        trigger = self.deployed.outputs[TRIGGER].rpartition(":")[2]
        return self.aws.calls_by_caller()[trigger].get("sqs:SendMessage", 0)

    def failed(self) -> dict[str, Any]:
        """Return the execution when it has failed. It can take long: a killed function starts again in each retry."""
        (execution,) = self.deployed.settled(self.sub)
        assert execution["status"] == "FAILED"
        return execution

    def is_synced(self) -> bool:
        item = self.deployed.item(self.sub) or {}
        expected = {"username": self.name, "email": self.email, "custom:plan": "canary", "phone_number": CANARY_PHONE}
        return (expected | {"status": "CONFIRMED", "score": "7"}).items() <= item.items()

    def welcomes(self) -> int:
        return len(self.deployed.welcomes_to(self.email))

    def assert_synced_with_one_email(self) -> None:
        """Fails the test unless this holds after the retry queue is empty."""
        eventually(lambda: is_quiet(self.aws, self.deployed))
        (execution,) = self.deployed.settled(self.sub)
        assert execution["status"] == "SUCCEEDED", execution.get("error")
        assert self.is_synced()
        assert self.welcomes() == 1


@pytest.fixture
def user(aws: LocalAws, pool: Pool, deployed: Deployment, username: str) -> NewUser:
    sub = pool.sign_up(username, email=f"{username}@example.com", name="Ada Canary", custom__plan="canary")
    keep_score(aws, deployed, sub)
    return NewUser(aws, pool, deployed, username, sub)


@contextmanager
def failing(aws: LocalAws, *rules: Any) -> Iterator[Callable[[], int]]:
    """Let calls fail in the context. Yields a function that returns how many have failed."""
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
def test_sign_up_is_queued_and_retried_when_start_fails(aws: LocalAws, user: NewUser, way: dict[str, Any]) -> None:
    with failing(aws, START | way):
        user.confirm()
        assert user.queued() == 1
    user.assert_synced_with_one_email()


@ways(*AFTER)
def test_sign_up_is_retried_when_answer_of_queue_is_lost(aws: LocalAws, user: NewUser, way: dict[str, Any]) -> None:
    with failing(aws, START, QUEUE | way):
        user.confirm()
        assert user.queued() >= 1
    user.assert_synced_with_one_email()


def test_sign_up_is_retried_until_step_functions_is_available(aws: LocalAws, user: NewUser) -> None:
    with failing(aws, START) as failed:
        user.confirm()
        eventually(lambda: failed() >= 10)
    user.assert_synced_with_one_email()


@ways(*BEFORE)
def test_trigger_tries_again_when_start_and_queue_fail_once(aws: LocalAws, user: NewUser, way: dict[str, Any]) -> None:
    # A slow failure leaves no time to try again: see the next test.
    times = 1 if way["fault"] == "timeout" else 2
    with failing(aws, START | way | {"times": times}, QUEUE | {"times": times - 1}):
        user.confirm()
    user.assert_synced_with_one_email()


@ways(*BEFORE)
def test_trigger_logs_one_error_when_start_and_queue_fail(aws: LocalAws, user: NewUser, way: dict[str, Any]) -> None:
    with failing(aws, START | way, QUEUE | way):
        user.confirm()  # within Cognito's five seconds, also if endpoints hang
    group = f"/aws/lambda/{user.deployed.outputs[TRIGGER].rpartition(':')[2]}"
    events = aws.client("logs").filter_log_events(logGroupName=group, filterPattern=f'"{user.sub}"')["events"]
    lines = [json.loads(event["message"]) for event in events if user.sub in event["message"]]
    errors = [line for line in lines if line["level"] == "ERROR"]
    assert [line["sub"] for line in errors] == [user.sub]
    assert user.deployed.executions(user.sub) == []


@ways(*BEFORE, *AFTER)
def test_retry_sign_ups_is_invoked_again_when_it_fails(aws: LocalAws, user: NewUser, way: dict[str, Any]) -> None:
    with failing(aws, START | {"times": 1}, RETRY | way) as failed:
        user.confirm()
        eventually(lambda: failed() >= 2)
    user.assert_synced_with_one_email()


def test_retried_sign_up_of_deleted_user_is_not_written(aws: LocalAws, user: NewUser) -> None:
    """The request is older than the five minutes in which Cognito may not return a new user yet."""
    user.pool.cognito.admin_delete_user(UserPoolId=user.pool.id, Username=user.name)
    request = {
        "sub": user.sub,
        "username": user.name,
        "reason": "sign_up",
        "occurred_at": timestamp(datetime.now(UTC) - timedelta(hours=1)),
        "client_id": user.pool.client_id,
    }
    queue = user.deployed.outputs["retry_queue_url"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(request))
    (execution,) = user.deployed.settled(user.sub)
    output = json.loads(execution["output"])
    assert (output["outcome"], output["why_not"]) == ("not_ours", "user_deleted")
    assert user.deployed.item(user.sub) == {"id": user.sub, "score": "7"}
    assert user.welcomes() == 0


def test_requeue_syncs_sign_up_of_dead_letter_queue(aws: LocalAws, user: NewUser, operator: Operator) -> None:
    queues, queue = aws.client("sqs"), user.deployed.outputs["retry_queue_url"]
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
            user.confirm()
            eventually(dead)
    finally:
        queues.set_queue_attributes(QueueUrl=queue, Attributes=found)
    assert operator("failures", "requeue") == "1 sign-up moved back.\n"
    user.assert_synced_with_one_email()
    assert not dead()


# The execution writes the item.


PASSING: list[tuple[Fault, dict[str, Any]]] = [
    *((SYNC, way) for way in [*BEFORE, *AFTER]),
    *((READ, way) for way in BEFORE),
    *((WRITE, way) for way in [*BEFORE, *AFTER]),
]
# Of modules/user_sync/user_sync.asl.json: 12 hours of retries, or 6 minutes if IAM denies a call. tests/conftest.py
# shortens the waits.
RETRIES = 97
DENIED_RETRIES = 10


@pytest.mark.parametrize(("call", "way"), PASSING, ids=map(id_of_case, PASSING))
def test_user_sync_retries_when_a_call_fails_three_times(
    aws: LocalAws, user: NewUser, call: Fault, way: dict[str, Any]
) -> None:
    with failing(aws, call | way | {"times": 3}):
        user.confirm()
        user.assert_synced_with_one_email()


def test_user_sync_retries_through_a_long_outage(aws: LocalAws, user: NewUser) -> None:
    """DynamoDB is unavailable until SyncUser waits for its longest interval, which is after ten attempts."""
    calls_of_an_attempt = 3  # clients.py
    with failing(aws, WRITE) as failed:
        user.confirm()
        eventually(lambda: failed() >= calls_of_an_attempt * 10)
        (execution,) = user.deployed.executions(user.sub)
        assert execution["status"] == "RUNNING"
        assert user.welcomes() == 0
    user.assert_synced_with_one_email()


def test_redrive_syncs_user_when_all_retries_failed(aws: LocalAws, user: NewUser, operator: Operator) -> None:
    with failing(aws, SYNC) as failed:
        user.confirm()
        user.failed()
        assert failed() == 1 + RETRIES
        assert user.welcomes() == 0
    assert operator("failures", "redrive").startswith("1 redriven.")
    user.assert_synced_with_one_email()


@pytest.mark.parametrize("call", [READ, WRITE, SEND], ids=["read", "write", "send"])
def test_user_sync_retries_when_iam_denies_at_first(aws: LocalAws, user: NewUser, call: Fault) -> None:
    """IAM is eventually consistent: 2 + 4 + 8 + 16 + 32 s are the first five waits."""
    with failing(aws, call | {"fault": "access_denied", "times": 5}):
        user.confirm()
        user.assert_synced_with_one_email()


@pytest.mark.parametrize(
    "operation", ["cognito-idp:DescribeUserPool", "cognito-idp:ListUsers", "dynamodb:BatchGetItem"]
)
def test_reconciliation_retries_when_iam_denies_at_first(
    aws: LocalAws, deployed: Deployment, user: NewUser, operation: str
) -> None:
    """PlanShards and ReconcileShards. EnsureTrigger, which a dry run skips, retries its calls itself."""
    user.confirm()
    user.assert_synced_with_one_email()
    with failing(aws, {"operation": operation, "fault": "access_denied", "times": 5}):
        assert deployed.reconcile(dry_run=True)["status"] == "SUCCEEDED"


@pytest.mark.parametrize("call", [READ, WRITE], ids=["read", "write"])
def test_user_sync_names_the_denied_call_and_is_redriven(
    aws: LocalAws, user: NewUser, operator: Operator, call: Fault
) -> None:
    with failing(aws, call | {"fault": "access_denied"}) as failed:
        user.confirm()
        execution = user.failed()
        assert failed() == 1 + DENIED_RETRIES
    assert execution["error"] == "AccessDeniedError"
    assert json.loads(execution["cause"])["errorMessage"].endswith(call["operation"].rpartition(":")[2])
    assert operator("failures", "redrive").startswith("1 redriven.")
    user.assert_synced_with_one_email()


# The execution sends the welcome email.


@pytest.mark.parametrize("call", [WELCOME, SEND], ids=["invoke", "send"])
def test_welcome_email_is_retried_when_throttled(aws: LocalAws, user: NewUser, call: Fault) -> None:
    with failing(aws, call | {"fault": "throttle", "times": 3}):
        user.confirm()
        user.assert_synced_with_one_email()


@pytest.mark.parametrize(
    ("call", "way"),
    [(WELCOME, "throttle"), (SEND, "access_denied")],
    ids=["invoke-throttle", "send-access_denied"],
)
def test_redrive_sends_welcome_email_that_was_not_sent(
    aws: LocalAws, user: NewUser, operator: Operator, call: Fault, way: str
) -> None:
    with failing(aws, call | {"fault": way}):
        user.confirm()
        user.failed()
        assert user.is_synced(), "a failed welcome email does not undo the sync"
    assert operator("failures", "redrive").startswith("1 redriven.")
    user.assert_synced_with_one_email()


@pytest.mark.parametrize("way", ["500", "access_denied"])
def test_welcome_email_is_retried_when_user_cannot_be_read(aws: LocalAws, user: NewUser, way: str) -> None:
    slow: Fault = {
        "operation": WELCOME["operation"],
        "function": "send-welcome",
        "fault": "latency",
        "latency_ms": 2000,
    }
    aws.set_faults([WELCOME | slow])
    user.confirm()
    eventually(user.is_synced)
    with failing(aws, READ | {"fault": way}) as failed:
        eventually(lambda: failed() >= 5)
        assert user.welcomes() == 0
    user.assert_synced_with_one_email()


UNKNOWN: list[tuple[Fault, dict[str, Any]]] = [
    *((WELCOME, way) for way in [*BEFORE, *AFTER] if way["fault"] != "throttle"),
    *((SEND, way) for way in [*BEFORE, *AFTER] if way["fault"] not in {"throttle", "access_denied"}),
]


@pytest.mark.parametrize(("call", "way"), UNKNOWN, ids=map(id_of_case, UNKNOWN))
def test_redrive_skips_welcome_email_of_unknown_outcome(
    aws: LocalAws, user: NewUser, operator: Operator, call: Fault, way: dict[str, Any]
) -> None:
    with failing(aws, call | way):
        user.confirm()
        user.failed()
    sent = 1 if way.get("after") else 0
    assert user.is_synced(), "a failed welcome email does not undo the sync"
    assert user.welcomes() == sent
    assert "SendWelcome" in operator("failures")
    assert "1 skipped: the welcome email may have been sent." in operator("failures", "redrive")
    user.failed()
    assert user.welcomes() == sent
    # The operator decides by the sending statistics of SES. If the first email was sent, this one is the second.
    operator("failures", "redrive", "--all")
    (execution,) = user.deployed.settled(user.sub)
    assert execution["status"] == "SUCCEEDED"
    assert user.welcomes() == sent + 1


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


# A function that ends after its side effect and before its response; events that are delivered again, or late.

ENDING = """
import os
from cognito_user_sync.handlers.{handler} import handler as real
def handler(event, context):
    real(event, context)
    os._exit(1)
"""


# Once: the file is there for the next process.
INTERRUPTED = """
import os
from cognito_user_sync.handlers.reconcile_shards import handler
from cognito_user_sync.user_pool import UserPool

read = UserPool.members
def members(self, group, token=None):
    if token and not os.path.exists({marker!r}):
        open({marker!r}, "w").close()
        os._exit(1)
    return read(self, group, token)
UserPool.members = members
"""


@contextmanager
def ending_after_its_work(aws: LocalAws, deployed: Deployment, handler: str, code: str = ENDING) -> Iterator[None]:
    """Let a function's process end after its work, without a response, or run this code instead."""
    functions = aws.client("lambda")
    name = deployed.outputs[TRIGGER].rpartition(":")[2].replace("post-confirmation", handler.replace("_", "-"))
    sources = Path(__file__).parents[2] / "lambda_src"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in sources.rglob("*.py"):
            archive.write(file, file.relative_to(sources))
        archive.writestr("ending.py", code.replace("{handler}", handler))
    found = functions.get_function_configuration(FunctionName=name)["Handler"]
    functions.update_function_code(FunctionName=name, ZipFile=content.getvalue())
    functions.update_function_configuration(FunctionName=name, Handler="ending.handler")
    try:
        yield
    finally:
        # The same code, without the wrapper.
        functions.update_function_configuration(FunctionName=name, Handler=found)


def test_sync_user_is_retried_when_it_dies_after_the_write(aws: LocalAws, user: NewUser, deployed: Deployment) -> None:
    with ending_after_its_work(aws, deployed, "sync_user"):
        user.confirm()
        eventually(lambda: aws.calls_by_caller().get("states.amazonaws.com", {}).get("lambda:InvokeFunction", 0) >= 3)
        assert user.is_synced()
    user.assert_synced_with_one_email()


def test_send_welcome_sends_once_when_it_dies_after_the_send(
    aws: LocalAws, user: NewUser, deployed: Deployment, operator: Operator
) -> None:
    with ending_after_its_work(aws, deployed, "send_welcome"):
        user.confirm()
        user.failed()
    assert operator("failures", "redrive").startswith("0 redriven.")
    assert user.is_synced()
    assert user.welcomes() == 1
    # The function has logged that SES accepted the email.
    assert "1 failure acknowledged: the welcome email was sent." in operator("failures", "resolve")
    operator("failures", "redrive", "--all")
    assert user.welcomes() == 1


def test_retry_sign_ups_starts_once_when_it_dies_after_the_start(
    aws: LocalAws, user: NewUser, deployed: Deployment
) -> None:
    with failing(aws, START | {"times": 1}), ending_after_its_work(aws, deployed, "retry_sign_ups"):
        user.confirm()
        (execution,) = deployed.settled(user.sub)
        assert execution["status"] == "SUCCEEDED"
        assert not is_quiet(aws, deployed), "the message is delivered again"
    user.assert_synced_with_one_email()


def test_trigger_sends_one_email_when_event_is_delivered_again(
    aws: LocalAws, user: NewUser, deployed: Deployment
) -> None:
    # The user is confirmed, but Cognito could not invoke the trigger.
    with (
        failing(aws, {"operation": "lambda:InvokeFunction", "function": "post-confirmation", "fault": "500"}),
        pytest.raises(user.pool.cognito.exceptions.UnexpectedLambdaException),
    ):
        user.pool.confirm(user.name)
    event = {
        "version": "1",
        "region": aws.region,
        "userPoolId": user.pool.id,
        "userName": user.name,
        "callerContext": {"awsSdkVersion": "aws-sdk", "clientId": user.pool.client_id},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {
            "userAttributes": {
                "sub": user.sub,
                "email": user.email,
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
    user.assert_synced_with_one_email()
    assert deliver(4) == event
    user.assert_synced_with_one_email()


# The reconciliation syncs all other users.


@pytest.fixture
def many_shards(aws: LocalAws) -> Iterator[None]:
    """Let the pool report more users, so that there is a shard for each first digit of a sub."""
    aws.set_cognito({"estimated_users": 2_001})
    yield
    aws.clear_cognito()


def leave_items(aws: LocalAws, deployed: Deployment, of: str, subs: list[str]) -> None:
    """Put items like that of the user `of`, of users that Cognito does not have any more."""
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

    def marked(subs: list[str]) -> list[bool]:
        return ["deleted_at" in (deployed.item(sub) or {}) for sub in subs]

    output = operator("reconcile", expect=1)
    counts = dict(re.findall(r"│ (created|deleted|over limit) +│ +(\d+) ", output))
    assert counts == {"created": "1", "deleted": str(len(others)), "over limit": "25"}
    assert (all(marked(deleted)), any(marked(purged))) == (True, False)
    assert (deployed.item(new) or {})["status"] == "FORCE_CHANGE_PASSWORD"
    # Both outputs name the command.
    command = r"cognito-user-sync (reconcile --allow-deletes 25)\b"
    assert re.search(command, operator("status", expect=1))
    (typed,) = re.findall(command, output)
    operator(*typed.split())
    assert all(marked(purged))


def test_rejected_paging_markers_leave_out_no_user(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator
) -> None:
    usernames = make_users(pool, 250)
    operator("reconcile")
    changed, deleted, *_ = usernames
    new = next(iter(make_users(pool, 1)))
    pool.cognito.admin_disable_user(UserPoolId=pool.id, Username=usernames[changed])
    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=usernames[deleted])
    # At most as many times as a listing starts again.
    at_random: dict[str, Any] = {"fault": "rejected_marker", "rate": 0.3, "seed": 1, "times": 5}
    with failing(aws, {"operation": "cognito-idp:ListUsers", **at_random}):
        output = operator("reconcile")
    assert re.search(r"deleted +│ +1 ", output), output
    found = {sub: deployed.item(sub) or {} for sub in (changed, deleted, new)}
    assert (found[changed]["enabled"], "deleted_at" in found[deleted], "username" in found[new]) == (False, True, True)


# A restore into another pool continues after it was killed.


def test_restore_creates_each_user_once_when_killed(
    aws: LocalAws, pool: Pool, deployed: Deployment, operator: Operator, tmp_path: Path
) -> None:
    """Also when a response is lost, and calls are throttled."""
    usernames = make_users(pool, 12)
    operator("reconcile")
    exported, users, mapped = (tmp_path / name for name in ("all.jsonl", "users.jsonl", "map.csv"))
    operator("export", "--format", "jsonl", "--output", str(exported))
    lines = [line for line in exported.read_text().splitlines() if json.loads(line)["sub"] in usernames]
    users.write_text("\n".join(lines))
    target = make_pool(aws)
    command = ["restore", "--into", target.id, "--users", str(users), "--map", str(mapped), "--rate", "50", "--yes"]

    def restored() -> dict[str, str]:
        """Return the usernames in the new pool, by sub."""
        found = target.cognito.list_users(UserPoolId=target.id)["Users"]
        return {
            each["Value"]: user["Username"] for user in found for each in user["Attributes"] if each["Name"] == "sub"
        }

    # The first user is created, and the response does not arrive before the kill.
    aws.set_faults([{"operation": "cognito-idp:AdminCreateUser", "fault": "timeout", "after": True}])
    run = [sys.executable, "-m", "cognito_user_sync_cli", *command]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'cli'}{os.pathsep}{ROOT / 'lambda_src'}"}
    with subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually(restored)
        process.kill()
    aws.clear_faults()
    assert not mapped.exists(), "no user was recorded"
    lost, throttled = {"fault": "reset", "after": True, "times": 1}, {"fault": "throttle", "rate": 0.3, "seed": 1}
    with failing(aws, *({"operation": "cognito-idp:AdminCreateUser", **way} for way in (lost, throttled))):
        operator(*command)
    with mapped.open(newline="") as file:
        subs = {row["old_sub"]: row["new_sub"] for row in csv.DictReader(file)}
    assert {usernames[old]: new for old, new in subs.items()} == {name: sub for sub, name in restored().items()}
    assert len(subs) == len(usernames)


# Events about users, which the consumer of examples/user_events handles.


PUBLISH: Fault = {"operation": "events:PutEvents", "fault": "500"}
INVOKE_PUBLISHER: Fault = {"operation": "lambda:InvokeFunction", "function": "publish-user-events", "fault": "500"}
LIFE = ["User Created", "User Updated", "User Deleted"]


def live(user: NewUser, operator: Operator) -> None:
    """Sign up, change an attribute, and delete the user. The command line syncs the last two."""
    user.confirm()
    eventually(user.is_synced)
    given = {"UserPoolId": user.pool.id, "Username": user.name}
    user.pool.cognito.admin_update_user_attributes(**given, UserAttributes=[{"Name": "name", "Value": "Grace Canary"}])
    operator("user", user.sub, "--sync")
    user.pool.cognito.admin_delete_user(**given)
    operator("user", user.sub, "--sync")


def published(user: NewUser) -> list[dict[str, Any]]:
    """Return the details of the user's events, in the order in which the bus accepted them."""
    details = map(json.loads, user.aws.data().get("events of cognito-user-sync", []))
    return [detail for detail in details if detail["sub"] == user.sub]


def assert_published_in_order(user: NewUser) -> None:
    """Fails the test unless the consumer handles each event, and each was first accepted after all earlier ones."""

    def handled() -> set[str]:
        lines = [json.loads(line) for line in user.aws.logs().get(CONSUMER, []) if user.sub in line]
        return {line["detail_type"] for line in lines if line["message"] == "handled"}

    eventually(lambda: handled() == set(LIFE))
    events = published(user)
    assert [*dict.fromkeys(each["reason"] for each in events)] == ["new", "attributes", "deleted"]
    sequences = [*dict.fromkeys(each["sequence"] for each in events)]
    assert sequences == sorted(sequences)
    assert len({each["id"] for each in events}) == len(LIFE)
    (updated,) = {tuple(each["changed"]) for each in events if each["reason"] == "attributes"}
    assert updated == ("name",)


@pytest.mark.parametrize(
    "rule",
    [
        # The client tries three times, and then Lambda sends the record again.
        PUBLISH | {"fault": "throttle", "times": 4},
        PUBLISH | {"fault": "timeout", "after": True, "times": 1},
        # The function is throttled, and then its answer is lost, so that it gets the same record again.
        INVOKE_PUBLISHER | {"fault": "throttle", "times": 1},
        INVOKE_PUBLISHER | {"fault": "reset", "after": True, "times": 1},
    ],
    ids=["publish-throttle", "publish-timeout-after-effect", "invoke-throttle", "invoke-reset-after-effect"],
)
def test_events_are_published_in_order_when_a_call_fails(
    aws: LocalAws, user: NewUser, operator: Operator, rule: Fault
) -> None:
    with failing(aws, rule):
        live(user, operator)
        assert_published_in_order(user)


def test_events_are_published_in_order_when_function_dies_after_the_call(
    aws: LocalAws, user: NewUser, operator: Operator, deployed: Deployment
) -> None:
    with ending_after_its_work(aws, deployed, "publish_user_events"):
        live(user, operator)
        eventually(lambda: len(published(user)) >= 2)
    assert_published_in_order(user)
    assert len(published(user)) > len(LIFE)


def test_interrupted_list_of_a_group_removes_no_user(
    aws: LocalAws, pool: Pool, deployed: Deployment, tmp_path: Path
) -> None:
    """The function ends between two pages. No event of the changes arrives: the deployment does not track changes."""
    usernames = make_users(pool, 70)
    pool.cognito.create_group(UserPoolId=pool.id, GroupName="large")

    def change(operation: str, subs: Iterable[str]) -> None:
        with ThreadPoolExecutor(8) as threads:
            call = getattr(pool.cognito, operation)
            list(threads.map(lambda sub: call(UserPoolId=pool.id, GroupName="large", Username=usernames[sub]), subs))

    def members() -> set[str]:
        return {sub for sub in usernames if "large" in (deployed.item(sub) or {}).get("groups", [])}

    change("admin_add_user_to_group", usernames)
    assert deployed.reconcile()["status"] == "SUCCEEDED"
    assert members() == usernames.keys()
    left = set(list(usernames)[:3])
    change("admin_remove_user_from_group", left)
    marker = tmp_path / "ended"
    throttled = {"operation": "cognito-idp:ListUsersInGroup", "fault": "throttle", "times": 2}
    code = INTERRUPTED.format(marker=str(marker))
    with failing(aws, throttled), ending_after_its_work(aws, deployed, "reconcile_shards", code):
        run = deployed.reconcile()
    assert marker.exists()
    assert (run["status"], run["summary"]["groups_updated"]) == ("SUCCEEDED", 3)
    assert members() == usernames.keys() - left
