"""What each handler makes of an HTTP status with an error code that the code does not list.

AWS adds codes; the status decides then. Below 500, AWS rejects the request and will again. From 500 on, the service
failed, and a retry may succeed.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync.user_pool import PoolRefused, PoolUnavailable
from cognito_user_sync.user_table import TableRefused, TableUnavailable
from cognito_user_sync.welcome_email import WelcomeNotSent, WelcomeOutcomeUnknown, WelcomeRefused
from tests.samples import OURS, POOL_ID
from tests.stand_ins.answers import Response, refusal
from tests.stand_ins.carriers import COGNITO, FakeAws
from tests.unit.handler_clients import (
    CHANGE,
    SYNC_REQUEST,
    answer_well,
    handler_environment,
    invoke,
)

UNLISTED = "SomethingNew"


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, aws: FakeAws) -> Iterator[None]:
    answer_well(aws)
    with handler_environment(tmp_path):
        yield


@pytest.mark.parametrize(
    ("handler", "event", "operation", "status", "error"),
    [
        ("sync_user", CHANGE, f"{COGNITO}.ListUsers", 499, PoolRefused),
        ("sync_user", CHANGE, f"{COGNITO}.ListUsers", 500, PoolUnavailable),
        ("sync_user", SYNC_REQUEST, "dynamodb.UpdateItem", 499, TableRefused),
        ("sync_user", SYNC_REQUEST, "dynamodb.UpdateItem", 500, TableUnavailable),
        ("send_welcome", SYNC_REQUEST, "sesv2.SendEmail", 428, WelcomeRefused),
        # Throttled, whatever the code: SES did not take it.
        ("send_welcome", SYNC_REQUEST, "sesv2.SendEmail", 429, WelcomeNotSent),
        ("send_welcome", SYNC_REQUEST, "sesv2.SendEmail", 430, WelcomeRefused),
        ("send_welcome", SYNC_REQUEST, "sesv2.SendEmail", 499, WelcomeRefused),
        ("send_welcome", SYNC_REQUEST, "sesv2.SendEmail", 500, WelcomeOutcomeUnknown),
    ],
)
def test_unlisted_code_is_mapped_by_its_status(
    aws: FakeAws, handler: str, event: Any, operation: str, status: int, error: type[Exception]
) -> None:
    aws.on(operation, refusal(UNLISTED, status))
    with pytest.raises(error) as raised:
        invoke(handler, event)
    assert (type(raised.value), str(raised.value)) == (error, UNLISTED)


@pytest.mark.parametrize(
    ("event", "operation", "error", "code"),
    [
        *(
            (CHANGE, f"{COGNITO}.ListUsers", PoolUnavailable, code)
            # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
            for code in (
                "InternalErrorException",
                "LimitExceededException",
                "ThrottlingException",
                "TooManyRequestsException",
            )
        ),
        *(
            (SYNC_REQUEST, "dynamodb.UpdateItem", TableUnavailable, code)
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
    aws: FakeAws, event: Any, operation: str, error: type[Exception], code: str
) -> None:
    aws.on(operation, refusal(code, 400))
    with pytest.raises(error, match=code):
        invoke("sync_user", event)


@pytest.mark.parametrize(("status", "attempts"), [(499, 1), (500, 2)])
def test_pool_trigger_retries_an_unlisted_code_from_500_on(aws: FakeAws, status: int, attempts: int) -> None:
    describe = f"{COGNITO}.DescribeUserPool"
    pool = {"Id": POOL_ID, "Name": "pool", "LambdaConfig": {"PostConfirmation": OURS}}
    aws.on(describe, refusal(UNLISTED, status), Response({"UserPool": pool}))
    if attempts == 1:
        with pytest.raises(Exception, match=UNLISTED):
            invoke("pool_trigger")
    else:
        assert invoke("pool_trigger")["result"] == "attached already"
    assert aws.operations.count(describe) == attempts


def test_sync_user_reads_the_item_consistently_before_it_deletes(aws: FakeAws) -> None:
    # An item that was written a moment ago must be seen, or a new user would be taken for a deleted one.
    aws.on(f"{COGNITO}.ListUsers", Response({"Users": []}))
    with pytest.raises(PoolUnavailable):
        invoke("sync_user", CHANGE)
    reads = [call.body["RequestItems"]["users"] for call in aws.calls if call.operation == "dynamodb.BatchGetItem"]
    assert reads
    assert all(read["ConsistentRead"] is True for read in reads)
