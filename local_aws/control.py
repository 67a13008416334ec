"""The local AWS's own endpoints, /_local/...: settings, call counts, records, sign-ins, health."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol

from local_aws import cognito_settings, federated_sign_ins, records

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
            return federated_sign_ins.sign_in(**_body(request))
        return _json(200, _answer(gate, request))
    except (ValueError, TypeError, AttributeError) as error:
        return _json(400, {"message": f"{request.method} {request.path}: {error}"})


class _Setting(Protocol):
    """A setting with its own address."""

    def replace(self, value: Any) -> None: ...

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
            is_by_caller = request.query.get("by") == ["caller"]
            return gate.calls.by_caller() if is_by_caller else gate.calls.by_operation()
        case "GET", "permissions":
            return records.permissions.as_json()
        case "GET", "logs":
            return records.logs.as_json()
        case "GET", "data":
            return records.data.as_json()
        case "DELETE", "calls":
            gate.calls.reset()
            return {}
    raise ValueError(f"expected one of {_ALLOWED}")


def _set(setting: _Setting, request: Request) -> object:
    if request.method == "PUT":
        setting.replace(_body(request))
    elif request.method == "DELETE":
        setting.clear()
    return setting.as_json()


def _body(request: Request) -> Any:
    return json.loads(request.body)


def _json(status: int, value: object) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode() + b"\n"
