"""Handles a batch of SQS messages, and reports those that SQS must deliver again.

https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from cognito_user_sync import log_fields
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.sync_request import sub_in

logger = logging.getLogger(__name__)


def handle(
    event: Any, act: Callable[[Any], None], errors: tuple[type[Exception], ...], has_time: Callable[[], bool]
) -> dict[str, Any]:
    """Call `act` with the parsed JSON of each message, and return the response for Lambda.

    Args:
        event: The event of an SQS event source.
        act: Handles a message.
        errors: Errors of `act` after which SQS must deliver the message again. After too many deliveries SQS moves it
            to the dead-letter queue.
        has_time: Returns whether there is time for one more message. After a timeout of the function, SQS would deliver
            all messages of the batch again, including the handled ones.

    Raises:
        InvalidEventError: The event is not a batch of SQS messages.
    """
    # RecursionError: JSON with a thousand levels.
    expected: tuple[type[Exception], ...] = (*errors, ValueError, RecursionError, InvalidEventError)
    failed = []
    for message_id, body in _messages(event):
        if not has_time():
            failed.append(message_id)
            continue
        message = None
        try:
            message = json.loads(body)
            act(message)
        except expected as error:
            fields = {"message_id": message_id, "sub": sub_in(message), **log_fields.error_fields(error)}
            logger.warning("message not handled", extra=fields)
            failed.append(message_id)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _messages(event: Any) -> list[tuple[str, str]]:
    """Return the ID and the body of each message."""
    try:
        messages = [(record["messageId"], record["body"]) for record in event["Records"]]
    except (KeyError, TypeError) as error:
        raise InvalidEventError(
            "the event is not a batch of SQS messages: expected Records with messageId and body"
        ) from error
    if not all(isinstance(part, str) for message in messages for part in message):
        raise InvalidEventError("messageId or body of an SQS message is not a string")
    return messages
