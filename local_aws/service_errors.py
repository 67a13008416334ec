"""The error responses of each AWS service, in the format of its SDK."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Final, Literal

from ministack.core.iam_actions import access_denied_response
from ministack.core.responses import fix_error_content_type

if TYPE_CHECKING:
    from local_aws.operations import Call, Request

Answered = Literal["throttle", "500", "access_denied", "kms_access_denied", "kms_invalid_state"]
Response = tuple[int, dict[str, str], bytes]

# Service (as the emulator names it) -> error code and HTTP status.
_THROTTLE: Final = {
    "cognito-idp": ("TooManyRequestsException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "monitoring": ("Throttling", 400),
    "iam": ("Throttling", 400),
    "s3": ("SlowDown", 503),
    "ses": ("Throttling", 400),
    "sesv2": ("TooManyRequestsException", 429),
    "sns": ("Throttling", 400),
    "sqs": ("RequestThrottled", 400),
    "sts": ("Throttling", 400),
}
_INTERNAL: Final = {
    "cognito-idp": "InternalErrorException",
    "dynamodb": "InternalServerError",
    "events": "InternalException",
    "lambda": "ServiceException",
    "monitoring": "InternalServiceFault",
    "s3": "InternalError",
}

# Errors of Lambda if it cannot decrypt a function's environment.
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
KMS_ERRORS: Final = {
    "kms_access_denied": (
        "KMSAccessDeniedException",
        "Lambda was unable to decrypt the environment variables because KMS access was denied.",
    ),
    "kms_invalid_state": (
        "KMSInvalidStateException",
        "Lambda was unable to decrypt the environment variables because the state of the KMS key is not valid.",
    ),
}


def error_of(kind: Answered, service: str) -> tuple[str, int, str]:
    """Return the service's code, HTTP status and message for a kind of failure."""
    if kind == "throttle":
        code, status = _THROTTLE.get(service, ("ThrottlingException", 400))
        return code, status, "Rate exceeded"
    if kind == "500":
        return _INTERNAL.get(service, "InternalFailure"), 500, "An internal error occurred."
    if kind in KMS_ERRORS:
        code, message = KMS_ERRORS[kind]
        return code, 502, message
    return "", 403, ""


def error_response(kind: Answered, call: Call, request: Request) -> Response:
    code, status, message = error_of(kind, call.service)
    principal = f"arn:aws:sts::000000000000:assumed-role/{call.caller}"
    _, headers, body = access_denied_response(
        call.service,
        call.operation,
        principal,
        str(uuid.uuid4()),
        error_code=code,
        message=message,
        headers=request.headers,
    )
    if call.service == "sqs" and kind == "throttle" and not request.headers.get("x-amz-target"):
        status = 403
    if kind == "access_denied" and request.headers.get("x-amz-target") and call.service != "sqs":
        status = 400
    fix_error_content_type(call.service, status, headers)
    return status, {**headers, "x-amzn-requestid": str(uuid.uuid4())}, body


def json_error(code: str, message: str, status: int = 400) -> Response:
    """Return an error of a service with a JSON protocol, such as cognito-idp."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-errortype": code,
        "x-amzn-requestid": str(uuid.uuid4()),
    }
    return status, headers, json.dumps({"__type": code, "message": message}).encode()
