"""Each message of a batch is handled once, or is delivered again by itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from cognito_user_sync import message_batch
from cognito_user_sync.errors import InvalidEventError


class BusyError(Exception):
    """What `act` raises for a message that has to be delivered again."""


def batch(*bodies: str) -> dict[str, Any]:
    return {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}


def handle(
    event: Any,
    act: Callable[[Any], None] = lambda message: None,
    has_time: Callable[[], bool] = lambda: True,
) -> list[str]:
    """Return the IDs of the messages to be delivered again."""
    answer = message_batch.handle(event, act, (BusyError,), has_time)
    assert answer.keys() == {"batchItemFailures"}
    assert all(failure.keys() == {"itemIdentifier"} for failure in answer["batchItemFailures"])
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_handle_calls_act_for_each_message_in_order() -> None:
    seen: list[Any] = []
    assert handle(batch('{"a": 1}', "[]", '"text"'), seen.append) == []
    assert seen == [{"a": 1}, [], "text"]


def test_handle_accepts_an_empty_batch() -> None:
    assert handle({"Records": []}) == []


@pytest.mark.parametrize("error", [BusyError, InvalidEventError, ValueError], ids=lambda error: error.__name__)
def test_only_the_messages_that_failed_are_delivered_again(error: type[Exception]) -> None:
    seen = []

    def act(message: Any) -> None:
        seen.append(message)
        if message == 1:
            raise error("ada@example.com")

    assert handle(batch("0", "1", "2"), act) == ["m1"]
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    "body", ["", "ada@example.com", '{"sub', "[" * 100_000, "1" * 5_000], ids=["none", "text", "cut", "deep", "long"]
)
def test_json_that_cannot_be_read_comes_back_and_stops_no_other(body: str) -> None:
    seen: list[Any] = []
    assert handle(batch("0", body, "2"), seen.append) == ["m1"]
    assert seen == [0, 2]


def test_handle_returns_messages_without_time() -> None:
    seen: list[Any] = []
    assert handle(batch("0", "1", "2"), seen.append, lambda: len(seen) < 1) == ["m1", "m2"]
    assert seen == [0]


def test_handle_raises_an_unexpected_error() -> None:
    """SQS delivers the whole batch again, and the function's errors are counted."""

    def act(message: Any) -> None:
        raise KeyError(message)

    with pytest.raises(KeyError):
        handle(batch('"sub"'), act)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        {"Records": None},
        {"Records": [{"messageId": "m0"}]},
        {"Records": [{"messageId": 1, "body": "{}"}]},
        {"Records": [{"messageId": "m0", "body": "{}"}, {"messageId": "m1", "body": {}}]},
    ],
    ids=repr,
)
def test_handle_rejects_an_event_that_is_not_a_batch(event: Any) -> None:
    seen: list[Any] = []
    with pytest.raises(InvalidEventError, match="SQS message"):
        handle(event, seen.append)
    assert seen == []


def test_handle_logs_only_the_name_of_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def act(message: Any) -> None:
        raise BusyError("ada@example.com")

    handle(batch(json.dumps({"email": "ada@example.com"})), act)
    [record] = [vars(record) for record in caplog.records]
    assert (record["levelname"], record["message_id"], record["error"]) == ("WARNING", "m0", "BusyError")
    assert "ada" not in repr(record)
