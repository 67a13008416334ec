"""Runs of the reconciliation: started here, and followed to their end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Run:
    """How a run ended: its counts (docs/reconciliation.md), or why it has none."""

    status: str
    summary: dict[str, Any] | None
    reason: str = ""


def start(states: SFNClient, state_machine_arn: str, allow_deletes: int) -> str:
    """Start a run; returns the ARN of its execution."""
    given = {"allow_deletes": allow_deletes} if allow_deletes else {}
    return states.start_execution(stateMachineArn=state_machine_arn, input=json.dumps(given))["executionArn"]


def wait(states: SFNClient, execution_arn: str) -> Run:
    """Wait for the end of a run."""
    while (execution := states.describe_execution(executionArn=execution_arn))["status"] == "RUNNING":
        time.sleep(_POLL_SECONDS)
    status = execution["status"]
    if status == "SUCCEEDED":
        output = json.loads(execution["output"])
        if "result" in output:
            return Run("NOT RUN", None, f"{output['result']}: {output['running_execution_arn']}")
        return Run(status, output)
    cause = execution.get("cause", "")
    if execution.get("error") == "EndedWithProblems":
        return Run(status, json.loads(cause))
    return Run(status, None, f"{execution.get('error', status)}: {_message(cause)}")


def _message(cause: str) -> str:
    """A function's error comes as JSON with its message and stack trace."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause
