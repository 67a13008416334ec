"""Responses of AWS, and how boto3 returns or raises them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError


@dataclass(frozen=True)
class Response:
    """An HTTP response. `body` may hold dates, as boto3 returns them."""

    body: Mapping[str, Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as AWS sends it: a date is a number of seconds."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, default=datetime.timestamp).encode()


Answer: TypeAlias = Response | BotoCoreError
"""The result of a call: a response, or the error that botocore raises if there is no response."""


def error_response(code: str, status: int = 400, message: str = "rejected by the test", **members: Any) -> Response:
    """Return the response for an error, with the members that the error's shape adds."""
    return Response({"__type": code, "message": message, **members}, status)


def result(answer: Answer, operation: str, error_class: Callable[[str], Any] = lambda code: ClientError) -> Any:
    """Return what boto3 returns for an answer, or raise its error.

    Args:
        answer: The result of the call.
        operation: The operation, as AWS names it.
        error_class: The exception for an error code: `client.exceptions.from_code` of a boto3 client.
    """
    if isinstance(answer, BotoCoreError):
        raise answer
    assert not isinstance(answer.body, bytes)
    if answer.status < 300:
        return answer.body
    members: Any = dict(answer.body)
    error = {"Code": members.pop("__type"), "Message": members.pop("message")}
    metadata = {"HTTPStatusCode": answer.status}
    raise error_class(error["Code"])({**members, "Error": error, "ResponseMetadata": metadata}, operation)
