"""The figures of the reconciliation as tables, for docs/benchmarks.md."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import markdown, scenarios
from benchmarks.figures import APIS, Figures, Prices
from benchmarks.results import Reconciliation
from benchmarks.scenarios import Measurement
from benchmarks.simulated_run import Assumptions


@dataclass(frozen=True)
class Table:
    title: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    note: str = ""

    def markdown(self) -> str:
        texts = [position for position, name in enumerate(self.header) if name in ("run", "if")]
        note = [textwrap.fill(self.note, 120), ""] if self.note else []
        return "\n".join([f"### {self.title}", "", *note, markdown.table(self.header, self.rows, texts)])


def reconciliation(results: Reconciliation, prices: Prices) -> str:
    """Return the assumptions and the figures as Markdown."""
    shown = tables(results.measurements, results.sensitivity, prices)
    return "\n\n".join([_assumptions(results.assumptions), *(table.markdown() for table in shown)])


def tables(measurements: Sequence[Measurement], variants: Mapping[str, Figures], prices: Prices) -> list[Table]:
    return [
        _times(measurements),
        _calls(measurements),
        _prices(measurements, prices),
        _sensitivity(variants),
    ]


def _assumptions(assumptions: Assumptions) -> str:
    return f"""\
| assumed | |
|---|--:|
| quota of ListUsers, a token bucket of one second's worth for the whole account | {assumptions.quota_per_second:g}/s |
| one call of Cognito (a page of 60 users, one AdminGetUser) | {1000 * assumptions.cognito_seconds:g} ms |
| one call of DynamoDB | {1000 * assumptions.dynamodb_seconds:g} ms |
| CPU of one boto3 call; a function has one processor, its 16 threads wait for it | \
{1000 * assumptions.processor_seconds:g} ms |
| from Step Functions' call of a function to its first line, cold or warm | {1000 * assumptions.start_seconds:g} ms |
| memory of a worker, of the planner | 1,769 MB, 512 MB |
| parallel workers (`max_concurrency`) | 4 |"""


def _times(measurements: Sequence[Measurement]) -> Table:
    rows = [
        [
            f"{measurement.users:,}",
            name,
            f"{figures.list_users_per_second:g}/s",
            f"{figures.seconds:,.1f}",
            f"{figures.users_per_second:,.0f}",
            f"{figures.share_of_rate:.0%}",
            f"{figures.write_calls:,}",
            f"{figures.seconds / measurement.figures[scenarios.SCRIPT].seconds:.2f}",
        ]
        for measurement in measurements
        for name, figures in measurement.figures.items()
    ]
    return Table(
        "Time",
        ("users", "run", "allowed", "seconds", "users/s", "of the rate used", "write calls", "of the script's time"),
        rows,
        "From the start of the execution to its end. The rate is `list_users_per_second`; for the script, which has no"
        " limit, it is the quota. The last column compares with the script that uses PutItem.",
    )


def _calls(measurements: Sequence[Measurement]) -> Table:
    rows = [
        [f"{measurement.users:,}", name, *(_number(figures.calls_per_thousand(api)) for api in APIS)]
        for measurement in measurements
        for name, figures in measurement.figures.items()
        if name not in (scenarios.FIRST_DEFAULT, scenarios.UNCHANGED_DEFAULT)
    ]
    return Table(
        "Calls per 1,000 users",
        ("users", "run", *APIS),
        rows,
        "Lambda: invocations. StepFunctions: state transitions. ListUsers needs at least 16.7 calls (60 users a page).",
    )


def _prices(measurements: Sequence[Measurement], prices: Prices) -> Table:
    kinds = ("DynamoDB writes", "DynamoDB reads", "Step Functions", "Lambda", "ListUsers")
    rows = []
    for measurement in measurements:
        for name, figures in measurement.figures.items():
            parts = figures.dollars(prices)
            per_million = [1_000_000 / figures.users * parts[kind] for kind in kinds]
            rows.append(
                [
                    f"{measurement.users:,}",
                    name,
                    *(f"{part:,.3f}" for part in per_million),
                    f"{figures.dollars_per_million_users(prices):,.3f}",
                ]
            )
    return Table(
        "US dollars per million users",
        ("users", "run", *kinds, "all"),
        rows,
        f"List prices of {prices.region}, recorded on {prices.recorded_on} (`benchmarks/prices.json`), without free"
        " tiers, logs and storage. A new item is one write unit of the table and one of the index `by_shard`; the"
        " script's table has no index, and the script runs on a machine that costs nothing.",
    )


def _sensitivity(variants: Mapping[str, Figures]) -> Table:
    rows = [[what, f"{figures.seconds:,.1f}", f"{figures.share_of_rate:.0%}"] for what, figures in variants.items()]
    users = max(figures.users for figures in variants.values())
    return Table(
        f"The first run of {users:,} users at {scenarios.FAST:g}/s, under other assumptions",
        ("if", "seconds", "of the rate used"),
        rows,
        "Each of four workers has 133 ms a page at 30/s, and 267 ms at 15/s. If a page takes longer, so does the run.",
    )


def _number(number: float) -> str:
    if not number:
        return "0"
    return f"{number:,.1f}" if number >= 1 else f"{number:.3f}"
