"""One local AWS for all tests of a session. Each test creates its own resources."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from botocore.config import Config

from local_aws import resources
from local_aws.client import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# No retries, so that a test sees each failure.
ONCE = Config(retries={"max_attempts": 0}, read_timeout=30, connect_timeout=30)
T = TypeVar("T")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws.started() as started:
        started.scale_waits(0.01)
        yield started


@pytest.fixture(autouse=True)
def _settings_end_with_their_test(aws: LocalAws) -> Iterator[None]:
    aws.reset_calls()
    yield
    aws.clear_faults()
    aws.clear_quotas()
    aws.clear_cognito()


def name(prefix: str) -> str:
    return f"{prefix}-{next(_numbers)}"


def until(condition: Callable[[], T]) -> T:
    """Return the first true value of a condition. Fails after a minute."""
    deadline = time.monotonic() + 60
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within a minute: {condition}"
        time.sleep(0.02)


def make_function(aws: LocalAws, code: str, *statements: dict[str, Any], **settings: Any) -> str:
    """Create a function of Python code with a `handler`. Returns its ARN."""
    return resources.make_function(aws, settings.pop("FunctionName", name("function")), code, *statements, **settings)


def make_machine(aws: LocalAws, definition: dict[str, Any], **settings: Any) -> str:
    arn: str = aws.client("stepfunctions").create_state_machine(
        name=name("machine"),
        roleArn=resources.make_role(aws, name("role"), service="states.amazonaws.com"),
        definition=json.dumps(definition),
        **settings,
    )["stateMachineArn"]
    return arn


def invoking(function: str, **state: Any) -> dict[str, Any]:
    """Return a state machine with one task."""
    return {
        "StartAt": "Invoke",
        "States": {
            "Invoke": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "End": True,
                "Parameters": {"FunctionName": function, "Payload.$": "$"},
                **state,
            }
        },
    }


def receives_events(aws: LocalAws, pattern: dict[str, Any]) -> str:
    """Create a rule on the default bus whose target is a new queue. Returns the queue's URL."""
    events, sqs = aws.client("events"), aws.client("sqs")
    queue: str = sqs.create_queue(QueueName=name("events"))["QueueUrl"]
    queue_arn = f"arn:aws:sqs:us-east-1:000000000000:{queue.rpartition('/')[2]}"
    rule = name("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": queue_arn}])
    return queue


def next_event(aws: LocalAws, queue: str) -> dict[str, Any]:
    """Return the next event in a queue of `receives_events`, and delete it there."""
    sqs = aws.client("sqs")
    [message] = until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    event: dict[str, Any] = json.loads(message["Body"])
    return event


def run(aws: LocalAws, machine: str, given: object = None, **settings: Any) -> dict[str, Any]:
    """Start an execution and wait for its end. Returns its description."""
    states = aws.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given or {}), **settings)["executionArn"]
    return ended(aws, arn)


def ended(aws: LocalAws, execution: str) -> dict[str, Any]:
    states = aws.client("stepfunctions")

    def description() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return None if found["status"] == "RUNNING" else found

    result = until(description)
    assert result is not None
    return result
