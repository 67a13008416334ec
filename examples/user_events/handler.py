"""Handles events about users: reads the user's item, and writes or deletes what this service has of the user."""

import json
import logging
import os
from functools import cache

import boto3

logger = logging.getLogger()
logger.setLevel(logging.INFO)


@cache
def _table():
    return boto3.resource("dynamodb").Table(os.environ["USER_TABLE_NAME"])


def handler(event, _context):
    """Handle a batch of SQS messages. Returns the messages that SQS must deliver again."""
    failed = []
    for message in event["Records"]:
        try:
            handle(json.loads(message["body"]))
        except Exception:
            logger.exception("event not handled", extra={"message_id": message["messageId"]})
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def handle(event):
    """Handle an event. It may be a repeat, or older than the item, so only the item counts.

    Two events of a user can be handled at the same time: see "Handle events" in docs/user-events.md.
    """
    sub = event["detail"]["sub"]
    user = _table().get_item(Key={"id": sub}, ConsistentRead=True).get("Item", {})
    if "shard" in user:
        write(user)
    else:
        delete(sub)
    logger.info(
        "handled", extra={"sub": sub, "detail_type": event["detail-type"], "changed": event["detail"]["changed"]}
    )


def write(user):
    """Replace this function: write what your service needs of an active user. It can run repeatedly."""


def delete(sub):
    """Replace this function: delete what your service has of a deleted user. It can run repeatedly."""
