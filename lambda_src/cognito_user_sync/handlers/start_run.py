"""Starts a run of the reconciliation. Terraform invokes it after the first apply: no resource starts an execution."""

from __future__ import annotations

import json
import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.errors import InvalidEventError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

logger = logging.getLogger(__name__)


@cache
def _states() -> SFNClient:
    return boto3.client(
        "stepfunctions",
        config=Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 5}),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ARG001
    """Start a run with event["input"], {} if missing, and return {"execution_arn"}. The run validates the input.

    Raises InvalidEventError, or botocore's errors.
    """
    if not isinstance(event, dict):
        raise InvalidEventError(f"the event is not an object but a {type(event).__name__}")
    started = _states().start_execution(
        stateMachineArn=settings.reconciliation_state_machine_arn(), input=json.dumps(event.get("input", {}))
    )
    logger.info("reconciliation started", extra={"execution_arn": started["executionArn"]})
    return {"execution_arn": started["executionArn"]}
