"""Maps errors of AWS calls to retryable and non-retryable exceptions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

# SES quotes the action: "... is not authorized to perform `ses:SendEmail' on resource ...".
_DENIED_ACTION = re.compile(r"not authorized to perform:? ?[`']?([\w-]+:\w+)")


class AccessDeniedError(Exception):
    """IAM denies a call. The message names the action.

    Worth retries for some minutes: IAM is eventually consistent, so the policy of a new role may not be effective yet.
    After that, an operator must change a policy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """


def raise_if_denied(error: ClientError) -> None:
    """Raise AccessDeniedError if IAM denied the call.

    Only the action of AWS's message is kept: the message of SES contains the recipient's address.
    """
    code = error.response["Error"]["Code"]
    if code == "AccessDeniedException":
        # Not always the call itself: DynamoDB names kms:Decrypt if the role may not use the table's key.
        action = _DENIED_ACTION.search(error.response["Error"].get("Message", ""))
        raise AccessDeniedError(f"{code}: {action[1] if action else error.operation_name}") from error


@contextmanager
def translate_errors(
    transient: Set[str],
    unavailable: type[Exception],
    rejected: type[Exception],
    passed_through: Set[str] = frozenset(),
) -> Iterator[None]:
    """Translate botocore's errors into this module's.

    The messages hold the error code only: AWS's message may repeat the request.

    Args:
        transient: Error codes after which the same call may succeed.
        unavailable: Raised for these codes, for an error of AWS's servers, and if no response arrives.
        rejected: Raised for all other codes.
        passed_through: Error codes that the caller handles. They are raised as they are.

    Raises:
        AccessDeniedError: IAM denies the call.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in passed_through:
            raise
        if code in transient or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise unavailable(code) from error
        raise_if_denied(error)
        raise rejected(code) from error
    except (NoConnectionError, HTTPClientError) as error:
        raise unavailable(type(error).__name__) from error


def message_of(cause: str) -> str:
    """Return the message in the `Cause` of a failed state: a Lambda error is JSON with message and stack trace."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return cause
