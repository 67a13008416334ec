"""A batch of the change queue: each change is synced at a limited rate, or comes back by itself."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.handlers import sync_changes
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import FakeContext
from tests.fakes.cognito_pool import CognitoPool, CognitoUser, UsersInMemory
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OTHER_SUB, SUB, TABLE, USER_SYNC, environment, table_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST, WRITE = f"{COGNITO}.ListUsers", "dynamodb.UpdateItem"
# The most ListUsers requests in a second of all functions, of the 30 that an account has.
PER_SECOND = 10
# The concurrency in modules/request_queue.
FUNCTIONS = 2


NAMES = {SUB: "ada.l", OTHER_SUB: "ada.b"}


def a_change(sub: str = SUB, event_name: str = "AdminDisableUser") -> str:
    """A message, as the rule's input transformer makes it of CloudTrail's event, from before the users' last change."""
    return json.dumps({"sub": sub, "event_name": event_name, "occurred_at": "2020-01-02T00:00:00Z"})


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    seconds: list[float] = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def users() -> UsersInMemory:
    """The users of the pool."""
    return UsersInMemory(
        *(CognitoUser(sub, name, {"name": "Ada", "email": "ada@example.com"}) for sub, name in NAMES.items())
    )


@pytest.fixture
def cognito(users: UsersInMemory, session: boto3.Session) -> Iterator[FakeAws]:
    """Cognito alone, since DynamoDB is moto's."""
    fake = FakeAws(session)
    fake.serve(CognitoPool(users))
    # In the session that the other fixtures know.
    with fake.answering(COGNITO), mock_aws(config={"core": {"reset_boto3_session": False}}):
        boto3.client("dynamodb").create_table(**table_definition())
        yield fake


def sync(*bodies: str, seconds: float = 60) -> list[str]:
    """Return the IDs of the messages to be delivered again."""
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    answer = sync_changes.handler({"Records": records}, FakeContext(seconds))
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def items() -> dict[str, Any]:
    found = boto3.client("dynamodb").scan(TableName=TABLE)["Items"]
    return {item["id"]["S"]: {name: next(iter(value.values())) for name, value in item.items()} for item in found}


def outcomes(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["outcome"] for record in caplog.records if record.message == "synced"]


def test_handler_syncs_each_change_of_a_batch(
    cognito: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert sync(a_change(), a_change(OTHER_SUB), a_change()) == []
    assert {sub: item["username"] for sub, item in items().items()} == NAMES
    users.remove(SUB)
    assert sync(a_change(event_name="AdminDeleteUser")) == []
    assert [sub for sub, item in items().items() if "deleted_at" in item] == [SUB]
    assert outcomes(caplog) == ["created", "created", "unchanged", "deleted"]


def test_only_the_changes_that_failed_come_back(cognito: FakeAws, users: UsersInMemory) -> None:
    users[SUB].missing = frozenset({"UserStatus"})
    assert sync("{}", a_change(), a_change(OTHER_SUB), "[") == ["m0", "m1", "m3"]
    assert items().keys() == {OTHER_SUB}


@pytest.mark.parametrize(
    "failure",
    [
        error_response("TooManyRequestsException"),
        error_response("InternalErrorException", 500),
        error_response("AccessDeniedException"),
        ReadTimeoutError(endpoint_url="https://cognito-idp"),
    ],
    ids=["throttled", "500", "denied", "timeout"],
)
def test_handler_returns_a_change_if_cognito_fails(cognito: FakeAws, users: UsersInMemory, failure: Answer) -> None:
    answer = cognito.answers[LIST]
    cognito.on(LIST, failure)
    assert sync(a_change(), a_change(OTHER_SUB)) == ["m0", "m1"]
    assert items() == {}
    cognito.answers[LIST] = answer
    assert sync(a_change(), a_change(OTHER_SUB)) == []
    assert items().keys() == {SUB, OTHER_SUB}


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_handler_returns_a_change_if_the_table_fails(aws: FakeAws, users: UsersInMemory, code: str) -> None:
    aws.serve(CognitoPool(users))
    aws.on(WRITE, error_response(code))
    assert sync(a_change(event_name="AdminCreateUser")) == ["m0"]


def test_handler_returns_a_deletion_that_cognito_does_not_confirm(cognito: FakeAws) -> None:
    """The deletion is CloudTrail's word, so that Cognito says so soon."""
    sync(a_change())
    before = items()
    assert sync(a_change(event_name="AdminDeleteUser")) == ["m0"]
    assert items() == before


def test_handler_ignores_a_change_of_another_pool(
    cognito: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    """Of another pool, where CloudTrail's record names none: one ListUsers request each."""
    caplog.set_level(logging.INFO)
    users.clear()
    names = ("UpdateUserAttributes", "ChangePassword", "VerifyUserAttribute")
    assert sync(*(a_change(event_name=name) for name in names)) == []
    assert items() == {}
    assert cognito.operations == [LIST] * len(names)
    assert sync(a_change(event_name="DeleteUser")) == []
    assert items() == {}
    assert cognito.operations == [LIST] * len(names)
    assert outcomes(caplog) == ["not_ours"] * 4
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_two_functions_make_at_most_ten_requests_per_second(cognito: FakeAws, slept: list[float]) -> None:
    assert sync(*[a_change()] * 10) == []
    assert len(cognito.calls) == 10
    assert FUNCTIONS * len(cognito.calls) / sum(slept) <= PER_SECOND + 0.001


def test_requests_that_fail_are_limited_too(cognito: FakeAws, slept: list[float]) -> None:
    """While Cognito throttles, the function must not add to it."""
    cognito.on(LIST, error_response("TooManyRequestsException"))
    assert len(sync(*[a_change()] * 10)) == 10
    assert FUNCTIONS * len(cognito.calls) / sum(slept) <= PER_SECOND + 0.001


def test_handler_returns_changes_without_time(cognito: FakeAws, slept: list[float]) -> None:
    assert sync(a_change(), a_change(OTHER_SUB), seconds=sync_changes._SLOWEST_CHANGE_SECONDS - 1) == ["m0", "m1"]
    assert (cognito.calls, slept, items()) == ([], [], {})


def test_handler_rejects_an_event_that_is_not_a_batch(aws: FakeAws) -> None:
    with pytest.raises(InvalidEventError, match="SQS message"):
        sync_changes.handler({"sub": SUB}, FakeContext(60))
    assert aws.calls == []


def test_no_personal_data_is_logged(cognito: FakeAws, users: UsersInMemory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sync(a_change(), "ada@example.com")
    users[SUB].missing = frozenset({"Enabled"})
    sync(a_change())
    users.remove(SUB)
    sync(a_change())
    records = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert [record["msg"] for record in records] == ["synced", *["message not handled"] * 2, "synced"]
    assert "ada" not in repr(records).lower()


# The first sign-in of an invited user.

START = "sfn.StartExecution"


@pytest.fixture
def invited(aws: FakeAws, users: UsersInMemory, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    monkeypatch.setenv("USER_SYNC_STATE_MACHINE_ARN", USER_SYNC)
    users[SUB].created_at = datetime.now(UTC)
    aws.serve(CognitoPool(users))
    aws.on(WRITE, Response({}))
    return aws


def test_first_sign_in_starts_the_execution_of_a_sign_up(invited: FakeAws) -> None:
    invited.on(START, Response({"executionArn": "arn", "startDate": 1767225600}))
    assert sync(a_change(event_name="RespondToAuthChallenge")) == []
    (start,) = [call.body for call in invited.calls if call.operation == START]
    assert (start["stateMachineArn"], start["name"]) == (USER_SYNC, f"sign-up-{SUB}")
    assert json.loads(start["input"]) == {
        "sub": SUB,
        "username": NAMES[SUB],
        "reason": "sign_up",
        "occurred_at": "2020-01-02T00:00:00.000Z",
        "client_id": "CLIENT_ID_NOT_APPLICABLE",
    }


def test_first_sign_in_comes_back_until_its_execution_is_started(invited: FakeAws) -> None:
    """The item is written by then, so that the retry finds nothing to write."""
    invited.on(START, error_response("ServiceUnavailable", 503))
    change = a_change(event_name="AdminRespondToAuthChallenge")
    assert sync(change) == ["m0"]
    assert invited.operations == [LIST, WRITE, START]
    invited.on(START, error_response("ExecutionAlreadyExists"))
    assert sync(change) == []


def test_first_sign_in_starts_nothing_by_default(invited: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER_SYNC_STATE_MACHINE_ARN")
    assert sync(a_change(event_name="RespondToAuthChallenge")) == []
    assert invited.operations == [LIST, WRITE]
