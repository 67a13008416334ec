"""The ASGI application behind `access.py`: control endpoints, the gate, the emulator, then Cognito's side effects.

Import this in the server process only, after `server.prepare_environment`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from ministack.app import app as ministack_app
from ministack.core.concurrency import run_reentrant

from local_aws import cognito_side_effects, control, emulator_patches, in_process_calls, records
from local_aws.closed_connections import close_without_answer
from local_aws.gate import counted_operation, gate
from local_aws.operations import Call, Request, call_of, headers_of
from local_aws.service_errors import Response, error_response, json_error

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# How long a "timeout" fault keeps a connection open if the client does not close it.
HELD_SECONDS: Final = 60.0

records.install()
emulator_patches.apply()
in_process_calls.install(gate)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        await ministack_app(scope, receive, send)
        return
    request = await _read(scope, receive)
    if request is None:
        return
    if request.path.startswith(control.PREFIX):
        # In a thread: a sign-in invokes a function, which calls the local AWS.
        answer = await run_reentrant(control.answer, gate, request, thread_name="local-aws-control")
        await respond(send, answer)
        return
    call = call_of(request)
    if call is None:
        await ministack_app(scope, _with_body(request, receive), send)
        return
    await _answer(call, request, scope, receive, send)


async def _answer(call: Call, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
    outcome = gate.admit(call.operation, call.caller, call.function, b'"PaginationToken"' in request.body)
    if outcome.delay_seconds:
        await asyncio.sleep(outcome.delay_seconds)
    if outcome.fault is not None and not outcome.after:
        await _fail(outcome.fault, call, request, scope, receive, send)
        return
    counted_operation.set(call.operation)
    emulator_patches.current_request.set(request)
    side_effects = cognito_side_effects.of(call, request)
    response = await _collect(scope, request, receive)
    if side_effects is not None:
        response = await side_effects(response)
    if outcome.fault is not None:
        await _fail(outcome.fault, call, request, scope, receive, send)
    else:
        await respond(send, response)


async def _fail(fault: str, call: Call, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
    match fault:
        case "throttle" | "500" | "access_denied" | "kms_access_denied" | "kms_invalid_state":
            await respond(send, error_response(fault, call, request))
        case "rejected_marker":
            message = f"Paging marker is invalid for request {uuid.uuid4()}"
            await respond(send, json_error("InvalidParameterException", message))
        case "timeout":
            await _wait_for_disconnect(receive)
            close_without_answer(scope)
        case "reset":
            close_without_answer(scope)
        case _:
            raise AssertionError(f"no such fault: {fault}")


async def _wait_for_disconnect(receive: Receive) -> None:
    async def disconnected() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(disconnected(), HELD_SECONDS)
    except TimeoutError:
        return


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """Return the whole request, or None if the client disconnects while it sends it."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(scope["method"], scope["path"], query, headers_of(scope), b"".join(chunks))


def _with_body(request: Request, receive: Receive) -> Receive:
    """Return a `receive` that returns the body again, and then continues with the real one."""
    is_returned = False

    async def receive_again() -> Message:
        nonlocal is_returned
        if is_returned:
            return await receive()
        is_returned = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    return receive_again


async def _collect(scope: Scope, request: Request, receive: Receive) -> Response:
    """Return the emulator's answer. The client does not get it yet."""
    status, headers, body = 500, {}, b""

    async def collected(message: Message) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")

    await ministack_app(scope, _with_body(request, receive), collected)
    return status, headers, body


async def respond(send: Send, response: Response) -> None:
    status, headers, body = response
    kept = {
        name: value for name, value in headers.items() if name.lower() not in ("content-length", "transfer-encoding")
    }
    kept["content-length"] = str(len(body))
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in kept.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
