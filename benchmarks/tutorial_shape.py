"""The shape that tutorials use, to be compared with: the trigger itself mails and starts, or puts the item.

A post-confirmation function greets by SES and starts a state machine, whose one function puts the item; others put the
item in the trigger. As short as they are there: nothing about time, and nothing for a failure.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import boto3


@cache
def _client(service: str) -> Any:
    return boto3.client(service)  # type: ignore[call-overload]  # any service


def mail_and_start(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """The trigger that greets, and then starts the state machine."""
    user = event["request"]["userAttributes"]
    _client("ses").send_email(
        Source=os.environ["SENDER"],
        Destination={"ToAddresses": [user["email"]]},
        Message={
            "Subject": {"Data": "Welcome"},
            "Body": {"Text": {"Data": f"Congratulations {event['userName']}, you have been confirmed"}},
        },
    )
    _client("stepfunctions").start_execution(stateMachineArn=os.environ["STATE_MACHINE_ARN"], input=json.dumps(user))
    return event


def put_item(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The trigger that puts the item."""
    put_user(event["request"]["userAttributes"], context)
    return event


def put_user(user: dict[str, Any], context: Any) -> None:  # noqa: ARG001
    """The state machine's one step."""
    _client("dynamodb").put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={"id": {"S": user["sub"]}, **{name: {"S": value} for name, value in user.items() if name != "sub"}},
    )
