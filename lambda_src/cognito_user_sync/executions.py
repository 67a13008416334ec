"""Starts user_sync executions: at a sign-up, and again when a sign-up is replayed from the unstarted queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cognito_user_sync.sync_request import SyncRequest

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


def start(client: SFNClient, state_machine_arn: str, request: SyncRequest) -> bool:
    """Start the execution of a request. False if it had been started before, which is no failure.

    Raises what botocore raises.
    """
    name = request.execution_name
    try:
        client.start_execution(
            stateMachineArn=state_machine_arn, input=request.to_json(), **({"name": name} if name else {})
        )
    except client.exceptions.ExecutionAlreadyExists:
        return False
    return True
