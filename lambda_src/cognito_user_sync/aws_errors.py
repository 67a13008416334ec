"""Sorts what botocore raises into what may pass and what will not."""

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
    """IAM denies a call; the message names the action.

    Worth retries for some minutes: IAM is eventually consistent, and the policy of a new role may not have arrived
    everywhere. After that, somebody has to change a policy.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """


def raise_if_denied(error: ClientError) -> None:
    """Raises AccessDeniedError if IAM denied the call. Of AWS's message only the action is kept: that of SES has the
    recipient's address in it."""
    code = error.response["Error"]["Code"]
    if code == "AccessDeniedException":
        # Not always the call itself: DynamoDB names kms:Decrypt if it may not use the key of the table.
        action = _DENIED_ACTION.search(error.response["Error"].get("Message", ""))
        raise AccessDeniedError(f"{code}: {action[1] if action else error.operation_name}") from error


@contextmanager
def translated_errors(
    transient: Set[str], unavailable: type[Exception], refused: type[Exception], but: Set[str] = frozenset()
) -> Iterator[None]:
    """Raises `unavailable` for the error codes in `transient`, for a failure of AWS, and where no answer comes;
    AccessDeniedError if IAM denies the call; `refused` for every other code. The codes in `but` mean something to the
    caller: they are raised as they are.

    The messages hold the code alone: AWS's own may repeat what was sent.
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in but:
            raise
        if code in transient or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise unavailable(code) from error
        raise_if_denied(error)
        raise refused(code) from error
    except (NoConnectionError, HTTPClientError) as error:
        raise unavailable(type(error).__name__) from error


def message_of(cause: str) -> str:
    """Return what a cause in Step Functions says: a function's error comes as JSON with its message and stack trace."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return cause
