"""Failed executions of user_sync: list, redrive and acknowledge them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cognito_user_sync.user import SUB
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import REDRIVABLE, Cause, cause_of, list_failed

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Execution = TypeVar("Execution", bound=Mapping[str, Any])

# An acknowledged failure is a log stream in the log group of the deployment. Terraform does not manage log streams, and
# deletes them with the log group. The name has the number of redrives, so that a later failure of the same execution
# is not acknowledged: acknowledged/<execution>/<redrives>.
_ACKNOWLEDGED = "acknowledged/"


@dataclass(frozen=True)
class Failure:
    """A failed execution.

    Attributes:
        redrives: How often it was redriven before.
        is_acknowledged: Whether an operator has decided to leave it as it is.
    """

    arn: str
    cause: Cause
    started_at: datetime
    ended_at: datetime
    redrives: int = 0
    is_acknowledged: bool = False

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def sub(self) -> str | None:
        """The user's sub. None if the execution was started by hand with another name."""
        found = SUB.search(self.name)
        return found[0] if found else None

    @property
    def welcome_email(self) -> str:
        """Whether the welcome email was sent, as far as is known."""
        return "unknown" if self.cause.may_have_sent else "not_sent"

    def to_json(self) -> dict[str, Any]:
        return {
            "execution": self.name,
            "sub": self.sub,
            "failed_in": self.cause.state,
            "error": self.cause.error,
            "message": self.cause.message,
            "ended_at": self.ended_at.isoformat(),
            "welcome_email": self.welcome_email,
            "acknowledged": self.is_acknowledged,
        }


def list_failures(
    deployment: Deployment,
    names: Collection[str] = (),
    errors: Collection[str] = (),
    since: datetime | None = None,
) -> Iterator[Failure]:
    """Yield the failed executions that can still be redriven. Makes one request for each; raises what botocore raises.

    Args:
        deployment: The deployment.
        names: Only executions with these names.
        errors: Only executions that failed with one of these errors.
        since: Only executions that failed since this time.
    """
    states = deployment.states
    # List all executions first: a redrive changes the pages of the list.
    found = list(list_failed(states, deployment.user_sync_state_machine_arn, since))
    acknowledged = _acknowledged(deployment) if found else frozenset()
    for each in found:
        if names and each["name"] not in names:
            continue
        arn = each["executionArn"]
        cause = cause_of(states, arn, each["status"])
        if errors and cause.error not in errors:
            continue
        redrives = each.get("redriveCount", 0)
        is_acknowledged = _stream(each["name"], redrives) in acknowledged
        yield Failure(arn, cause, each["startDate"], each["stopDate"], redrives, is_acknowledged)


def redrive(states: SFNClient, failure: Failure) -> str | None:
    """Continue an execution from the state that failed. Return why this is not possible, or None.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    try:
        states.redrive_execution(executionArn=failure.arn)
    except states.exceptions.ExecutionNotRedrivable:
        return (
            "it ended more than 14 days ago, or is already running again. To sync the user: cognito-user-sync reconcile"
        )
    return None


def acknowledge(deployment: Deployment, acknowledged: Iterable[Failure]) -> None:
    """Mark failures as acknowledged: they are not redriven, and `status` does not report them as a problem.

    Also deletes the marks of executions that are too old to be listed.
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
    """Return the failed executions that are not acknowledged.

    Args:
        deployment: The deployment.
        executions: Failed executions, as ListExecutions or DescribeExecution return them.
    """
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
        # The log group was deleted. The next apply creates it.
        return


def _log_group(deployment: Deployment) -> str:
    return f"/cognito-user-sync/{deployment.prefix}"


def _stream(name: str, redrives: int) -> str:
    return f"{_ACKNOWLEDGED}{name}/{redrives}"
