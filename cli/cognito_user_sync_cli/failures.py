"""What failed, and how it is tried again: executions of user_sync, and sign-ups in the dead-letter queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cognito_user_sync_cli.deployment import NotDeployed
from cognito_user_sync_cli.executions import End, end_of, failed

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

# Errors of SendWelcome that say that the mail was not sent: the function was not invoked, its code could not be
# started, or it says so itself. After any other it may have been: see welcome_email.py, and docs/reliability.md.
_NOT_SENT = frozenset(
    {
        *("AccessDenied", "InvalidSyncRequest", "NotConsistentYet", "PoolRefused", "PoolUnavailable"),
        *("UnknownPlaceholder", "UnusableUser", "WelcomeNotSent", "WelcomeRefused"),
        *("Lambda.CodeArtifactUserDeletedException", "Lambda.CodeArtifactUserPendingException"),
        *("Lambda.EC2AccessDeniedException", "Lambda.EC2ThrottledException", "Lambda.EC2UnexpectedException"),
        *("Lambda.ENILimitReachedException", "Lambda.ENINotReadyException"),
        *("Lambda.InvalidRuntimeException", "Lambda.InvalidZipFileException"),
        *("Lambda.InvalidSecurityGroupIDException", "Lambda.InvalidSubnetIDException"),
        *("Lambda.KMSAccessDeniedException", "Lambda.KMSDisabledException"),
        *("Lambda.KMSInvalidStateException", "Lambda.KMSNotFoundException"),
        *("Lambda.ResourceConflictException", "Lambda.ResourceNotFoundException"),
        *("Lambda.ResourceNotReadyException", "Lambda.SubnetIPAddressLimitReachedException"),
        "Lambda.TooManyRequestsException",
        *("Runtime.HandlerNotFound", "Runtime.ImportModuleError"),
        *("Runtime.MalformedHandlerName", "Runtime.UserCodeSyntaxError"),
        "States.Permissions",
    }
)


@dataclass(frozen=True)
class Failure:
    """A failed execution of user_sync."""

    arn: str
    end: End

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def is_hopeless(self) -> bool:
        """Whether trying again fails again, whatever is mended: the execution's own input is none."""
        return self.end.error == "InvalidSyncRequest"

    @property
    def may_have_greeted(self) -> bool:
        """Whether trying again may send a second welcome."""
        return self.end.state == "SendWelcome" and self.end.error not in _NOT_SENT


def failures(states: SFNClient, state_machine_arn: str) -> Iterator[Failure]:
    """The failed executions that can still be redriven, at one call more each. Raises what botocore raises."""
    for execution in failed(states, state_machine_arn):
        arn = execution["executionArn"]
        yield Failure(arn, end_of(states, arn, execution["status"]))


def redrive(states: SFNClient, failure: Failure) -> str | None:
    """Let the execution go on from the state where it failed. Returns why it cannot be, or None.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    try:
        states.redrive_execution(executionArn=failure.arn)
    except states.exceptions.ExecutionNotRedrivable:
        return "it ended more than 14 days ago, or is being redriven: sync the user by reconciliation"
    return None


def dead_letter_queue(queues: SQSClient, queue_url: str) -> str:
    """The URL of the queue's dead-letter queue. Raises NotDeployed where somebody took it away."""
    found = queues.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"]).get("Attributes", {})
    if "RedrivePolicy" not in found:
        raise NotDeployed(f"the queue {queue_url} has lost its dead-letter queue: apply the module again")
    _, _, _, _, account, name = json.loads(found["RedrivePolicy"])["deadLetterTargetArn"].split(":")
    return queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]


def requeue(queues: SQSClient, queue_url: str) -> int:
    """Move what is in the queue's dead-letter queue back. Returns how many messages were moved.

    A message is deleted there once it is back here; if this is interrupted in between it is in both, which is
    harmless: an execution is started once.
    """
    dead_letters = dead_letter_queue(queues, queue_url)
    moved = 0
    while messages := queues.receive_message(QueueUrl=dead_letters, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
        "Messages"
    ):
        for message in messages:
            queues.send_message(QueueUrl=queue_url, MessageBody=message["Body"])
            queues.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
            moved += 1
    return moved
