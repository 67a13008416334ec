"""Syncs the users whose changes are in the change queue.

Each change costs a ListUsers request. Their quota is 30 per second for an account in a region. Lambda runs at most two
of this function at the same time (modules/request_queue), so the pause before each message limits the rate.
"""

from __future__ import annotations

import logging
import time
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync import clients, executions, message_batch, settings
from cognito_user_sync.aws_errors import AccessDeniedError
from cognito_user_sync.changes import sync_change
from cognito_user_sync.sync_request import NotConsistentYetError, SyncRequest, parse_change
from cognito_user_sync.user import UnusableUserError
from cognito_user_sync.user_pool import CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync.user_table import TableRejectedError, TableUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# With two functions at most 10 requests per second: a third of the quota.
_PAUSE_SECONDS = 0.2
# Three calls of Cognito of 1 + 2 s, and three of DynamoDB of 3 x (1 + 2) s and two short pauses: a write may need two
# attempts. Or, at a first sign-in, one call of Cognito, those of DynamoDB, and one of Step Functions of 1 + 3 s.
_SLOWEST_CHANGE_SECONDS = 50.0

logger = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of SQS messages, each a Change. Returns the messages that SQS must deliver again.

    Raises InvalidEventError if the event is not a batch of SQS messages.
    """
    return message_batch.handle(
        event,
        _sync,
        (
            *(
                NotConsistentYetError,
                CognitoUnavailableError,
                CognitoRejectedError,
                TableUnavailableError,
                TableRejectedError,
                UnusableUserError,
            ),
            *(AccessDeniedError, BotoCoreError, ClientError),
        ),
        lambda: context.get_remaining_time_in_millis() / 1000 >= _SLOWEST_CHANGE_SECONDS,
    )


@cache
def _states() -> SFNClient:
    # One attempt: the queue is the retry.
    return boto3.client(
        "stepfunctions", config=Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
    )


def _sync(message: Any) -> None:
    # First, to limit also the rate of changes that fail.
    time.sleep(_PAUSE_SECONDS)
    change = parse_change(message)
    state_machine_arn = settings.first_sign_in_state_machine_arn()
    welcome = partial(_start, state_machine_arn) if state_machine_arn else None
    outcome = sync_change(clients.user_pool(), clients.user_table(), change, welcome)
    logger.info("synced", extra={"sub": change.sub, "event_name": change.event_name, "outcome": outcome})


def _start(state_machine_arn: str, request: SyncRequest) -> None:
    started = executions.start(_states(), state_machine_arn, request)
    logger.info("started" if started else "was started before", extra={"sub": request.sub})
