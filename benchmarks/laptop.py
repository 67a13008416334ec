"""The module on a laptop AWS, where people sign up and change while what AWS would bill is counted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.sign_up_usage import (
    FUNCTIONS,
    Json,
    Standing,
    Usage,
    alarm_metrics,
    billed_bytes,
    index_write_units,
    item_bytes,
    transitions,
    write_units,
)
from demo.deployment import Deployment
from demo.pool import SENDER, ForeignPool
from demo.report import Unexpected
from demo.steps import eventually
from local_aws.client import LocalAws

# Who calls in the way of a sign-up, and of a change; beside them the account's own calls are left out.
SERVICES = ("cognito-idp.amazonaws.com", "states.amazonaws.com", "lambda.amazonaws.com", "events.amazonaws.com")
SIGN_UP_CODE = "123456"  # the laptop AWS's

_OVERRIDE = """\
module "user_sync" {{
{arguments}
}}
"""
WITHOUT_WELCOME = "  welcome_email = null"
WITH_CHANGES = "  track_changes = true"

_FIRST_NAMES = ("Ada", "Grace", "Katherine", "Dorothy", "Margaret", "Radia", "Frances", "Jean", "Edsger", "Dennis")
_LAST_NAMES = (
    "Lovelace",
    "Hopper",
    "Johnson",
    "Vaughan",
    "Hamilton",
    "Perlman",
    "Allen",
    "Bartik",
    "Li",
    "Müller-Groß",
)


def attributes(number: int, name: str, address: str) -> dict[str, str]:
    """What a person signs up with. One in three has no phone."""
    phone = {"phone_number": f"+4930{number:08}"} if number % 3 else {}
    return {"name": name, "email": address, "custom:plan": "gold", **phone}


@dataclass(frozen=True)
class Person:
    username: str
    sub: str


class Laptop:
    """The module on a laptop AWS, with the outputs of its last apply."""

    def __init__(self, aws: LocalAws, pool: ForeignPool, deployment: Deployment, folder: Path) -> None:
        self.aws = aws
        self.pool = pool
        self.deployment = deployment
        self._override = folder / "main_override.tf"
        self.outputs: Json = {}

    def apply(self, arguments: str) -> None:
        """The module with `arguments` in place of those of the same name; what it starts by itself has ended."""
        self._override.write_text(_OVERRIDE.format(arguments=arguments), encoding="utf-8")
        self.deployment.apply()
        self.look()

    def look(self) -> None:
        """After an apply."""
        self.outputs = self.deployment.outputs()
        reconciliation = self.outputs["reconciliation_state_machine_arn"]
        eventually(lambda: not self.executions(reconciliation, statusFilter="RUNNING"), "the reconciliation ends", 120)

    @property
    def prefix(self) -> str:
        return str(self.outputs["user_table_name"]).removesuffix("users")

    def sign_up(self, numbers: Iterable[int]) -> list[Person]:
        people = []
        for number in numbers:
            first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
            last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
            username = f"{first}.{last}.{number}".lower()
            given = attributes(number, f"{first} {last}", f"{first.lower()}.person{number}@example.com")
            people.append(Person(username, self.pool.sign_up(username, given)))
        return people

    def confirmations(self, people: Sequence[Person]) -> Usage:
        return self._counted(people, lambda person: self.pool.confirm(person.username, SIGN_UP_CODE))

    def changes(self, people: Sequence[Person]) -> Usage:
        def change_name(person: Person) -> None:
            self.aws.client("cognito-idp").admin_update_user_attributes(
                UserPoolId=self.pool.id,
                Username=person.username,
                UserAttributes=[{"Name": "name", "Value": f"{person.username.partition('.')[0].title()} Newname"}],
            )

        return self._counted(people, change_name)

    def _counted(self, people: Sequence[Person], act: Callable[[Person], None]) -> Usage:
        """The next acts only when the last is synced: so no two share a batch of a queue, and, the first not being
        counted, no function starts cold."""
        first, *others = people
        cold = _Count(self, [first])
        act(first)
        cold.wait_for([first])
        count = _Count(self, others)
        for done, person in enumerate(others, 1):
            act(person)
            count.wait_for(others[:done])
        return count.usage()

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

    def executions(self, machine: str | None = None, **given: str) -> dict[str, Json]:
        """Of a state machine, or of user_sync, by ARN; `given` are ListExecutions' own."""
        machine = machine or self.outputs["user_sync_state_machine_arn"]
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        return {
            each["executionArn"]: each
            for page in pages.paginate(stateMachineArn=machine, **given)
            for each in page["executions"]
        }

    def item(self, sub: str, table: str | None = None) -> Json:
        """Of a table, or of the module's, as boto3's client gives it; {} where there is none."""
        item: Json = (
            self.aws.client("dynamodb")
            .get_item(TableName=table or self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True)
            .get("Item", {})
        )
        return item

    def index_keys(self) -> list[list[str]]:
        """Of each index, the attributes that are in it: its own keys and the table's."""
        table = self.aws.client("dynamodb").describe_table(TableName=self.outputs["user_table_name"])["Table"]
        kinds = {index["Projection"]["ProjectionType"] for index in table["GlobalSecondaryIndexes"]}
        if kinds != {"KEYS_ONLY"}:
            raise Unexpected(f"indexes with {kinds}: only those of keys alone are counted here")
        return [
            sorted({"id", *(key["AttributeName"] for key in index["KeySchema"])})
            for index in table["GlobalSecondaryIndexes"]
        ]

    def log_lines(self, function: str, since_milliseconds: int) -> Iterator[str]:
        group = f"/aws/lambda/{self.prefix}{function}"
        pages = self.aws.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=group, startTime=since_milliseconds):
            yield from (event["message"] for event in page["events"])


class _Count:
    """What happens on the laptop from now on, to these people: one write of the item each."""

    def __init__(self, laptop: Laptop, people: Sequence[Person]) -> None:
        self._laptop = laptop
        self._people = people
        self._before = {person.sub: laptop.item(person.sub) for person in people}
        self._old_executions = laptop.executions().keys()
        self._old_welcomes = self._welcomes()
        self._since = int(time.time() * 1000)
        laptop.aws.reset_calls()

    def wait_for(self, people: Sequence[Person]) -> list[str]:
        """The new executions, once the items of these people are written, all have succeeded, and no function is still
        at work."""

        def is_written() -> bool:
            return all(self._laptop.item(person.sub) != self._before[person.sub] for person in people)

        def succeeded() -> list[str] | None:
            # The items first: an execution that wrote one is listed by then.
            if not is_written():
                return None
            new = {arn: each for arn, each in self._laptop.executions().items() if arn not in self._old_executions}
            if bad := {each["status"] for each in new.values()} - {"RUNNING", "SUCCEEDED"}:
                raise Unexpected(f"an execution is {bad}")
            return [*new] if all(each["status"] == "SUCCEEDED" for each in new.values()) else None

        def is_quiet() -> bool:
            durations = self._durations(self._log_lines())
            return sum(map(len, durations.values())) == _total(self._calls(SERVICES), "lambda:InvokeFunction")

        # An empty list is an answer, too: a change has no execution.
        (executions,) = eventually(
            lambda: None if (found := succeeded()) is None else (found,),
            f"{len(people)} items, and no execution that runs",
            seconds=120,
        )
        eventually(is_quiet, "each function that was called has said how long it took", seconds=60)
        return executions

    def usage(self) -> Usage:
        executions = self.wait_for(self._people)
        count = len(self._people)
        calls = self._calls((*SERVICES, *FUNCTIONS))
        lines = self._log_lines()
        durations = self._durations(lines)
        after = {person.sub: self._laptop.item(person.sub) for person in self._people}
        indexes = self._laptop.index_keys()
        entries = [
            (_entry(self._before[sub], keys), _entry(item, keys)) for sub, item in after.items() for keys in indexes
        ]
        batches = len(durations.get("sync-changes", []))
        return Usage(
            transitions=sum(self._transitions(arn) for arn in executions) / count,
            invocations={name: len(each) / count for name, each in durations.items()},
            laptop_milliseconds={name: round(median(each), 1) for name, each in durations.items()},
            table_write_units=sum(
                write_units(item_bytes(self._before[sub]), item_bytes(item)) for sub, item in after.items()
            )
            / count,
            index_write_units=sum(index_write_units(*entry) for entry in entries) / count,
            # EventBridge sends each event, Lambda receives and deletes each batch: the laptop counts none of these.
            sqs_requests=_total(calls, "sqs:SendMessage") / count + (1 + 2 * batches / count if batches else 0),
            mails=(self._welcomes() - self._old_welcomes) / count,
            log_bytes=sum(billed_bytes(line) for each in lines.values() for line in each) / count,
            input_bytes=sum(self._input_bytes(arn) for arn in executions) / count,
            item_bytes=sum(map(item_bytes, after.values())) / count,
            index_bytes=sum(item_bytes(entry) for _, entry in entries) / count,
            calls={caller: {name: number / count for name, number in made.items()} for caller, made in calls.items()},
        )

    def _calls(self, callers: Sequence[str]) -> dict[str, dict[str, int]]:
        """By caller, functions without their prefix, and operation."""
        made = self._laptop.aws.calls_by_caller()
        prefix = self._laptop.prefix
        return {name: each for caller, each in made.items() if (name := caller.removeprefix(prefix)) in callers}

    def _log_lines(self) -> dict[str, list[str]]:
        """By function, of those that called AWS."""
        called = self._calls(FUNCTIONS)
        return {name: [*self._laptop.log_lines(name, self._since)] for name in called}

    @staticmethod
    def _durations(lines: Mapping[str, Iterable[str]]) -> dict[str, list[float]]:
        """Of each function's invocations, in milliseconds, as its log has them."""
        return {
            name: [json.loads(line)["record"]["metrics"]["durationMs"] for line in each if '"platform.report"' in line]
            for name, each in lines.items()
        }

    def _transitions(self, execution: str) -> int:
        states = self._laptop.aws.client("stepfunctions")
        pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
        return transitions(event["type"] for page in pages for event in page["events"])

    def _input_bytes(self, execution: str) -> int:
        described = self._laptop.aws.client("stepfunctions").describe_execution(executionArn=execution)
        return len(described["input"].encode())

    def _welcomes(self) -> int:
        return sum(SENDER in mail.source for mail in self._laptop.aws.outbox())


def _total(calls: Mapping[str, Mapping[str, int]], operation: str) -> int:
    return sum(made.get(operation, 0) for made in calls.values())


def _entry(item: Json, keys: Sequence[str]) -> Json:
    """An item's entry in an index: it has one if it has all of the keys."""
    return {name: item[name] for name in keys} if all(name in item for name in keys) else {}
