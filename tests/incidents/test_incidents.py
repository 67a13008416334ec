"""Incidents, each repaired only with the commands of its section in docs/operations.md.

In each, the alarm's condition is true, `status` does not exit with 0, and at the end every user is synced and has
exactly one welcome email. The incidents of one user, and a trigger that cannot be detached, have no alarm: the
deployment is healthy.
"""

from __future__ import annotations

import io
import json
import re
import shlex
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_aws.client import LocalAws
from tests.deployed import Deployment, Operator, Pool, Terraform, eventually, make_pool
from tests.incidents.alarms import Alarms
from tests.incidents.operating import PREFIX, facts, is_healthy, remove_trigger, section, status, update_pool
from tests.incidents.runbook import LABELS, Runbook, incidents, labelled

EVENTS = "/aws/events/welcome"


@pytest.fixture
def runbook(aws: LocalAws, operator: Operator, terraform: Terraform, pool: Pool) -> Runbook:
    return Runbook(aws, operator, terraform, {"user_pool_id": pool.id})


@pytest.fixture
def alarms(aws: LocalAws) -> Alarms:
    return Alarms(aws, datetime.now(UTC))


@dataclass(frozen=True)
class SignedUpUsers:
    """Users that signed up in an incident."""

    pool: Pool
    deployed: Deployment
    names: list[str]
    subs: list[str]

    def confirm(self) -> None:
        for name in self.names:
            self.pool.confirm(name)

    def welcomes(self) -> list[int]:
        return [len(self.deployed.welcomes_to(f"{name}@example.com")) for name in self.names]

    def assert_synced_with_one_email(self) -> None:
        for name, sub in zip(self.names, self.subs, strict=True):
            self.deployed.settled(sub)
            item = self.deployed.item(sub) or {}
            assert (item["username"], item["email"], item["status"]) == (name, f"{name}@example.com", "CONFIRMED")
        assert self.welcomes() == [1] * len(self.names)


@pytest.fixture
def users(pool: Pool, deployed: Deployment, username: str) -> SignedUpUsers:
    """Three users that signed up and did not confirm yet."""
    names = [f"{username}-{number}" for number in range(3)]
    return SignedUpUsers(pool, deployed, names, [pool.sign_up(name, email=f"{name}@example.com") for name in names])


@pytest.fixture
def single_attempt_queue(aws: LocalAws, deployed: Deployment) -> Iterator[None]:
    """The retry queue delivers each message once, instead of for 12 hours."""
    queues, queue = aws.client("sqs"), deployed.outputs["retry_queue_url"]
    names = ["RedrivePolicy", "VisibilityTimeout"]
    found = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    policy = json.dumps(json.loads(found["RedrivePolicy"]) | {"maxReceiveCount": 1})
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "2"})
    yield
    queues.set_queue_attributes(QueueUrl=queue, Attributes=found)


# --- the runbook


@pytest.mark.parametrize("heading", incidents())
def test_section_of_incident_has_its_five_parts(heading: str) -> None:
    assert list(labelled(incidents()[heading])) == list(LABELS)


def test_runbook_has_a_test_of_each_incident() -> None:
    tested = set(re.findall(r'runbook\.section\(\s*"(.+?)"', Path(__file__).read_text(encoding="utf-8")))
    assert tested == incidents().keys()


# --- sign-ups that are not synced


def test_sign_ups_that_the_trigger_could_not_start_or_queue(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, users: SignedUpUsers, operator: Operator
) -> None:
    calls = ("states:StartExecution", "sqs:SendMessage")
    aws.set_faults([{"operation": call, "fault": "access_denied"} for call in calls])
    users.confirm()
    aws.clear_faults()
    eventually(lambda: alarms.state("sign-ups-lost") == "ALARM")
    (problem,) = status(operator, healthy=False)["problems"]
    assert "3 sign-ups lost in the last 24 hours, not synced and without a welcome email: " in problem
    assert all(sub in problem for sub in users.subs)
    with runbook.section("Sign-ups were lost", **{"2026-01-31T12:00": "1h"}) as incident:
        incident.type("First command", "status", expect=1)
        assert "AccessDenied" in incident.type("First command", "logs")
        assert "3 succeeded, welcome email sent." in incident.type("Repair")
        eventually(lambda: is_healthy(operator))
        incident.type("Proof")
    users.assert_synced_with_one_email()


def test_trigger_that_another_stack_removed(
    aws: LocalAws, runbook: Runbook, users: SignedUpUsers, pool: Pool, operator: Operator
) -> None:
    remove_trigger(pool)
    users.confirm()
    assert section(status(operator, healthy=False), "user_pool")["is_attached"] is False
    failed = check_trigger(aws)
    assert Alarms(aws, datetime.now(UTC), {f"{PREFIX}-pool-trigger": failed}).state("trigger-missing") == "ALARM"
    assert check_trigger(aws) == 0
    with runbook.section("Sign-ups do not arrive in the table", **{"2026-01-31T12:00": "1h"}) as incident:
        incident.type("First command", "status")
        assert "cognito-user-sync welcome --since" in incident.type("First command", "logs")
        incident.type("Repair", "reconcile")
        assert all(f"  {sub}\n" in incident.type("Repair", "--dry-run") for sub in users.subs)
        assert "3 succeeded, welcome email sent." in incident.type("Repair", "T12:00$")
        incident.type("Proof", "status")
        assert "0 executions started." in incident.type("Proof", "welcome")
    users.assert_synced_with_one_email()


def check_trigger(aws: LocalAws) -> int:
    """Invoke the function as the schedule does every 15 minutes. Return the number of failed invocations."""
    target = aws.client("scheduler").get_schedule(Name=f"{PREFIX}-trigger-check")["Target"]
    answer = aws.client("lambda").invoke(FunctionName=target["Arn"], Payload=target["Input"])
    return int("FunctionError" in answer)


def test_trigger_is_throttled(
    aws: LocalAws, runbook: Runbook, users: SignedUpUsers, pool: Pool, operator: Operator
) -> None:
    name = f"{PREFIX}-post-confirmation"
    aws.set_faults([{"operation": "lambda:InvokeFunction", "function": "post-confirmation", "fault": "throttle"}])
    for user in users.names:
        with pytest.raises(pool.cognito.exceptions.ClientError):
            pool.confirm(user)
    throttles = sum(fault["fired"] for fault in aws.faults())
    aws.clear_faults()
    assert Alarms(aws, datetime.now(UTC), {name: throttles}).state("trigger-throttles") == "ALARM"
    with runbook.section("Users see an error when they confirm", **{"2026-01-31T12:00": "1h"}) as incident:
        incident.type("First command", "status")
        incident.type("First command", "logs")
        incident.type("Repair", "reconcile")
        assert "3 succeeded, welcome email sent." in incident.type("Repair", "welcome")
        assert "0 executions started." in incident.type("Proof", "welcome")
        incident.type("Proof", "status")
    users.assert_synced_with_one_email()


@pytest.mark.usefixtures("single_attempt_queue")
def test_step_functions_is_wholly_unavailable(
    aws: LocalAws,
    runbook: Runbook,
    alarms: Alarms,
    users: SignedUpUsers,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    aws.set_faults([{"operation": "states:*", "fault": "500"}])
    users.confirm()
    assert alarms.state("retry-age") == "ALARM"
    found = status(operator, healthy=False)
    assert {"executions", "reconciliation"} <= {why.partition(":")[0] for why in found["not_checked"]}
    assert section(found, "user_pool")["is_attached"] is True
    eventually(lambda: section(status(operator, healthy=False), "retry")["in_dead_letter_queue"] == 3)
    assert alarms.state("retry-dead-letter") == "ALARM"
    with runbook.section("Sign-ups wait in the retry queue") as incident:
        assert "Sign-ups in the dead-letter queue: 3. When" in incident.type("First command", "status", expect=1)
        assert "message not handled" in incident.type("First command", "logs")
        aws.clear_faults()
        assert "3 sign-ups moved back." in incident.type("Repair")
        for sub in users.subs:
            users.deployed.settled(sub)
        # The message can be in flight after the end of its execution.
        eventually(lambda: is_healthy(operator))
        incident.type("Proof")
    users.assert_synced_with_one_email()


def test_poison_message(aws: LocalAws, runbook: Runbook, alarms: Alarms, deployed: Deployment) -> None:
    queue = f"{deployed.outputs['retry_queue_url']}-dead-letter"
    sent = aws.client("sqs").send_message(QueueUrl=queue, MessageBody="poison")
    assert alarms.state("retry-dead-letter") == "ALARM"
    assert runbook.operator("status", expect=1)
    with runbook.section("A message cannot be read", MESSAGE_ID=sent["MessageId"]) as incident:
        assert "poison" in incident.type("First command")
        output = incident.type("Repair", "requeue", expect=1)
        assert "0 sign-ups moved back.\n1 message not moved: invalid" in output
        assert f"  {sent['MessageId']}: it is not JSON" in output
        assert "Deleted from " in incident.type("Repair", "drop")
        incident.type("Proof")
    assert "No such message" in runbook.operator("failures", "drop", sent["MessageId"], expect=1)


# --- executions that fail


def test_executions_that_iam_denied(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, users: SignedUpUsers, operator: Operator
) -> None:
    aws.set_faults([{"operation": "dynamodb:UpdateItem", "fault": "access_denied"}])
    users.confirm()
    for sub in users.subs:
        assert users.deployed.settled(sub)[0]["status"] == "FAILED"
    aws.clear_faults()
    assert alarms.state("user-sync-failed") == alarms.state("sync-user-failing") == "ALARM"
    assert "3 executions failed in 24 hours: cognito-user-sync failures" in status(operator, healthy=False)["problems"]
    with runbook.section("Executions failed") as incident:
        assert "3 executions: AccessDeniedError in SyncUser: " in incident.type("First command", "failures$")
        listed = json.loads(incident.type("First command", "list"))["failures"]
        assert {each["sub"] for each in listed} == set(users.subs)
        assert "3 redriven.\n3 succeeded, welcome email sent." in incident.type("Repair")
        assert "No execution has failed in 14 days." in incident.type("Proof", "failures")
        incident.type("Proof", "status")
    users.assert_synced_with_one_email()


@pytest.fixture
def bad_release(aws: LocalAws) -> Iterator[str]:
    """The name of a function with a syntax error."""
    functions, name = aws.client("lambda"), f"{PREFIX}-send-welcome"
    with urllib.request.urlopen(functions.get_function(FunctionName=name)["Code"]["Location"]) as answer:
        code = answer.read()
    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(code)) as sources, zipfile.ZipFile(broken, "w") as archive:
        for file in sources.namelist():
            archive.writestr(file, b"def (" if file.endswith("/send_welcome.py") else sources.read(file))
    published = functions.update_function_code(FunctionName=name, ZipFile=broken.getvalue(), Publish=True)
    yield name
    # As a release with the fix does.
    functions.delete_function(FunctionName=name, Qualifier=published["Version"])
    functions.update_function_code(FunctionName=name, ZipFile=code)


def test_bad_deployment_is_rolled_back(
    runbook: Runbook, alarms: Alarms, users: SignedUpUsers, operator: Operator, bad_release: str
) -> None:
    users.confirm()
    for sub in users.subs:
        assert users.deployed.settled(sub)[0]["status"] == "FAILED"
    assert alarms.state("user-sync-failed") == alarms.state("send-welcome-failing") == "ALARM"
    assert "3 executions failed" in status(operator, healthy=False)["problems"][0]
    with runbook.section("A bad deployment") as incident:
        output = incident.type("First command", "failures")
        assert "3 executions: Runtime.UserCodeSyntaxError in SendWelcome" in output
        assert "The welcome email was not sent." in output
        incident.type("First command", "rollback")
        assert f"{bad_release}: runs this release now" in incident.type("Repair", "rollback")
        assert "3 redriven.\n3 succeeded" in incident.type("Repair", "redrive")
        assert "No execution has failed in 14 days." in incident.type("Proof", "failures")
        assert bad_release in incident.type("Proof", "status", expect=1)
    users.assert_synced_with_one_email()


def test_answers_of_ses_were_lost(
    aws: LocalAws,
    runbook: Runbook,
    alarms: Alarms,
    users: SignedUpUsers,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SES accepted the emails to the first two users, but only its events show that."""
    aws.set_faults(
        [
            {"operation": "ses:SendEmail", "fault": "500", "after": True, "times": 2},
            {"operation": "ses:SendEmail", "fault": "500"},
        ]
    )
    for name, sub in zip(users.names, users.subs, strict=True):
        users.pool.confirm(name)
        assert users.deployed.settled(sub)[0]["status"] == "FAILED"
    aws.clear_faults()
    events, stream = aws.client("logs"), {"logStreamName": "events"}
    events.create_log_group(logGroupName=EVENTS)
    events.create_log_stream(logGroupName=EVENTS, **stream)
    lines = [{"source": "aws.ses", "detail": {"mail": {"tags": {"sub": [sub]}}}} for sub in users.subs[:2]]
    moment = int(time.time() * 1000)
    events.put_log_events(
        logGroupName=EVENTS, **stream, logEvents=[{"timestamp": moment, "message": json.dumps(line)} for line in lines]
    )
    assert alarms.state("user-sync-failed") == "ALARM"
    assert "3 executions failed" in status(operator, healthy=False)["problems"][0]
    listing = json.loads(operator("failures", "list", "--json"))["failures"]
    assert {each["sub"]: each["welcome_email"] for each in listing} == dict.fromkeys(users.subs, "unknown")
    assert "3 skipped: the welcome email may have been sent." in operator("failures", "redrive")
    with runbook.section("Which welcome emails were sent") as incident:
        assert "failures resolve" in incident.type("First command")
        in_time = ("--events-within", "0")
        assert "2 sent:\n" in incident.type("Decide", options=in_time)
        output = incident.type("Repair", options=in_time)
        assert "2 failures acknowledged: the welcome email was sent.\n1 redriven.\n1 succeeded, welcome email" in output
        incident.type("Proof")
    users.assert_synced_with_one_email()
    # --all does not send a second one.
    assert "2 skipped: acknowledged." in operator("failures", "redrive", "--all")


def test_executions_that_are_retried(aws: LocalAws, runbook: Runbook, alarms: Alarms, users: SignedUpUsers) -> None:
    """DynamoDB is unavailable, and then SES throttles: the account is over its sending rate."""
    aws.set_faults([{"operation": "dynamodb:UpdateItem", "fault": "500"}])
    users.confirm()
    eventually(lambda: alarms.state("sync-user-failing") == "ALARM")
    with runbook.section("Executions are retried") as incident:
        assert "TableUnavailableError" in incident.type("First command", "sync-user")
        aws.set_faults([{"operation": "ses:SendEmail", "fault": "throttle"}])
        eventually(lambda: alarms.state("send-welcome-failing") == "ALARM")
        # status reports them as a problem only after 10 minutes.
        incident.type("First command", "status")
        assert "WelcomeNotSentError" in incident.type("First command", "send-welcome")
        assert users.welcomes() == [0, 0, 0]
        aws.clear_faults()
        for sub in users.subs:
            assert users.deployed.settled(sub)[0]["status"] == "SUCCEEDED"
        incident.type("Proof")
    users.assert_synced_with_one_email()


def test_kms_key_is_revoked(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, users: SignedUpUsers, pool: Pool, operator: Operator
) -> None:
    """The key's policy denies a function. Then the key's deletion is scheduled, so that no function starts."""
    first, *others = users.names
    keys = aws.client("kms")
    key = keys.create_key()["KeyMetadata"]["Arn"]
    invoke = "lambda:InvokeFunction"
    aws.set_faults([{"operation": invoke, "function": "sync-user", "fault": "kms_access_denied"}])
    pool.confirm(first)
    assert users.deployed.settled(users.subs[0])[0]["error"] == "Lambda.KMSAccessDeniedException"
    keys.schedule_key_deletion(KeyId=key)
    aws.set_faults([{"operation": invoke, "fault": "kms_invalid_state"}])
    for user in others:
        with pytest.raises(pool.cognito.exceptions.ClientError, match="KMSInvalidStateException"):
            pool.confirm(user)
    assert alarms.state("user-sync-failed") == "ALARM"
    assert Alarms(aws, alarms.since, {f"{PREFIX}-pool-trigger": None}).state("trigger-missing") == "INSUFFICIENT_DATA"
    assert "1 execution failed" in status(operator, healthy=False)["problems"][0]
    with runbook.section("The KMS key cannot be used", **{"2026-01-31T12:00": "1h", "KEY_ARN": key}) as incident:
        output = incident.type("First command", "failures")
        assert "KMSAccessDeniedException in SyncUser" in output
        assert "The welcome email was not sent." in output
        assert '"PendingDeletion"' in incident.type("First command", "describe-key")
        incident.type("Repair", "cancel-key-deletion")
        incident.type("Repair", "enable-key")
        assert keys.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
        aws.clear_faults()
        assert "1 redriven.\n1 succeeded" in incident.type("Repair", "redrive")
        incident.type("Repair", "reconcile")
        assert "2 succeeded, welcome email sent." in incident.type("Repair", "welcome")
        incident.type("Proof", "status")
        assert "0 executions started." in incident.type("Proof", "welcome")
    users.assert_synced_with_one_email()


def test_region_is_unreachable(runbook: Runbook, operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """No endpoint of AWS is reachable."""
    with runbook.section("The region is unavailable") as incident, monkeypatch.context() as outage:
        outage.setattr("botocore.endpoint.time.sleep", lambda _: None)
        outage.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        found = json.loads(operator("status", "--json", expect=2))
        assert found["problems"] == []
        assert [why.partition(":")[0] for why in found["not_checked"]] == list(found["sections"])
        output = incident.type("First command", expect=2)
        assert output.count("Not checked: ") == len(found["sections"])
        outage.undo()
        incident.type("Repair", "reconcile")
        incident.type("Repair", "redrive")
        incident.type("Proof")


def test_emails_bounce(aws: LocalAws, runbook: Runbook, users: SignedUpUsers, operator: Operator) -> None:
    states, metrics = aws.client("stepfunctions"), aws.client("cloudwatch")

    def is_held(sub: str) -> bool:
        arns = [each["executionArn"] for each in users.deployed.executions(sub)]
        return any("TooManyRequests" in str(states.get_execution_history(executionArn=arn)) for arn in arns)

    assert Alarms(aws, datetime.now(UTC), {"Reputation.BounceRate": 0.06}).state("ses-bounce-rate") == "ALARM"
    alarm = {"AlarmName": f"{PREFIX}-ses-bounce-rate", "StateReason": "a test"}
    metrics.set_alarm_state(**alarm, StateValue="ALARM")
    assert "ses-bounce-rate" in status(operator, healthy=False)["problems"][0]
    with runbook.section("Emails bounce, or recipients complain") as incident:
        incident.type("First command")
        incident.type("Repair", "pause")
        users.confirm()
        eventually(lambda: all(map(is_held, users.subs)))
        assert all(map(users.deployed.item, users.subs))
        assert section(status(operator, healthy=False), "paused")["parts"] == ["welcomes"]
        assert users.welcomes() == [0, 0, 0]
        assert "cognito-user-sync failures redrive" in incident.type("Repair", "resume")
        incident.type("Repair", "redrive")
        metrics.set_alarm_state(**alarm, StateValue="OK")
        users.assert_synced_with_one_email()
        incident.type("Proof")


# --- resources of Terraform


def test_table_was_deleted(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, ada: str, users: SignedUpUsers, operator: Operator
) -> None:
    tables, name = aws.client("dynamodb"), f"{PREFIX}-users"
    tables.update_item(
        TableName=name,
        Key={"id": {"S": ada}},
        UpdateExpression="SET score = :score",
        ExpressionAttributeValues={":score": {"N": "7"}},
    )
    # The backup that DynamoDB creates when a table is deleted. The local AWS creates none.
    made = tables.create_backup(TableName=name, BackupName=f"{name}$DeletedTableBackup")["BackupDetails"]["BackupArn"]
    tables.delete_table(TableName=name)
    users.confirm()
    for sub in users.subs:
        assert users.deployed.settled(sub)[0]["status"] == "FAILED"
    assert alarms.state("user-sync-failed") == "ALARM"
    with runbook.section("The table was deleted or is wrong", BACKUP_ARN=made) as incident:
        output = incident.type("First command", expect=1)
        assert f"the table {name} does not exist" in output
        assert made in incident.type("Repair", "list-backups")
        incident.type("Repair", "restore-table")
        incident.type("Repair", "wait")
        planned = incident.type("Repair", "terraform plan")
        # The event source mapping of the stream is replaced.
        assert re.search(r"Plan: 1 to add, \d to change, 1 to destroy", planned), planned
        incident.type("Repair", "terraform apply")
        incident.type("Repair", "reconcile")
        assert "3 redriven.\n3 succeeded" in incident.type("Repair", "redrive")
        eventually(lambda: is_healthy(operator))
        incident.type("Proof")
    assert (users.deployed.item(ada) or {})["score"] == "7"
    users.assert_synced_with_one_email()


def test_index_and_queue_and_others_were_deleted(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, users: SignedUpUsers, operator: Operator
) -> None:
    queues, functions = aws.client("sqs"), aws.client("lambda")
    (mapping,) = functions.list_event_source_mappings(FunctionName=f"{PREFIX}-retry-sign-ups")["EventSourceMappings"]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])
    for name in ("retry", "changes-dead-letter"):
        queues.delete_queue(QueueUrl=queues.get_queue_url(QueueName=f"{PREFIX}-{name}")["QueueUrl"])
    functions.delete_function(FunctionName=f"{PREFIX}-start-run")
    aws.client("scheduler").delete_schedule(Name=f"{PREFIX}-reconciliation")
    aws.client("cloudwatch").delete_alarms(AlarmNames=[f"{PREFIX}-changes-lost"])
    index = {"Delete": {"IndexName": "by_shard"}}
    aws.client("dynamodb").update_table(TableName=f"{PREFIX}-users", GlobalSecondaryIndexUpdates=[index])
    assert alarms.state("retry-age") == "INSUFFICIENT_DATA"
    operator("reconcile", expect=1)
    assert alarms.state("reconciliation-failed") == "ALARM"
    users.confirm()
    for expected in (
        f"the queue {PREFIX}-retry does not exist",
        f"the queue {PREFIX}-changes-dead-letter does not exist",
        f"the function {PREFIX}-start-run does not exist",
        f"the schedule {PREFIX}-reconciliation does not exist",
        f"the alarm {PREFIX}-changes-lost does not exist",
        f"the table {PREFIX}-users has no index by_shard",
    ):
        (problem,) = [each for each in status(operator, healthy=False)["problems"] if each.startswith(expected)]
        assert "apply again" in problem
    with runbook.section("A resource was deleted by hand") as incident:
        incident.type("First command", expect=1)
        incident.type("Repair", "terraform apply")
        incident.type("Repair", "reconcile")
        eventually(lambda: is_healthy(operator))
        incident.type("Proof")
    users.assert_synced_with_one_email()


def test_many_users_were_deleted(
    aws: LocalAws,
    runbook: Runbook,
    alarms: Alarms,
    ada: str,
    deployed: Deployment,
    operator: Operator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Items of users that Cognito does not have any more, over the limit of their shard."""
    table = deployed.outputs["user_table_name"]
    item = aws.client("dynamodb").get_item(TableName=table, Key={"id": {"S": ada}})["Item"]
    subs = [f"{ada[0]}{str(uuid.uuid4())[1:]}" for _ in range(30)]
    for sub in subs:
        aws.client("dynamodb").put_item(TableName=table, Item=item | {"id": {"S": sub}})
    operator("reconcile", expect=1)
    assert alarms.state("reconciliation-failed") == "ALARM"
    output = " ".join(status(operator, healthy=False)["problems"])
    assert "30 users are missing in the pool's list and are not deleted" in output
    (number,) = set(re.findall(r"--allow-deletes (\d+)", output))
    monkeypatch.chdir(tmp_path)
    with runbook.section("Many users were deleted", NUMBER=number) as incident:
        incident.type("First command", expect=1)
        assert re.search(r"deleted +│ +30 ", incident.type("Decide"))
        assert (tmp_path / "deletions.txt").read_text().split() == sorted(subs)
        assert "deleted_at" not in (deployed.item(subs[0]) or {})
        assert re.search(r"deleted +│ +30 ", incident.type("Repair"))
        incident.type("Proof")
    assert all("deleted_at" in (deployed.item(sub) or {}) for sub in subs)
    assert "deleted_at" not in (deployed.item(ada) or {})


def test_reconciliation_fails(aws: LocalAws, runbook: Runbook, alarms: Alarms, ada: str, operator: Operator) -> None:
    aws.set_faults([{"operation": "cognito-idp:ListUsers", "fault": "access_denied"}])
    operator("reconcile", expect=1)
    aws.clear_faults()
    assert alarms.state("reconciliation-failed") == "ALARM"
    with runbook.section("The reconciliation failed or is overdue") as incident:
        assert "AccessDenied" in incident.type("First command", expect=1)
        incident.type("Repair", "--dry-run")
        incident.type("Repair", "reconcile$")
        incident.type("Proof")


def test_changes_are_in_the_dead_letter_queue(
    aws: LocalAws, runbook: Runbook, alarms: Alarms, deployed: Deployment, ada: str, operator: Operator
) -> None:
    """A change that was not synced: its message is in the dead-letter queue, and the item is unchanged."""
    url = deployed.outputs["changes_queue_url"]
    aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"], Key={"id": {"S": ada}}, UpdateExpression="REMOVE given_name"
    )
    aws.client("sqs").send_message(QueueUrl=f"{url}-dead-letter", MessageBody=json.dumps({"sub": ada}))
    assert alarms.state("changes-dead-letter") == "ALARM"
    assert "Changes in the dead-letter queue: 1. To" in status(operator, healthy=False)["problems"][0]
    with runbook.section("Changes do not arrive", QUEUE_URL=url) as incident:
        incident.type("First command", "status", expect=1)
        incident.type("First command", "logs")
        incident.type("Repair", "reconcile")
        incident.type("Repair", "purge-queue")
        incident.type("Proof")
    assert (deployed.item(ada) or {})["given_name"]


def test_events_about_users_are_late_and_then_lost(
    aws: LocalAws, runbook: Runbook, deployed: Deployment, pool: Pool, ada: str, username: str, operator: Operator
) -> None:
    """The policy of the bus denies the function, until the record of a change is too old."""
    function, functions = f"{PREFIX}-publish-user-events", aws.client("lambda")
    alarms = Alarms(aws, datetime.now(UTC), {function: 3_600_000})
    queue = f"{deployed.outputs['retry_queue_url'].removesuffix('retry')}user-events-dead-letter"
    (mapping,) = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    aws.set_faults([{"operation": "events:PutEvents", "fault": "access_denied"}])
    attributes = [{"Name": "name", "Value": "Grace-Canary"}]
    pool.cognito.admin_update_user_attributes(UserPoolId=pool.id, Username=username, UserAttributes=attributes)
    assert alarms.state("user-events-age") == "ALARM"
    eventually(lambda: "events not published" in "".join(aws.logs().get(function, [])))
    functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRecordAgeInSeconds=1)
    eventually(lambda: alarms.state("user-events-dead-letter") == "ALARM")
    aws.clear_faults()
    age = mapping["MaximumRecordAgeInSeconds"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRecordAgeInSeconds=age)
    assert "Messages about lost user events" in status(operator, healthy=False)["problems"][0]
    with runbook.section("Events about users are late or lost", QUEUE_URL=queue) as incident:
        incident.type("First command", "status", expect=1)
        assert "AccessDenied" in incident.type("First command", "logs")
        assert '"approximateArrivalOfFirstRecord"' in incident.type("Repair", "show")
        incident.type("Repair", "purge-queue")
        eventually(lambda: is_healthy(operator))
        incident.type("Proof")


# --- users


def test_user_who_got_no_welcome_email(
    runbook: Runbook, users: SignedUpUsers, pool: Pool, operator: Operator, aws: LocalAws
) -> None:
    remove_trigger(pool)
    users.confirm()
    assert check_trigger(aws) == 1
    operator("reconcile")
    values = {"ada@example.com": f"{users.names[0]}@example.com", "SUB": users.subs[0]}
    with runbook.section("A user got no welcome email", **values) as incident:
        assert "there is no execution of a sign-up" in incident.type("First command")
        assert "1 succeeded, welcome email sent." in incident.type("Repair")
        assert "Welcome email: sent" in incident.type("Proof")
    window = {"2026-01-31T12:00": "1h", "2026-01-31T15:00": "0h"}
    with runbook.section("Send the welcome email later", SUB=users.subs[1], **window) as incident:
        output = incident.type("First command")
        assert [sub for sub in users.subs if f"  {sub}\n" in output] == users.subs[1:]
        assert "1 succeeded, welcome email sent." in incident.type("Repair", "SUB")
        assert "1 succeeded, welcome email sent." in incident.type("Repair", "since")
        assert "0 executions started." in incident.type("Proof", "since")
        assert "Welcome email: sent" in incident.type("Proof", "SUB")
    users.assert_synced_with_one_email()


def test_item_of_user_is_wrong(aws: LocalAws, runbook: Runbook, deployed: Deployment, ada: str, username: str) -> None:
    aws.client("dynamodb").update_item(
        TableName=deployed.outputs["user_table_name"],
        Key={"id": {"S": ada}},
        UpdateExpression="SET #name = :name",
        ExpressionAttributeNames={"#name": "name"},
        ExpressionAttributeValues={":name": {"S": "Bob"}},
    )
    with runbook.section("A user is missing or wrong", **{"ada@example.com": f"{username}@example.com"}) as incident:
        output = facts(incident.type("First command", "com$", expect=1))
        assert "name Ada-Canary Bob ≠" in output
        assert output.endswith(f"The table differs. To sync now: cognito-user-sync user {ada} --sync")
        assert json.loads(incident.type("First command", "--json", expect=1))["item"]["name"] == "Bob"
        output = facts(incident.type("Repair"))
        assert "Synced: updated." in output
        assert "name Ada-Canary Ada-Canary" in output
        assert "The table is in sync with Cognito." in incident.type("Proof")


def test_deleted_user_is_erased(
    aws: LocalAws, runbook: Runbook, deployed: Deployment, pool: Pool, ada: str, username: str, operator: Operator
) -> None:
    assert "Not erased: the user is in the pool" in operator("erase", ada, expect=1)
    pool.cognito.admin_delete_user(UserPoolId=pool.id, Username=username)
    eventually(lambda: "deleted_at" in (deployed.item(ada) or {}))
    with runbook.section(
        "Erase or export a user's data", **{"ada@example.com": f"{username}@example.com", "SUB": ada}
    ) as incident:
        output = incident.type("First command", "@", expect=1)
        assert "Not in the user pool: " in output
        # The local AWS has all regions at one endpoint.
        scan = re.sub(r" --region \S+", "", output.strip().rsplit("\n", 1)[1])
        found = json.loads(incident.run(shlex.split(scan)))
        assert found["Items"] == [{"id": {"S": ada}}]
        held = json.loads(incident.type("First command", "--json"))
        assert (held["cognito"], held["item"]["username"]) == (None, username)
        assert "Erased: " in incident.type("Repair")
        tombstone = {"id", "user_pool_id", "deleted_at", "expires_at", "synced_attributes"}
        assert (deployed.item(ada) or {}).keys() == tombstone
        assert "Nothing left to erase" in incident.type("Proof")


def test_users_of_a_deleted_pool_are_restored(
    aws: LocalAws, runbook: Runbook, ada: str, username: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old pool still exists here, because other tests need it. The test fails if a command reads it."""
    new = make_pool(aws)
    monkeypatch.chdir(tmp_path)
    fast = ("--rate", "50")
    with runbook.section("The user pool was deleted", NEW_POOL_ID=new.id) as incident:
        incident.type("First command")
        aws.reset_calls()
        incident.type("Repair", "export")
        assert ada in (tmp_path / "users.jsonl").read_text()
        assert "A dry run: nothing was changed." in incident.type("Repair", "--dry-run")
        assert "Old and new subs: " in incident.type("Repair", "--random", options=("--yes", *fast))
        assert " restored before\n" in incident.type("Proof", options=("--yes", *fast))
    # Each restore reads the new pool once.
    assert aws.calls_by_caller()["root"]["cognito-idp:DescribeUserPool"] == 3
    assert new.cognito.admin_get_user(UserPoolId=new.id, Username=username)["UserStatus"] == "CONFIRMED"


# --- plan and destroy


def test_a_second_plan_is_empty(terraform: Terraform, pool: Pool) -> None:
    assert terraform.warnings({"user_pool_id": pool.id}) == ""


def test_destroy_when_the_sms_role_of_the_pool_was_deleted(
    aws: LocalAws, runbook: Runbook, terraform: Terraform, deployed: Deployment, pool: Pool
) -> None:
    """Cognito rejects every update of the pool. Destroy detaches the trigger when the role exists again."""
    role, trigger = "their-sms-role", deployed.outputs["post_confirmation_function_arn"]
    arn = aws.client("iam").create_role(RoleName=role, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    update_pool(pool, SmsConfiguration={"SnsCallerArn": arn, "ExternalId": "their-id"})
    aws.client("iam").delete_role(RoleName=role)
    guard = "module.user_sync.module.pool_trigger[0].aws_lambda_invocation.guard"
    options = ("-auto-approve", "-refresh=false", f"-target={guard}")
    output = terraform("destroy", *options, variables=runbook.variables, expect=1).stderr
    assert f"Create the pool's SMS role {arn} again" in output
    assert "with the external ID their-id" in output
    assert "Then run the apply or destroy again." in output
    assert pool.configuration()["pool"]["LambdaConfig"] == {"PostConfirmation": trigger}
    with runbook.section("The trigger cannot be detached", ROLE=role, EXTERNAL_ID="their-id") as incident:
        assert "InvalidSmsRoleTrustRelationshipException" in incident.type("First command")
        incident.type("Repair", "create-role")
        incident.type("Repair", "put-role-policy")
        incident.type("Proof")
    assert pool.configuration()["pool"].get("LambdaConfig", {}) == {}
    assert deployed.functions() == []
