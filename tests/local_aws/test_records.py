"""Permissions, logs and data are recorded until the local AWS ends."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.deployed import CANARY_PHONE, SENDER, assert_requests_have_no_attributes
from tests.local_aws.conftest import make_function, make_machine, receives_events, run, until

if TYPE_CHECKING:
    from local_aws.client import LocalAws

ASKING = """
import boto3
def handler(event, context):
    print("asking for " + event["queue"])
    try:
        boto3.client("sqs").get_queue_url(QueueName=event["queue"])
    except Exception as error:
        print(type(error).__name__)
"""


def asked(aws: LocalAws, role: str) -> list[tuple[str, str, bool, int]]:
    return [
        (each["action"], each["resource"].rpartition(":")[2], each["allowed"], each["times"])
        for each in aws.permissions()
        if each["role"] == role
    ]


def ask(aws: LocalAws, function: str, queue: str) -> Any:
    return aws.client("lambda").invoke(FunctionName=function, Payload=f'{{"queue": "{queue}"}}')


def test_permissions_are_recorded(aws: LocalAws) -> None:
    aws.client("sqs").create_queue(QueueName="theirs")
    aws.client("sqs").create_queue(QueueName="others")
    allowed = {"Effect": "Allow", "Action": "sqs:GetQueueUrl", "Resource": "arn:aws:sqs:us-east-1:000000000000:theirs"}
    name = make_function(aws, ASKING, allowed, FunctionName="recorded-asking").rpartition(":")[2]
    for queue in ("theirs", "theirs", "others"):
        ask(aws, name, queue)
    aws.reset_calls()
    expected = [("sqs:GetQueueUrl", "others", False, 1), ("sqs:GetQueueUrl", "theirs", True, 2)]
    assert asked(aws, name) == expected


def test_logs_are_kept_after_the_log_group_is_deleted(aws: LocalAws) -> None:
    name = make_function(aws, ASKING, FunctionName="recorded-logging").rpartition(":")[2]
    ask(aws, name, "nobodys")
    aws.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{name}")
    assert "asking for nobodys" in aws.logs()[name]


def test_data_is_kept_after_its_resources_are_deleted(aws: LocalAws) -> None:
    definition = {"StartAt": "End", "States": {"End": {"Type": "Pass", "Result": "passed on", "End": True}}}
    machine = make_machine(aws, definition)
    rule_queue = receives_events(aws, {"source": ["app"]})
    sqs, queue = aws.client("sqs"), aws.client("sqs").create_queue(QueueName="recorded")["QueueUrl"]
    assert run(aws, machine, "put in")["status"] == "SUCCEEDED"
    sqs.send_message(QueueUrl=queue, MessageBody="sent alone")
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": "1", "MessageBody": "sent with others"}])
    aws.client("events").put_events(Entries=[{"Source": "app", "DetailType": "any", "Detail": '{"a": "put"}'}])
    name = rule_queue.rpartition("/")[2]
    data = until(lambda: (found := aws.data()).get(f"messages of {name}") and found)
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=machine)
    sqs.delete_queue(QueueUrl=queue)
    assert aws.data() == data
    assert "passed on" in str(data[f"history of {machine.rpartition(':')[2]}"])
    states = [json.loads(detail) for detail in data["events of aws.states"]]
    assert {each["input"] for each in states if each["stateMachineArn"] == machine} == {'"put in"'}
    assert [json.loads(text)[0] for text in data["messages of recorded"]] == ["sent alone", "sent with others"]
    assert data["events of app"] == ['{"a": "put"}']
    assert '"put"' in data[f"messages of {name}"][0]


def kept(where: str, text: str) -> LocalAws:
    return cast("LocalAws", SimpleNamespace(data=lambda: {where: [text]}))


@pytest.mark.parametrize("value", ["canary gold", "Ada Canary", "canary-1f@example.com", CANARY_PHONE])
def test_attribute_of_a_user_in_data_is_found(value: str) -> None:
    assert_requests_have_no_attributes(kept("messages of theirs", value))
    with pytest.raises(AssertionError, match="an attribute of a user is in the history of user-sync"):
        assert_requests_have_no_attributes(kept("history of user-sync", json.dumps({"output": json.dumps([value])})))


def test_username_and_sender_in_data_are_no_attributes() -> None:
    said = {"username": "canary-1f0c", "who": "Google_canary-1f0c", "error": f"{SENDER} is not verified"}
    assert_requests_have_no_attributes(kept("history of user-sync", json.dumps(said)))
