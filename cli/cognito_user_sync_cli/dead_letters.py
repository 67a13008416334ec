"""Messages of the dead-letter queues: looked at, moved back, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.sync_request import parse, parse_change
from cognito_user_sync_cli.deployment import Deployment, NotDeployedError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# No other reader gets a message while it is looked at. If the command is interrupted, SQS shows it again after this.
_LOOKED_AT_SECONDS = 60
_BATCH = 10


@dataclass(frozen=True)
class DeadLetter:
    """A message. `why_unreadable` is "" if it is what this module sends."""

    id: str
    body: str
    sent_at: datetime
    why_unreadable: str
    receipt_handle: str


def dead_letter_queue(queues: SQSClient, queue_url: str) -> str:
    """The URL of the queue's dead-letter queue. Raises NotDeployedError where somebody took it away."""
    found = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    if "RedrivePolicy" not in found:
        raise NotDeployedError(f"the queue {queue_url} has lost its dead-letter queue: apply the module again")
    _, _, _, _, account, name = json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].split(":")
    return queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def dead_letters(deployment: Deployment) -> dict[str, list[DeadLetter]]:
    """The messages of each dead-letter queue, by its URL. They stay there."""
    return {url: list(_looked_at(deployment.queues, url, parser)) for url, parser in _queues(deployment)}


def drop(deployment: Deployment, message_id: str) -> str | None:
    """Delete a message from its dead-letter queue. Returns the queue's URL, or None if no queue has the message."""
    for url, parser in _queues(deployment):
        for letter in _looked_at(deployment.queues, url, parser):
            if letter.id == message_id:
                deployment.queues.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt_handle)
                return url
    return None


def requeue(queues: SQSClient, queue_url: str) -> tuple[int, list[DeadLetter]]:
    """Move the sign-ups in the queue's dead-letter queue back. Returns how many were moved, and the messages that were
    left because they are unreadable: they would come back after 12 hours.

    A message is deleted there once it is back here; if this is interrupted in between it is in both, which is
    harmless: an execution is started once.
    """
    url = dead_letter_queue(queues, queue_url)
    moved, left = 0, []
    for letter in _looked_at(queues, url, parse):
        if letter.why_unreadable:
            left.append(letter)
            continue
        queues.send_message(QueueUrl=queue_url, MessageBody=letter.body)
        queues.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt_handle)
        moved += 1
    return moved, left


def _queues(deployment: Deployment) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """The URL of each dead-letter queue, and what parses its messages."""
    yield dead_letter_queue(deployment.queues, deployment.retry_queue_url), parse
    if deployment.changes_queue_url:
        yield dead_letter_queue(deployment.queues, deployment.changes_queue_url), parse_change


def _looked_at(queues: SQSClient, url: str, parser: Callable[[Any], object]) -> Iterator[DeadLetter]:
    """Every message of a queue, once. Those that are not deleted meanwhile are shown to others again at the end."""
    handles: dict[str, str] = {}
    try:
        while batch := queues.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=1,
            VisibilityTimeout=_LOOKED_AT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            new = [message for message in batch if message["MessageId"] not in handles]
            handles |= {message["MessageId"]: message["ReceiptHandle"] for message in batch}
            if not new:
                return
            for message in new:
                sent_at = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
                yield DeadLetter(
                    message["MessageId"],
                    message["Body"],
                    datetime.fromtimestamp(sent_at, UTC),
                    _why_unreadable(message["Body"], parser),
                    message["ReceiptHandle"],
                )
    finally:
        entries: list[Any] = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles.values())
        ]
        for start in range(0, len(entries), _BATCH):
            # Reports the deleted ones as failed.
            queues.change_message_visibility_batch(QueueUrl=url, Entries=entries[start : start + _BATCH])


def _why_unreadable(body: str, parser: Callable[[Any], object]) -> str:
    try:
        parser(json.loads(body))
    except InvalidEventError as invalid:
        return str(invalid)
    except (ValueError, RecursionError):
        return "it is not JSON"
    return ""
