"""The local AWS's own endpoints, /_local/...: settings, call counts, what it keeps, sign-ins, health."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Protocol

from local_aws import cognito_settings, data_records, federated_sign_ins, function_logs, permissions
from local_aws.validation import InvalidSettingError, shown

if TYPE_CHECKING:
    from local_aws.gate import Gate
    from local_aws.operations import Request
    from local_aws.service_errors import Response

PREFIX = "/_local/"
_ALLOWED = (
    "GET, PUT and DELETE /_local/faults, GET, PUT and DELETE /_local/quotas, "
    "GET, PUT and DELETE /_local/cognito, POST /_local/federated-sign-in, "
    "GET and DELETE /_local/calls, GET /_local/permissions, GET /_local/logs, GET /_local/data, GET /_local/health"
)


def answer(gate: Gate, request: Request) -> Response:
    try:
        if (request.method, request.path) == ("POST", federated_sign_ins.PATH):
            return federated_sign_ins.sign_in(_body(request))
        return _json(200, _answer(gate, request))
    except InvalidSettingError as error:
        return _json(400, {"message": str(error)})


class _Setting(Protocol):
    """What is replaced, read and cleared at an address of its own."""

    def replace(self, value: object) -> None: ...

    def clear(self) -> None: ...

    def as_json(self) -> object: ...


def _answer(gate: Gate, request: Request) -> object:
    path = request.path.removeprefix(PREFIX)
    settings: dict[str, _Setting] = {
        "faults": gate.faults,
        "quotas": gate.quotas,
        "cognito": cognito_settings.in_force,
    }
    match request.method, path:
        case "GET" | "PUT" | "DELETE", _ if path in settings:
            return _set(settings[path], request)
        case "GET", "health":
            return {"status": "ready", "pid": os.getpid()}
        case "GET", "calls":
            return _calls(gate, request)
        case "GET", "permissions":
            return permissions.record.as_json()
        case "GET", "logs":
            return function_logs.kept.as_json()
        case "GET", "data":
            return data_records.kept.as_json()
        case "DELETE", "calls":
            gate.calls.reset()
            return {}
    raise InvalidSettingError(f"{request.method} {request.path} is not one of {_ALLOWED}")


def _set(setting: _Setting, request: Request) -> object:
    if request.method == "PUT":
        setting.replace(_body(request))
    elif request.method == "DELETE":
        setting.clear()
    return setting.as_json()


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
