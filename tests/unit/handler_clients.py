"""Runs every handler once with all AWS calls that it can make, to find the boto3 clients that it creates."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cognito_user_sync.user import HEX_DIGITS
from tests.fakes.answers import Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OURS, POOL_ID, QUEUE_URL, RECONCILIATION, SUB, THEIRS, USER_SYNC, environment

EVENT_BUS = "arn:aws:events:eu-central-1:111122223333:event-bus/users"
ENVIRONMENT = environment(
    CHAINED_FUNCTION_ARN=THEIRS,
    EVENT_BUS_ARN=EVENT_BUS,
    POST_CONFIRMATION_FUNCTION_ARN=OURS,
    RECONCILIATION_STATE_MACHINE_ARN=RECONCILIATION,
    RETRY_QUEUE_URL=QUEUE_URL,
    USER_SYNC_STATE_MACHINE_ARN=USER_SYNC,
)

ATTRIBUTES = [
    {"Name": "sub", "Value": SUB},
    {"Name": "email", "Value": "ada@example.com"},
    {"Name": "email_verified", "Value": "true"},
]
MEMBERS = {
    "Username": "ada",
    "UserCreateDate": 1767225600,
    "UserLastModifiedDate": 1767225600,
    "Enabled": True,
    "UserStatus": "CONFIRMED",
}
# The user in the answers of ListUsers and AdminGetUser.
USER, GOT_USER = {**MEMBERS, "Attributes": ATTRIBUTES}, {**MEMBERS, "UserAttributes": ATTRIBUTES}
# A successful response of each operation that a handler calls.
ANSWERS: Mapping[str, Response] = {
    f"{COGNITO}.DescribeUserPool": Response(
        {
            "UserPool": {
                "Id": POOL_ID,
                "Name": "pool",
                "EstimatedNumberOfUsers": 3000,
                "LambdaConfig": {"PostConfirmation": OURS},
            }
        }
    ),
    f"{COGNITO}.GetUserPoolMfaConfig": Response({"MfaConfiguration": "OFF"}),
    f"{COGNITO}.UpdateUserPool": Response({}),
    f"{COGNITO}.ListUsers": Response({"Users": [USER]}),
    f"{COGNITO}.AdminGetUser": Response(GOT_USER),
    "dynamodb.BatchGetItem": Response({"Responses": {"users": []}, "UnprocessedKeys": {}}),
    "dynamodb.Query": Response({"Items": []}),
    "dynamodb.UpdateItem": Response({}),
    "eventbridge.PutEvents": Response({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}),
    # The response of post_confirmation to a dry run.
    "lambda.Invoke": Response({"error": None}),
    "sesv2.SendEmail": Response({"MessageId": "message-1"}),
    "sfn.StartExecution": Response({"executionArn": "arn", "startDate": 1767225600}),
    "sqs.SendMessage": Response({"MessageId": "1"}),
}
SYNC_REQUEST = {
    "sub": SUB,
    "username": "ada",
    "reason": "sign_up",
    "occurred_at": "2026-01-01T00:00:00.000Z",
    "client_id": "app1",
}
# The input of SendWelcome, from SyncUser.
SYNCED = {"sub": SUB, "username": "ada", "reason": "sign_up", "client_id": "app1", "outcome": "created"}
CHANGE = {"sub": SUB, "event_name": "AdminUpdateUserAttributes", "occurred_at": "2026-01-01T00:00:00Z"}
# The first sign-in of an invited user.
FIRST_SIGN_IN = {**CHANGE, "event_name": "RespondToAuthChallenge"}
NEW_USER = {**USER, "UserCreateDate": time.time()}
# A user who is new in the table.
STREAM_EVENT = {
    "Records": [
        {
            "eventID": "event-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1767225600,
                "Keys": {"id": {"S": SUB}},
                "NewImage": {"id": {"S": SUB}, "user_pool_id": {"S": POOL_ID}},
                "SequenceNumber": "100000000000000000001",
            },
        }
    ]
}
WELCOME: dict[str, Any] = {
    "from": "hello@example.com",
    "subject": "Welcome",
    "text": "Hello",
    "html": "<p>Hello</p>",
    "reply_to": None,
    "configuration_set": None,
    "app_client_ids": [],
}


def queue_event(*requests: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch of SQS messages with these requests."""
    return {"Records": [{"messageId": f"m{n}", "body": json.dumps(body)} for n, body in enumerate(requests)]}


@dataclass(frozen=True)
class Exercise:
    """An invocation in which a handler creates all of its clients.

    Attributes:
        event: The event.
        seconds: The remaining time at the start.
        answers: Answers that replace ANSWERS, without which the handler does not create all clients.
    """

    event: Any
    seconds: float
    answers: Mapping[str, Sequence[Response]] = field(default_factory=dict)


TRIGGER_EVENT = {
    "triggerSource": "PostConfirmation_ConfirmSignUp",
    "userName": "ada",
    "callerContext": {"clientId": "app1"},
    "request": {"userAttributes": {"sub": SUB, "email": "ada@example.com"}},
    "response": {},
}

EXERCISES: Mapping[str, Exercise] = {
    # Step Functions fails, so that the handler also uses the queue.
    "post_confirmation": Exercise(TRIGGER_EVENT, 5, {"sfn.StartExecution": [error_response("InternalFailure", 500)]}),
    "retry_sign_ups": Exercise(queue_event(SYNC_REQUEST), 30),
    "sync_changes": Exercise(
        queue_event(FIRST_SIGN_IN), 60, {f"{COGNITO}.ListUsers": [Response({"Users": [NEW_USER]})]}
    ),
    "publish_user_events": Exercise(STREAM_EVENT, 60),
    "sync_user": Exercise(SYNC_REQUEST, 60),
    "send_welcome": Exercise(SYNCED, 15),
    # One prefix has users. For each other prefix, the handler queries the table.
    "plan_shards": Exercise(
        {"input": {}, "started_at": "2026-01-31T12:00:00.000Z"},
        900,
        {f"{COGNITO}.ListUsers": [Response({"Users": [USER] if digit == SUB[0] else []}) for digit in HEX_DIGITS]},
    ),
    "reconcile_shards": Exercise({"prefixes": [""], "pages_per_second": 15}, 900),
    "start_run": Exercise({}, 60),
    "pool_trigger": Exercise({"action": "attach", "user_pool_id": POOL_ID, "function_arn": OURS}, 90),
}


def invoke(handler: str, event: Any = None, seconds: float | None = None) -> Any:
    """Invoke a handler with an event, or with the one of its exercise."""
    exercise = EXERCISES[handler]
    module = import_module(f"cognito_user_sync.handlers.{handler}")
    return module.handler(
        exercise.event if event is None else event, FakeContext(exercise.seconds if seconds is None else seconds)
    )


def answer_every_call(aws: FakeAws) -> None:
    """Answer every operation successfully."""
    for operation, answer in ANSWERS.items():
        aws.on(operation, answer)


@contextmanager
def handler_environment(folder: Path) -> Iterator[None]:
    """Set the environment of all handlers, write the welcome email's file to `folder`, and replace sleep."""
    file = folder / "welcome_email.json"
    file.write_text(json.dumps(WELCOME), encoding="utf-8")
    with (
        patch.dict("os.environ", ENVIRONMENT),
        patch("sys.path", [str(folder), *sys.path]),
        patch("time.sleep"),
    ):
        yield


def clients_of(handler: str, aws: FakeAws) -> dict[str, Any]:
    """Run the exercise of a handler. Return the clients that it created, by service."""
    answer_every_call(aws)
    for operation, answers in EXERCISES[handler].answers.items():
        aws.on(operation, *answers)
    made: dict[str, Any] = {}
    session = aws.session._session
    make = session.create_client

    def record(service: str, *arguments: Any, **options: Any) -> Any:
        made[service] = make(service, *arguments, **options)
        return made[service]

    with patch.object(session, "create_client", record):
        invoke(handler)
    return made
