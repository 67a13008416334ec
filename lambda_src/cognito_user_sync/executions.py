"""Starts user_sync executions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cognito_user_sync.sync_request import SyncRequest

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start(client: SFNClient, state_machine_arn: str, request: SyncRequest) -> bool:
    """Start the execution of a request. Idempotent: return False if it was started before.

    Raises botocore's errors.
    """
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn, name=request.execution_name(), input=request.to_json()
        )
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return True
