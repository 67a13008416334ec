"""Whether post_confirmation may invoke the chained function, the pool's own post-confirmation function.

Only post_confirmation can tell: its role has the permission, and another account's function may permit that role alone.
So pool_trigger asks it before the trigger is attached. Otherwise each confirmation of a user would fail.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# The event that asks post_confirmation; no event of Cognito is like it. The answer is {"error": null or Lambda's code}.
DRY_RUN = {"dry_run": "chained_function"}

# Any other error may pass: a policy made a moment ago has not arrived everywhere, since IAM is eventually consistent.
_DOES_NOT_EXIST = "ResourceNotFoundException"
_PAUSE_SECONDS = 2.0
# Kept for attaching the trigger.
_ATTACH_SECONDS = 45.0


class ChainedFunctionUnavailableError(Exception):
    """post_confirmation cannot invoke the chained function; the message names it, and says what to do."""


def verify(
    client: LambdaClient, post_confirmation_arn: str, chained_function_arn: str, seconds_left: Callable[[], float]
) -> None:
    """Raise ChainedFunctionUnavailableError unless post_confirmation may invoke the chained function."""
    while error := _error_of_dry_run(client, post_confirmation_arn):
        if error == _DOES_NOT_EXIST or seconds_left() < _ATTACH_SECONDS + _PAUSE_SECONDS:
            raise ChainedFunctionUnavailableError(
                f"chained_function_arn is {chained_function_arn}, which {post_confirmation_arn} cannot invoke: {error}."
                " It must be a function that exists. One of another account must permit the role of this module's"
                " function to invoke it. The pool was not changed."
            )
        time.sleep(_PAUSE_SECONDS)


def _error_of_dry_run(client: LambdaClient, post_confirmation_arn: str) -> str | None:
    try:
        response = client.invoke(FunctionName=post_confirmation_arn, Payload=json.dumps(DRY_RUN).encode())
    except client.exceptions.ClientError as error:
        if (code := error.response["Error"]["Code"]) != "AccessDeniedException":
            raise
        return code
    answer = json.loads(response["Payload"].read())
    # Its code may have failed, too.
    found: str | None = answer["errorType"] if response.get("FunctionError") else answer["error"]
    return found
