"""The module on a local AWS. Counts what AWS would bill while users sign up and change."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.dynamodb_units import index_write_units, item_bytes, write_units
from benchmarks.sign_up_usage import (
    CHANGE,
    EVENT,
    FUNCTIONS,
    PUBLISHER,
    Json,
    Standing,
    Usage,
    alarm_metrics,
    billed_bytes,
    transitions,
)
from demo.deployment import Deployment
from demo.pool import SENDER, ForeignPool
from demo.report import Unexpected
from demo.steps import eventually
from local_aws.client import LocalAws

# The services that make calls for a sign-up or a change. Calls of other callers are not counted.
SERVICES = ("cognito-idp.amazonaws.com", "states.amazonaws.com", "lambda.amazonaws.com", "events.amazonaws.com")
SIGN_UP_CODE = "123456"  # of the local AWS

_OVERRIDE = """\
module "user_sync" {{
{arguments}
}}
"""
WITHOUT_WELCOME = "  welcome_email = null"
WITH_CHANGES_AND_EVENTS = """\
  track_changes = true
  user_events   = { event_bus_arn = "arn:aws:events:us-east-1:000000000000:event-bus/default" }"""

_FIRST_NAMES = ("Ada", "Grace", "Katherine", "Dorothy", "Margaret", "Radia", "Frances", "Jean", "Edsger", "Dennis")
_LAST_NAMES = ("Lovelace", "Hopper", "Johnson", "Vaughan", "Hamilton", "Perlman", "Allen", "Bartik", "Li", "Müller")


def attributes(number: int, name: str, address: str) -> dict[str, str]:
    """Return the attributes of a sign-up. One in three has no phone number."""
    phone = {"phone_number": f"+4930{number:08}"} if number % 3 else {}
    return {"name": name, "email": address, "custom:plan": "gold", **phone}


@dataclass(frozen=True)
class User:
    username: str
    sub: str


@dataclass(frozen=True)
class Target:
    """What a sign-up uses: names of functions without `prefix`, a state machine, a table, keys of its indexes.

    `publishes`: whether each user has an event.
    """

    prefix: str
    functions: Sequence[str]
    state_machine: str
    table: str
    indexes: Sequence[Sequence[str]] = ()
    publishes: bool = False


class MeasuredDeployment:
    """The module on a local AWS, with the outputs of its last apply."""

    def __init__(self, aws: LocalAws, pool: ForeignPool, deployment: Deployment, folder: Path) -> None:
        self.aws = aws
        self.pool = pool
        self.deployment = deployment
        self._override = folder / "main_override.tf"
        self.outputs: Json = {}

    def apply(self, arguments: str) -> None:
        """Apply the module with `arguments` in place of those with the same names."""
        self._override.write_text(_OVERRIDE.format(arguments=arguments), encoding="utf-8")
        self.deployment.apply()
        self.read_outputs()

    def read_outputs(self) -> None:
        """Read the outputs after an apply, and wait for the reconciliation that it starts."""
        self.outputs = self.deployment.outputs()
        reconciliation = self.outputs["reconciliation_state_machine_arn"]
        eventually(lambda: not self.executions(reconciliation, statusFilter="RUNNING"), "the reconciliation ends", 120)

    @property
    def prefix(self) -> str:
        return str(self.outputs["user_table_name"]).removesuffix("users")

    def sign_up(self, numbers: Iterable[int]) -> list[User]:
        users = []
        for number in numbers:
            first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
            last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
            username = f"{first}.{last}.{number}".lower()
            given = attributes(number, f"{first} {last}", f"{first.lower()}.person{number}@example.com")
            users.append(User(username, self.pool.sign_up(username, given)))
        return users

    def confirmations(self, users: Sequence[User]) -> Usage:
        return self.count(users, self.target(), lambda user: self.pool.confirm(user.username, SIGN_UP_CODE)).usage()

    def changes(self, users: Sequence[User]) -> dict[str, Usage]:
        """Return the usage of a change, and of the event about it."""

        def change_name(user: User) -> None:
            self.aws.client("cognito-idp").admin_update_user_attributes(
                UserPoolId=self.pool.id,
                Username=user.username,
                UserAttributes=[{"Name": "name", "Value": f"{user.username.partition('.')[0].title()} Newname"}],
            )

        count = self.count(users, self.target(publishes=True), change_name)
        return {CHANGE: count.usage(without=(PUBLISHER,)), EVENT: count.event_usage()}

    def target(self, publishes: bool = False) -> Target:
        """The module as the target of a sign-up."""
        table = self.aws.client("dynamodb").describe_table(TableName=self.outputs["user_table_name"])["Table"]
        kinds = {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]}
        if kinds != {"KEYS_ONLY"}:
            raise Unexpected(f"the indexes project {kinds}: only KEYS_ONLY can be counted")
        keys = [
            sorted({"id", *(key["AttributeName"] for key in index["KeySchema"])})
            for index in table["GlobalSecondaryIndexes"]
        ]
        machine = self.outputs["user_sync_state_machine_arn"]
        return Target(self.prefix, FUNCTIONS, machine, self.outputs["user_table_name"], keys, publishes)

    def count(self, users: Sequence[User], target: Target, act: Callable[[User], None]) -> Count:
        """Return the count of what an act uses, of all users but the first, for whom functions start cold.

        Each act begins when the user before is synced, so that no two share a batch of a queue.
        """
        first, *others = users
        cold = Count(self, target, [first])
        act(first)
        cold.wait_for([first])
        count = Count(self, target, others)
        for done, user in enumerate(others, 1):
            act(user)
            count.wait_for(others[:done])
        return count

    def standing(self) -> Standing:
        cloudwatch = self.aws.client("cloudwatch")
        alarms = [
            alarm
            for page in cloudwatch.get_paginator("describe_alarms").paginate()
            for alarm in page["MetricAlarms"]
            if alarm["AlarmName"].startswith(self.prefix)
        ]
        mappings = self.aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        dashboards = cloudwatch.list_dashboards()["DashboardEntries"]
        dashboard_name = self.outputs["dashboard_url"].rpartition("/")[2]
        return Standing(
            alarms=sum(map(alarm_metrics, alarms)),
            dashboards=sum(dashboard["DashboardName"] == dashboard_name for dashboard in dashboards),
            polled_queues=sum(":sqs:" in mapping["EventSourceArn"] for mapping in mappings),
        )

    def memory_mb(self) -> int:
        (memory,) = {
            self.aws.client("lambda").get_function_configuration(FunctionName=f"{self.prefix}{name}")["MemorySize"]
            for name in FUNCTIONS
        }
        return int(memory)

    def executions(self, machine: str, **given: str) -> dict[str, Json]:
        """Return the executions of a state machine, by ARN. `given` are arguments of ListExecutions."""
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        return {
            each["executionArn"]: each
            for page in pages.paginate(stateMachineArn=machine, **given)
            for each in page["executions"]
        }

    def item(self, sub: str, table: str | None = None) -> Json:
        """Return an item of a table (default: the module's) in the form of boto3's client; {} if there is none."""
        item: Json = (
            self.aws.client("dynamodb")
            .get_item(TableName=table or self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True)
            .get("Item", {})
        )
        return item

    def log_lines(self, function: str, since_milliseconds: int) -> Iterator[str]:
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=f"/aws/lambda/{function}", startTime=since_milliseconds):
            yield from (event["message"] for event in page["events"])


class Count:
    """Counts calls, writes and log lines for these users, from now on. Each user's item is written once."""

    def __init__(self, deployment: MeasuredDeployment, target: Target, users: Sequence[User]) -> None:
        self._deployment = deployment
        self._target = target
        self._users = users
        self._before = {user.sub: self._item(user.sub) for user in users}
        self._old_executions = deployment.executions(target.state_machine).keys()
        self._old_welcomes = self._welcomes()
        self._since = int(time.time() * 1000)
        deployment.aws.reset_calls()

    def wait_for(self, users: Sequence[User]) -> list[str]:
        """Wait until these users' items are written, and all executions and functions have ended.

        Returns:
            The ARNs of the new executions.
        """

        def succeeded() -> list[str] | None:
            # The items first: an execution that wrote one is listed by then.
            if any(self._item(user.sub) == self._before[user.sub] for user in users):
                return None
            if self._target.publishes and self._published() < len(users):
                return None
            listed = self._deployment.executions(self._target.state_machine)
            new = {arn: each for arn, each in listed.items() if arn not in self._old_executions}
            if bad := {each["status"] for each in new.values()} - {"RUNNING", "SUCCEEDED"}:
                raise Unexpected(f"an execution is {bad}")
            return [*new] if all(each["status"] == "SUCCEEDED" for each in new.values()) else None

        def is_quiet() -> bool:
            durations = self._durations(self._log_lines())
            return sum(map(len, durations.values())) == _total(self._calls(SERVICES), "lambda:InvokeFunction")

        # An empty list is an answer, too: a change has no execution.
        (executions,) = eventually(
            lambda: None if (found := succeeded()) is None else (found,),
            f"{len(users)} items, and no running execution",
            seconds=120,
        )
        eventually(is_quiet, "each invoked function has logged its duration", seconds=60)
        return executions

    def usage(self, without: Sequence[str] = ()) -> Usage:
        """Return the mean usage, without that of some functions."""
        executions = self.wait_for(self._users)
        count = len(self._users)
        lines = {name: each for name, each in self._log_lines().items() if name not in without}
        durations = self._durations(lines)
        calls = self._calls((*SERVICES, *(name for name in self._target.functions if name not in without)))
        if batches := len(durations.get("sync-changes", [])):
            # Lambda also invokes the other functions that read a source.
            calls["lambda.amazonaws.com"] = {"lambda:InvokeFunction": batches}
        after = {user.sub: self._item(user.sub) for user in self._users}
        entries = [
            (_entry(self._before[sub], keys), _entry(item, keys))
            for sub, item in after.items()
            for keys in self._target.indexes
        ]
        return Usage(
            transitions=sum(self._transitions(arn) for arn in executions) / count,
            invocations={name: len(each) / count for name, each in durations.items()},
            local_milliseconds={name: round(median(each), 1) for name, each in durations.items()},
            table_write_units=sum(
                write_units(item_bytes(self._before[sub]), item_bytes(item)) for sub, item in after.items()
            )
            / count,
            index_write_units=sum(index_write_units(*entry) for entry in entries) / count,
            # EventBridge sends each event; Lambda receives and deletes each batch. The local AWS counts none of these.
            sqs_requests=_total(calls, "sqs:SendMessage") / count + (1 + 2 * batches / count if batches else 0),
            emails=(self._welcomes() - self._old_welcomes) / count,
            log_bytes=sum(billed_bytes(line) for each in lines.values() for line in each) / count,
            input_bytes=sum(self._input_bytes(arn) for arn in executions) / count,
            item_bytes=sum(map(item_bytes, after.values())) / count,
            index_bytes=sum(item_bytes(entry) for _, entry in entries) / count,
            calls={caller: {name: number / count for name, number in made.items()} for caller, made in calls.items()},
        )

    def event_usage(self) -> Usage:
        """Return the mean usage of the event about each user. Lambda reads the stream free of charge."""
        count = len(self._users)
        lines = self._log_lines()[PUBLISHER]
        durations = self._durations({PUBLISHER: lines})[PUBLISHER]
        nothing = dict.fromkeys(
            ("transitions", "table_write_units", "index_write_units", "sqs_requests", "emails"), 0.0
        ) | dict.fromkeys(("input_bytes", "item_bytes", "index_bytes"), 0.0)
        return Usage(
            **nothing,
            invocations={PUBLISHER: len(durations) / count},
            local_milliseconds={PUBLISHER: round(median(durations), 1)},
            log_bytes=sum(map(billed_bytes, lines)) / count,
            calls={
                "lambda.amazonaws.com": {"lambda:InvokeFunction": len(durations) / count},
                PUBLISHER: {"events:PutEvents": self._published() / count},
            },
            events=self._published() / count,
        )

    def _published(self) -> int:
        return self._calls([PUBLISHER]).get(PUBLISHER, {}).get("events:PutEvents", 0)

    def _item(self, sub: str) -> Json:
        return self._deployment.item(sub, self._target.table)

    def _calls(self, callers: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the number of calls by caller (functions without their prefix) and operation."""
        made = self._deployment.aws.calls_by_caller()
        prefix = self._target.prefix
        return {name: each for caller, each in made.items() if (name := caller.removeprefix(prefix)) in callers}

    def _log_lines(self) -> dict[str, list[str]]:
        """Return the log lines of each function that called AWS."""
        called = self._calls(self._target.functions)
        prefix = self._target.prefix
        return {name: [*self._deployment.log_lines(f"{prefix}{name}", self._since)] for name in called}

    @staticmethod
    def _durations(lines: Mapping[str, Iterable[str]]) -> dict[str, list[float]]:
        """Return the logged durations of each function's invocations, in milliseconds."""
        return {
            name: [json.loads(line)["record"]["metrics"]["durationMs"] for line in each if '"platform.report"' in line]
            for name, each in lines.items()
        }

    def _transitions(self, execution: str) -> int:
        states = self._deployment.aws.client("stepfunctions")
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return transitions(event["type"] for page in pages for event in page["events"])

    def _input_bytes(self, execution: str) -> int:
        described = self._deployment.aws.client("stepfunctions").describe_execution(executionArn=execution)
        return len(described["input"].encode())

    def _welcomes(self) -> int:
        return sum(SENDER in mail.source for mail in self._deployment.aws.outbox())


def _total(calls: Mapping[str, Mapping[str, int]], operation: str) -> int:
    return sum(made.get(operation, 0) for made in calls.values())


def _entry(item: Json, keys: Sequence[str]) -> Json:
    """Return an item's entry in an index. An item without one of the keys has none."""
    return {name: item[name] for name in keys} if all(name in item for name in keys) else {}
