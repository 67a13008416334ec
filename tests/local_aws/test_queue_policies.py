"""A queue's own policy counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local_aws.conftest import name

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def send(aws: LocalAws, condition: dict[str, Any]) -> None:
    sqs, queue = aws.client("sqs"), name("queue")
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": f"arn:aws:sqs:us-east-1:000000000000:{queue}",
        "Condition": condition,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sqs.send_message(QueueUrl=url, MessageBody="a message")


def test_request_counts_as_sent_over_tls(aws: LocalAws) -> None:
    send(aws, {"Bool": {"aws:SecureTransport": "false"}})
    with pytest.raises(aws.client("sqs").exceptions.ClientError, match="denied"):
        send(aws, {"Bool": {"aws:SecureTransport": "true"}})
