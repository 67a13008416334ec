"""The time, the calls and the price of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.simulated_run import SimulatedAws

APIS = (
    "ListUsers",
    "BatchGetItem",
    "UpdateItem",
    "PutItem",
    "BatchWriteItem",
    "Query",
    "AdminGetUser",
    "Lambda",
    "StepFunctions",
)
_WRITES = ("UpdateItem", "PutItem", "BatchWriteItem")
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """A list price in US dollars. One that is not confirmed is from secondary sources, not from AWS's own pages."""

    title: str
    dollars: float
    confirmed: bool


@dataclass(frozen=True)
class Prices:
    """The content of prices.json."""

    recorded_on: str
    region: str
    prices: Mapping[str, Price]

    @classmethod
    def load(cls) -> Prices:
        return TypeAdapter(cls).validate_json(Path(__file__).with_name("prices.json").read_bytes())

    def __getitem__(self, name: str) -> float:
        return self.prices[name].dollars


@dataclass(frozen=True)
class Figures:
    """The figures of one run over `users`, with a limit of `list_users_per_second`."""

    users: int
    list_users_per_second: float
    seconds: float
    calls: Mapping[str, int]
    write_units: float
    read_units: float
    gb_seconds: float

    @property
    def users_per_second(self) -> float:
        return self.users / self.seconds

    @property
    def share_of_rate(self) -> float:
        """The share of the allowed ListUsers calls that the run made."""
        return self.calls["ListUsers"] / (self.seconds * self.list_users_per_second)

    @property
    def write_calls(self) -> int:
        return sum(self.calls.get(name, 0) for name in _WRITES)

    def calls_per_thousand(self, api: str) -> float:
        return 1000 * self.calls.get(api, 0) / self.users

    def dollars(self, prices: Prices) -> dict[str, float]:
        """Return dollars by kind."""
        return {
            "DynamoDB writes": self.write_units * prices["dynamodb_write_units"] / _MILLION,
            "DynamoDB reads": self.read_units * prices["dynamodb_read_units"] / _MILLION,
            "Step Functions": self.calls.get("StepFunctions", 0) * prices["step_functions_transitions"] / _MILLION,
            "Lambda": self.calls.get("Lambda", 0) * prices["lambda_requests"] / _MILLION
            + self.gb_seconds * prices["lambda_gb_seconds"] / _MILLION,
            "ListUsers": self.calls.get("ListUsers", 0) * prices["cognito_list_users"] / _MILLION,
        }

    def dollars_per_million_users(self, prices: Prices) -> float:
        return sum(self.dollars(prices).values()) * _MILLION / self.users


def measured(aws: SimulatedAws, list_users_per_second: float, run: Callable[[], object]) -> Figures:
    """Return the figures of `run`. Pool, table and time may have been used before."""
    users, began_at, calls_before = len(aws.users), aws.time.seconds, Counter(aws.calls)
    written, read, gb_seconds = aws.dynamodb.write_units, aws.dynamodb.read_units, aws.gb_seconds
    run()
    return Figures(
        users=users,
        list_users_per_second=list_users_per_second,
        seconds=aws.time.seconds - began_at,
        calls=aws.calls - calls_before,
        write_units=aws.dynamodb.write_units - written,
        read_units=aws.dynamodb.read_units - read,
        gb_seconds=aws.gb_seconds - gb_seconds,
    )
