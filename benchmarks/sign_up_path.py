"""How long a sign-up waits, and how soon the user can be read: the module on a local AWS, and the pattern of tutorials.

The patterns take turns, sign-up by sign-up. The next sign-up starts when no execution is running.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, TypeAlias, TypeVar
from unittest.mock import patch

from benchmarks import tutorial_shape
from benchmarks.measured_deployment import SIGN_UP_CODE, MeasuredDeployment, Target, User, attributes
from benchmarks.sign_up_usage import Usage
from demo.deployment import Deployment
from demo.pool import SENDER, ForeignPool
from demo.report import Unexpected
from demo.steps import eventually
from local_aws.resources import let_pool_invoke, make_function, make_role

Answer = TypeVar("Answer")
Json: TypeAlias = dict[str, Any]

MODULE_SHAPE = "this module: start"
MAIL_AND_START = "tutorial: mail, start"
PUT_ITEM = "tutorial: put item"
NO_TRIGGER = "no trigger"

_CONCURRENT = 8
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
    """`users` confirm, eight at a time. Seconds until the last is confirmed, and until the last can be read."""

    users: int
    confirmed_seconds: float
    readable_seconds: float
    failed_for_the_user: int
    lost: int
    one_welcome_email: int


@dataclass(frozen=True)
class TerraformTimes:
    """One deployment: the number of resources, and seconds."""

    resources: int
    first_plan_seconds: float
    apply_seconds: float
    second_plan_seconds: float


@dataclass(frozen=True)
class SignUpPath:
    """Measurements by shape.

    Attributes:
        users: Number of sign-ups in each shape.
        handler: Time of the handler alone.
        confirm: Time of ConfirmSignUp.
        readable: Time from the end of ConfirmSignUp until the item can be read.
        burst: Concurrent sign-ups.
        terraform: Times of Terraform commands.
    """

    users: int
    handler: Mapping[str, Spread]
    confirm: Mapping[str, Spread]
    readable: Mapping[str, Spread]
    burst: Burst
    terraform: TerraformTimes


def measure_terraform(deployment: Deployment) -> TerraformTimes:
    deployment.init()
    first_plan, _ = _timed(deployment.planned_changes)
    apply, output = _timed(deployment.apply)
    second_plan, changes = _timed(deployment.planned_changes)
    found = re.search(r"(\d+) added", output)
    if changes or found is None:
        raise Unexpected(f"a second plan has changes: {', '.join(changes)}; output of the apply: {output}")
    return TerraformTimes(int(found[1]), first_plan, apply, second_plan)


def _timed(act: Callable[..., Answer], *given: Any) -> tuple[float, Answer]:
    began_at = time.perf_counter()
    answer = act(*given)
    return time.perf_counter() - began_at, answer


class Shapes:
    """A pool for each shape, and the resources of its trigger."""

    def __init__(self, deployment: MeasuredDeployment) -> None:
        self.deployment = deployment
        self.aws = aws = deployment.aws
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
            MODULE_SHAPE: deployment.pool,
            MAIL_AND_START: self._pool("mail-and-start", self._function("mail_and_start", start)),
            PUT_ITEM: self._pool("put-item", self._function("put_item", {})),
        }

    def _function(self, name: str, environment: Mapping[str, str]) -> str:
        code = Path(tutorial_shape.__file__).read_text(encoding="utf-8")
        anything = {"Effect": "Allow", "Action": ["ses:*", "states:*", "dynamodb:*"], "Resource": "*"}
        given = {"TABLE_NAME": _TUTORIAL_TABLE, "SENDER": SENDER, **environment}
        settings: Json = {
            "Handler": f"function.{name}",
            "Environment": {"Variables": given},
            "MemorySize": 512,
            "LoggingConfig": {"LogFormat": "JSON"},
        }
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

    def sign_up(self, shape: str) -> User:
        number = next(self._numbers)
        username = f"ada.lovelace.{number}"
        given = attributes(number, "Ada Lovelace", f"{username}@example.com")
        return User(username, self.pools[shape].sign_up(username, given))

    def confirm(self, shape: str, username: str) -> None:
        self.pools[shape].confirm(username, SIGN_UP_CODE)

    def item(self, shape: str, sub: str) -> Json:
        """Return the item in the form of boto3's client; {} if there is none."""
        return self.deployment.item(sub, None if shape == MODULE_SHAPE else _TUTORIAL_TABLE)

    def wait_until_idle(self) -> None:
        states = self.aws.client("stepfunctions")
        machines = (self.deployment.outputs["user_sync_state_machine_arn"], self.state_machine, self.no_work)

        def is_idle() -> bool:
            return not any(
                states.list_executions(stateMachineArn=arn, statusFilter="RUNNING", maxResults=1)["executions"]
                for arn in machines
            )

        eventually(is_idle, "no execution runs", 120, pause_seconds=0.01)


def measure_handlers(shapes: Shapes, users: int) -> dict[str, Spread]:
    """Return the time of each handler in this process, with warm clients. They start executions that do nothing."""
    milliseconds: dict[str, list[float]] = {MODULE_SHAPE: [], MAIL_AND_START: [], PUT_ITEM: []}
    with patch.dict(
        os.environ,
        {
            **shapes.aws.environment(),
            "USER_SYNC_STATE_MACHINE_ARN": shapes.no_work,
            "RETRY_QUEUE_URL": shapes.deployment.outputs["retry_queue_url"],
            "STATE_MACHINE_ARN": shapes.no_work,
            "TABLE_NAME": _TUTORIAL_TABLE,
            "SENDER": SENDER,
        },
    ):
        from cognito_user_sync.handlers import post_confirmation

        handlers: dict[str, Callable[[Any, Any], Any]] = {
            MODULE_SHAPE: post_confirmation.handler,
            MAIL_AND_START: tutorial_shape.mail_and_start,
            PUT_ITEM: tutorial_shape.put_item,
        }
        try:
            for number in range(users + 1):
                user = shapes.sign_up(NO_TRIGGER)
                event = shapes.pools[NO_TRIGGER].post_confirmation_event(user.username)
                order = list(handlers)
                # An execution begins after a pause that is longer than the turns of five users, so none runs now.
                if number % 5 == 0:
                    shapes.wait_until_idle()
                for shape in order[number % 3 :] + order[: number % 3]:
                    seconds, answer = _timed(handlers[shape], event, None)
                    if answer != event:
                        raise Unexpected(f"{shape} returned {answer}")
                    if number:  # the first creates the clients
                        milliseconds[shape].append(1000 * seconds)
        finally:
            for made in vars(post_confirmation).values():
                if hasattr(made, "cache_clear"):
                    made.cache_clear()
    # A failed start is no error: the request goes to the retry queue.
    names = [each["name"] for each in shapes.deployment.executions(shapes.no_work).values()]
    if sum(name.startswith("sign-up-") for name in names) != users + 1 or len(names) != 2 * (users + 1):
        raise Unexpected(f"{len(names)} executions were started by {users + 1} sign-ups in two shapes")
    return {shape: Spread.of(each) for shape, each in milliseconds.items()}


def tutorial_usage(shapes: Shapes, users: int) -> Usage:
    """Return what one sign-up uses in the shape MAIL_AND_START."""
    functions = ("tutorial-mail-and-start", "tutorial-put-user")
    target = Target("", functions, shapes.state_machine, _TUTORIAL_TABLE)
    signed_up = [shapes.sign_up(MAIL_AND_START) for _ in range(users + 1)]
    count = shapes.deployment.count(signed_up, target, lambda user: shapes.confirm(MAIL_AND_START, user.username))
    return count.usage()


def measure_confirmations(shapes: Shapes, users: int) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Return by shape: the time of ConfirmSignUp, and the time from there to the item."""
    confirm: dict[str, list[float]] = {shape: [] for shape in shapes.pools}
    readable: dict[str, list[float]] = {shape: [] for shape in shapes.pools if shape != NO_TRIGGER}
    for number in range(users + 1):
        for shape in shapes.pools:
            user = shapes.sign_up(shape)
            seconds, _ = _timed(shapes.confirm, shape, user.username)
            until_read = 0.0
            if shape != NO_TRIGGER:
                until_read, _ = _timed(_wait_for_item, shapes, shape, user.sub)
                shapes.wait_until_idle()
            if number:  # functions start cold at the first
                confirm[shape].append(1000 * seconds)
                if shape in readable:
                    readable[shape].append(1000 * until_read)
    return (
        {shape: Spread.of(each) for shape, each in confirm.items()},
        {shape: Spread.of(each) for shape, each in readable.items()},
    )


def _wait_for_item(shapes: Shapes, shape: str, sub: str) -> None:
    eventually(lambda: shapes.item(shape, sub), f"{shape}: the item of {sub}", pause_seconds=0)


def measure_burst(shapes: Shapes, users: int) -> Burst:
    with ThreadPoolExecutor(_CONCURRENT) as threads:
        signed_up = [*threads.map(lambda _: shapes.sign_up(MODULE_SHAPE), range(users))]
        began_at = time.perf_counter()
        failed = sum(threads.map(lambda user: _fails(shapes, user.username), signed_up))
        confirmed = time.perf_counter() - began_at
    missing = {user.sub for user in signed_up}
    while missing and time.perf_counter() - began_at < 600:
        missing -= _subs_in_table(shapes)
    readable = time.perf_counter() - began_at
    shapes.wait_until_idle()
    welcomes = Counter(mail.to[0] for mail in shapes.aws.outbox() if SENDER in mail.source)
    one_email = sum(welcomes[f"{user.username}@example.com"] == 1 for user in signed_up)
    return Burst(users, confirmed, readable, failed, len(missing), one_email)


def _fails(shapes: Shapes, username: str) -> bool:
    """Return whether the user sees an error."""
    try:
        shapes.confirm(MODULE_SHAPE, username)
    except shapes.aws.client("cognito-idp").exceptions.ClientError:
        return True
    return False


def _subs_in_table(shapes: Shapes) -> set[str]:
    pages = shapes.aws.client("dynamodb").get_paginator("scan")
    return {
        item["id"]["S"]
        for page in pages.paginate(TableName=shapes.deployment.outputs["user_table_name"], ProjectionExpression="id")
        for item in page["Items"]
    }
