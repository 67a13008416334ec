"""Stands in for AWS where a test makes ten thousand calls: what botocore does to a request and to an answer happens,
what takes its time does not. Nothing is signed, sent, or tried again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, TypeAlias

import boto3
from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel
from botocore.parsers import create_parser

from tests.unit.fakes import Answer, Response

Json: TypeAlias = dict[str, Any]

_PARSERS: dict[str, Any] = {protocol: create_parser(protocol) for protocol in ("json", "rest-json")}


class QuickAws:
    """Answers every client that the session makes at botocore's event `before-call`, after the request was validated
    and written. Operations are named as botocore's events name them: `sfn.StartExecution`."""

    def __init__(self, session: boto3.Session) -> None:
        self.session = session
        self.answers: dict[str, Callable[[Json], Answer]] = {}
        """What answers each operation. One without an answer fails its test."""

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Every client that the session makes meanwhile is answered here."""
        self.session.events.register("before-call", self._call)
        try:
            yield
        finally:
            self.session.events.unregister("before-call", self._call)

    def _call(self, model: OperationModel, params: Json, event_name: str, **_: Any) -> Any:
        answer = self.answers[event_name.removeprefix("before-call.")](json.loads(params["body"]))
        if isinstance(answer, BotoCoreError):
            raise answer
        return SimpleNamespace(status_code=answer.status), _parsed(answer, model)


def _parsed(answer: Response, model: OperationModel) -> Any:
    """The answer as botocore reads it, with what an error's own shape has."""
    parser = _PARSERS[model.metadata["protocol"]]
    content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    raw = {"status_code": answer.status, "headers": dict(answer.headers), "body": content}
    parsed = parser.parse(raw, model.output_shape)
    shape = model.service_model.shape_for_error_code(parsed["Error"]["Code"]) if answer.status >= 300 else None
    return {**parsed, **parser.parse(raw, shape)} if shape else parsed
