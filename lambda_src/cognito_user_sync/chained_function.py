"""Verifies that post_confirmation may invoke the chained function, the pool's own post-confirmation function.

Otherwise each confirmation of a user would fail. Only post_confirmation can verify it: its role has the permission, and
a function of another account may permit only that role. So pool_trigger invokes it before attaching the trigger.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# The event for post_confirmation, which is not one of Cognito. The response is {"error": null or Lambda's code}.
DRY_RUN = {"dry_run": "chained_function"}

# Other errors are retried: a new policy may not be effective yet, since IAM is eventually consistent.
_DOES_NOT_EXIST = "ResourceNotFoundException"
_PAUSE_SECONDS = 2.0
# Reserved for attaching the trigger.
_ATTACH_SECONDS = 45.0


class ChainedFunctionUnavailableError(Exception):
    """post_confirmation cannot invoke the chained function. The message names it, and has the fix."""


def verify(
    client: LambdaClient, post_confirmation_arn: str, chained_function_arn: str, seconds_left: Callable[[], float]
) -> None:
    """Raise ChainedFunctionUnavailableError unless post_confirmation may invoke the chained function."""
    while error := _error_of_dry_run(client, post_confirmation_arn):
        if error == _DOES_NOT_EXIST or seconds_left() < _ATTACH_SECONDS + _PAUSE_SECONDS:
            raise ChainedFunctionUnavailableError(
                f"chained_function_arn is {chained_function_arn}, which {post_confirmation_arn} cannot invoke: {error}."
                " The function must exist. A function of another account must also permit the role of this module's"
                " function to invoke it. The pool was not changed. If its trigger was attached before, every sign-up"
                " ends with an error until chained_function_arn is correct and applied."
            )
        time.sleep(_PAUSE_SECONDS)


def _error_of_dry_run(client: LambdaClient, post_confirmation_arn: str) -> str | None:
    try:
        response = client.invoke(FunctionName=post_confirmation_arn, Payload=json.dumps(DRY_RUN).encode())
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return "AccessDeniedException"
    answer = json.loads(response["Payload"].read())
    # post_confirmation itself may fail, too.
    code: str | None = answer["errorType"] if response.get("FunctionError") else answer["error"]
    return code
