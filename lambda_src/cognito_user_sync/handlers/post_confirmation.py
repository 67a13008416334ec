"""Cognito's post-confirmation trigger: starts the user_sync execution of a user who has just confirmed the sign-up.

Cognito waits 5 s for the response. It invokes the trigger up to three times, and then shows an error to the user:
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
The user is confirmed before the trigger runs, so an error would not help the user. The handler returns the event
unchanged after each failure of this module, in time:

| step                                            | connect | read  | ends after |
|-------------------------------------------------|---------|-------|------------|
| StartExecution                                  | 0.4 s   | 0.8 s | 1.2 s      |
| StartExecution again, if there was no response  | 0.4 s   | 0.8 s | 2.4 s      |
| SendMessage to the retry queue, if that failed  | 0.4 s   | 0.8 s | 3.6 s      |
| these again, if they failed fast                |         |       | 3.9 s      |

There are no retries after 1.5 s, so the last StartExecution ends by 2.7 s, and the last SendMessage by 3.9 s.

The rest of the 5 s is for what has no timeout: the cold start, the client of SQS, and DNS.

A chained function gets 4 s, which usually are left. If not, Lambda ends this invocation when Cognito stops waiting.
Cognito then invokes both functions again, as it would retry the chained function alone.
"""

from __future__ import annotations

import json
import logging
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError, SSLError

from cognito_user_sync import executions, settings, user
from cognito_user_sync.chained_function import DRY_RUN
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.sync_request import SyncRequest, from_trigger_event

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.literals import InvocationTypeType
    from mypy_boto3_lambda.type_defs import InvocationResponseTypeDef
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

# boto3 validates the parameters and builds a User-Agent for each request, which takes a tenth of a warm invocation.
_CONFIG = Config(
    connect_timeout=0.4,
    read_timeout=0.8,
    retries={"total_max_attempts": 1},
    parameter_validation=False,
    user_agent="cognito-user-sync",
)
_CHAINED_CONFIG = Config(connect_timeout=0.4, read_timeout=4, retries={"total_max_attempts": 1})
# A session of botocore: boto3 would also import a transfer manager for S3.
_SESSION = botocore.session.get_session()
_RETRY_WITHIN_SECONDS = 1.5
# TLS may report a closed connection as its own error.
_CLOSED = (ConnectionClosedError, SSLError)
_NO_RESPONSE = (HTTPClientError, SSLError)

logger = logging.getLogger(__name__)


class ChainedFunctionError(Exception):
    """The chained function failed.

    Cognito shows the message to the user. It is the function's own message, or one without an ARN.
    """


@cache
def _states() -> SFNClient:
    return cast("SFNClient", _SESSION.create_client("stepfunctions", config=_CONFIG))


@cache
def _queues() -> SQSClient:
    return cast("SQSClient", _SESSION.create_client("sqs", config=_CONFIG))


@cache
def _functions() -> LambdaClient:
    return cast("LambdaClient", _SESSION.create_client("lambda", config=_CHAINED_CONFIG))


def handler(event: Any, context: Any) -> Any:
    """Start the execution, and return the event, or the response of the chained function if there is one.

    DRY_RUN invokes no function: see chained_function.py.
    """
    chained = settings.chained_function_arn()
    if event == DRY_RUN:
        return {"error": _error_of_dry_run(chained) if chained else None}
    try:
        request = from_trigger_event(event, user.now())
    except InvalidEventError as invalid:
        logger.error("not a post-confirmation event, nothing synced", extra={"reason": str(invalid)})
    else:
        _start_or_queue(request)
    return _invoke_chained(chained, event, context) if chained else event


def _start_or_queue(request: SyncRequest) -> None:
    """Start the execution, or send the request to the retry queue.

    The queue is the retry. Both are retried here only if both failed fast.
    """
    retry_until = time.monotonic() + _RETRY_WITHIN_SECONDS
    pause_seconds = 0.05
    # CloudWatch counts the ERROR lines (modules/monitoring/log_metrics.tf).
    while (start_error := _start_error(request, retry_until)) and (queue_error := _queue_error(request)):
        if time.monotonic() + pause_seconds > retry_until:
            logger.error(
                "execution neither started nor queued for retry: the next reconciliation syncs this user",
                extra={"sub": request.sub, "error": start_error, "queue_error": queue_error},
            )
            return
        time.sleep(pause_seconds)
        pause_seconds *= 2


def _start_error(request: SyncRequest, retry_until: float) -> str | None:
    """Start the execution. Returns the error, or None."""
    try:
        _start(request, retry_until)
    except (BotoCoreError, ClientError) as error:
        logger.warning("execution not started", extra={"sub": request.sub, "error": _name(error)})
        return _name(error)
    return None


def _start(request: SyncRequest, retry_until: float) -> None:
    start = partial(executions.start, _states(), settings.user_sync_state_machine_arn(), request)
    try:
        start()
    except _NO_RESPONSE as error:
        # Lambda freezes a function between invocations, and its connection may be closed in that time. The second
        # attempt opens a new one. It is safe if the first one reached Step Functions: the fixed name of a sign-up
        # prevents a second execution, and a second one of a password reset changes nothing.
        if time.monotonic() > retry_until:
            raise
        logger.info("execution started again", extra={"sub": request.sub, "error": _name(error)})
        start()


def _queue_error(request: SyncRequest) -> str | None:
    """Send the request to the retry queue. Returns the error, or None."""
    try:
        _queues().send_message(QueueUrl=settings.retry_queue_url(), MessageBody=request.to_json())
    except (BotoCoreError, ClientError) as error:
        logger.warning("not queued for retry", extra={"sub": request.sub, "error": _name(error)})
        return _name(error)
    logger.info("queued for retry", extra={"sub": request.sub})
    return None


def _invoke_chained(function_arn: str, event: Any, context: Any) -> Any:
    """Return the response of the chained function to the event.

    Raises ChainedFunctionError with its message, which Cognito shows as it would without this module.
    """
    while True:
        try:
            response = _invoke(function_arn, event)
            payload = response["Payload"].read()
            break
        except (BotoCoreError, ClientError) as error:
            # IAM is eventually consistent: the permission of a recent apply may not be effective yet.
            if _name(error) != "AccessDeniedException" or context.get_remaining_time_in_millis() < 1500:
                raise _failed(function_arn, f"could not be invoked: {_name(error)}") from error
        time.sleep(0.3)
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _failed(function_arn, "did not return JSON") from error
    if response.get("FunctionError"):
        raise ChainedFunctionError(str(answer.get("errorMessage", "")) if isinstance(answer, dict) else "")
    return answer


def _failed(function_arn: str, how: str) -> ChainedFunctionError:
    logger.error("chained function failed", extra={"function_arn": function_arn, "error": how})
    return ChainedFunctionError(f"the user pool's own post-confirmation function {how}")


def _error_of_dry_run(function_arn: str) -> str | None:
    """Return Lambda's error if this function may not invoke the chained function, or if that does not exist."""
    try:
        _invoke(function_arn, {}, "DryRun")
    except (BotoCoreError, ClientError) as error:
        return _name(error)
    return None


def _invoke(
    function_arn: str, event: Any, invocation_type: InvocationTypeType = "RequestResponse"
) -> InvocationResponseTypeDef:
    invoke = partial(
        _functions().invoke,
        FunctionName=function_arn,
        Payload=json.dumps(event).encode(),
        InvocationType=invocation_type,
    )
    try:
        return invoke()
    except _CLOSED:
        # As in _start. The function may be invoked twice, as by Cognito's retries.
        return invoke()


def _name(error: BotoCoreError | ClientError) -> str:
    """Return the code of an error. Its message may hold personal data."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


# Lambda gives the initialization of a function more CPU than its invocations. So the clients that each invocation needs
# are made here. The client of SQS is made only if Step Functions fails.
_states()
if settings.chained_function_arn():
    _functions()
