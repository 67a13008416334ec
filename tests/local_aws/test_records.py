"""What roles ask for and what functions log is kept, to be looked at when all is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.local_aws.conftest import make_function

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


def test_what_a_role_is_let_and_refused_is_kept(aws: LocalAws) -> None:
    aws.client("sqs").create_queue(QueueName="theirs")
    aws.client("sqs").create_queue(QueueName="others")
    allowed = {"Effect": "Allow", "Action": "sqs:GetQueueUrl", "Resource": "arn:aws:sqs:us-east-1:000000000000:theirs"}
    name = make_function(aws, ASKING, allowed, FunctionName="recorded-asking").rpartition(":")[2]
    for queue in ("theirs", "theirs", "others"):
        ask(aws, name, queue)
    aws.reset_calls()
    expected = [("sqs:GetQueueUrl", "others", False, 1), ("sqs:GetQueueUrl", "theirs", True, 2)]
    assert asked(aws, name) == expected


def test_what_a_function_logged_is_kept_when_its_log_group_is_gone(aws: LocalAws) -> None:
    name = make_function(aws, ASKING, FunctionName="recorded-logging").rpartition(":")[2]
    ask(aws, name, "nobodys")
    aws.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{name}")
    assert "asking for nobodys" in aws.logs()[name]
