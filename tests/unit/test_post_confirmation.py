"""The sign-up continues and the user is synced, no matter which call of the trigger fails."""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.session import get_session

from cognito_user_sync import sync_request
from cognito_user_sync.chained_function import DRY_RUN
from cognito_user_sync.handlers import post_confirmation
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.clock import Clock, FakeContext
from tests.fakes.fake_aws import FakeAws
from tests.samples import QUEUE_URL, SUB, THEIRS, USER_SYNC

START = "sfn.StartExecution"
QUEUE = "sqs.SendMessage"
INVOKE = "lambda.Invoke"

STARTED = Response({"executionArn": "arn", "startDate": 1767225600})
QUEUED = Response({"MessageId": "1"})

OF_THE_POOL = "the user pool's own post-confirmation function"

PERSONAL = ("Ada Lovelace", "ada@example.com", "ada.l", "+441234567", "gold")

WAYS_TO_FAIL: dict[str, Answer] = {
    "throttled": error_response("ThrottlingException"),
    "access-denied": error_response("AccessDeniedException"),
    "gone": error_response("StateMachineDoesNotExist"),
    "internal-error": error_response("InternalFailure", 500),
    "unavailable": Response(b"<html>Service Unavailable</html>", 503),
    "connect-timeout": ConnectTimeoutError(endpoint_url="https://aws"),
    "read-timeout": ReadTimeoutError(endpoint_url="https://aws"),
    "reset": ConnectionClosedError(endpoint_url="https://aws"),
    "tls-eof": SSLError(endpoint_url="https://aws", error=ssl.SSLEOFError("EOF occurred in violation of protocol")),
    "no-such-host": EndpointConnectionError(endpoint_url="https://aws", error="unknown"),
}
# The request was sent, and may have had its effect.
NO_ANSWER = ("read-timeout", "reset", "tls-eof")


def an_event(source: str = "PostConfirmation_ConfirmSignUp", **user_attributes: Any) -> dict[str, Any]:
    return {
        "version": "1",
        "region": "eu-central-1",
        "userPoolId": "eu-central-1_abcdefghi",
        "userName": "ada.l",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "app1"},
        "triggerSource": source,
        "request": {
            "userAttributes": {
                "sub": SUB,
                "email": "ada@example.com",
                "email_verified": "true",
                "name": "Ada Lovelace",
                "phone_number": "+441234567",
                "custom:plan": "gold",
                "cognito:user_status": "CONFIRMED",
                **user_attributes,
            }
        },
        "response": {},
    }


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("USER_SYNC_STATE_MACHINE_ARN", USER_SYNC)
    monkeypatch.setenv("RETRY_QUEUE_URL", QUEUE_URL)
    caplog.set_level(logging.INFO)


@pytest.fixture
def chained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINED_FUNCTION_ARN", THEIRS)


@contextmanager
def answering_once_per_connection() -> Iterator[tuple[str, list[str]]]:
    """Serve StartExecution: answer the first request of each connection, and close the connection at the second.

    Yields the URL, and what became of each request.
    """
    requests = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        answered = False

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            requests.append("closed" if self.answered else "answered")
            if self.answered:
                self.close_connection = True
                return
            self.answered = True
            self.send_response(200)
            self.send_header("Content-Length", str(len(STARTED.content)))
            self.end_headers()
            self.wfile.write(STARTED.content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True  # the client keeps its connection open
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """All that the records hold, their extra fields included."""
    return "\n".join(repr(vars(record)) for record in caplog.records)


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the levels of this module's records: botocore may log where it found credentials."""
    return [record.levelname for record in caplog.records if record.name.startswith("cognito_user_sync.")]


def assert_nothing_personal_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert [value for value in PERSONAL if value in logged(caplog)] == []


@pytest.mark.parametrize("source", sync_request.REASON_OF_TRIGGER_SOURCE)
def test_post_confirmation_only_starts_an_execution(aws: FakeAws, source: str) -> None:
    aws.on(START, STARTED)
    event = an_event(source)
    original = copy.deepcopy(event)
    assert post_confirmation.handler(event, FakeContext()) is event
    assert event == original
    assert aws.operations == [START]


def test_post_confirmation_starts_a_sign_up_under_its_fixed_name(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    post_confirmation.handler(an_event(), FakeContext())
    [call] = aws.calls
    assert call.body["stateMachineArn"] == USER_SYNC
    assert call.body["name"] == f"sign-up-{SUB}"
    request = json.loads(call.body["input"])
    assert request.pop("occurred_at") == sync_request.parse(json.loads(call.body["input"])).occurred_at
    assert request == {"sub": SUB, "username": "ada.l", "reason": "sign_up", "client_id": "app1"}


@pytest.mark.parametrize("source", sync_request.REASON_OF_TRIGGER_SOURCE)
def test_post_confirmation_sends_no_attribute_of_the_user(aws: FakeAws, source: str) -> None:
    """Neither in an execution nor in the queue."""
    aws.on(START, error_response("ThrottlingException"))
    aws.on(QUEUE, QUEUED)
    post_confirmation.handler(an_event(source), FakeContext())
    assert aws.operations == [START, QUEUE]
    sent = json.dumps([call.body for call in aws.calls])
    assert [value for value in PERSONAL if value != "ada.l" and value in sent] == []


def test_post_confirmation_starts_a_password_reset_under_a_new_name(aws: FakeAws) -> None:
    aws.on(START, STARTED)
    post_confirmation.handler(an_event("PostConfirmation_ConfirmForgotPassword"), FakeContext())
    post_confirmation.handler(an_event("PostConfirmation_ConfirmForgotPassword"), FakeContext())
    call, again = aws.calls
    assert call.body["name"] != again.body["name"]
    assert json.loads(call.body["input"])["reason"] == "password_reset"


def test_post_confirmation_sets_the_time_of_the_request(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.on(START, STARTED)
    monkeypatch.setattr(post_confirmation.user, "now", lambda: "2026-01-01T00:00:00.000Z")
    post_confirmation.handler(an_event(), FakeContext())
    assert json.loads(aws.calls[0].body["input"])["occurred_at"] == "2026-01-01T00:00:00.000Z"


def test_started_execution_is_not_queued_or_logged_as_a_failure(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    # Cognito invokes the trigger again if the response was lost.
    aws.on(START, error_response("ExecutionAlreadyExists"))
    event = an_event()
    assert post_confirmation.handler(event, FakeContext()) is event
    assert aws.operations == [START]
    assert levels(caplog) == []


@pytest.mark.parametrize("failure", NO_ANSWER)
def test_execution_without_an_answer_is_started_again(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    aws.on(START, WAYS_TO_FAIL[failure], STARTED)
    event = an_event()
    assert post_confirmation.handler(event, FakeContext()) is event
    first, second = aws.calls
    assert first == second
    assert levels(caplog) == ["INFO"]


def test_execution_is_started_again_over_a_new_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that was closed while Lambda had frozen the function looks open until a request is sent."""
    monkeypatch.setattr(post_confirmation, "_SESSION", get_session())  # one that FakeAws does not answer
    with answering_once_per_connection() as (url, requests):
        monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", url)
        for _ in range(3):
            post_confirmation.handler(an_event(), FakeContext())
    assert requests == ["answered", "closed", "answered", "closed", "answered"]
    assert "queued for retry" not in caplog.text


def test_execution_is_not_started_again_after_the_first_seconds(aws: FakeAws, clock: Clock) -> None:
    def hang(_: dict[str, Any]) -> Answer:
        clock.sleep(1.6)
        return WAYS_TO_FAIL["read-timeout"]

    aws.answers[START] = hang
    aws.on(QUEUE, QUEUED)
    post_confirmation.handler(an_event(), FakeContext())
    assert aws.operations == [START, QUEUE]


@pytest.mark.parametrize("failure", WAYS_TO_FAIL)
def test_post_confirmation_queues_a_request_that_cannot_be_started(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    aws.on(START, WAYS_TO_FAIL[failure])
    aws.on(QUEUE, QUEUED)
    event = an_event()
    original = copy.deepcopy(event)
    assert post_confirmation.handler(event, FakeContext()) is event
    assert event == original

    *starts, sent = aws.calls
    start = starts[0]
    # One attempt if there was an answer: the queue is the retry.
    assert [*starts, sent.operation] == [*[start] * (2 if failure in NO_ANSWER else 1), QUEUE]
    assert sent.body["QueueUrl"] == QUEUE_URL
    queued = sync_request.parse(json.loads(sent.body["MessageBody"]))
    assert queued == sync_request.parse(json.loads(start.body["input"]))
    assert queued == sync_request.SyncRequest(SUB, "ada.l", "sign_up", queued.occurred_at, "app1")
    assert queued.occurred_at
    assert levels(caplog) == [*["INFO"] * (len(starts) - 1), "WARNING", "INFO"]
    assert_nothing_personal_logged(caplog)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(post_confirmation, "time", SimpleNamespace(monotonic=clock, sleep=clock.sleep))
    return clock


@pytest.mark.parametrize("failure", WAYS_TO_FAIL)
def test_post_confirmation_logs_an_error_if_both_fail(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, clock: Clock, failure: str
) -> None:
    aws.on(START, error_response("InternalFailure", 500, "ada@example.com"))
    aws.on(QUEUE, WAYS_TO_FAIL[failure])
    event = an_event()
    assert post_confirmation.handler(event, FakeContext()) is event
    assert aws.operations == [START, QUEUE] * 5
    assert clock.seconds <= 1.5
    [error] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert vars(error)["sub"] == SUB
    assert_nothing_personal_logged(caplog)


def test_post_confirmation_retries_if_both_fail(aws: FakeAws, caplog: pytest.LogCaptureFixture, clock: Clock) -> None:
    aws.on(START, error_response("ThrottlingException"), error_response("ThrottlingException"), STARTED)
    aws.on(QUEUE, error_response("ThrottlingException"))
    post_confirmation.handler(an_event(), FakeContext())
    assert aws.operations == [START, QUEUE, START, QUEUE, START]
    assert "ERROR" not in levels(caplog)


def test_post_confirmation_does_not_retry_if_both_fail_slowly(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    queue_error = post_confirmation._queue_error

    def slowly(request: sync_request.SyncRequest) -> str | None:
        clock.sleep(1.5)
        return queue_error(request)

    monkeypatch.setattr(post_confirmation, "_queue_error", slowly)
    aws.on(START, error_response("ThrottlingException"))
    aws.on(QUEUE, error_response("ThrottlingException"))
    post_confirmation.handler(an_event(), FakeContext())
    assert aws.operations == [START, QUEUE]
    assert levels(caplog)[-1] == "ERROR"


@pytest.mark.parametrize("fast", range(6))
def test_handler_ends_in_time_when_every_call_hangs(aws: FakeAws, clock: Clock, fast: int) -> None:
    """Some calls fail fast before. What is tried again then must leave time for the slowest calls."""
    failures = 0

    def fail(_: dict[str, Any]) -> Answer:
        nonlocal failures
        failures += 1
        if failures > fast:
            clock.sleep(1.2)
        return WAYS_TO_FAIL["reset" if failures <= fast else "read-timeout"]

    aws.answers = {START: fail, QUEUE: fail}
    post_confirmation.handler(an_event(), FakeContext())
    assert clock.seconds <= 3.9


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "event",
        {},
        an_event("PreSignUp_SignUp"),
        an_event("PostConfirmation_SomethingNew"),
        an_event(sub=None),
        an_event(sub="ada@example.com"),
        an_event(sub=7),
        {**an_event(), "userName": None},
        {**an_event(), "userName": ""},
        {**an_event(), "request": None},
        {**an_event(), "request": {"userAttributes": ["ada@example.com"]}},
    ],
    ids=range(13),
)
def test_post_confirmation_returns_an_invalid_event_unchanged(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, event: Any
) -> None:
    original = copy.deepcopy(event)
    assert post_confirmation.handler(event, FakeContext()) is event
    assert event == original
    assert aws.calls == []
    assert levels(caplog) == ["ERROR"]
    assert_nothing_personal_logged(caplog)


def test_post_confirmation_returns_the_event_if_calls_hang(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With real timeouts: test_clients.py has their lengths, and the test above has the sum of all calls."""
    # They take the connection and the request, and never answer.
    monkeypatch.setattr(post_confirmation, "_SESSION", get_session())  # one that FakeAws does not answer
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        for service in ("SFN", "SQS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://127.0.0.1:{hanging.getsockname()[1]}")
        event = an_event()
        assert post_confirmation.handler(event, FakeContext()) == event
    assert set(levels(caplog)[:-1]) <= {"INFO", "WARNING"}
    assert levels(caplog)[-1] == "ERROR"


# The function that the pool had before.


def test_chained_function_gets_the_event_and_its_response_is_returned(aws: FakeAws, chained: None) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, Response({"response": {"theirs": True}}))
    event = an_event()
    assert post_confirmation.handler(event, FakeContext()) == {"response": {"theirs": True}}
    assert aws.operations == [START, INVOKE]
    assert aws.calls[1].body == event
    assert aws.calls[1].path == f"/2015-03-31/functions/{THEIRS}/invocations"


def test_chained_function_error_is_raised_with_its_message(aws: FakeAws, chained: None) -> None:
    aws.on(START, STARTED)
    answer = {"errorMessage": "Sorry, no more seats", "errorType": "Full"}
    aws.on(INVOKE, Response(answer, headers={"X-Amz-Function-Error": "Unhandled"}))
    with pytest.raises(post_confirmation.ChainedFunctionError) as raised:
        post_confirmation.handler(an_event(), FakeContext())
    assert str(raised.value) == "Sorry, no more seats"


@pytest.mark.parametrize("failure", [failure for failure in WAYS_TO_FAIL if failure != "access-denied"])
def test_chained_function_that_cannot_be_invoked_fails_the_trigger(
    aws: FakeAws, caplog: pytest.LogCaptureFixture, chained: None, failure: str
) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, WAYS_TO_FAIL[failure])
    with pytest.raises(
        post_confirmation.ChainedFunctionError, match=f"^{OF_THE_POOL} could not be invoked: "
    ) as raised:
        post_confirmation.handler(an_event(), FakeContext())
    # Cognito shows the message to the client.
    assert "arn:" not in str(raised.value)
    assert caplog.records[-1].__dict__["function_arn"] == THEIRS
    # As a rule it is not invoked twice: Cognito calls again.
    assert aws.operations == [START, *[INVOKE] * (2 if failure in ("reset", "tls-eof") else 1)]
    assert_nothing_personal_logged(caplog)


def test_chained_function_is_retried_until_permitted(aws: FakeAws, clock: Clock, chained: None) -> None:
    # The apply that names the chained function made it a moment ago.
    aws.on(START, STARTED)
    aws.on(
        INVOKE,
        error_response("AccessDeniedException"),
        error_response("AccessDeniedException"),
        Response({"theirs": True}),
    )
    assert post_confirmation.handler(an_event(), FakeContext()) == {"theirs": True}
    assert aws.operations == [START, INVOKE, INVOKE, INVOKE]
    assert clock.seconds > 0


def test_chained_function_without_permission_fails_the_trigger_in_time(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch, clock: Clock, chained: None
) -> None:
    context = FakeContext(4.5)
    monkeypatch.setattr(
        post_confirmation.time, "sleep", lambda s: object.__setattr__(context, "seconds_left", context.seconds_left - s)
    )
    aws.on(START, STARTED)
    aws.on(INVOKE, error_response("AccessDeniedException"))
    with pytest.raises(post_confirmation.ChainedFunctionError, match=f"^{OF_THE_POOL} .*AccessDeniedException"):
        post_confirmation.handler(an_event(), context)
    assert 0.5 < context.seconds_left < 1.5


def test_chained_function_with_a_partial_response_fails_the_trigger(aws: FakeAws, chained: None) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, Response({"theirs": True}, headers={"Content-Length": "1000"}))
    with pytest.raises(post_confirmation.ChainedFunctionError, match=f"^{OF_THE_POOL} .*IncompleteReadError"):
        post_confirmation.handler(an_event(), FakeContext())


def test_chained_function_is_invoked_if_the_start_fails(aws: FakeAws, chained: None) -> None:
    aws.on(START, error_response("ThrottlingException"))
    aws.on(QUEUE, error_response("AccessDenied"))
    aws.on(INVOKE, Response({"theirs": True}))
    assert post_confirmation.handler(an_event(), FakeContext()) == {"theirs": True}


def test_chained_function_is_invoked_for_an_unknown_event(aws: FakeAws, chained: None) -> None:
    aws.on(INVOKE, Response({"theirs": True}))
    event = an_event("PostConfirmation_SomethingNew")
    assert post_confirmation.handler(event, FakeContext()) == {"theirs": True}
    assert aws.calls[0].body == event


@pytest.mark.parametrize("failure", ["reset", "tls-eof"])
def test_chained_function_is_retried_over_a_new_connection(aws: FakeAws, chained: None, failure: str) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, WAYS_TO_FAIL[failure], Response({"theirs": True}))
    assert post_confirmation.handler(an_event(), FakeContext()) == {"theirs": True}
    assert aws.operations == [START, INVOKE, INVOKE]


def test_import_makes_the_clients_of_each_invocation(aws: FakeAws, chained: None) -> None:
    """Lambda gives an import more CPU than an invocation."""
    aws.on(START, STARTED)
    aws.on(INVOKE, Response({}))
    spec = importlib.util.spec_from_file_location("trigger", post_confirmation.__file__)
    assert spec
    assert spec.loader
    trigger = importlib.util.module_from_spec(spec)
    session = aws.session._session
    with patch("botocore.session.get_session", lambda: session):
        spec.loader.exec_module(trigger)
    with patch.object(session, "create_client") as make:
        for _ in range(2):
            trigger.handler(an_event(), FakeContext())
    assert make.call_count == 0
    assert aws.operations == [START, INVOKE] * 2


def test_post_confirmation_logs_only_the_code_of_an_error() -> None:
    # Its message may repeat what was sent.
    assert post_confirmation._name(HTTPClientError(error="ada@example.com")) == "HTTPClientError"


@pytest.mark.parametrize("payload", [b"", b"<html>", b"[" * 100_000], ids=["nothing", "html", "deep"])
def test_chained_function_without_json_fails_the_trigger(aws: FakeAws, chained: None, payload: bytes) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, Response(payload))
    with pytest.raises(post_confirmation.ChainedFunctionError, match=f"^{OF_THE_POOL} did not return JSON"):
        post_confirmation.handler(an_event(), FakeContext())


def test_chained_function_error_without_a_message_is_raised(aws: FakeAws, chained: None) -> None:
    aws.on(START, STARTED)
    aws.on(INVOKE, Response(b"[]", headers={"X-Amz-Function-Error": "Unhandled"}))
    with pytest.raises(post_confirmation.ChainedFunctionError):
        post_confirmation.handler(an_event(), FakeContext())


def test_dry_run_tells_whether_the_chained_function_may_be_invoked(aws: FakeAws, chained: None) -> None:
    aws.on(
        INVOKE,
        error_response("ResourceNotFoundException", 404),
        error_response("AccessDeniedException"),
        Response(b"", 204),
    )
    answers = [post_confirmation.handler(DRY_RUN, FakeContext()) for _ in range(3)]
    assert answers == [{"error": "ResourceNotFoundException"}, {"error": "AccessDeniedException"}, {"error": None}]
    assert aws.operations == [INVOKE] * 3
    assert {call.headers["X-Amz-Invocation-Type"] for call in aws.calls} == {"DryRun"}
    assert {call.path for call in aws.calls} == {f"/2015-03-31/functions/{THEIRS}/invocations"}


def test_dry_run_without_a_chained_function_does_nothing(aws: FakeAws) -> None:
    assert post_confirmation.handler(DRY_RUN, FakeContext()) == {"error": None}
    assert aws.operations == []
