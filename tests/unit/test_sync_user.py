"""The first step of a user_sync execution: one request in, one item, one outcome."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from cognito_user_sync.handlers import sync_user
from cognito_user_sync.sync_request import InvalidSyncRequest
from cognito_user_sync.user_table import TableUnavailable, WriteRefused
from tests.unit.fakes import FakeAws, FakeContext, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

SUB = "b4c8d9e0-1234-4abc-8def-001122334455"
WRITE = "dynamodb.UpdateItem"


def an_input(**changes: Any) -> dict[str, Any]:
    return {
        "sub": SUB,
        "reason": "sign_up",
        "occurred_at": "2026-01-02T00:00:00.000Z",
        "username": "ada.l",
        "attributes": {"name": "Ada", "email": ""},
        **changes,
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_TABLE_NAME", "users")
    monkeypatch.setenv("ATTRIBUTES", '["name","email","custom:plan"]')
    monkeypatch.setenv("INDEX_KEYS", '["email"]')
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


@pytest.fixture
def _users() -> Iterator[None]:
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="users",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        yield


def sync(**changes: Any) -> Any:
    return sync_user.handler(an_input(**changes), FakeContext())


@pytest.mark.usefixtures("_users")
def test_the_outcome_of_the_write_is_returned() -> None:
    assert sync() == {"outcome": "created"}
    assert sync() == {"outcome": "unchanged"}
    assert sync(occurred_at="2026-01-03T00:00:00.000Z", reason="password_reset") == {"outcome": "updated"}
    assert sync() == {"outcome": "stale"}


@pytest.mark.usefixtures("_users")
def test_a_user_deleted_since_is_reported_so_that_no_welcome_is_sent() -> None:
    boto3.client("dynamodb").put_item(
        TableName="users", Item={"id": {"S": SUB}, "deleted_at": {"S": "2026-01-02T00:00:00.000Z"}}
    )
    assert sync() == {"outcome": "deleted"}


@pytest.mark.usefixtures("_users")
def test_the_item_has_the_configured_attributes_and_index_keys() -> None:
    sync()
    item = boto3.client("dynamodb").get_item(TableName="users", Key={"id": {"S": SUB}})["Item"]
    assert item["name"] == {"S": "Ada"}
    assert item["custom:plan"] == {"S": ""}
    assert item["username"] == {"S": "ada.l"}
    assert item["status"] == {"S": "CONFIRMED"}
    assert item["observed_at"] == {"S": "2026-01-02T00:00:00.000Z"}
    assert "email" not in item


@pytest.mark.parametrize("bad", [None, [], {}, {"sub": "ada"}, an_input(occurred_at="yesterday")], ids=range(5))
def test_bad_input_is_an_invalid_sync_request_and_nothing_is_written(aws: FakeAws, bad: Any) -> None:
    with pytest.raises(InvalidSyncRequest):
        sync_user.handler(bad, FakeContext())
    assert aws.calls == []


def test_a_throttled_table_is_asked_three_times_and_then_left_to_the_state_machine(aws: FakeAws) -> None:
    aws.on(WRITE, refusal("ThrottlingException"))
    with pytest.raises(TableUnavailable, match="ThrottlingException"):
        sync()
    assert aws.operations == [WRITE] * 3


def test_a_refused_write_is_not_repeated(aws: FakeAws) -> None:
    aws.on(WRITE, refusal("AccessDeniedException"))
    with pytest.raises(WriteRefused, match="AccessDeniedException"):
        sync()
    assert aws.operations == [WRITE]


@pytest.mark.usefixtures("_users")
def test_no_personal_data_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sync(attributes={"name": "Ada", "email": "ada@example.com"})
    [record] = [vars(record) for record in caplog.records if record.name.startswith("cognito_user_sync.")]
    assert (record["sub"], record["reason"], record["outcome"]) == (SUB, "sign_up", "created")
    assert "ada" not in repr(record).lower()
