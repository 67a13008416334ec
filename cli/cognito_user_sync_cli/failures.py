"""Failed executions of user_sync: which there are, how they are tried again, and what came of their welcome emails."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cognito_user_sync.user import SUB
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import REDRIVABLE, End, end_of, failed

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Execution = TypeVar("Execution", bound=Mapping[str, Any])

# An acknowledged failure is the name of a log stream, in the log group that has the name of the deployment. Terraform
# does not manage log streams, and deletes them with the log group. The number tells a failure from a later one of the
# same execution: acknowledged/<execution>/<how often it had been redriven>.
_ACKNOWLEDGED = "acknowledged/"


@dataclass(frozen=True)
class Failure:
    """A failed execution.

    Attributes:
        redrives: How often it has been redriven before.
        is_acknowledged: Whether an operator has decided that it stays as it is.
    """

    arn: str
    end: End
    started_at: datetime
    ended_at: datetime
    redrives: int = 0
    is_acknowledged: bool = False

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def sub(self) -> str | None:
        """None if an execution was started by hand under another name."""
        found = SUB.search(self.name)
        return found[0] if found else None

    @property
    def welcome_email(self) -> str:
        """What is known of the welcome email."""
        return "unknown" if self.end.may_have_sent else "not_sent"

    def to_json(self) -> dict[str, Any]:
        return {
            "execution": self.name,
            "sub": self.sub,
            "failed_in": self.end.state,
            "error": self.end.error,
            "message": self.end.message,
            "ended_at": self.ended_at.isoformat(),
            "welcome_email": self.welcome_email,
            "acknowledged": self.is_acknowledged,
        }


def failures(
    deployment: Deployment,
    names: Collection[str] = (),
    errors: Collection[str] = (),
    since: datetime | None = None,
) -> Iterator[Failure]:
    """The failed executions that can still be redriven, at one call more each. Raises what botocore raises.

    Args:
        deployment: Whose executions.
        names: Only executions of these names.
        errors: Only executions that failed with one of these errors.
        since: Only executions that failed since then.
    """
    states = deployment.states
    # All of them first: one that is redriven moves the pages of the rest.
    found = list(failed(states, deployment.user_sync_state_machine_arn, since))
    acknowledged = _acknowledged(deployment) if found else frozenset()
    for each in found:
        if names and each["name"] not in names:
            continue
        arn = each["executionArn"]
        end = end_of(states, arn, each["status"])
        if errors and end.error not in errors:
            continue
        redrives = each.get("redriveCount", 0)
        is_acknowledged = _stream(each["name"], redrives) in acknowledged
        yield Failure(arn, end, each["startDate"], each["stopDate"], redrives, is_acknowledged)


def redrive(states: SFNClient, failure: Failure) -> str | None:
    """Let the execution go on from the state where it failed. Returns why it cannot be, or None.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    try:
        states.redrive_execution(executionArn=failure.arn)
    except states.exceptions.ExecutionNotRedrivable:
        return "it ended more than 14 days ago, or is being redriven: sync the user by reconciliation"
    return None


def acknowledge(deployment: Deployment, acknowledged: Iterable[Failure]) -> None:
    """Keep that these failures stay as they are: they are not redriven, and no problem of `status`.

    Also deletes what was kept about executions that failed so long ago that they are not listed anymore.
    """
    logs, group = deployment.logs, _log_group(deployment)
    for failure in acknowledged:
        try:
            logs.create_log_stream(logGroupName=group, logStreamName=_stream(failure.name, failure.redrives))
        except logs.exceptions.ResourceAlreadyExistsException:
            continue
    outdated = (datetime.now(UTC) - REDRIVABLE).timestamp() * 1000
    for stream in list(_streams(deployment)):
        if stream["creationTime"] < outdated:
            logs.delete_log_stream(logGroupName=group, logStreamName=stream["logStreamName"])


def unacknowledged(deployment: Deployment, executions: Collection[Execution]) -> list[Execution]:
    """Those of these failed executions, as ListExecutions or DescribeExecution has them, whose failure is not
    acknowledged."""
    acknowledged = _acknowledged(deployment) if executions else frozenset()
    return [each for each in executions if _stream(each["name"], each.get("redriveCount", 0)) not in acknowledged]


def _acknowledged(deployment: Deployment) -> frozenset[str]:
    return frozenset(stream["logStreamName"] for stream in _streams(deployment))


def _streams(deployment: Deployment) -> Iterator[Any]:
    logs = deployment.logs
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=_log_group(deployment), logStreamNamePrefix=_ACKNOWLEDGED
    )
    try:
        for page in pages:
            yield from page["logStreams"]
    except logs.exceptions.ResourceNotFoundException:
        # The log group was deleted by hand: the next apply creates it.
        return


def _log_group(deployment: Deployment) -> str:
    return f"/cognito-user-sync/{deployment.prefix}"


def _stream(name: str, redrives: int) -> str:
    return f"{_ACKNOWLEDGED}{name}/{redrives}"
