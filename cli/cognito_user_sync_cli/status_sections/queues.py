"""Sections `retry`, `changes` and `user_events`: what functions read, and dead-letter queues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_user_sync import settings
from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COUNTS: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)


# The result of a mapping stays until the next batch, perhaps for days. The alarm on the age ends with the failure.
_FUNCTION_FAILED = "PROBLEM: Function call failed"


@dataclass(frozen=True)
class _Queue:
    """What differs between the queues.

    Attributes:
        consumer: The short name of the function that reads the queue.
        waiting: The problem of waiting messages. None if waiting is normal.
        failed: The problem of messages in the dead-letter queue.
        is_pausable: Whether a disabled event source mapping is a pause, which is another section.
    """

    consumer: str
    waiting: str | None
    failed: str
    is_pausable: bool


_RETRY_QUEUE = _Queue(
    consumer="retry-sign-ups",
    waiting="Sign-ups in the retry queue: {}. Their executions could not be started yet: retried every 3 minutes, for"
    " 12 hours",
    failed="Sign-ups in the dead-letter queue: {}. When the cause is fixed: cognito-user-sync failures requeue",
    is_pausable=False,
)
_CHANGE_QUEUE = _Queue(
    consumer="sync-changes",
    waiting=None,
    failed="Changes in the dead-letter queue: {}. To sync them: cognito-user-sync reconcile, then purge the queue",
    is_pausable=True,
)


def check_retry_queue(deployment: Deployment) -> Findings:
    yield from _check(deployment, deployment.retry_queue_url, _RETRY_QUEUE)


def check_changes(deployment: Deployment) -> Findings:
    if deployment.changes_queue_url is None:
        yield Fact("tracked", False, "not tracked")
        return
    yield from _check(deployment, deployment.changes_queue_url, _CHANGE_QUEUE)
    rule = f"{deployment.prefix}-changes"
    answer = none_if_missing(lambda: deployment.events.describe_rule(Name=rule))
    if answer is None:
        yield Problem(f"the EventBridge rule {rule} does not exist: apply again, then cognito-user-sync reconcile")
    elif answer["State"] == "DISABLED":
        yield Problem(f"the EventBridge rule {rule} is disabled: aws events enable-rule --name {rule}")


def check_user_events(deployment: Deployment) -> Findings:
    url = deployment.user_events_dead_letter_queue_url
    if url is None:
        yield Fact("published", False, "not published")
        return
    function = f"{deployment.prefix}-publish-user-events"
    mapping = next(iter(_mappings(deployment, function, FunctionName=function)), None)
    if mapping is None:
        yield Problem(f"the event source mapping of the table's stream and {function} does not exist: apply again")
    elif (result := mapping.get("LastProcessingResult", "")).startswith("PROBLEM") and result != _FUNCTION_FAILED:
        yield Problem(f"Lambda does not read the table's stream for {function}: {result}")
    yield from _check_dead_letters(
        deployment,
        url,
        "Messages about lost user events in the dead-letter queue: {}. To repair this:"
        " docs/operations.md#events-about-users-are-late-or-lost",
    )
    yield from _check_event_bus(deployment)


def _check_event_bus(deployment: Deployment) -> Findings:
    """Check that the bus exists: EventBridge accepts events for a missing one, and drops them.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
    """
    arn = none_if_missing(lambda: _event_bus_arn(deployment))
    # The section `functions` reports a missing function. A bus of another account cannot be described.
    if arn is None or arn.split(":")[4] != deployment.account:
        return
    name = arn.partition("event-bus/")[2]
    if none_if_missing(lambda: deployment.events.describe_event_bus(Name=name)) is None:
        yield Problem(
            f"the event bus {arn} does not exist, and EventBridge drops all events about users without an error: create"
            " it again. To repair this: docs/operations.md#events-about-users-are-late-or-lost"
        )


def _event_bus_arn(deployment: Deployment) -> str:
    with deployment.environment("publish-user-events") as environ:
        return settings.event_bus_arn(environ)


def _check(deployment: Deployment, url: str, queue: _Queue) -> Findings:
    name = url.rpartition("/")[2]
    attributes = _attributes(deployment.queues, url, "QueueArn", "RedrivePolicy")
    if attributes is None:
        yield Problem(f"the queue {name} does not exist, and its messages are lost: apply again, then reconcile")
    else:
        waiting = _count(attributes)
        yield Fact("waiting", waiting, f"{waiting:,} waiting")
        if waiting and queue.waiting:
            yield Problem(queue.waiting.format(waiting))
        if "RedrivePolicy" not in attributes:
            yield Problem(f"the queue {name} has lost its dead-letter queue: apply again")
        yield from _check_mapping(deployment, name, attributes["QueueArn"], queue)
    yield from _check_dead_letters(deployment, f"{url}-dead-letter", queue.failed)


def _check_dead_letters(deployment: Deployment, url: str, problem: str) -> Findings:
    attributes = _attributes(deployment.queues, url)
    if attributes is None:
        yield Problem(f"the queue {url.rpartition('/')[2]} does not exist, and its messages are lost: apply again")
        return
    failed = _count(attributes)
    yield Fact("in_dead_letter_queue", failed, f"{failed:,} in the dead-letter queue")
    if failed:
        yield Problem(problem.format(failed))


def _check_mapping(deployment: Deployment, name: str, arn: str, queue: _Queue) -> Findings:
    function = f"{deployment.prefix}-{queue.consumer}"
    states = [mapping["State"] for mapping in _mappings(deployment, function, EventSourceArn=arn)]
    if not states:
        yield Problem(f"the event source mapping of {name} and {function} does not exist: apply again")
    elif states[0] in ("Disabled", "Disabling") and not queue.is_pausable:
        yield Problem(f"{function} does not read {name}: its event source mapping is disabled. Apply again")


def _mappings(deployment: Deployment, function: str, **filters: Any) -> list[Any]:
    """Return the event source mappings of a function."""
    pages = deployment.functions.get_paginator("list_event_source_mappings").paginate(**filters)
    found = [mapping for page in pages for mapping in page["EventSourceMappings"]]
    return [mapping for mapping in found if mapping["FunctionArn"].split(":")[6] == function]


def count_messages(queues: SQSClient, url: str) -> int:
    """Return the number of messages in a queue, including those that are being processed."""
    return _count(queues.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"])


def _attributes(
    queues: SQSClient, url: str, *others: QueueAttributeNameType
) -> dict[QueueAttributeNameType, str] | None:
    """Return the counts and other attributes of a queue. None if it does not exist."""
    names: list[QueueAttributeNameType] = [*_COUNTS, *others]
    answer = none_if_missing(lambda: queues.get_queue_attributes(QueueUrl=url, AttributeNames=names))
    return answer and answer.get("Attributes", {})


def _count(attributes: dict[QueueAttributeNameType, str]) -> int:
    return sum(int(attributes[name]) for name in _COUNTS)
