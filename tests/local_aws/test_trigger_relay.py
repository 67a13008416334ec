from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.client import LocalAws
from tests.local_aws.conftest import make_function, name, until

RECORDING = """
import boto3, json
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl="{queue}", MessageBody=json.dumps(event))
    {then}
"""
SENDING = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}


@dataclass
class SignUps:
    """A pool with a trigger, and what the trigger was given."""

    aws: LocalAws
    then: str = "return event"
    permitted: bool = True
    cognito: Any = field(init=False)

    def __post_init__(self) -> None:
        self.cognito = self.aws.client("cognito-idp")
        self.queue = self.aws.client("sqs").create_queue(QueueName=name("events"))["QueueUrl"]
        self.function = make_function(self.aws, RECORDING.format(queue=self.queue, then=self.then), SENDING)
        pool = self.cognito.create_user_pool(
            PoolName=name("pool"),
            AutoVerifiedAttributes=["email"],
            LambdaConfig={"PostConfirmation": self.function},
        )["UserPool"]
        self.pool, self.pool_arn = pool["Id"], pool["Arn"]
        self.client = self.cognito.create_user_pool_client(UserPoolId=self.pool, ClientName="app")["UserPoolClient"][
            "ClientId"
        ]
        if self.permitted:
            self.permit(self.pool_arn)

    def permit(self, pool_arn: str) -> None:
        self.aws.client("lambda").add_permission(
            FunctionName=self.function,
            StatementId="cognito",
            Action="lambda:InvokeFunction",
            Principal="cognito-idp.amazonaws.com",
            SourceArn=pool_arn,
            SourceAccount="000000000000",
        )

    def sign_up(self) -> str:
        user = name("user")
        sub: str = self.cognito.sign_up(
            ClientId=self.client,
            Username=user,
            Password="Passw0rd!",
            UserAttributes=[{"Name": "email", "Value": f"{user}@example.com"}],
        )["UserSub"]
        assert sub
        return user

    def confirm(self, user: str, **more: Any) -> None:
        self.cognito.confirm_sign_up(ClientId=self.client, Username=user, ConfirmationCode="123456", **more)

    def status(self, user: str) -> str:
        status: str = self.cognito.admin_get_user(UserPoolId=self.pool, Username=user)["UserStatus"]
        return status

    def events(self) -> list[Any]:
        sqs, events = self.aws.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            events += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return events


def test_confirm_sign_up_invokes_trigger_with_cognitos_event(aws: LocalAws) -> None:
    pool = SignUps(aws)
    user = pool.sign_up()
    pool.confirm(user, ClientMetadata={"invited_by": "ann"})
    [event] = pool.events()
    sub = event["request"]["userAttributes"].pop("sub")
    assert len(sub) == 36
    assert event == {
        "version": "1",
        "region": "us-east-1",
        "userPoolId": pool.pool,
        "userName": user,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": pool.client},
        "triggerSource": "PostConfirmation_ConfirmSignUp",
        "request": {
            "userAttributes": {
                "email": f"{user}@example.com",
                "email_verified": "true",
                "cognito:user_status": "CONFIRMED",
            },
            "clientMetadata": {"invited_by": "ann"},
        },
        "response": {},
    }
    assert aws.calls_by_caller()["cognito-idp.amazonaws.com"] == {"lambda:InvokeFunction": 1}


def test_sign_up_invokes_trigger_when_pre_sign_up_confirms(aws: LocalAws) -> None:
    pool = SignUps(aws)
    confirming = "def handler(event, context):\n    event['response']['autoConfirmUser'] = True\n    return event\n"
    triggers = {"PreSignUp": make_function(aws, confirming), "PostConfirmation": pool.function}
    pool.cognito.update_user_pool(UserPoolId=pool.pool, LambdaConfig=triggers)
    user = pool.sign_up()
    [event] = pool.events()
    assert (event["userName"], event["triggerSource"]) == (user, "PostConfirmation_ConfirmSignUp")
    assert event["request"]["userAttributes"]["cognito:user_status"] == "CONFIRMED"


def test_admin_confirm_sign_up_invokes_trigger(aws: LocalAws) -> None:
    pool = SignUps(aws)
    pool.cognito.admin_confirm_sign_up(UserPoolId=pool.pool, Username=pool.sign_up())
    [event] = pool.events()
    assert event["triggerSource"] == "PostConfirmation_ConfirmSignUp"
    assert event["callerContext"]["clientId"] == "CLIENT_ID_NOT_APPLICABLE"
    assert event["request"]["userAttributes"]["email_verified"] == "false"


def test_password_reset_invokes_trigger_with_its_source(aws: LocalAws) -> None:
    pool = SignUps(aws)
    user = pool.sign_up()
    pool.confirm(user)
    pool.cognito.forgot_password(ClientId=pool.client, Username=user)
    pool.cognito.confirm_forgot_password(
        ClientId=pool.client, Username=user, ConfirmationCode="654321", Password="N3wPassw0rd!"
    )
    assert [event["triggerSource"] for event in pool.events()] == [
        "PostConfirmation_ConfirmSignUp",
        "PostConfirmation_ConfirmForgotPassword",
    ]


def test_wrong_code_does_not_invoke_trigger(aws: LocalAws) -> None:
    pool = SignUps(aws)
    with pytest.raises(pool.cognito.exceptions.CodeMismatchException):
        pool.cognito.confirm_sign_up(ClientId=pool.client, Username=pool.sign_up(), ConfirmationCode="999999")
    assert pool.events() == []


def test_user_sees_error_of_the_trigger_and_is_confirmed(aws: LocalAws) -> None:
    pool = SignUps(aws, then="raise ValueError('no luck')")
    user = pool.sign_up()
    with pytest.raises(ClientError) as failed:
        pool.confirm(user)
    assert failed.value.response["Error"] == {
        "Code": "UserLambdaValidationException",
        "Message": "PostConfirmation failed with error no luck.",
    }
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert pool.status(user) == "CONFIRMED"
    assert len(pool.events()) == 1


def test_trigger_that_does_not_return_the_event_fails(aws: LocalAws) -> None:
    pool = SignUps(aws, then="return None")
    with pytest.raises(pool.cognito.exceptions.InvalidLambdaResponseException):
        pool.confirm(pool.sign_up())


def test_trigger_without_permission_is_not_invoked(aws: LocalAws) -> None:
    pool = SignUps(aws, permitted=False)
    pool.permit(f"{pool.pool_arn}x")
    user = pool.sign_up()
    with pytest.raises(pool.cognito.exceptions.UnexpectedLambdaException, match="AccessDeniedException"):
        pool.confirm(user)
    assert pool.events() == []
    assert pool.status(user) == "CONFIRMED"


def test_deleted_trigger_fails_sign_ups(aws: LocalAws) -> None:
    pool = SignUps(aws)
    aws.client("lambda").delete_function(FunctionName=pool.function)
    with pytest.raises(pool.cognito.exceptions.UnexpectedLambdaException, match="ResourceNotFoundException"):
        pool.confirm(pool.sign_up())


def test_slow_trigger_is_invoked_three_times() -> None:
    # A separate local AWS with a shorter limit than Cognito: other tests would exceed it on a busy machine.
    with LocalAws.started(environment={"LOCAL_AWS_TRIGGER_TIMEOUT_SECONDS": "1"}) as impatient:
        pool = SignUps(impatient, then="import time; time.sleep(2); return event")
        user = pool.sign_up()
        with pytest.raises(pool.cognito.exceptions.UnexpectedLambdaException, match="Socket timeout"):
            pool.confirm(user)
        assert pool.status(user) == "CONFIRMED"
        events: list[Any] = []

        def all_arrived() -> bool:
            events.extend(pool.events())
            return len(events) >= 3

        until(all_arrived)
        assert len(events) == 3


def test_failed_invocation_of_trigger_is_retried(aws: LocalAws) -> None:
    pool = SignUps(aws)
    aws.set_faults([{"operation": "lambda:InvokeFunction", "fault": "500", "times": 2}])
    pool.confirm(pool.sign_up())
    assert len(pool.events()) == 1
