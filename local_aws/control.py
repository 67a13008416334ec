"""The laptop AWS's own endpoints, /_local/...: faults, quotas, call counts, permissions, logs, health."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from local_aws import function_logs, permissions
from local_aws.validation import InvalidSettingError, shown

if TYPE_CHECKING:
    from local_aws.gate import Gate
    from local_aws.operations import Request
    from local_aws.service_errors import Response

PREFIX = "/_local/"
_ALLOWED = (
    "GET, PUT and DELETE /_local/faults, GET, PUT and DELETE /_local/quotas, "
    "GET and DELETE /_local/calls, GET /_local/permissions, GET /_local/logs, GET /_local/health"
)


def answer(gate: Gate, request: Request) -> Response:
    try:
        return _json(200, _answer(gate, request))
    except InvalidSettingError as error:
        return _json(400, {"message": str(error)})


def _answer(gate: Gate, request: Request) -> object:
    match request.method, request.path.removeprefix(PREFIX):
        case "GET", "health":
            return {"status": "ready", "pid": os.getpid()}
        case "GET", "faults":
            return gate.faults.as_json()
        case "PUT", "faults":
            gate.faults.replace(_body(request))
            return gate.faults.as_json()
        case "DELETE", "faults":
            gate.faults.clear()
            return []
        case "GET", "quotas":
            return gate.quotas.as_json()
        case "PUT", "quotas":
            gate.quotas.replace(_body(request))
            return gate.quotas.as_json()
        case "DELETE", "quotas":
            gate.quotas.clear()
            return {}
        case "GET", "calls":
            return _calls(gate, request)
        case "GET", "permissions":
            return permissions.record.as_json()
        case "GET", "logs":
            return function_logs.kept.as_json()
        case "DELETE", "calls":
            gate.calls.reset()
            return {}
    raise InvalidSettingError(f"{request.method} {request.path} is not one of {_ALLOWED}")


def _calls(gate: Gate, request: Request) -> object:
    by = request.query.get("by", ["operation"])[0]
    if by == "caller":
        return gate.calls.by_caller()
    if by == "operation":
        return gate.calls.by_operation()
    raise InvalidSettingError(f"by {shown(by)} is not 'operation' or 'caller'")


def _body(request: Request) -> object:
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise InvalidSettingError(
            f"the body {shown(request.body[:80].decode(errors='replace'))} is not JSON: {error}"
        ) from error


def _json(status: int, value: object) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode() + b"\n"
