"""Access control: rejects requests before anything else handles them.

Every web page can send requests to this machine, and so can its other users. A request is rejected if it comes from a
browser, or if it does not have the access key of this start. One origin can be allowed by name, for the operations of
Cognito that AWS serves without credentials.
"""

from __future__ import annotations

import os
import re
import uuid
from hmac import compare_digest
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from ministack.core.iam_actions import access_denied_response, unsigned_operations
from ministack.core.iam_evaluator import find_iam_access_key_account
from ministack.core.responses import fix_error_content_type
from ministack.core.router import detect_service, extract_access_key_id
from ministack.services import sts

from local_aws.application import application, respond
from local_aws.emulator_patches import download_addresses
from local_aws.operations import headers_of
from local_aws.service_errors import json_error

if TYPE_CHECKING:
    from local_aws.application import Message, Receive, Scope, Send

KEY_HEADER: Final = "x-local-aws-key"

# A page whose domain resolves to 127.0.0.1 (DNS rebinding) still sends its own name.
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
_ACCOUNT_ID: Final = re.compile(r"\d{12}")
_UNAUTHENTICATED: Final = {f"AWSCognitoIdentityProviderService.{name}" for name in unsigned_operations("cognito-idp")}
# The public keys with which an app verifies the tokens of a user pool.
_PUBLIC_KEYS: Final = re.compile(r"/[a-z0-9-]+_\w+/\.well-known/(jwks\.json|openid-configuration)")
_EXPOSED: Final = b"x-amzn-requestid, x-amzn-errortype, x-amzn-errormessage, date"


class Guard:
    """The ASGI application behind access control."""

    def __init__(self, allowed_origin: str | None) -> None:
        self._access_key = os.environ["AWS_ACCESS_KEY_ID"]
        self._allowed_origin = allowed_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
            return
        headers = headers_of(scope)
        allowed = self._allowed_origin is not None and headers.get("origin") == self._allowed_origin
        send = _with_cors(send, _cors(headers) if allowed else [])
        if reason := self._reason_to_reject(scope, headers, allowed):
            await _reject(reason, scope, headers, receive, send)
        elif allowed and scope["method"] == "OPTIONS":
            await respond(send, (204, {}, b""))
        else:
            await application(scope, receive, send)

    def _reason_to_reject(self, scope: Scope, headers: dict[str, str], allowed: bool) -> str | None:
        if not _HOST.fullmatch(headers.get("host", "")):
            return f"the header Host is {headers.get('host')!r}: it must be 127.0.0.1 or localhost"
        if allowed:
            if _is_unauthenticated(scope, headers) or (scope.get("method"), scope["path"]) == ("OPTIONS", "/"):
                return None
            return "the allowed origin may call only the operations of Cognito that need no credentials"
        if "origin" in headers or "sec-fetch-site" in headers:
            return (
                f"web pages may not call the local AWS, and the origin {headers.get('origin')!r} is not allowed. "
                "For your own app: make local-aws-up ALLOW_ORIGIN=http://localhost:5173"
            )
        if scope["path"].startswith("/_"):
            if self._is_access_key(headers.get(KEY_HEADER, "")) or _is_signed_address(scope):
                return None
            return "the header X-Local-Aws-Key must have the access key of this start, as local-aws-env prints it"
        if self._is_signed(scope, headers) or _is_unauthenticated(scope, headers) or _is_public(scope):
            return None
        return "the call is not signed with the access key of this start, which local-aws-env prints"

    def _is_signed(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Return whether a call has the key of this start, or a key of the emulator, which verifies the signature."""
        access_key = extract_access_key_id(headers, _query(scope))
        if _ACCOUNT_ID.fullmatch(access_key):  # To the emulator, the ID of an account is its root's key.
            access_key = headers.get("x-amz-security-token", "")
        return (
            self._is_access_key(access_key)
            or access_key in sts._sessions
            or find_iam_access_key_account(access_key) is not None
        )

    def _is_access_key(self, given: str) -> bool:
        return compare_digest(given.encode(), self._access_key.encode())


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _is_signed_address(scope: Scope) -> bool:
    """Return whether it is an address for downloads that the emulator has returned."""
    [given, *_] = _query(scope).get("X-Amz-Signature", [""])
    return compare_digest(given.encode(), download_addresses.signature(scope["path"]).encode())


def _is_unauthenticated(scope: Scope, headers: dict[str, str]) -> bool:
    """Return whether an SDK calls an operation of Cognito that AWS serves without credentials."""
    is_call = (scope.get("method"), scope["path"], scope["query_string"]) == ("POST", "/", b"")
    return is_call and headers.get("x-amz-target") in _UNAUTHENTICATED


def _is_public(scope: Scope) -> bool:
    return scope.get("method") == "GET" and _PUBLIC_KEYS.fullmatch(scope["path"]) is not None


def _cors(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return the headers with which pages of the allowed origin may call and read the answer, also for a preflight."""
    return [
        (b"access-control-allow-origin", headers["origin"].encode("latin-1")),
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", headers.get("access-control-request-headers", "").encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"origin"),
    ]


def _with_cors(send: Send, cors: list[tuple[bytes, bytes]]) -> Send:
    """Send `cors` instead of the emulator's CORS headers, which let every page read the answer."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [header for header in message["headers"] if not header[0].lower().startswith(b"access-control-")]
            message = {**message, "headers": [*kept, *cors]}
        await send(message)

    return sent


async def _reject(reason: str, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
    """Answer 403 in the format of the called service."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before the handshake: 403
        return
    while (await receive()).get("more_body"):  # or the client may get a broken connection, without the reason
        pass
    if scope["path"].startswith("/_"):
        await respond(send, json_error("AccessDenied", reason, 403))
        return
    service = detect_service(scope["method"], scope["path"], headers, {})
    status, answer, body = access_denied_response(
        service, "", "", str(uuid.uuid4()), error_code="AccessDenied", message=reason, headers=headers
    )
    fix_error_content_type(service, status, answer)
    await respond(send, (status, answer, body))
