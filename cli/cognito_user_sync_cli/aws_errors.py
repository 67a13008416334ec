"""What an error of AWS means to the operator: a missing resource, missing permissions, or an outage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError

# Errors of cognito_user_sync in place of those of boto3. They have only a code. Their cause has the message of AWS.
TRANSLATED_ERRORS = (
    AccessDeniedError,
    CognitoRejectedError,
    CognitoUnavailableError,
    TableRejectedError,
    TableUnavailableError,
)

_MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchEntity",
        "NotFoundException",
        "ParameterNotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "KMSAccessDeniedException",
        "KmsAccessDeniedException",
        "UnauthorizedOperation",
    }
)
_NO_LOGIN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    }
)
_HEALTH = "See https://health.aws.amazon.com/health/status, and try again"

Answer = TypeVar("Answer")


def none_if_missing(read: Callable[[], Answer]) -> Answer | None:
    """Return the result of a call, or None if the resource does not exist."""
    try:
        return read()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        return None


def is_outage(error: BotoCoreError | ClientError) -> bool:
    """Return whether the service did not respond, or responded with a server error."""
    if isinstance(error, ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, NoConnectionError | HTTPClientError)


def why_unreadable(error: BotoCoreError | ClientError) -> str:
    """Return why something cannot be read, and what to do, in one line."""
    return f"{' '.join(str(error).split()).rstrip('.')}. {what_to_do(error, 'read-only-permissions')}"


def what_to_do(error: BotoCoreError | ClientError, permissions: str = "what-each-command-reads-and-changes") -> str:
    """Return what to do about an error.

    Args:
        error: The error of boto3.
        permissions: The section of docs/operations.md that lists the permissions.
    """
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if code in _DENIED:
        return f"These credentials need more permissions: docs/operations.md#{permissions}"
    if code in _NO_LOGIN:
        return "Log in again, or set other AWS credentials"
    return _HEALTH if is_outage(error) else "Try again"
