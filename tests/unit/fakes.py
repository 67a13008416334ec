"""Stands in for AWS and Lambda where moto is too kind: it cannot fail in the ways that matter here."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError


@dataclass(frozen=True)
class Response:
    """What the service answers over HTTP."""

    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer: TypeAlias = Response | BotoCoreError
"""What comes of a call: a response, or what botocore raises where none comes."""


def refusal(code: str, status: int = 400, message: str = "refused by the test") -> Response:
    return Response({"__type": code, "message": message}, status)


@dataclass(frozen=True)
class Call:
    operation: str
    body: Any
    path: str


class FakeAws:
    """Takes the place of the network under real boto3 clients: all of botocore runs, retries included.

    Operations are named as botocore's events name them: `sfn.StartExecution`. One without an answer fails its test.
    """

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.calls: list[Call] = []
        self._answers: dict[str, deque[Answer]] = {}

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Every client that the session makes meanwhile is answered here."""
        self.session.events.register("before-send", self._send)
        try:
            yield
        finally:
            self.session.events.unregister("before-send", self._send)

    def on(self, operation: str, *answers: Answer) -> None:
        """Answer calls of an operation with these in turn, and with the last for ever."""
        self._answers[operation] = deque(answers)

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def _send(self, request: Any, event_name: str, **_: Any) -> Any:
        operation = event_name.removeprefix("before-send.")
        body = request.body.read() if hasattr(request.body, "read") else request.body
        self.calls.append(Call(operation, json.loads(body or b"{}"), unquote(urlsplit(request.url).path)))
        assert operation in self._answers, f"unexpected call of {operation}"
        answers = self._answers[operation]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if isinstance(answer, BotoCoreError):
            raise answer
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers: Any = dict(answer.headers)
        return AWSResponse(request.url, answer.status, headers, _Raw(content))


class _Raw(io.BytesIO):
    """The part of urllib3's response that botocore uses."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


@dataclass(frozen=True)
class FakeContext:
    """Lambda's context of a call that has this much of its time left."""

    seconds_left: float = 5.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds_left * 1000)
