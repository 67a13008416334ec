"""The patterns of tutorials, which the module is compared with. They have no timeouts and no error handling.

One post-confirmation function sends the email with SES and starts a state machine, whose only function writes the item.
The other one writes the item itself.
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
    """Send the email, and start the state machine."""
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
    """Write the item in the trigger."""
    put_user(event["request"]["userAttributes"], context)
    return event


def put_user(user: dict[str, Any], context: Any) -> None:  # noqa: ARG001
    """Write the item in the only step of the state machine."""
    _client("dynamodb").put_item(
        TableName=os.environ["TABLE_NAME"],
        Item={"id": {"S": user["sub"]}, **{name: {"S": value} for name, value in user.items() if name != "sub"}},
    )
