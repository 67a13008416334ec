"""python -m benchmarks.sign_up_cost: what a sign-up, a tracked change and a reconciled user cost, from measured calls.

The module is applied by the real Terraform to a laptop AWS, three times over: without the welcome, with it, and with
change tracking. Each time people sign up, or change, and what AWS would bill is counted. `sign_up_cost.json` keeps what
was counted; `--stored` prices it anew. Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

from rich.console import Console

from benchmarks import scenarios
from benchmarks.figures import Figures, Prices
from benchmarks.simulated_run import Assumptions
from demo.deployment import MODULE, Deployment
from demo.pool import SENDER, ForeignPool, make_foreign_pool
from demo.report import Report, Unexpected
from demo.steps import eventually
from local_aws.client import LocalAws, LocalAwsError
from local_aws.terraform_providers import ProvidersError, terraform_environment

Json: TypeAlias = dict[str, Any]

STORED = Path(__file__).with_suffix(".json")

NO_WELCOME = "sign-up, no welcome"
WELCOME = "sign-up, with the welcome"
CHANGE = "change, tracked"
DEFAULT = "default"
TRACKED = "track_changes"

# What is reconciled: the page docs/benchmarks.md has the same figures of the same runs.
RECONCILED_USERS = 100_000
RECONCILIATIONS = (scenarios.FIRST_DEFAULT, scenarios.UNCHANGED_DEFAULT, scenarios.CHANGED)

# What AWS bills of one invocation. A laptop's durations are not AWS's: there a call of AWS takes tens of milliseconds,
# here it is answered by the same machine. start_changes sleeps 200 ms after each message.
ASSUMED_MILLISECONDS = {"post-confirmation": 100, "sync-user": 100, "send-welcome": 200, "start-changes": 300}
# Of a queue that is empty: Lambda's five connections, each asking every 20 s.
# https://github.com/getlift/lift/issues/132
EMPTY_POLLS_A_MONTH = 5 * 3 * 60 * 24 * 30
NIGHTS_A_MONTH = 30
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
STORED_OVERHEAD_BYTES = 100
WRITE_UNIT_BYTES = 1024

_MILLION = 1_000_000
_GIGABYTE = 10**9

# Who calls in the way of a sign-up, and of a change; beside them the account's own calls are left out.
_SERVICES = ("cognito-idp.amazonaws.com", "states.amazonaws.com", "lambda.amazonaws.com", "events.amazonaws.com")
_SIGN_UP_CODE = "123456"  # the laptop AWS's


# --- figures


@dataclass(frozen=True)
class Usage:
    """Of one sign-up, or one change: the mean of all that were measured.

    `invocations` and `laptop_milliseconds` (the median invocation) are by function, `calls` by caller and operation.
    """

    transitions: float
    invocations: Mapping[str, float]
    laptop_milliseconds: Mapping[str, float]
    table_write_units: float
    index_write_units: float
    sqs_requests: float
    mails: float
    log_bytes: float
    input_bytes: float
    item_bytes: float
    index_bytes: float
    calls: Mapping[str, Mapping[str, float]]

    def gb_seconds(self, memory_mb: int) -> float:
        milliseconds = sum(count * ASSUMED_MILLISECONDS[name] for name, count in self.invocations.items())
        return milliseconds / 1000 * memory_mb / 1024

    def dollars_per_million(self, memory_mb: int, prices: Prices) -> dict[str, float]:
        """By service."""
        price = prices.per_million
        return {
            "Step Functions": self.transitions * price["step_functions_transitions"],
            "Lambda": sum(self.invocations.values()) * price["lambda_requests"]
            + self.gb_seconds(memory_mb) * _MILLION * prices.gb_second,
            "DynamoDB": (self.table_write_units + self.index_write_units) * price["dynamodb_write_units"],
            "SQS": self.sqs_requests * price["sqs_requests"],
            "SES": self.mails * price["ses_mails"],
            "Logs": self.log_bytes * _MILLION / _GIGABYTE * prices.log_gigabyte,
        }


@dataclass(frozen=True)
class Standing:
    """What is paid for by the month: `alarms` as AWS counts them, one for each metric that an alarm looks at."""

    alarms: int
    dashboards: int
    polled_queues: int

    def dollars(self, prices: Prices) -> dict[str, float]:
        """By what they are paid for."""
        return {
            "alarms": self.alarms * prices.per_month["alarm"],
            "dashboard": self.dashboards * prices.per_month["dashboard"],
            "queues, empty": self.polled_queues * EMPTY_POLLS_A_MONTH * prices.per_million["sqs_requests"] / _MILLION,
        }


@dataclass(frozen=True)
class Measurement:
    """`usage` by NO_WELCOME, WELCOME and CHANGE, `standing` by DEFAULT and TRACKED, `reconciliation` by scenario."""

    measured_on: str
    people: int
    memory_mb: int
    usage: Mapping[str, Usage]
    standing: Mapping[str, Standing]
    reconciliation: Mapping[str, Figures]

    @classmethod
    def load(cls) -> Measurement:
        found: Json = json.loads(STORED.read_text(encoding="utf-8"))
        return cls(
            measured_on=found["measured_on"],
            people=found["people"],
            memory_mb=found["memory_mb"],
            usage={name: Usage(**each) for name, each in found["usage"].items()},
            standing={name: Standing(**each) for name, each in found["standing"].items()},
            reconciliation={name: Figures(**each) for name, each in found["reconciliation"].items()},
        )

    def store(self) -> None:
        STORED.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """An item of strings, numbers and booleans, as boto3's client gives it, in the size that DynamoDB bills.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    size = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size += len(name.encode())
        if kind == "S":
            size += len(value.encode())
        elif kind == "N":
            size += math.ceil(len(value.strip("-0.")) / 2) + 1
        elif kind == "BOOL":
            size += 1
        else:
            raise ValueError(f"the size of {kind} is not known here")
    return size


def write_units(before: int, after: int) -> int:
    """Of a write that makes an item of `before` bytes one of `after`; 0 bytes are no item."""
    return math.ceil(max(before, after) / WRITE_UNIT_BYTES)


def index_write_units(before: Json, after: Json) -> int:
    """Of the entry in an index, which holds only keys; {} where there is none. Moving it is a delete and a put.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes
    """
    if before == after:
        return 0
    return sum(write_units(0, item_bytes(entry)) for entry in (before, after) if entry)


def transitions(event_types: Iterable[str]) -> int:
    """What AWS bills of an execution with this history: each step that is entered, and each retry of one.

    "Step Functions counts a state transition each time a step of your workflow is executed ... including retries":
    https://aws.amazon.com/step-functions/pricing/. Raises ValueError where a step failed: its retries are not counted
    here, and a usual execution has none.
    """
    kinds = Counter(event_types)
    if failed := [kind for kind in kinds if kind.endswith(("Failed", "TimedOut"))]:
        raise ValueError(f"not a usual execution: {', '.join(failed)}")
    return sum(number for kind, number in kinds.items() if kind.endswith("StateEntered"))


def alarm_metrics(alarm: Mapping[str, Any]) -> int:
    """What AWS bills of an alarm as DescribeAlarms gives it: the metrics it looks at, of which an expression may have
    several."""
    return sum("MetricStat" in metric for metric in alarm.get("Metrics", [])) or 1


def billed_bytes(line: str) -> int:
    """What a line of a function's log adds to the bill: none where it is Lambda's own, which system_log_level = WARN
    keeps out of the log; else its length and 26 bytes, as PutLogEvents counts them.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    """
    return 0 if '"type": "platform.' in line else len(line.encode()) + 26


# --- measuring

_OVERRIDE = """\
module "user_sync" {{
{arguments}
}}
"""
_WITHOUT_WELCOME = "  welcome_email = null"
_WITH_WELCOME = ""
_WITH_CHANGES = "  track_changes = true"

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


@dataclass(frozen=True)
class Person:
    username: str
    sub: str


class Laptop:
    """The module on a laptop AWS, with the outputs of its last apply."""

    def __init__(self, aws: LocalAws, pool: ForeignPool, deployment: Deployment, folder: Path) -> None:
        self.aws = aws
        self.pool = pool
        self._deployment = deployment
        self._override = folder / "main_override.tf"
        self.outputs: Json = {}

    def apply(self, arguments: str) -> None:
        """The module with `arguments` in place of those of the same name; what it starts by itself has ended."""
        self._override.write_text(_OVERRIDE.format(arguments=arguments), encoding="utf-8")
        self._deployment.apply()
        self.outputs = self._deployment.outputs()
        reconciliation = self.outputs["reconciliation_state_machine_arn"]
        eventually(lambda: not self._executions(reconciliation, statusFilter="RUNNING"), "the reconciliation ends", 120)

    @property
    def prefix(self) -> str:
        return str(self.outputs["user_table_name"]).removesuffix("users")

    def sign_up(self, numbers: Iterable[int]) -> list[Person]:
        """One of three has no phone."""
        people = []
        for number in numbers:
            first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
            last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
            username = f"{first}.{last}.{number}".lower()
            address = f"{first.lower()}.person{number}@example.com"
            attributes = {"name": f"{first} {last}", "email": address, "custom:plan": "gold"}
            if number % 3:
                attributes["phone_number"] = f"+4930{number:08}"
            people.append(Person(username, self.pool.sign_up(username, attributes)))
        return people

    def confirmations(self, people: Sequence[Person]) -> Usage:
        return self._counted(people, lambda person: self.pool.confirm(person.username, _SIGN_UP_CODE))

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
        cold.wait_for(1)
        count = _Count(self, others)
        for done, person in enumerate(others, 1):
            act(person)
            count.wait_for(done)
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
        return Standing(
            alarms=sum(map(alarm_metrics, alarms)),
            dashboards=sum(dashboard["DashboardName"] == self.prefix.rstrip("-") for dashboard in dashboards),
            polled_queues=sum(":sqs:" in mapping["EventSourceArn"] for mapping in mappings),
        )

    def memory_mb(self) -> int:
        (memory,) = {
            self.aws.client("lambda").get_function_configuration(FunctionName=f"{self.prefix}{name}")["MemorySize"]
            for name in ASSUMED_MILLISECONDS
        }
        return int(memory)

    def executions(self) -> dict[str, Json]:
        """Of user_sync, by ARN."""
        return self._executions(self.outputs["user_sync_state_machine_arn"])

    def _executions(self, machine: str, **given: str) -> dict[str, Json]:
        pages = self.aws.client("stepfunctions").get_paginator("list_executions")
        return {
            each["executionArn"]: each
            for page in pages.paginate(stateMachineArn=machine, **given)
            for each in page["executions"]
        }

    def item(self, sub: str) -> Json:
        """As boto3's client gives it; {} where there is none."""
        item: Json = (
            self.aws.client("dynamodb")
            .get_item(TableName=self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True)
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
    """What happens on the laptop from now on, to these people: one execution each."""

    def __init__(self, laptop: Laptop, people: Sequence[Person]) -> None:
        self._laptop = laptop
        self._people = people
        self._before = {person.sub: laptop.item(person.sub) for person in people}
        self._old_executions = laptop.executions().keys()
        self._old_welcomes = self._welcomes()
        self._since = int(time.time() * 1000)
        laptop.aws.reset_calls()

    def wait_for(self, count: int) -> list[str]:
        """The new executions, once there are so many, all have succeeded, and no function is still at work."""

        def succeeded() -> list[str] | None:
            new = {arn: each for arn, each in self._laptop.executions().items() if arn not in self._old_executions}
            if bad := {each["status"] for each in new.values()} - {"RUNNING", "SUCCEEDED"}:
                raise Unexpected(f"an execution is {bad}")
            done = len(new) == count and all(each["status"] == "SUCCEEDED" for each in new.values())
            return [*new] if done else None

        def is_quiet() -> bool:
            durations = self._durations(self._log_lines())
            return sum(map(len, durations.values())) == _total(self._calls(_SERVICES), "lambda:InvokeFunction")

        executions = eventually(succeeded, f"{count} executions, all succeeded", seconds=120)
        eventually(is_quiet, "each function that was called has said how long it took", seconds=60)
        return executions

    def usage(self) -> Usage:
        executions = self.wait_for(len(self._people))
        count = len(self._people)
        calls = self._calls((*_SERVICES, *ASSUMED_MILLISECONDS))
        lines = self._log_lines()
        durations = self._durations(lines)
        after = {person.sub: self._laptop.item(person.sub) for person in self._people}
        indexes = self._laptop.index_keys()
        entries = [
            (_entry(self._before[sub], keys), _entry(item, keys)) for sub, item in after.items() for keys in indexes
        ]
        batches = len(durations.get("start-changes", []))
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
        called = self._calls([*ASSUMED_MILLISECONDS])
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


def measure(people: int, told: Report) -> Measurement:
    """Takes minutes. Raises Unexpected where something does not go as it should."""
    told.say(f"{RECONCILED_USERS:,} users: reconciliation")
    reconciled = scenarios.measure(RECONCILED_USERS, Assumptions(), lambda _: None).figures
    providers = terraform_environment()
    parent = MODULE / ".local"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cost-", dir=parent) as name, LocalAws.started() as aws:
        folder = Path(name)
        pool = make_foreign_pool(aws)

        def alive() -> None:
            if aws.process is not None and aws.process.poll() is not None:
                raise Unexpected("the laptop AWS has ended")

        environment = {**aws.environment(), **providers}
        laptop = Laptop(aws, pool, Deployment(told, folder, pool.id, SENDER, environment, alive), folder)
        usage, standing = {}, {}
        told.say("apply without the welcome")
        laptop.apply(_WITHOUT_WELCOME)
        usage[NO_WELCOME] = laptop.confirmations(laptop.sign_up(range(people + 1)))
        told.say("apply with the welcome")
        laptop.apply(_WITH_WELCOME)
        standing[DEFAULT] = laptop.standing()
        greeted = laptop.sign_up(range(people + 1, 2 * people + 2))
        usage[WELCOME] = laptop.confirmations(greeted)
        told.say("apply with change tracking")
        laptop.apply(_WITH_CHANGES)
        standing[TRACKED] = laptop.standing()
        usage[CHANGE] = laptop.changes(greeted)
        return Measurement(
            measured_on=str(datetime.now(UTC).date()),
            people=people,
            memory_mb=laptop.memory_mb(),
            usage=usage,
            standing=standing,
            # asdict takes no Counter.
            reconciliation={
                name: replace(reconciled[name], calls=dict(reconciled[name].calls)) for name in RECONCILIATIONS
            },
        )


# --- tables


def tables(measurement: Measurement, prices: Prices) -> dict[str, str]:
    """The tables of docs/cost.md, by the name of the place that each has there."""
    return {
        "per million": _per_million(measurement, prices),
        "per month": _per_month(measurement, prices),
        "measured": _measured(measurement),
        "calls": _calls(measurement),
        "durations": _durations_table(measurement, prices),
        "prices": _prices(prices),
    }


def placed(page: str, shown: Mapping[str, str]) -> str:
    """The page with each table in its place. Raises ValueError where a table has no place."""
    for name, table in shown.items():
        begin, end = f"<!-- {name}: written by make bench -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no lines {begin.strip()} and {end.strip()}")
        page = f"{before}{begin}\n{table}\n\n{end}{after}"
    return page


def _per_million(measurement: Measurement, prices: Prices) -> str:
    by_service = {
        name: used.dollars_per_million(measurement.memory_mb, prices) for name, used in measurement.usage.items()
    }
    for name, figures in measurement.reconciliation.items():
        parts = {part: dollars * _MILLION / figures.users for part, dollars in figures.dollars(prices).items()}
        by_service[f"user reconciled: {name.removeprefix('module, ')} ({figures.list_users_per_second:g}/s)"] = {
            "Step Functions": parts["Step Functions"],
            "Lambda": parts["Lambda"],
            "DynamoDB": parts["DynamoDB writes"] + parts["DynamoDB reads"],
        }
    services = ("Step Functions", "SES", "Lambda", "DynamoDB", "SQS", "Logs")
    return _markdown(
        ("a million times", *services, "all"),
        [
            [name, *(f"{dollars.get(service, 0):,.2f}" for service in services), f"{sum(dollars.values()):,.2f}"]
            for name, dollars in by_service.items()
        ],
    )


def _per_month(measurement: Measurement, prices: Prices) -> str:
    default, tracked = measurement.standing[DEFAULT], measurement.standing[TRACKED]
    nightly = measurement.reconciliation[scenarios.UNCHANGED_DEFAULT]
    nights = NIGHTS_A_MONTH * nightly.dollars_per_million_users(prices) * nightly.users / _MILLION
    user = measurement.usage[CHANGE]  # with the dates that a reconciliation adds
    stored = user.item_bytes + user.index_bytes + 2 * STORED_OVERHEAD_BYTES
    table = stored * nightly.users / _GIGABYTE * prices.per_month["table_gigabyte"]
    dollars = {DEFAULT: default.dollars(prices), TRACKED: tracked.dollars(prices)}
    rows = [
        ["alarms", f"{default.alarms}", f"{dollars[DEFAULT]['alarms']:.2f}"],
        ["dashboard", f"{default.dashboards}", f"{dollars[DEFAULT]['dashboard']:.2f}"],
        ["empty queues that Lambda polls", f"{default.polled_queues}", f"{dollars[DEFAULT]['queues, empty']:.2f}"],
    ]
    for row, count, kind in zip(
        rows,
        (tracked.alarms, tracked.dashboards, tracked.polled_queues),
        ("alarms", "dashboard", "queues, empty"),
        strict=True,
    ):
        row += [f"{count}", f"{dollars[TRACKED][kind]:.2f}"]
    sums = [f"{sum(dollars[name].values()):.2f}" for name in (DEFAULT, TRACKED)]
    rows.append(["**all that stands there**", "", f"**{sums[0]}**", "", f"**{sums[1]}**"])
    for what, price in (
        (f"a reconciliation each night that finds nothing changed, of {nightly.users:,} users", nights),
        (f"the table's storage of {nightly.users:,} users, {stored:,.0f} bytes each with the index", table),
    ):
        rows.append([what, "", f"{price:.2f}", "", f"{price:.2f}"])
    return _markdown(("a month", "number", "$", "number, `track_changes = true`", "$"), rows)


def _measured(measurement: Measurement) -> str:
    used = measurement.usage.values()
    rows: list[tuple[str, list[float]]] = [
        ("state transitions", [each.transitions for each in used]),
        ("Lambda invocations", [sum(each.invocations.values()) for each in used]),
        ("DynamoDB write units, table", [each.table_write_units for each in used]),
        ("DynamoDB write units, index `by_shard`", [each.index_write_units for each in used]),
        ("SQS requests", [each.sqs_requests for each in used]),
        ("mails", [each.mails for each in used]),
        ("bytes of log lines", [each.log_bytes for each in used]),
        ("bytes of the execution's input", [each.input_bytes for each in used]),
        ("bytes of the item", [each.item_bytes for each in used]),
    ]
    table = _markdown(
        ("each takes", *measurement.usage),
        [
            [name, *(f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:.2f}" for value in values)]
            for name, values in rows
        ],
    )
    return f"The mean of {measurement.people} people of each kind, on {measurement.measured_on}:\n\n{table}"


def _calls(measurement: Measurement) -> str:
    made = sorted(
        {(who, what) for used in measurement.usage.values() for who in used.calls for what in used.calls[who]}
    )
    return _markdown(
        ("caller", "call", *measurement.usage),
        [
            [
                who,
                what,
                *(
                    f"{used.calls.get(who, {}).get(what, 0):.2f}".rstrip("0").rstrip(".")
                    for used in measurement.usage.values()
                ),
            ]
            for who, what in made
        ],
    )


def _durations_table(measurement: Measurement, prices: Prices) -> str:
    rows = []
    for name, assumed in ASSUMED_MILLISECONDS.items():
        seen = [
            used.laptop_milliseconds[name] for used in measurement.usage.values() if name in used.laptop_milliseconds
        ]
        gb_seconds = assumed / 1000 * measurement.memory_mb / 1024
        shown = f"{min(seen):.0f} to {max(seen):.0f}" if len(seen) > 1 else f"{seen[0]:.0f}"
        rows.append(
            [f"`{name}`", shown, f"{assumed}", f"{gb_seconds:.3f}", f"{gb_seconds * _MILLION * prices.gb_second:.2f}"]
        )
    further = 0.1 * measurement.memory_mb / 1024
    rows.append(["each further 100 ms", "", "100", f"{further:.3f}", f"{further * _MILLION * prices.gb_second:.2f}"])
    return _markdown(
        ("function", "ms on the laptop, median", "ms assumed", "GB-seconds", "$ of a million invocations"), rows
    )


def _prices(prices: Prices) -> str:
    rows = {
        ("step_functions_transitions", "Step Functions, a million state transitions"): prices.per_million,
        ("ses_mails", "SES, a million mails"): prices.per_million,
        ("lambda_requests", "Lambda, a million requests"): prices.per_million,
        ("dynamodb_write_units", "DynamoDB on demand, a million write units"): prices.per_million,
        ("dynamodb_read_units", "DynamoDB on demand, a million read units"): prices.per_million,
        ("sqs_requests", "SQS, a million requests"): prices.per_million,
        ("cognito_list_users", "Cognito, a million ListUsers"): prices.per_million,
        ("eventbridge_aws_events", "EventBridge, a million events of AWS's own services"): prices.per_million,
        ("lambda_gb_second_arm64", "Lambda, a million GB-seconds on arm64"): {
            "lambda_gb_second_arm64": prices.gb_second * _MILLION
        },
        ("log_gigabyte", "CloudWatch, a GB of logs taken in"): {"log_gigabyte": prices.log_gigabyte},
        ("alarm", "CloudWatch, an alarm on one metric, a month"): prices.per_month,
        ("dashboard", "CloudWatch, a dashboard, a month"): prices.per_month,
        ("table_gigabyte", "DynamoDB, a GB in the table, a month"): prices.per_month,
        ("kms_key", "KMS, a key of your own, a month"): prices.per_month,
    }
    return _markdown(
        (f"list prices of {prices.region}, recorded on {prices.recorded_on}", "$", ""),
        [
            [title, f"{group[name]:g}", "not confirmed" if name in prices.not_confirmed else ""]
            for (name, title), group in rows.items()
        ],
    )


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Names to the left, numbers to the right."""
    rule = ["---" if name in ("caller", "call", "") or not position else "--:" for position, name in enumerate(header)]
    lines = [f"| {' | '.join(row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    told = Report(Console(stderr=True, highlight=False))
    measurement = Measurement.load() if options.stored else measure(options.people, told)
    shown = tables(measurement, Prices.load())
    print("\n\n".join(shown.values()))
    if options.report:
        page = placed(options.report.read_text(encoding="utf-8"), shown)
        measurement.store()
        options.report.write_text(page, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sign_up_cost", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--people", type=int, default=100, help="who sign up, in each of the two ways (100)")
    parser.add_argument("--stored", action="store_true", help="measure nothing: price what was measured last")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the tables to a Markdown page, and keep what was measured"
    )
    return parser


if __name__ == "__main__":
    try:
        main()
    except (Unexpected, LocalAwsError, ProvidersError) as error:
        sys.exit(str(error))
