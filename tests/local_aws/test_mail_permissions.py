"""Emails are authorized as in SES."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local_aws.conftest import make_function

if TYPE_CHECKING:
    from local_aws.client import LocalAws

IDENTITY = "arn:aws:ses:us-east-1:000000000000:identity"
MAIL = {
    "FromEmailAddress": "App <app@mail.test>",
    "Destination": {"ToAddresses": ["ann@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Welcome"}}}},
}
SENDING = """
import boto3
def handler(event, context):
    boto3.client("sesv2").send_email(**event)
    return "sent"
"""


def allow(resources: object, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": resources, **more}


def from_address(address: str) -> dict[str, Any]:
    return {"Condition": {"StringEquals": {"ses:FromAddress": address}}}


@pytest.fixture(scope="module", autouse=True)
def _domain(aws: LocalAws) -> None:
    ses = aws.client("sesv2")
    ses.create_email_identity(EmailIdentity="mail.test")
    ses.create_configuration_set(ConfigurationSetName="welcome")


@pytest.mark.parametrize(
    ("statement", "more", "sent"),
    (
        (allow(f"{IDENTITY}/mail.test", **from_address("app@mail.test")), {}, True),
        (allow(f"{IDENTITY}/mail.test", **from_address("other@mail.test")), {}, False),
        (allow(f"{IDENTITY}/other.test"), {}, False),
        (allow(f"{IDENTITY}/mail.test"), {"ConfigurationSetName": "welcome"}, False),
        (
            allow([f"{IDENTITY}/mail.test", "arn:aws:ses:us-east-1:000000000000:configuration-set/welcome"]),
            {"ConfigurationSetName": "welcome"},
            True,
        ),
        (allow("*", Condition={"ForAllValues:StringLike": {"ses:Recipients": "*@example.com"}}), {}, True),
        (allow("*", Condition={"ForAllValues:StringLike": {"ses:Recipients": "*@else.test"}}), {}, False),
        ({"Effect": "Allow", "Action": "ses:GetAccount", "Resource": "*"}, {}, False),
    ),
    ids=[
        "from",
        "another-from",
        "another-identity",
        "no-configuration-set",
        "configuration-set",
        "recipients",
        "other-recipients",
        "another-action",
    ],
)
def test_send_email_is_authorized_as_in_ses(
    aws: LocalAws, statement: dict[str, Any], more: dict[str, Any], sent: bool
) -> None:
    before = len(aws.outbox())
    answer = aws.client("lambda").invoke(
        FunctionName=make_function(aws, SENDING, statement), Payload=json.dumps({**MAIL, **more})
    )
    payload = json.loads(answer["Payload"].read())
    if sent:
        assert payload == "sent"
        assert [(mail.to, mail.subject) for mail in aws.outbox()[before:]] == [(["ann@example.com"], "Hello")]
    else:
        assert payload["errorType"] == "ClientError"
        assert "AccessDenied" in payload["errorMessage"]
        assert len(aws.outbox()) == before
