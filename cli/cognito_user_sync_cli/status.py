"""Whether all is well: the trigger, the counts, the last reconciliation, what failed, what waits, which alarms."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from cognito_user_sync.user_table import BY_SHARD
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import failed
from cognito_user_sync_cli.failures import dead_letter_queue
from cognito_user_sync_cli.reconciliation import Run, runs

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# What failed longer ago does not make a deployment unwell: reconciliation has synced the user since, or a person has
# decided to leave it.
RECENT = timedelta(days=1)
# More names than these CloudWatch does not take at once.
_ALARMS_AT_ONCE = 100


@dataclass(frozen=True)
class Queue:
    """How many messages it holds: waiting or being worked on, and given up on."""

    waiting: int
    given_up: int


@dataclass(frozen=True)
class Status:
    trigger: str | None
    """The ARN of the pool's post-confirmation trigger."""
    is_attached: bool
    """Whether that is this module's function."""
    users_in_pool: int
    """As Cognito estimates it, unconfirmed users among them."""
    users_in_table: int
    """Living ones, as DynamoDB has counted them within the last six hours; all of them without the index by_shard."""
    last_run: Run | None
    """The last reconciliation that ended, dry runs aside."""
    run_going_on: str | None
    failed_in_one_day: int
    failed_in_14_days: int
    queues: dict[str, Queue]
    alarms: list[str]
    """Those in ALARM."""
    dashboard_url: str
    problems: list[str] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Times as ISO 8601 strings."""
        last_run = self.last_run
        return {
            "healthy": self.is_healthy,
            **asdict(self),
            "last_run": last_run and {**asdict(last_run), "started_at": last_run.started_at.isoformat()},
        }


def status(deployment: Deployment) -> Status:
    """Raises what botocore raises."""
    pool = deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id)["UserPool"]
    trigger = pool.get("LambdaConfig", {}).get("PostConfirmation")
    last_run, going_on = _last_run(deployment)
    ends = [each["stopDate"] for each in failed(deployment.states, deployment.user_sync_state_machine_arn)]
    found = Status(
        trigger=trigger,
        is_attached=trigger == deployment.post_confirmation_function_arn,
        users_in_pool=pool.get("EstimatedNumberOfUsers", 0),
        users_in_table=_users_in_table(deployment),
        last_run=last_run,
        run_going_on=going_on,
        failed_in_one_day=sum(end >= datetime.now(UTC) - RECENT for end in ends),
        failed_in_14_days=len(ends),
        queues={
            name: _queue(deployment, url)
            for name, url in (("unstarted", deployment.unstarted_queue_url), ("changes", deployment.changes_queue_url))
            if url
        },
        alarms=_alarms(deployment),
        dashboard_url=deployment.dashboard_url,
    )
    found.problems.extend(_problems(found))
    return found


def _problems(found: Status) -> list[str]:
    """What is not well, each with what to type."""
    problems = []
    if not found.is_attached:
        problems.append(
            f"the pool's post-confirmation trigger is {found.trigger or 'none'}, not this module's: who signs up is"
            " neither synced nor greeted. See whether a plan says more, then: cognito-user-sync reconcile"
            " attaches it again where there is none"
        )
    if found.last_run and found.last_run.status != "SUCCEEDED":
        problems.append(
            f"the last reconciliation ended as {found.last_run.status}: see above, then: cognito-user-sync reconcile"
        )
    if found.failed_in_one_day:
        problems.append(f"{found.failed_in_one_day} executions failed in 24 hours: cognito-user-sync failures")
    unstarted = found.queues["unstarted"]
    if unstarted.waiting:
        problems.append(
            f"{unstarted.waiting} sign-ups could not be started yet; they are tried again every 3 minutes, for 12 hours"
        )
    if unstarted.given_up:
        problems.append(
            f"{unstarted.given_up} sign-ups could not be started: cognito-user-sync failures requeue, when the cause is"
            " mended"
        )
    if "changes" in found.queues and (lost := found.queues["changes"].given_up):
        problems.append(
            f"{lost} changes of users could not be synced: cognito-user-sync reconcile, then purge the queue"
        )
    problems += [f"alarm {name}: its description says what to do" for name in found.alarms]
    return problems


def _last_run(deployment: Deployment) -> tuple[Run | None, str | None]:
    """The last run that ended, and the one that is going on."""
    arn = deployment.reconciliation_state_machine_arn
    going_on = None
    for run in runs(deployment.states, arn) if arn else ():
        if run.status == "RUNNING":
            going_on = run.arn
        elif not run.dry_run:
            return run, going_on
    return None, going_on


def _users_in_table(deployment: Deployment) -> int:
    table = deployment.dynamodb.describe_table(TableName=deployment.user_table_name)["Table"]
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    return indexes.get(BY_SHARD, table).get("ItemCount", 0)


def _queue(deployment: Deployment, url: str) -> Queue:
    queues = deployment.queues
    return Queue(messages(queues, url), messages(queues, dead_letter_queue(queues, url)))


def messages(queues: SQSClient, url: str) -> int:
    """How many messages a queue holds, those that are being worked on among them."""
    attributes = queues.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    return sum(map(int, attributes.values()))


def _alarms(deployment: Deployment) -> list[str]:
    names = deployment.alarm_names
    pages = chain.from_iterable(
        deployment.alarms.get_paginator("describe_alarms").paginate(
            AlarmNames=names[start : start + _ALARMS_AT_ONCE], StateValue="ALARM"
        )
        for start in range(0, len(names), _ALARMS_AT_ONCE)
    )
    # The state is asked for, and looked at again.
    return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"] if alarm["StateValue"] == "ALARM"]
