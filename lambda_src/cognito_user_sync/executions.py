"""Starts user_sync executions: at a sign-up, and from a queue of requests."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync.sync_request import InvalidSyncRequest, SyncRequest, parse

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Of a client with three attempts of at most 1 + 3 s, with a short pause between them.
SLOWEST_START_SECONDS = 15.0

logger = logging.getLogger(__name__)


def start(client: SFNClient, state_machine_arn: str, request: SyncRequest) -> bool:
    """Start the execution of a request. False if it had been started before, which is no failure.

    Raises what botocore raises.
    """
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn, name=request.execution_name(), input=request.to_json()
        )
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return True


def start_queued(
    client: SFNClient,
    state_machine_arn: str,
    event: Any,
    seconds_left: Callable[[], float],
    pause_seconds: float = 0,
) -> dict[str, Any]:
    """Start the execution of each SQS message of an event, a SyncRequest, with a pause after each, as long as there is
    time. Returns the messages to be delivered again, as Lambda takes them; in the end they are in the dead-letter
    queue, where a person sees them. Raises InvalidSyncRequest, before any start, where the event is not of SQS.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    failed = []
    for message_id, body in _messages(event):
        # A function that is cut off would have all of its messages delivered again, the started ones, too.
        if seconds_left() < SLOWEST_START_SECONDS or not _is_started(client, state_machine_arn, message_id, body):
            failed.append(message_id)
        else:
            time.sleep(pause_seconds)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _messages(event: Any) -> list[tuple[str, str]]:
    """The id and the body of each."""
    try:
        messages = [(record["messageId"], record["body"]) for record in event["Records"]]
    except (KeyError, TypeError) as error:
        raise InvalidSyncRequest("the event is not a batch of SQS messages") from error
    if not all(isinstance(part, str) for message in messages for part in message):
        raise InvalidSyncRequest("the id or the body of an SQS message is not text")
    return messages


def _is_started(client: SFNClient, state_machine_arn: str, message_id: str, body: str) -> bool:
    try:
        request = parse(json.loads(body))
        started = start(client, state_machine_arn, request)
    # RecursionError: of JSON nested a thousand deep.
    except (ValueError, RecursionError, InvalidSyncRequest, BotoCoreError, ClientError) as error:
        logger.warning("message not started", extra={"message_id": message_id, "error": type(error).__name__})
        return False
    logger.info("started" if started else "had been started before", extra={"sub": request.sub})
    return True
