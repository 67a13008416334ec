"""What a sign-up waits for, and how soon the user can be read: the module on a laptop AWS, beside what tutorials do.

Every shape takes its turn with the others, sign-up by sign-up, and the next begins when the last is done with. A laptop
answers a call of AWS in milliseconds, where AWS takes tens: the ratios say more than the times.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import Any, TypeAlias, TypeVar

from benchmarks import tutorial_shape
from benchmarks.laptop import SERVICES, SIGN_UP_CODE, Laptop, attributes
from benchmarks.sign_up_usage import Usage, billed_bytes, item_bytes, transitions, write_units
from demo.deployment import Deployment
from demo.pool import SENDER, ForeignPool
from demo.report import Unexpected
from demo.steps import eventually
from local_aws.client import LocalAws
from local_aws.resources import let_pool_invoke, make_function, make_role

Answer = TypeVar("Answer")
Json: TypeAlias = dict[str, Any]

MODULE_SHAPE = "this module: start"
MAIL_AND_START = "tutorial: mail, start"
PUT_ITEM = "tutorial: put item"
NO_TRIGGER = "no trigger"

_AT_ONCE = 8
_TUTORIAL_TABLE = "tutorial-users"


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p95: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Spread:
        cuts = quantiles(milliseconds, n=20, method="inclusive")
        return cls(cuts[9], cuts[18])


@dataclass(frozen=True)
class Burst:
    """`people` confirm, eight at a time; seconds until the last is confirmed, and until the last can be read."""

    people: int
    confirmed_seconds: float
    readable_seconds: float
    failed_for_the_user: int
    lost: int
    greeted_once: int


@dataclass(frozen=True)
class Stage:
    """One stage in Terraform: how many resources, and seconds."""

    resources: int
    first_plan_seconds: float
    apply_seconds: float
    second_plan_seconds: float


@dataclass(frozen=True)
class SignUpPath:
    """`handler`, `confirm` and `readable` (from there to the item) by shape; `calls` by shape, caller and operation, of
    one sign-up."""

    people: int
    handler: Mapping[str, Spread]
    confirm: Mapping[str, Spread]
    calls: Mapping[str, Mapping[str, Mapping[str, float]]]
    readable: Mapping[str, Spread]
    burst: Burst
    stage: Stage


def measure_stage(deployment: Deployment) -> Stage:
    deployment.init()
    first_plan, _ = _timed(deployment.planned_changes)
    apply, said = _timed(deployment.apply)
    second_plan, changes = _timed(deployment.planned_changes)
    found = re.search(r"(\d+) added", said)
    if changes or found is None:
        raise Unexpected(f"a second plan has changes: {', '.join(changes)}; the apply said: {said}")
    return Stage(int(found[1]), first_plan, apply, second_plan)


def _timed(act: Callable[..., Answer], *given: Any) -> tuple[float, Answer]:
    began_at = time.perf_counter()
    answer = act(*given)
    return time.perf_counter() - began_at, answer


class Rivals:
    """A pool for each shape, and what its trigger works with."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.aws = aws = laptop.aws
        self._numbers = itertools.count(1)
        aws.client("dynamodb").create_table(
            TableName=_TUTORIAL_TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        put_user = self._function("put_user", {})
        self.state_machine = self._machine(
            "tutorial",
            {"Type": "Task", "Resource": put_user, "End": True},
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": put_user},
        )
        self.no_work = self._machine("no-work", {"Type": "Pass", "End": True})
        start = {"STATE_MACHINE_ARN": self.state_machine}
        self.pools = {
            NO_TRIGGER: self._pool("no-trigger", None),
            MODULE_SHAPE: laptop.pool,
            MAIL_AND_START: self._pool("mail-and-start", self._function("mail_and_start", start)),
            PUT_ITEM: self._pool("put-item", self._function("put_item", {})),
        }

    def _function(self, name: str, environment: Mapping[str, str]) -> str:
        code = Path(tutorial_shape.__file__).read_text(encoding="utf-8")
        anything = {"Effect": "Allow", "Action": ["ses:*", "states:*", "dynamodb:*"], "Resource": "*"}
        given = {"TABLE_NAME": _TUTORIAL_TABLE, "SENDER": SENDER, **environment}
        settings: Json = {"Handler": f"function.{name}", "Environment": {"Variables": given}, "MemorySize": 512}
        return make_function(self.aws, f"tutorial-{name.replace('_', '-')}", code, anything, **settings)

    def _machine(self, name: str, state: Json, *statements: Json) -> str:
        role = make_role(self.aws, f"states-{name}", *statements, service="states.amazonaws.com")
        definition = json.dumps({"StartAt": "Only", "States": {"Only": state}})
        made = self.aws.client("stepfunctions").create_state_machine(name=name, roleArn=role, definition=definition)
        return str(made["stateMachineArn"])

    def _pool(self, name: str, trigger: str | None) -> ForeignPool:
        cognito = self.aws.client("cognito-idp")
        pool = cognito.create_user_pool(
            PoolName=name,
            AutoVerifiedAttributes=["email"],
            Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
            LambdaConfig={"PostConfirmation": trigger} if trigger else {},
        )["UserPool"]
        if trigger:
            let_pool_invoke(self.aws, trigger, pool["Arn"])
        client = cognito.create_user_pool_client(UserPoolId=pool["Id"], ClientName="app")["UserPoolClient"]
        return ForeignPool(self.aws, pool["Id"], client["ClientId"])

    def sign_up(self, shape: str) -> tuple[str, str]:
        """A new person; returns username and sub."""
        number = next(self._numbers)
        username = f"ada.lovelace.{number}"
        given = attributes(number, "Ada Lovelace", f"{username}@example.com")
        return username, self.pools[shape].sign_up(username, given)

    def confirm(self, shape: str, username: str) -> None:
        self.pools[shape].confirm(username, SIGN_UP_CODE)

    def item(self, shape: str, sub: str) -> Json:
        """As boto3's client gives it; {} where there is none."""
        return self.laptop.item(sub) if shape == MODULE_SHAPE else self.laptop.item(sub, _TUTORIAL_TABLE)

    def wait_until_idle(self) -> None:
        states = self.aws.client("stepfunctions")
        machines = (self.laptop.outputs["user_sync_state_machine_arn"], self.state_machine, self.no_work)

        def is_idle() -> bool:
            return not any(
                states.list_executions(stateMachineArn=arn, statusFilter="RUNNING", maxResults=1)["executions"]
                for arn in machines
            )

        eventually(is_idle, "no execution runs", 120, pause_seconds=0.01)


def measure_handlers(rivals: Rivals, people: int) -> dict[str, Spread]:
    """The time of each handler in this process, with warm clients. What they start does nothing."""
    milliseconds: dict[str, list[float]] = {MODULE_SHAPE: [], MAIL_AND_START: [], PUT_ITEM: []}
    with _environment(
        {
            **rivals.aws.environment(),
            "USER_SYNC_STATE_MACHINE_ARN": rivals.no_work,
            "RETRY_QUEUE_URL": rivals.laptop.outputs["retry_queue_url"],
            "STATE_MACHINE_ARN": rivals.no_work,
            "TABLE_NAME": _TUTORIAL_TABLE,
            "SENDER": SENDER,
        }
    ):
        from cognito_user_sync.handlers import post_confirmation

        handlers: dict[str, Callable[[Any, Any], Any]] = {
            MODULE_SHAPE: post_confirmation.handler,
            MAIL_AND_START: tutorial_shape.mail_and_start,
            PUT_ITEM: tutorial_shape.put_item,
        }
        try:
            for number in range(people + 1):
                username, _ = rivals.sign_up(NO_TRIGGER)
                event = rivals.pools[NO_TRIGGER].post_confirmation_event(username)
                shapes = list(handlers)
                # An execution begins after a pause, which is longer than five people's turns: none runs meanwhile.
                if number % 5 == 0:
                    rivals.wait_until_idle()
                for shape in shapes[number % 3 :] + shapes[: number % 3]:
                    seconds, answer = _timed(handlers[shape], event, None)
                    if answer != event:
                        raise Unexpected(f"{shape} returned {answer}")
                    if number:  # the first makes the clients
                        milliseconds[shape].append(1000 * seconds)
        finally:
            for made in vars(post_confirmation).values():
                if hasattr(made, "cache_clear"):
                    made.cache_clear()
    # A start that failed would have been parked, and no error.
    names = [each["name"] for each in rivals.laptop.executions(rivals.no_work).values()]
    if sum(name.startswith("sign-up-") for name in names) != people + 1 or len(names) != 2 * (people + 1):
        raise Unexpected(f"{len(names)} executions were started by {people + 1} sign-ups in two shapes")
    return {shape: Spread.of(each) for shape, each in milliseconds.items()}


@contextmanager
def _environment(given: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def tutorial_usage(rivals: Rivals, people: int) -> Usage:
    """What one sign-up takes in the shape MAIL_AND_START. Raises Unexpected."""
    states = rivals.aws.client("stepfunctions")
    mails, logged = len(rivals.aws.outbox()), _tutorial_lines(rivals.aws)
    known = rivals.laptop.executions(rivals.state_machine).keys()
    subs, calls = [], Counter[tuple[str, str]]()
    for _ in range(people):
        username, sub = rivals.sign_up(MAIL_AND_START)
        mails += 1  # with the code
        rivals.aws.reset_calls()
        rivals.confirm(MAIL_AND_START, username)
        _wait_for_item(rivals, MAIL_AND_START, sub)
        rivals.wait_until_idle()
        calls.update(_calls_of(rivals, "tutorial-", *SERVICES))
        subs.append(sub)
    items = [item_bytes(rivals.item(MAIL_AND_START, sub)) for sub in subs]
    new = rivals.laptop.executions(rivals.state_machine).keys() - known
    histories = [states.get_execution_history(executionArn=arn)["events"] for arn in new]
    return Usage(
        transitions=mean(transitions(event["type"] for event in events) for events in histories),
        # One function for each call of Lambda: Cognito's, and the state machine's.
        invocations={
            "tutorial-mail-and-start": calls["cognito-idp.amazonaws.com", "lambda:InvokeFunction"] / people,
            "tutorial-put-user": calls["states.amazonaws.com", "lambda:InvokeFunction"] / people,
        },
        laptop_milliseconds={},
        table_write_units=mean(write_units(0, size) for size in items),
        index_write_units=0,
        sqs_requests=0,
        mails=(len(rivals.aws.outbox()) - mails) / people,
        log_bytes=sum(map(billed_bytes, _tutorial_lines(rivals.aws)[len(logged) :])) / people,
        input_bytes=mean(len(states.describe_execution(executionArn=arn)["input"].encode()) for arn in new),
        item_bytes=mean(items),
        index_bytes=0,
        calls=_per_sign_up(calls, people),
    )


def measure_confirmations(
    rivals: Rivals, people: int
) -> tuple[dict[str, Spread], dict[str, dict[str, dict[str, float]]], dict[str, Spread]]:
    """By shape: how long ConfirmSignUp takes, the calls of one sign-up, and how long from there to the item."""
    confirm: dict[str, list[float]] = {shape: [] for shape in rivals.pools}
    calls: dict[str, Counter[tuple[str, str]]] = {shape: Counter() for shape in rivals.pools}
    readable: dict[str, list[float]] = {shape: [] for shape in rivals.pools if shape != NO_TRIGGER}
    for number in range(people + 1):
        for shape in rivals.pools:
            username, sub = rivals.sign_up(shape)
            rivals.aws.reset_calls()
            seconds, _ = _timed(rivals.confirm, shape, username)
            until_read = 0.0
            if shape != NO_TRIGGER:
                until_read, _ = _timed(_wait_for_item, rivals, shape, sub)
                rivals.wait_until_idle()
            if number:  # functions start at the first
                confirm[shape].append(1000 * seconds)
                calls[shape].update(_calls_of(rivals, rivals.laptop.prefix, "tutorial-"))
                if shape in readable:
                    readable[shape].append(1000 * until_read)
    return (
        {shape: Spread.of(each) for shape, each in confirm.items()},
        {shape: _per_sign_up(counted, people) for shape, counted in calls.items() if counted},
        {shape: Spread.of(each) for shape, each in readable.items()},
    )


def _wait_for_item(rivals: Rivals, shape: str, sub: str) -> None:
    eventually(lambda: rivals.item(shape, sub), f"{shape}: the item of {sub}", pause_seconds=0)


def _calls_of(rivals: Rivals, *callers: str) -> Counter[tuple[str, str]]:
    """By caller, without the module's prefix, and operation; `callers` are how their names begin."""
    return Counter(
        {
            (caller.removeprefix(rivals.laptop.prefix), operation): number
            for caller, made in rivals.aws.calls_by_caller().items()
            if caller.startswith(callers)
            for operation, number in made.items()
        }
    )


def _tutorial_lines(aws: LocalAws) -> list[str]:
    return [line for name, lines in aws.logs().items() if name.startswith("tutorial-") for line in lines]


def _per_sign_up(counted: Counter[tuple[str, str]], people: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (caller, operation), number in sorted(counted.items()):
        found.setdefault(caller, {})[operation] = number / people
    return found


def measure_burst(rivals: Rivals, people: int) -> Burst:
    with ThreadPoolExecutor(_AT_ONCE) as crowd:
        signed_up = dict(crowd.map(lambda _: rivals.sign_up(MODULE_SHAPE), range(people)))
        began_at = time.perf_counter()
        failed = sum(crowd.map(lambda username: _fails(rivals, username), signed_up))
        confirmed = time.perf_counter() - began_at
    left = set(signed_up.values())
    while left and time.perf_counter() - began_at < 600:
        left -= _subs_in_table(rivals)
    readable = time.perf_counter() - began_at
    rivals.wait_until_idle()
    welcomes = Counter(mail.to[0] for mail in rivals.aws.outbox() if SENDER in mail.source)
    greeted = sum(welcomes[f"{username}@example.com"] == 1 for username in signed_up)
    return Burst(people, confirmed, readable, failed, len(left), greeted)


def _fails(rivals: Rivals, username: str) -> bool:
    """Whether the person sees an error."""
    try:
        rivals.confirm(MODULE_SHAPE, username)
    except rivals.aws.client("cognito-idp").exceptions.ClientError:
        return True
    return False


def _subs_in_table(rivals: Rivals) -> set[str]:
    pages = rivals.aws.client("dynamodb").get_paginator("scan")
    return {
        item["id"]["S"]
        for page in pages.paginate(TableName=rivals.laptop.outputs["user_table_name"], ProjectionExpression="id")
        for item in page["Items"]
    }
