"""Ways to answer the calls of the code under test, from the fastest to the most complete.

CognitoClient replaces the boto3 client. QuickAws replaces what botocore does between writing the request and reading
the response. FakeAws replaces the network. `served` is a server.
"""

from __future__ import annotations

import io
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.useragent import UserAgentString
from botocore.validate import validate_parameters

from tests.fakes.answers import Answer, Response, result
from tests.fakes.cognito_pool import CognitoPool

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

Json: TypeAlias = dict[str, Any]

# Cognito in the names of botocore's events.
COGNITO = "cognito-identity-provider"
COGNITO_MODEL: Any = ServiceModel(Loader().load_service_model("cognito-idp", "service-2"))


class CognitoClient:
    """A client for a CognitoPool without botocore, for runs with a large number of calls.

    It emits the events by which the code under test replaces the body of a request and reads that of a response.
    """

    exceptions = ClientExceptionsFactory().create_client_exceptions(COGNITO_MODEL)

    def __init__(self, pool: CognitoPool) -> None:
        self.meta = SimpleNamespace(events=self)
        self._handlers: dict[str, Callable[..., None]] = {}
        for operation in pool.operations:
            setattr(self, xform_name(operation), partial(self._call, pool, operation))

    def register(self, event: str, handler: Callable[..., None]) -> None:
        self._handlers[event] = handler

    def unregister(self, event: str, handler: Callable[..., None]) -> None:
        assert self._handlers.pop(event) == handler

    def _call(self, pool: CognitoPool, operation: str, **request: Any) -> Any:
        validate_parameters(request, COGNITO_MODEL.operation_model(operation).input_shape)
        if replace_body := self._handlers.get(f"before-call.{COGNITO}.{operation}"):
            params: Json = {}
            replace_body(params=params)
            request = json.loads(params["body"])
        answer = pool.answer(operation, request)
        read_body = self._handlers.get(f"before-parse.{COGNITO}.{operation}")
        if read_body and isinstance(answer, Response):
            read_body(response_dict={"body": answer.content})
        return result(answer, operation, self.exceptions.from_code)


def cognito_client(pool: CognitoPool) -> CognitoIdentityProviderClient:
    return cast("CognitoIdentityProviderClient", CognitoClient(pool))


@dataclass(frozen=True)
class Call:
    operation: str
    body: Any
    path: str
    headers: dict[str, str] = field(compare=False)


class FakeAws:
    """Replaces the network below real boto3 clients: all of botocore runs, including its retries.

    Operations have the names of botocore's events, such as `sfn.StartExecution`. A call without an answer fails the
    test.
    """

    event = "before-send"

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.calls: list[Call] = []
        self.answers: dict[str, Callable[[Json], Answer]] = {}
        """Returns the answer to a request, by operation."""
        self.asked = threading.local()
        """`path` and `query` are those of this thread's request. They are all that a GET has."""

    @contextmanager
    def answering(self, service: str = "") -> Iterator[None]:
        """Answer the clients that the session makes in the context, or only those of one service."""
        event = ".".join(filter(None, [self.event, service]))
        self.session.events.register(event, self._handle)
        try:
            yield
        finally:
            self.session.events.unregister(event, self._handle)

    def on(self, operation: str, *answers: Answer) -> None:
        """Answer calls of an operation with these in turn, and all later calls with the last."""
        left = deque(answers)
        self.answers[operation] = lambda _: left.popleft() if len(left) > 1 else left[0]

    def serve(self, pool: CognitoPool) -> None:
        """Answer every call to Cognito from a pool."""
        for operation in pool.operations:
            self.answers[f"{COGNITO}.{operation}"] = partial(pool.answer, operation)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def _answer(self, event_name: str, body: Json) -> Response:
        operation = event_name.removeprefix(f"{self.event}.")
        assert operation in self.answers, f"unexpected call of {operation}"
        answer = self.answers[operation](body)
        if isinstance(answer, BotoCoreError):
            raise answer
        return answer

    def _handle(self, request: Any, event_name: str, **_: Any) -> Any:
        content = request.body.read() if hasattr(request.body, "read") else request.body
        operation = event_name.removeprefix(f"{self.event}.")
        # These do not speak JSON.
        is_query = operation.startswith(("iam.", "sts."))
        body = dict(parse_qsl(content)) if is_query else json.loads(content or b"{}")
        self.asked.path = unquote(urlsplit(request.url).path)
        self.asked.query = dict(parse_qsl(urlsplit(request.url).query))
        sent = {
            name: str(value, "latin-1") if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        self.calls.append(Call(operation, body, self.asked.path, sent))
        answer = self._answer(event_name, body)
        headers: Any = dict(answer.headers)
        return AWSResponse(request.url, answer.status, headers, _Raw(answer.content))


class _Raw(io.BytesIO):
    """The part of urllib3's response that botocore uses."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


class QuickAws(FakeAws):
    """For a test that makes ten thousand calls: botocore validates and writes the request, and reads the response.
    Nothing is signed, sent, retried, or recorded."""

    event = "before-call"

    @contextmanager
    def answering(self, service: str = "") -> Iterator[None]:
        # Building the user agent takes a tenth of the time of such a test.
        with patch.object(UserAgentString, "to_string", lambda _: "QuickAws"), super().answering(service):
            yield

    def _handle(self, model: OperationModel, params: Json, event_name: str, **given: Any) -> Any:  # type: ignore[override]
        answer = self._answer(event_name, json.loads(params["body"]))
        raw = {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.content}
        # Code under test may read the response before botocore does.
        given["request_signer"]._event_emitter.emit(
            event_name.replace(self.event, "before-parse", 1), operation_model=model, response_dict=raw
        )
        return SimpleNamespace(status_code=answer.status), _parsed(raw, model)


_PARSERS: dict[str, Any] = {protocol: create_parser(protocol) for protocol in ("json", "rest-json")}


def _parsed(raw: Json, model: OperationModel) -> Any:
    """Return the response as botocore reads it, with the members of an error's shape."""
    parser = _PARSERS[model.metadata["protocol"]]
    parsed = parser.parse(raw, model.output_shape)
    shape = model.service_model.shape_for_error_code(parsed["Error"]["Code"]) if raw["status_code"] >= 300 else None
    return {**parsed, **parser.parse(raw, shape)} if shape else parsed


@contextmanager
def served(pool: CognitoPool) -> Iterator[str]:
    """Serve a pool over HTTP on this machine. Yields the endpoint's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = pool.answer(self.headers["X-Amz-Target"].rpartition(".")[2], json.loads(body))
            if isinstance(answer, BotoCoreError):
                self.close_connection = True  # without a response
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Connection", "keep-alive")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True  # a client keeps its connection open
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
