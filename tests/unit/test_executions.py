"""One execution for a sign-up, however often it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from cognito_user_sync import executions
from cognito_user_sync.sync_request import SyncRequest
from tests.fakes.answers import Response, error_response
from tests.fakes.fake_aws import FakeAws
from tests.samples import SUB, USER_SYNC

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

SIGN_UP = SyncRequest(SUB, "zoë 😀", "sign_up", "2026-01-01T00:00:00.000Z", "app1")
PASSWORD_RESET = SyncRequest(SUB, "zoë 😀", "password_reset", "2026-01-02T00:00:00.000Z")
START = "sfn.StartExecution"
STARTED = Response({"executionArn": "arn", "startDate": 1767225600})


def states(aws: FakeAws) -> SFNClient:
    return aws.session.client("stepfunctions", config=Config(retries={"total_max_attempts": 1}))


def test_start_uses_the_fixed_name_of_a_sign_up(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    assert executions.start(states(aws), USER_SYNC, SIGN_UP) is True
    assert [call.body for call in aws.calls] == [
        {"stateMachineArn": USER_SYNC, "name": f"sign-up-{SUB}", "input": SIGN_UP.to_json()}
    ]


def test_any_other_request_is_started_each_time_under_another_name(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    assert executions.start(states(aws), USER_SYNC, PASSWORD_RESET) is True
    assert executions.start(states(aws), USER_SYNC, PASSWORD_RESET) is True
    names = {call.body.pop("name") for call in aws.calls}
    assert len(names) == 2
    assert all(SUB in name for name in names)
    assert [call.body for call in aws.calls] == [{"stateMachineArn": USER_SYNC, "input": PASSWORD_RESET.to_json()}] * 2


def test_start_returns_false_for_an_existing_execution(aws: FakeAws) -> None:
    aws.on(START, error_response("ExecutionAlreadyExists"))
    assert executions.start(states(aws), USER_SYNC, SIGN_UP) is False


def test_start_rejects_a_second_sign_up_with_other_input() -> None:
    # As when Cognito calls the trigger again: the time in it is a new one.
    again = SyncRequest(SUB, "zoë 😀", "sign_up", "2026-01-01T00:00:05.000Z")
    with mock_aws():
        client = boto3.client("stepfunctions")
        arn = client.create_state_machine(
            name="user-sync",
            definition='{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/states",
        )["stateMachineArn"]
        assert [executions.start(client, arn, request) for request in (SIGN_UP, again)] == [True, False]
        assert [execution["name"] for execution in client.list_executions(stateMachineArn=arn)["executions"]] == [
            f"sign-up-{SUB}"
        ]


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "StateMachineDoesNotExist"])
def test_start_raises_other_errors(aws: FakeAws, code: str) -> None:
    aws.on(START, error_response(code))
    with pytest.raises(ClientError, match=code):
        executions.start(states(aws), USER_SYNC, SIGN_UP)


def test_start_raises_a_missing_response(aws: FakeAws) -> None:
    lost: Any = ReadTimeoutError(endpoint_url="https://states")
    aws.on(START, lost)
    with pytest.raises(ReadTimeoutError):
        executions.start(states(aws), USER_SYNC, SIGN_UP)
