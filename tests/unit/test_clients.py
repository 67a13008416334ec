"""The real boto3 clients of the handlers: how often each tries, and how long it waits.

The table is what the handlers' own comments and docs/architecture.md say. tests/unit/test_deadlines.py compares it with
the timeouts of functions and state machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.fakes.answers import Response, error_response
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OURS, POOL_ID
from tests.unit.handler_clients import (
    EXERCISES,
    answer_every_call,
    clients_of,
    handler_environment,
    invoke,
)


class Limits(NamedTuple):
    """Of one client: attempts for each call, and the seconds that one attempt waits."""

    attempts: int
    connect_seconds: float
    read_seconds: float


CLIENTS: dict[str, dict[str, Limits]] = {
    # One attempt each: the queue is the retry, and Cognito waits for 5 s.
    "post_confirmation": {
        "stepfunctions": Limits(1, 0.4, 0.8),
        "sqs": Limits(1, 0.4, 0.8),
        "lambda": Limits(1, 0.4, 4),
    },
    "retry_sign_ups": {"stepfunctions": Limits(3, 1, 3)},
    # One attempt of Cognito and Step Functions: the queue or the state machine is the retry.
    "sync_changes": {
        "cognito-idp": Limits(1, 1, 2),
        "dynamodb": Limits(3, 1, 2),
        "stepfunctions": Limits(1, 1, 3),
    },
    "publish_user_events": {"events": Limits(3, 1, 5)},
    "sync_user": {"cognito-idp": Limits(1, 1, 2), "dynamodb": Limits(3, 1, 2)},
    # One attempt of SES: a send that timed out may have been delivered.
    "send_welcome": {"cognito-idp": Limits(1, 1, 2), "sesv2": Limits(1, 2, 8)},
    # One attempt: the planner and the worker retry at their own pace.
    "plan_shards": {"cognito-idp": Limits(1, 2, 10), "dynamodb": Limits(1, 2, 10)},
    "reconcile_shards": {"cognito-idp": Limits(1, 2, 10), "dynamodb": Limits(1, 2, 10)},
    "start_run": {"stepfunctions": Limits(5, 2, 5)},
    # One attempt of Cognito: an update may be repeated only after the pool was read again.
    "pool_trigger": {"cognito-idp": Limits(1, 3, 5), "lambda": Limits(3, 3, 15)},
}

# A call of each service: any will do, since retries are the client's.
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cognito-idp": (f"{COGNITO}.DescribeUserPool", "describe_user_pool", {"UserPoolId": POOL_ID}),
    "dynamodb": (
        "dynamodb.BatchGetItem",
        "batch_get_item",
        {"RequestItems": {"users": {"Keys": [{"id": {"S": "x"}}]}}},
    ),
    "events": ("eventbridge.PutEvents", "put_events", {"Entries": [{}]}),
    "lambda": ("lambda.Invoke", "invoke", {"FunctionName": "theirs"}),
    "sesv2": ("sesv2.SendEmail", "send_email", {"Content": {}}),
    "sqs": ("sqs.SendMessage", "send_message", {"QueueUrl": "https://queue", "MessageBody": "x"}),
    "stepfunctions": ("sfn.StartExecution", "start_execution", {"stateMachineArn": "arn:aws:states:::x"}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path) -> Iterator[None]:
    with handler_environment(tmp_path):
        yield


@pytest.mark.parametrize("handler", EXERCISES)
def test_handler_makes_its_clients_with_these_limits(aws: FakeAws, handler: str) -> None:
    limits = {}
    for service, client in clients_of(handler, aws).items():
        operation, method, arguments = CALLS[service]
        aws.on(operation, error_response("ThrottlingException"))
        aws.calls.clear()
        with pytest.raises(ClientError, match="ThrottlingException"):
            getattr(client, method)(**arguments)
        config = client.meta.config
        limits[service] = Limits(len(aws.calls), config.connect_timeout, config.read_timeout)
    assert limits == CLIENTS[handler]


def test_every_handler_is_exercised() -> None:
    files = Path(__file__).parents[2].glob("lambda_src/cognito_user_sync/handlers/*.py")
    assert {file.stem for file in files} - {"__init__"} == EXERCISES.keys() == CLIENTS.keys()


@pytest.mark.parametrize("status", [500, 503])
def test_pool_trigger_reads_again_before_it_repeats_an_update(aws: FakeAws, status: int) -> None:
    # A blind repeat would undo a change of another client, such as MFA.
    answer_every_call(aws)
    pool = {"Id": POOL_ID, "Name": "pool", "MfaConfiguration": "OFF"}
    changed = {**pool, "MfaConfiguration": "ON"}
    attached = {**changed, "LambdaConfig": {"PostConfirmation": OURS}}
    update = f"{COGNITO}.UpdateUserPool"
    aws.on(
        f"{COGNITO}.DescribeUserPool", *(Response({"UserPool": shown}) for shown in (pool, changed, changed, attached))
    )
    aws.on(update, error_response("InternalErrorException", status), Response({}))
    assert invoke("pool_trigger")["result"] == "attached"
    assert [call.body["MfaConfiguration"] for call in aws.calls if call.operation == update] == ["OFF", "ON"]
