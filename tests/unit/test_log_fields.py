"""The log lines that docs/operations.md and the alarms send an operator to, and the fields that they need.

Fields are what an operator searches by (sub, execution, message) and what says why. Values of users never appear.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from cognito_user_sync.handlers import reconcile_shards
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.fake_aws import COGNITO, FakeAws
from tests.samples import OURS, POOL_ID, SUB
from tests.unit.handler_clients import (
    ANSWERS,
    CHANGE,
    EXERCISES,
    FIRST_SIGN_IN,
    STREAM_EVENT,
    SYNC_REQUEST,
    SYNCED,
    TRIGGER_EVENT,
    USER,
    answer_every_call,
    handler_environment,
    invoke,
    queue_event,
)

START, QUEUE = "sfn.StartExecution", "sqs.SendMessage"
FAILURE = error_response("InternalFailure", 500)
INTERNAL_FAILURE = {"error": "InternalFailure", "code": "InternalFailure"}
ALREADY_STARTED = error_response("ExecutionAlreadyExists")
# CloudWatch counts the values of welcome_email.
SENT = {"sub": SUB, "message_id": "message-1", "welcome_email": "sent"}
ONE_GROUP: dict[str, Answer | list[Answer]] = {
    f"{COGNITO}.ListGroups": Response({"Groups": [{"GroupName": "admins"}]}),
    "dynamodb.Query": Response({"Items": []}),
}

# handler, event, answers other than the good ones, line, fields
LINES: list[tuple[str, Any, dict[str, Answer | list[Answer]], str, dict[str, Any]]] = [
    (
        "post_confirmation",
        TRIGGER_EVENT,
        {START: FAILURE},
        "WARNING execution not started",
        {"sub": SUB, "error": "InternalFailure"},
    ),
    (
        "post_confirmation",
        TRIGGER_EVENT,
        {START: ConnectionClosedError(endpoint_url="https://aws")},
        "INFO execution started again",
        {"sub": SUB, "error": "ConnectionClosedError"},
    ),
    ("post_confirmation", TRIGGER_EVENT, {START: FAILURE}, "INFO queued for retry", {"sub": SUB}),
    (
        "post_confirmation",
        TRIGGER_EVENT,
        {START: FAILURE, QUEUE: error_response("AccessDenied")},
        "WARNING not queued for retry",
        {"sub": SUB, "error": "AccessDenied"},
    ),
    (
        "post_confirmation",
        TRIGGER_EVENT,
        {START: FAILURE, QUEUE: FAILURE},
        "ERROR execution neither started nor queued for retry: the next reconciliation syncs this user",
        {"sub": SUB, "error": "InternalFailure", "queue_error": "InternalFailure"},
    ),
    (
        "post_confirmation",
        {},
        {},
        "ERROR not a post-confirmation event, nothing synced",
        {"reason": "triggerSource is missing"},
    ),
    ("retry_sign_ups", queue_event(SYNC_REQUEST), {}, "INFO started", {"sub": SUB}),
    (
        "retry_sign_ups",
        queue_event(SYNC_REQUEST),
        {START: ALREADY_STARTED},
        "INFO was started before",
        {"sub": SUB},
    ),
    (
        "retry_sign_ups",
        queue_event(SYNC_REQUEST),
        {START: FAILURE},
        "WARNING message not handled",
        {"message_id": "m0", "sub": SUB, **INTERNAL_FAILURE},
    ),
    (
        "sync_changes",
        queue_event({}),
        {},
        "WARNING message not handled",
        {"message_id": "m0", "sub": None, "error": "InvalidEventError", "code": "InvalidEventError"},
    ),
    (
        "sync_changes",
        queue_event(CHANGE),
        {f"{COGNITO}.ListUsers": FAILURE},
        "WARNING message not handled",
        {"message_id": "m0", "sub": SUB, "error": "CognitoUnavailableError", "code": "InternalFailure"},
    ),
    (
        "sync_changes",
        queue_event(CHANGE),
        {},
        "INFO synced",
        {"sub": SUB, "event_name": "AdminUpdateUserAttributes", "outcome": "created"},
    ),
    (
        "sync_changes",
        queue_event(CHANGE),
        {f"{COGNITO}.ListUsers": Response({"Users": []})},
        "INFO synced",
        {"sub": SUB, "event_name": "AdminUpdateUserAttributes", "outcome": "not_ours"},
    ),
    ("sync_changes", queue_event(FIRST_SIGN_IN), {}, "INFO started", {"sub": SUB}),
    (
        "sync_changes",
        queue_event(FIRST_SIGN_IN),
        {START: ALREADY_STARTED},
        "INFO was started before",
        {"sub": SUB},
    ),
    (
        "sync_changes",
        queue_event(FIRST_SIGN_IN),
        {START: FAILURE},
        "WARNING message not handled",
        {"message_id": "m0", "sub": SUB, **INTERNAL_FAILURE},
    ),
    (
        "sync_changes",
        queue_event(FIRST_SIGN_IN),
        {f"{COGNITO}.ListUsers": Response({"Users": [USER]})},
        "INFO no welcome email: the user was created more than 89 days ago",
        {"sub": SUB},
    ),
    (
        "publish_user_events",
        STREAM_EVENT,
        {},
        "INFO published",
        {"sub": SUB, "event_id": "event-1", "detail_type": "User Created"},
    ),
    (
        "publish_user_events",
        STREAM_EVENT,
        {"eventbridge.PutEvents": Response({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]})},
        "WARNING event not published",
        {"sub": SUB, "event_id": "event-1", "detail_type": "User Created", "code": "ThrottlingException"},
    ),
    (
        "publish_user_events",
        STREAM_EVENT,
        {"eventbridge.PutEvents": error_response("AccessDeniedException")},
        "WARNING events not published",
        {"sub": SUB, "error": "AccessDeniedException", "code": "AccessDeniedException"},
    ),
    ("sync_user", SYNC_REQUEST, {}, "INFO synced", {"sub": SUB, "reason": "sign_up", "outcome": "created"}),
    (
        "sync_user",
        SYNC_REQUEST,
        {f"{COGNITO}.AdminGetUser": error_response("TooManyRequestsException")},
        "WARNING user not handled",
        {"sub": SUB, "error": "CognitoUnavailableError", "code": "TooManyRequestsException"},
    ),
    (
        "sync_user",
        SYNC_REQUEST,
        {f"{COGNITO}.AdminGetUser": EndpointConnectionError(endpoint_url="https://aws")},
        "WARNING user not handled",
        {"sub": SUB, "error": "CognitoUnavailableError", "code": "EndpointConnectionError"},
    ),
    ("send_welcome", SYNCED, {}, "INFO welcome sent", SENT),
    (
        "send_welcome",
        SYNCED,
        {"sesv2.SendEmail": error_response("MessageRejected")},
        "WARNING user not handled",
        {"sub": SUB, "error": "WelcomeRejectedError", "code": "MessageRejected"},
    ),
    (
        "send_welcome",
        SYNCED,
        {f"{COGNITO}.AdminGetUser": error_response("UserNotFoundException")},
        "INFO welcome not sent",
        {"sub": SUB, "welcome_email": "user_deleted"},
    ),
    (
        "start_run",
        {},
        {},
        "INFO reconciliation started",
        {"execution_arn": "arn"},
    ),
    (
        "pool_trigger",
        None,
        {},
        "INFO pool trigger",
        {"action": "attach", "user_pool_id": POOL_ID, "result": "attached already"},
    ),
    (
        "pool_trigger",
        {"action": "ensure", "user_pool_id": POOL_ID, "function_arn": OURS},
        {
            f"{COGNITO}.DescribeUserPool": [
                Response({"UserPool": {"Id": POOL_ID, "Name": "pool"}}),
                ANSWERS[f"{COGNITO}.DescribeUserPool"],
            ]
        },
        "ERROR trigger was missing",
        {"error": "TriggerMissingError", "user_pool_id": POOL_ID, "result": "attached"},
    ),
    (
        "reconcile_shards",
        {"prefixes": ["b4"], "pages_per_second": 15},
        {"dynamodb.UpdateItem": error_response("ValidationException")},
        "WARNING user not handled",
        {"sub": SUB, "error": "TableRejectedError", "code": "ValidationException"},
    ),
    (
        "reconcile_shards",
        {"prefixes": ["b4"], "pages_per_second": 15},
        {},
        "INFO reconciled",
        # `listed` on the top level: the command line's filter for its progress bar.
        {"prefixes": ["b4"], "counts": {"listed": 1, "created": 1}, "listed": 1, "left": 0},
    ),
    (
        "reconcile_shards",
        {"prefixes": ["b4"], "pages_per_second": 15},
        {"dynamodb.Query": Response({"Items": [{"id": {"S": f"{SUB[:-2]}{number:02}"}} for number in range(1, 22)]})},
        "WARNING shard over the deletion limit",
        {"prefix": "b4", "items": 21, "missing": 21, "allowed": 20},
    ),
    (
        "reconcile_shards",
        # The last try of a sequential listing.
        {"prefixes": [""], "pages_per_second": 15, "sequential": True, "token": "expired", "restarts": 5},
        {f"{COGNITO}.ListUsers": error_response("InvalidParameterException")},
        "WARNING paging token rejected",
        {"prefix": "", "listed": 0, "restarts": 6},
    ),
    (
        "reconcile_shards",
        {"groups": {"after": ""}, "pages_per_second": 15},
        ONE_GROUP | {f"{COGNITO}.ListUsersInGroup": Response({"Users": []})},
        "INFO groups reconciled",
        {"counts": {"groups": 1}, "is_done": True},
    ),
    (
        "reconcile_shards",
        {"groups": {"after": ""}, "pages_per_second": 15},
        ONE_GROUP | {f"{COGNITO}.ListUsersInGroup": error_response("InvalidParameterException")},
        "WARNING group not listed",
        {"error": "CognitoRejectedError", "code": "InvalidParameterException"},
    ),
]
# Tested by themselves: below, in test_reconciliation.py, and in tests/unit/test_post_confirmation.py, since the
# invocation fails, too.
OTHER_MESSAGES = {"planned", "reconciling", "users would be deleted", "chained function failed"}


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path) -> Iterator[None]:
    with handler_environment(tmp_path):
        yield


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what `extra` gave a record."""
    plain = logging.LogRecord("", 0, "", 0, "", None, None)
    return {name: value for name, value in vars(record).items() if name not in vars(plain) and name != "message"}


@pytest.fixture
def lines(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> Callable[..., dict[str, dict[str, Any]]]:
    """Return a function that invokes a handler with these answers, and gives the fields of its lines by message."""
    caplog.set_level(logging.INFO)

    def logged(
        handler: str,
        event: Any = None,
        answers: Mapping[str, Answer | list[Answer]] | None = None,
        seconds: float | None = None,
    ) -> dict[str, dict[str, Any]]:
        answer_every_call(aws)
        for operation, given in EXERCISES[handler].answers.items():
            aws.on(operation, *given)
        for operation, answer in (answers or {}).items():
            aws.on(operation, *(answer if isinstance(answer, list) else [answer]))
        # One that fails is what a line may be about.
        with suppress(Exception):
            invoke(handler, event, seconds)
        ours = [record for record in caplog.records if record.name.startswith("cognito_user_sync.")]
        return {f"{record.levelname} {record.message}": fields_of(record) for record in ours}

    return logged


@pytest.mark.parametrize(("handler", "event", "answers", "line", "fields"), LINES)
def test_line_has_the_fields_that_an_operator_needs(
    lines: Callable[..., dict[str, dict[str, Any]]],
    handler: str,
    event: Any,
    answers: Mapping[str, Answer | list[Answer]],
    line: str,
    fields: dict[str, Any],
) -> None:
    found = lines(handler, event, answers)[line]
    if "counts" in found:
        found["counts"] = {name: count for name, count in found["counts"].items() if count}
    assert found == fields


def test_planned_line_has_the_summary_of_the_run(lines: Callable[..., dict[str, dict[str, Any]]]) -> None:
    fields = lines("plan_shards")["INFO planned"]
    assert fields.keys() == {"batches", "prefixes", "summary"}
    assert (fields["batches"], fields["prefixes"]) == (1, 1)
    assert fields["summary"]["problems"] == []


def test_reconciling_line_says_how_many_users_are_listed(
    lines: Callable[..., dict[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile_shards, "_PROGRESS_SECONDS", 0)
    assert lines("reconcile_shards", {"prefixes": ["b4"], "pages_per_second": 15})["INFO reconciling"] == {"listed": 1}


def test_every_message_of_the_code_is_tested() -> None:
    messages = set()
    for file in (Path(__file__).parents[2] / "lambda_src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
                texts = [each for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                messages |= {text.value for text in texts}
    assert messages == {line.partition(" ")[2] for *_, line, _ in LINES} | OTHER_MESSAGES
