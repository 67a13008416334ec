"""Cognito's post-confirmation trigger: starts the user_sync execution of a user who has just confirmed.

Cognito waits 5 s for the answer, then calls again, up to three times in all, and shows an error to the person who
signs up: https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
The user is confirmed before the trigger runs, so failing it helps nobody. Whatever goes wrong here, the event is
returned as it came, in time:

| step                                          | connect | read  | ends after |
|-----------------------------------------------|---------|-------|------------|
| StartExecution                                | 0.4 s   | 0.8 s | 1.2 s      |
| StartExecution again, if there was no answer  | 0.4 s   | 0.8 s | 2.4 s      |
| SendMessage, if that failed                   | 0.4 s   | 0.8 s | 3.6 s      |
| these again, if they failed fast              |         |       | 3.9 s      |

Nothing is tried again after 1.5 s, so the last StartExecution ends by 2.7 s and the last SendMessage by 3.9 s.

The rest of the 5 s is for what has no time limit of its own: the start of the function, the queue's client, DNS.

A chained function gets 4 s, which are left as a rule. If fewer are left, Lambda ends this invocation when Cognito stops
waiting. Cognito calls us again, and we call it again, just as Cognito alone would have done.
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

# Without what boto3 does anew for each request, which takes a tenth of a warm invocation: it checks the parameters, and
# composes a User-Agent.
_CONFIG = Config(
    connect_timeout=0.4,
    read_timeout=0.8,
    retries={"total_max_attempts": 1},
    parameter_validation=False,
    user_agent="cognito-user-sync",
)
_CHAINED_CONFIG = Config(connect_timeout=0.4, read_timeout=4, retries={"total_max_attempts": 1})
# Of botocore, which makes boto3's clients: boto3 would import a transfer manager for S3 as well.
_SESSION = botocore.session.get_session()
_AGAIN_WITHIN_SECONDS = 1.5
# TLS may report a closed connection as its own error.
_CLOSED = (ConnectionClosedError, SSLError)
_NO_ANSWER = (HTTPClientError, SSLError)

logger = logging.getLogger(__name__)


class ChainedFunctionError(Exception):
    """The pool's own post-confirmation function, which we call in turn, failed.

    Cognito shows the message to the client, which may be anyone: it is the function's own, or names no ARN.
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
    """Returns the event unchanged, or what the chained function made of it. For DRY_RUN, see chained_function.py."""
    chained = settings.chained_function_arn()
    if event == DRY_RUN:
        return {"error": _error_of_dry_run(chained) if chained else None}
    try:
        request = from_trigger_event(event, user.now())
    except InvalidEventError as invalid:
        logger.error("not a post-confirmation event, nothing synced", extra={"reason": str(invalid)})
    else:
        _start_or_park(request)
    return _call_chained(chained, event, context) if chained else event


def _start_or_park(request: SyncRequest) -> None:
    """Start the execution or put the request into the queue, whichever works first.

    One attempt each as a rule: the queue is the retry. Both are tried again only if both failed fast.
    """
    again_until = time.monotonic() + _AGAIN_WITHIN_SECONDS
    pause_seconds = 0.05
    # CloudWatch counts the ERROR lines (modules/monitoring/log_metrics.tf).
    while (start_error := _start_error(request, again_until)) and (park_error := _park_error(request)):
        if time.monotonic() + pause_seconds > again_until:
            logger.error(
                "execution neither started nor parked: this user waits for the next reconciliation",
                extra={"sub": request.sub, "error": start_error, "park_error": park_error},
            )
            return
        time.sleep(pause_seconds)
        pause_seconds *= 2


def _start_error(request: SyncRequest, again_until: float) -> str | None:
    """Return why the execution was not started, None if it was."""
    try:
        _start(request, again_until)
    except (BotoCoreError, ClientError) as error:
        logger.warning("execution not started", extra={"sub": request.sub, "error": _name(error)})
        return _name(error)
    return None


def _start(request: SyncRequest, again_until: float) -> None:
    start = partial(executions.start, _states(), settings.user_sync_state_machine_arn(), request)
    try:
        start()
    except _NO_ANSWER as error:
        # Lambda freezes a function between invocations, and its connection may be closed meanwhile. The second attempt
        # opens a new one. If the first reached Step Functions, a sign-up's name prevents a second execution, and one of
        # a password reset changes nothing.
        if time.monotonic() > again_until:
            raise
        logger.info("execution started again", extra={"sub": request.sub, "error": _name(error)})
        start()


def _park_error(request: SyncRequest) -> str | None:
    """Return why the request was not put into the queue, None if it was."""
    try:
        _queues().send_message(QueueUrl=settings.retry_queue_url(), MessageBody=request.to_json())
    except (BotoCoreError, ClientError) as error:
        logger.warning("execution not parked", extra={"sub": request.sub, "error": _name(error)})
        return _name(error)
    logger.info("queued for retry", extra={"sub": request.sub})
    return None


def _call_chained(function_arn: str, event: Any, context: Any) -> Any:
    """The answer of the pool's own function to the same event. Raises ChainedFunctionError with its message,
    which Cognito then shows as it would have without us."""
    while True:
        try:
            response = _invoke(function_arn, event)
            payload = response["Payload"].read()
            break
        except (BotoCoreError, ClientError) as error:
            # The permission comes with the apply that names the function; IAM is eventually consistent.
            if _name(error) != "AccessDeniedException" or context.get_remaining_time_in_millis() < 1500:
                raise _failed(function_arn, f"could not be invoked: {_name(error)}") from error
        time.sleep(0.3)
    try:
        answer = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise _failed(function_arn, "did not answer with JSON") from error
    if response.get("FunctionError"):
        raise ChainedFunctionError(str(answer.get("errorMessage", "")) if isinstance(answer, dict) else "")
    return answer


def _failed(function_arn: str, how: str) -> ChainedFunctionError:
    logger.error("chained function failed", extra={"function_arn": function_arn, "error": how})
    return ChainedFunctionError(f"the user pool's own post-confirmation function {how}")


def _error_of_dry_run(function_arn: str) -> str | None:
    """The error of Lambda if this function may not invoke the chained one, or if that does not exist."""
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
        # As in _start. The function may be invoked twice, as Cognito alone may do.
        return invoke()


def _name(error: BotoCoreError | ClientError) -> str:
    """An error's code, which holds no personal data; its message may."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


# Lambda gives the initialization of a function more CPU than an invocation, which has what the memory buys. So the
# clients of each invocation are made here. The queue's client is made when it is needed: when Step Functions fails.
_states()
if settings.chained_function_arn():
    _functions()
