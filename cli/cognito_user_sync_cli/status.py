"""Whether all is well: the trigger, the counts, the last reconciliation, what failed, what waits, which alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

from cognito_user_sync.user_table import BY_SHARD
from cognito_user_sync_cli.dead_letters import dead_letter_queue
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import failed, retried
from cognito_user_sync_cli.failures import unacknowledged
from cognito_user_sync_cli.pauses import PartName, Pause, pauses
from cognito_user_sync_cli.reconciliation import Run, runs
from cognito_user_sync_cli.rollback import code

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
    is_attached_by_module: bool
    """Whether this module is to attach it, and not whoever owns the pool."""
    users_in_pool: int
    """As Cognito estimates it, unconfirmed users among them."""
    users_in_table: int
    """Active users, of all pools that share the table, as DynamoDB has counted them within the last six hours; all
    items without the index by_shard."""
    last_run: Run | None
    """The last reconciliation that ended: a dry run if apply and the schedule start dry runs."""
    run_going_on: str | None
    failed_in_one_day: int
    """Executions whose failure nobody has acknowledged."""
    failed_in_14_days: int
    retried: int
    """Executions that have been running for more than 10 minutes."""
    queues: dict[str, Queue]
    alarms: list[str]
    """Those in ALARM."""
    paused: list[Pause]
    rolled_back: list[str]
    """Functions that run other code than Terraform deployed last."""
    dashboard_url: str

    @property
    def is_healthy(self) -> bool:
        return not self.problems

    @property
    def problems(self) -> list[str]:
        """What is not well, each with what to type."""
        return list(_problems(self))

    def to_json(self) -> dict[str, Any]:
        """Times as ISO 8601 strings."""
        last_run = self.last_run
        return {
            "healthy": self.is_healthy,
            "problems": self.problems,
            **asdict(self),
            "last_run": last_run and {**asdict(last_run), "started_at": last_run.started_at.isoformat()},
        }


def status(deployment: Deployment) -> Status:
    """Raises what botocore raises."""
    pool = deployment.cognito.describe_user_pool(UserPoolId=deployment.user_pool_id)["UserPool"]
    trigger = pool.get("LambdaConfig", {}).get("PostConfirmation")
    last_run, going_on = _last_run(deployment)
    failures = list(failed(deployment.states, deployment.user_sync_state_machine_arn))
    recent = [each for each in failures if each["stopDate"] >= datetime.now(UTC) - RECENT]
    return Status(
        trigger=trigger,
        is_attached=trigger == deployment.post_confirmation_function_arn,
        is_attached_by_module=deployment.user_pool_trigger["attached_function_arn"] is not None,
        users_in_pool=pool.get("EstimatedNumberOfUsers", 0),
        users_in_table=_users_in_table(deployment),
        last_run=last_run,
        run_going_on=going_on,
        failed_in_one_day=len(unacknowledged(deployment, recent)),
        failed_in_14_days=len(failures),
        retried=sum(1 for _ in retried(deployment.states, deployment.user_sync_state_machine_arn)),
        queues={
            name: _queue(deployment, url)
            for name, url in (("unstarted", deployment.unstarted_queue_url), ("changes", deployment.changes_queue_url))
            if url
        },
        alarms=_alarms(deployment),
        paused=pauses(deployment),
        rolled_back=code(deployment).rolled_back,
        dashboard_url=deployment.dashboard_url,
    )


def _problems(found: Status) -> Iterator[str]:
    yield from (pause.problem for pause in found.paused)
    if found.rolled_back:
        yield (
            f"other code than Terraform deployed last runs in {', '.join(found.rolled_back)}. To end a roll-back:"
            " cognito-user-sync rollback --undo"
        )
    yield from _trigger_problems(found)
    if run := found.last_run:
        if run.status != "SUCCEEDED":
            yield from (f"the last reconciliation: {problem}" for problem in run.problems)
            # That problem names its own command.
            if not run.allow_deletes_needed:
                again = "reconcile --dry-run" if run.dry_run else "reconcile"
                yield f"the last reconciliation ended as {run.status}: see above, then: cognito-user-sync {again}"
        elif run.dry_run:
            yield (
                "the last reconciliation was a dry run and wrote nothing. Review its counts and examples, run"
                ' cognito-user-sync reconcile, then set reconciliation.run_on_apply = "sync" and apply, so that'
                " scheduled runs write, too"
            )
    if found.failed_in_one_day:
        yield f"{found.failed_in_one_day} executions failed in 24 hours: cognito-user-sync failures"
    if found.retried:
        yield (
            f"{found.retried} executions have been retried for more than 10 minutes: see why in the logs of sync-user"
            " and send-welcome"
        )
    unstarted = found.queues["unstarted"]
    if unstarted.waiting:
        yield f"{unstarted.waiting} sign-ups could not be started yet: tried again every 3 minutes, for 12 hours"
    if unstarted.given_up:
        yield (
            f"{unstarted.given_up} sign-ups could not be started. When the cause is mended: cognito-user-sync failures"
            " requeue"
        )
    if "changes" in found.queues and (lost := found.queues["changes"].given_up):
        yield f"{lost} changes of users could not be synced: cognito-user-sync reconcile, then purge the queue"
    for name in found.alarms:
        yield f"alarm {name}: its description says what to do"


def _trigger_problems(found: Status) -> Iterator[str]:
    is_paused = any(pause.part == PartName.TRIGGER for pause in found.paused)
    if found.is_attached and is_paused:
        yield "the trigger is paused and attached all the same. To detach it: cognito-user-sync pause trigger"
    if not found.is_attached and not is_paused:
        yield (
            f"the pool's post-confirmation trigger is {found.trigger or 'none'}, not this module's: who signs up is"
            f" neither synced nor greeted. {_how_to_attach(found)}"
        )


def _how_to_attach(found: Status) -> str:
    if not found.is_attached_by_module:
        return "Name the output post_confirmation_function_arn in the configuration of the pool"
    if found.trigger:
        return "Remove that trigger, or name it in chained_function_arn, and apply"
    return "To attach it again: cognito-user-sync reconcile"


def _last_run(deployment: Deployment) -> tuple[Run | None, str | None]:
    """The last run that ended, and the one that is going on.

    A dry run that was started by hand after runs that write is not the last run: its operator saw its counts.
    """
    arn = deployment.reconciliation_state_machine_arn
    newest = going_on = None
    for run in runs(deployment.states, arn) if arn else ():
        if run.status == "RUNNING":
            going_on = run.arn
            continue
        newest = newest or run
        if not run.dry_run:
            return run, going_on
        if not run.is_by_hand:
            break
    return newest, going_on


def _users_in_table(deployment: Deployment) -> int:
    table = deployment.dynamodb.describe_table(TableName=deployment.user_table.name)["Table"]
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
