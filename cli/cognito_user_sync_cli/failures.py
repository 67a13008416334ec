"""What failed, and how it is tried again: executions of user_sync, and sign-ups in the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.literals import ExecutionStatusType

_FAILED: tuple[ExecutionStatusType, ...] = ("FAILED", "TIMED_OUT", "ABORTED")

# Errors of SendWelcome that say that the mail was not sent. After any other it may have been: see welcome_email.py.
_NOT_SENT = frozenset(
    {"InvalidSyncRequest", "Lambda.TooManyRequestsException", "UnknownPlaceholder", "WelcomeNotSent", "WelcomeRefused"}
)


@dataclass(frozen=True)
class Failure:
    """A failed execution of user_sync. `state` is where it ended, None if before the first."""

    arn: str
    status: str
    state: str | None
    error: str

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def may_have_greeted(self) -> bool:
        """Whether trying again may send a second welcome."""
        return self.state == "SendWelcome" and self.error not in _NOT_SENT


def failures(states: SFNClient, state_machine_arn: str) -> Iterator[Failure]:
    """The failed executions: FAILED, TIMED_OUT, ABORTED, each newest first, at one call more each. Raises what botocore
    raises."""
    pages = states.get_paginator("list_executions")
    for status in _FAILED:
        for page in pages.paginate(stateMachineArn=state_machine_arn, statusFilter=status):
            for execution in page["executions"]:
                yield _failure(states, execution["executionArn"], status)


def _failure(states: SFNClient, arn: str, status: str) -> Failure:
    # Newest first: how the execution ended, and before it how its last state was entered. An execution that was
    # redriven has ended before, too: of that only the last end counts.
    events = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=100)["events"]
    entered = (event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event)
    end = events[0]
    details = end.get("executionFailedEventDetails") or end.get("executionTimedOutEventDetails") or {}
    return Failure(arn, status, next(entered, None), details.get("error") or status)


def redrive(states: SFNClient, failure: Failure) -> str | None:
    """Let the execution go on from the state where it failed. Returns why it cannot be, or None.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    try:
        states.redrive_execution(executionArn=failure.arn)
    except states.exceptions.ExecutionNotRedrivable:
        return "it ended more than 14 days ago, or is being redriven: sync the user by reconciliation"
    return None


def requeue(queues: SQSClient, queue_url: str) -> int:
    """Move what is in the queue's dead-letter queue back. Returns how many messages were moved.

    A message is deleted there once it is back here; if this is interrupted in between it is in both, which is
    harmless: an execution is started once.
    """
    attributes = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"])["Attributes"]
    dead_letter_arn = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    _, _, _, _, account, name = dead_letter_arn.split(":")
    dead_letters = queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    moved = 0
    while messages := queues.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages"
    ):
        for message in messages:
            queues.send_message(QueueUrl=queue_url, MessageBody=message["Body"])
            queues.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved
