"""Finds the operation of an HTTP request, by its IAM name, and the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from ministack.app import _routing_params
from ministack.core.iam_actions import extract_iam_action
from ministack.core.iam_evaluator import find_iam_access_key_account
from ministack.core.router import detect_service, extract_access_key_id
from ministack.services import iam, sts

if TYPE_CHECKING:
    from collections.abc import Mapping

_SES_V2 = "/v2/email/"


@dataclass(frozen=True)
class Request:
    """A whole HTTP request. Header names are lower case."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)


@dataclass(frozen=True)
class Call:
    """A call of AWS. `service` is the emulator's name, which decides the format of errors."""

    operation: str
    service: str
    caller: str
    function: str | None

    @property
    def action(self) -> str:
        return self.operation.partition(":")[2]


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of an ASGI scope, by lower-case name."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def call_of(request: Request) -> Call | None:
    """Return the AWS call of a request, or None for other requests (the emulator's own pages, OAuth)."""
    if request.path.startswith("/_"):
        return None
    params = _routing_params(request.method, request.path, request.headers, request.body, request.query)
    service = detect_service(request.method, request.path, request.headers, params)
    if request.path.startswith(_SES_V2):
        service = "ses"
    operation = extract_iam_action(service, request.method, request.path, request.headers, request.body, params)
    if operation is None:
        return None
    function = invoked_function(request.path) if operation == "lambda:InvokeFunction" else None
    form = "sesv2" if request.path.startswith(_SES_V2) else service
    return Call(operation, form, caller_of(request), function)


def invoked_function(path: str) -> str:
    """Return the name in /2015-03-31/functions/<name, ARN or partial ARN>[:qualifier]/invocations."""
    return function_name(unquote(path).partition("/functions/")[2].partition("/invocations")[0])


def function_name(reference: str) -> str:
    _, separator, name = reference.rpartition("function:")
    return (name if separator else reference).split(":")[0]


def caller_of(request: Request) -> str:
    """Return the role session's name (the function's name), the IAM user's name, "root" or "anonymous"."""
    access_key = extract_access_key_id(request.headers, request.query)
    if not access_key:
        return "anonymous"
    session = sts._sessions.get(access_key)
    if session is not None:
        return str(session["Arn"]).rsplit("/", 1)[-1]
    account = find_iam_access_key_account(access_key)
    if account is not None:
        record = iam._access_keys.get_scoped(account, None, access_key) or {}
        return str(record.get("UserName") or access_key)
    return "root"
