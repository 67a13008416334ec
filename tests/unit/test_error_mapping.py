"""What the code makes of an HTTP status with an error code that the code does not list.

AWS adds codes; the status decides then. Below 500, AWS rejects the request and will again. From 500 on, the service
failed, and a retry may succeed.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync import clients
from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.changes import sync_change
from cognito_user_sync.sync_request import parse_change
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError
from cognito_user_sync.welcome_email import WelcomeNotSentError, WelcomeOutcomeUnknownError, WelcomeRejectedError
from tests.fakes.answers import Response, error_response
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OURS, POOL_ID
from tests.unit.handler_clients import (
    CHANGE,
    SYNC_REQUEST,
    SYNCED,
    answer_every_call,
    handler_environment,
    invoke,
)

UNLISTED = "SomethingNew"
ROLE = "arn:aws:sts::123456789012:assumed-role/role/function"


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, aws: FakeAws) -> Iterator[None]:
    answer_every_call(aws)
    with handler_environment(tmp_path):
        yield


@pytest.mark.parametrize(
    ("handler", "event", "operation", "status", "error"),
    [
        ("sync_user", SYNC_REQUEST, f"{COGNITO}.AdminGetUser", 499, CognitoRejectedError),
        ("sync_user", SYNC_REQUEST, f"{COGNITO}.AdminGetUser", 500, CognitoUnavailableError),
        ("sync_user", SYNC_REQUEST, "dynamodb.UpdateItem", 499, TableRejectedError),
        ("sync_user", SYNC_REQUEST, "dynamodb.UpdateItem", 500, TableUnavailableError),
        ("send_welcome", SYNCED, f"{COGNITO}.AdminGetUser", 499, CognitoRejectedError),
        ("send_welcome", SYNCED, f"{COGNITO}.AdminGetUser", 500, CognitoUnavailableError),
        ("send_welcome", SYNCED, "sesv2.SendEmail", 428, WelcomeRejectedError),
        # Throttled, whatever the code: SES did not take it.
        ("send_welcome", SYNCED, "sesv2.SendEmail", 429, WelcomeNotSentError),
        ("send_welcome", SYNCED, "sesv2.SendEmail", 430, WelcomeRejectedError),
        ("send_welcome", SYNCED, "sesv2.SendEmail", 499, WelcomeRejectedError),
        ("send_welcome", SYNCED, "sesv2.SendEmail", 500, WelcomeOutcomeUnknownError),
    ],
)
def test_unlisted_code_is_mapped_by_its_status(
    aws: FakeAws, handler: str, event: Any, operation: str, status: int, error: type[Exception]
) -> None:
    aws.on(operation, error_response(UNLISTED, status))
    with pytest.raises(error) as raised:
        invoke(handler, event)
    assert (type(raised.value), str(raised.value)) == (error, UNLISTED)


@pytest.mark.parametrize(
    ("handler", "event", "operation"),
    [
        ("sync_user", SYNC_REQUEST, f"{COGNITO}.AdminGetUser"),
        ("sync_user", SYNC_REQUEST, "dynamodb.UpdateItem"),
        ("send_welcome", SYNCED, f"{COGNITO}.AdminGetUser"),
        ("send_welcome", SYNCED, "sesv2.SendEmail"),
        ("plan_shards", None, f"{COGNITO}.DescribeUserPool"),
        ("reconcile_shards", None, f"{COGNITO}.ListUsers"),
        ("reconcile_shards", None, "dynamodb.BatchGetItem"),
        ("reconcile_shards", None, "dynamodb.UpdateItem"),
    ],
)
def test_denied_call_is_named_without_the_rest_of_the_message(
    aws: FakeAws, handler: str, event: Any, operation: str
) -> None:
    """IAM is eventually consistent: the state machine retries AccessDeniedError for some minutes."""
    aws.on(operation, error_response("AccessDeniedException", message="ada@example.com"))
    with pytest.raises(AccessDeniedError) as raised:
        invoke(handler, event)
    assert str(raised.value) == f"AccessDeniedException: {operation.partition('.')[2]}"


@pytest.mark.parametrize(
    ("message", "action"),
    [
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
        (f"User: {ROLE} is not authorized to perform: dynamodb:UpdateItem on resource: users", "dynamodb:UpdateItem"),
        (f"User: {ROLE} is not authorized to perform: kms:Decrypt on this resource", "kms:Decrypt"),
        (f"User `{ROLE}' is not authorized to perform `ses:SendEmail' on resource `ada@example.com'", "ses:SendEmail"),
    ],
)
def test_denied_action_is_that_of_the_message(aws: FakeAws, message: str, action: str) -> None:
    aws.on("dynamodb.UpdateItem", error_response("AccessDeniedException", message=message))
    with pytest.raises(AccessDeniedError, match=f"^AccessDeniedException: {action}$"):
        invoke("sync_user", SYNC_REQUEST)


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        *(
            (f"{COGNITO}.AdminGetUser", CognitoUnavailableError, code)
            # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminGetUser.html
            for code in (
                "InternalErrorException",
                "LimitExceededException",
                "ThrottlingException",
                "TooManyRequestsException",
            )
        ),
        *(
            ("dynamodb.UpdateItem", TableUnavailableError, code)
            # https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
            for code in (
                "InternalServerError",
                "ItemCollectionSizeLimitExceededException",
                "LimitExceededException",
                "ProvisionedThroughputExceededException",
                "ReplicatedWriteConflictException",
                "RequestLimitExceeded",
                "ServiceUnavailable",
                "ThrottlingException",
                "TransactionConflictException",
            )
        ),
    ],
)
def test_transient_code_is_retryable_whatever_its_status(
    aws: FakeAws, operation: str, error: type[Exception], code: str
) -> None:
    aws.on(operation, error_response(code, 400))
    with pytest.raises(error, match=code):
        invoke("sync_user")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (499, UNLISTED, CognitoRejectedError),
        (500, UNLISTED, CognitoUnavailableError),
        # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
        *(
            (400, code, CognitoUnavailableError)
            for code in (
                "InternalErrorException",
                "LimitExceededException",
                "ThrottlingException",
                "TooManyRequestsException",
            )
        ),
    ],
)
def test_list_users_is_mapped_as_any_read(aws: FakeAws, status: int, code: str, error: type[Exception]) -> None:
    aws.on(f"{COGNITO}.ListUsers", error_response(code, status))
    with pytest.raises(error) as raised:
        sync_change(clients.user_pool(), clients.user_table(), parse_change(CHANGE))
    assert (type(raised.value), str(raised.value)) == (error, code)
    # The queue delivers the message again, whatever the error is.
    assert invoke("sync_changes") == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


@pytest.mark.parametrize(("status", "attempts"), [(499, 1), (500, 2)])
def test_pool_trigger_retries_an_unlisted_code_from_500_on(aws: FakeAws, status: int, attempts: int) -> None:
    describe = f"{COGNITO}.DescribeUserPool"
    pool = {"Id": POOL_ID, "Name": "pool", "LambdaConfig": {"PostConfirmation": OURS}}
    aws.on(describe, error_response(UNLISTED, status), Response({"UserPool": pool}))
    if attempts == 1:
        with pytest.raises(Exception, match=UNLISTED):
            invoke("pool_trigger")
    else:
        assert invoke("pool_trigger")["result"] == "attached already"
    assert aws.operations.count(describe) == attempts
