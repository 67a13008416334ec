"""Messages of the dead-letter queues: read, moved back to the retry queue, or deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.sync_request import parse, parse_change
from cognito_user_sync_cli.deployment import Deployment, DeploymentError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A message is hidden from other readers while a command reads it. After an interruption, SQS shows it after this time.
_VISIBILITY_SECONDS = 60
_BATCH = 10


@dataclass(frozen=True)
class Message:
    """A message of a dead-letter queue. `invalid_because` is "" if the message is one that this module sends."""

    id: str
    body: str
    sent_at: datetime
    invalid_because: str
    receipt_handle: str


def dead_letter_queue_url(queues: SQSClient, queue_url: str) -> str:
    """Return the URL of a queue's dead-letter queue.

    Raises:
        DeploymentError: The queue has none: its redrive policy was removed.
    """
    found = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    if "RedrivePolicy" not in found:
        raise DeploymentError(f"the queue {queue_url} has lost its dead-letter queue: apply the module again")
    _, _, _, _, account, name = json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].split(":")
    return queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def read_all(deployment: Deployment) -> dict[str, list[Message]]:
    """Return the messages of each dead-letter queue by its URL. They stay in the queue."""
    return {url: list(_messages(deployment.queues, url, parser)) for url, parser in _queues(deployment)}


def delete(deployment: Deployment, message_id: str) -> str | None:
    """Delete a message. Return the URL of its dead-letter queue, or None if no queue has the message."""
    for url, parser in _queues(deployment):
        for message in _messages(deployment.queues, url, parser):
            if message.id == message_id:
                deployment.queues.delete_message(QueueUrl=url, ReceiptHandle=message.receipt_handle)
                return url
    return None


def requeue(queues: SQSClient, queue_url: str) -> tuple[int, list[Message]]:
    """Move sign-ups from the dead-letter queue of a queue back to this queue.

    A message is sent first and deleted then. An interruption between the two leaves it in both queues. This is
    harmless: Step Functions starts the execution of a sign-up once.

    Returns:
        The number of moved messages, and the invalid messages, which stay: they would return after 12 hours.
    """
    url = dead_letter_queue_url(queues, queue_url)
    moved, invalid = 0, []
    for message in _messages(queues, url, parse):
        if message.invalid_because:
            invalid.append(message)
            continue
        queues.send_message(QueueUrl=queue_url, MessageBody=message.body)
        queues.delete_message(QueueUrl=url, ReceiptHandle=message.receipt_handle)
        moved += 1
    return moved, invalid


def _queues(deployment: Deployment) -> Iterator[tuple[str, Callable[[Any], object]]]:
    """Yield the URL of each dead-letter queue, and the parser of its messages."""
    yield dead_letter_queue_url(deployment.queues, deployment.retry_queue_url), parse
    if deployment.changes_queue_url:
        yield dead_letter_queue_url(deployment.queues, deployment.changes_queue_url), parse_change
    if deployment.user_events_dead_letter_queue_url:
        yield deployment.user_events_dead_letter_queue_url, _parse_lost_records


def _parse_lost_records(message: Any) -> None:
    """Check a message of Lambda about stream records without an event. It has their position, and no record."""
    if not isinstance(message, dict) or not isinstance(message.get("DDBStreamBatchInfo"), dict):
        raise InvalidEventError("DDBStreamBatchInfo is missing")


def _messages(queues: SQSClient, url: str, parser: Callable[[Any], object]) -> Iterator[Message]:
    """Yield every message of a queue once. At the end, those that were not deleted are visible to other readers."""
    handles: dict[str, str] = {}
    try:
        while batch := queues.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=1,
            VisibilityTimeout=_VISIBILITY_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            new = [message for message in batch if message["MessageId"] not in handles]
            handles |= {message["MessageId"]: message["ReceiptHandle"] for message in batch}
            if not new:
                return
            for message in new:
                sent_at = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
                yield Message(
                    message["MessageId"],
                    message["Body"],
                    datetime.fromtimestamp(sent_at, UTC),
                    _invalid_because(message["Body"], parser),
                    message["ReceiptHandle"],
                )
    finally:
        entries: list[Any] = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles.values())
        ]
        for start in range(0, len(entries), _BATCH):
            # Deleted messages are reported as failed, which is fine.
            queues.change_message_visibility_batch(QueueUrl=url, Entries=entries[start : start + _BATCH])


def _invalid_because(body: str, parser: Callable[[Any], object]) -> str:
    try:
        parser(json.loads(body))
    except InvalidEventError as invalid:
        return str(invalid)
    except (ValueError, RecursionError):
        return "it is not JSON"
    return ""
