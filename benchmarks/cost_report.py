"""The tables of docs/cost.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from benchmarks import markdown, scenarios
from benchmarks.figures import Figures, Prices
from benchmarks.sign_up_usage import (
    ASSUMED_CALL_MILLISECONDS,
    ASSUMED_CODE_MILLISECONDS,
    DEFAULT,
    EVENT,
    GIGABYTE,
    MILLION,
    PAUSE_MILLISECONDS,
    TRACKED,
    TUTORIAL,
    WELCOME,
    Measurement,
)
from benchmarks.transfer_run import Transfer

# The priced scenarios. docs/benchmarks.md has all of them.
RECONCILIATIONS = (scenarios.FIRST_DEFAULT, scenarios.UNCHANGED_DEFAULT, scenarios.CHANGED, scenarios.SCRIPT)
NIGHTS_A_MONTH = 30
# Of the example bill.
SIGN_UPS_A_MONTH = 1000
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
STORED_OVERHEAD_BYTES = 100
USER_SYNC = Path(__file__).parents[1] / "modules/user_sync/user_sync.asl.json"
OUTAGES = {"a minute": 60, "10 minutes": 600, "an hour": 3600, "12 hours": 12 * 3600}


def tables(
    measurement: Measurement,
    reconciled: Mapping[str, Figures],
    transfers: Mapping[str, Transfer],
    measured_on: str,
    prices: Prices,
) -> dict[str, str]:
    """Return the tables of docs/cost.md, by the names of their markers. `reconciled`: by scenario."""
    return {
        "per million": _per_million(measurement, reconciled, prices),
        "retries": _retries(measurement, prices),
        "per month": _per_month(measurement, reconciled, prices),
        "measured": _measured(measurement, measured_on),
        "calls": _calls(measurement),
        "export and restore": _transfers(transfers, prices),
        "durations": _durations_table(measurement, prices),
        "prices": _prices(prices),
    }


def _transfers(transfers: Mapping[str, Transfer], prices: Prices) -> str:
    names = sorted({name for run in transfers.values() for name in run.calls})
    rows = [
        [name, *(_short(MILLION * run.calls.get(name, 0) / run.users) for run in transfers.values())] for name in names
    ]
    rows.append(["DynamoDB read units", *(_short(MILLION * run.read_units / run.users) for run in transfers.values())])
    dollars = [f"{run.read_units * prices['dynamodb_read_units'] / run.users:.2f}" for run in transfers.values()]
    return markdown.table(("a million users take", *transfers), [*rows, ["**$**", *dollars]])


def _short(number: float) -> str:
    return f"{number:,.0f}"


def _per_million(measurement: Measurement, reconciled: Mapping[str, Figures], prices: Prices) -> str:
    by_service = {
        name: used.dollars_per_million(measurement.memory_mb, prices) for name, used in measurement.usage.items()
    }
    for name in RECONCILIATIONS:
        figures = reconciled[name]
        parts = {part: dollars * MILLION / figures.users for part, dollars in figures.dollars(prices).items()}
        what = name.replace("module, ", "user reconciled: ").replace("script, ", "user exported by the plain script: ")
        by_service[f"{what} ({figures.list_users_per_second:g}/s)"] = {
            "Step Functions": parts["Step Functions"],
            "Lambda": parts["Lambda"],
            "DynamoDB": parts["DynamoDB writes"] + parts["DynamoDB reads"],
        }
    services = ("Step Functions", "SES", "Lambda", "DynamoDB", "SQS", "EventBridge", "Logs")
    shown = markdown.table(
        ("a million times", *services, "all"),
        [
            [name, *(f"{dollars.get(service, 0):,.2f}" for service in services), f"{sum(dollars.values()):,.2f}"]
            for name, dollars in by_service.items()
        ],
    )
    tutorial = sum(by_service[WELCOME].values()) / sum(by_service[TUTORIAL].values())
    export = reconciled[scenarios.UNCHANGED_DEFAULT].dollars_per_million_users(prices) / reconciled[
        scenarios.SCRIPT
    ].dollars_per_million_users(prices)
    return (
        f"{shown}\n\nA sign-up with the welcome email costs {tutorial:.2f} times as much as the pattern of tutorials,"
        f" and a reconciliation\nthat finds no change {export:.2f} times as much as the plain script, which writes each"
        f" item again."
    )


def retry_waits() -> list[float]:
    """Return the seconds between the attempts of SyncUser while DynamoDB is unavailable."""
    task = json.loads(USER_SYNC.read_text(encoding="utf-8"))["States"]["SyncUser"]
    [retry] = [retry for retry in task["Retry"] if "TableUnavailableError" in retry["ErrorEquals"]]
    return [
        min(retry["IntervalSeconds"] * retry["BackoffRate"] ** count, retry["MaxDelaySeconds"])
        for count in range(retry["MaxAttempts"])
    ]


def retries(waits: Sequence[float], seconds: float) -> int:
    """Return the number of retries if the first attempt is `seconds` before the end of an outage."""
    return min(1 + sum(moment < seconds for moment in accumulate(waits)), len(waits)) if seconds > 0 else 0


def _retries(measurement: Measurement, prices: Prices) -> str:
    waits, sync_user = retry_waits(), measurement.usage[WELCOME]
    gb_seconds = sync_user.billed_milliseconds("sync-user") / 1000 * measurement.memory_mb / 1024
    dollars = (prices["step_functions_transitions"] + prices["lambda_requests"]) / MILLION + gb_seconds * prices[
        "lambda_gb_seconds"
    ] / MILLION
    rows = []
    for outage, seconds in OUTAGES.items():
        longest = retries(waits, seconds)
        # One sign-up in each second of the outage.
        all_of_it = sum(retries(waits, left) for left in range(1, seconds + 1))
        rows.append(
            [outage, f"{longest}", f"{longest * 1000 * dollars:.2f}", f"{all_of_it:,}", f"{all_of_it * dollars:.2f}"]
        )
    shown = markdown.table(
        (
            "DynamoDB is unavailable for",
            "retries of its first sign-up",
            "$ of 1,000 such",
            "retries, one sign-up a second",
            "$",
        ),
        rows,
    )
    return (
        f"{shown}\n\nEach retry is one state transition and one invocation of `sync-user`:"
        f" {dollars * MILLION:,.2f} dollars for a million."
    )


def _per_month(measurement: Measurement, reconciled: Mapping[str, Figures], prices: Prices) -> str:
    default, tracked = measurement.standing[DEFAULT], measurement.standing[TRACKED]
    nightly, export = reconciled[scenarios.UNCHANGED_DEFAULT], reconciled[scenarios.SCRIPT]
    nights, exports = (
        NIGHTS_A_MONTH * each.dollars_per_million_users(prices) * each.users / MILLION for each in (nightly, export)
    )
    user = measurement.usage[WELCOME]
    stored = user.item_bytes + user.index_bytes + 2 * STORED_OVERHEAD_BYTES
    table = stored * nightly.users / GIGABYTE * prices["table_gigabyte"]
    dollars = {DEFAULT: default.dollars(prices), TRACKED: tracked.dollars(prices)}
    rows = [
        ["metrics of alarms", f"{default.alarms}", f"{dollars[DEFAULT]['alarms']:.2f}"],
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
    sign_up, event = (
        SIGN_UPS_A_MONTH
        * sum(measurement.usage[name].dollars_per_million(measurement.memory_mb, prices).values())
        / MILLION
        for name in (WELCOME, EVENT)
    )
    fixed = [sum(dollars[name].values()) for name in (DEFAULT, TRACKED)]
    used = {
        f"a reconciliation each night that finds nothing changed, of {nightly.users:,} users": [nights, nights],
        f"the table's storage of {nightly.users:,} users, {stored:,.0f} bytes each with the index": [table, table],
        f"{SIGN_UPS_A_MONTH:,} sign-ups, with the welcome email": [sign_up, sign_up + event],
    }
    example = [sum(prices_a_month) for prices_a_month in zip(fixed, *used.values(), strict=True)]
    rows.append(["**fixed cost**", "", f"**{fixed[0]:.2f}**", "", f"**{fixed[1]:.2f}**"])
    rows += [[what, "", f"{default_price:.2f}", "", f"{price:.2f}"] for what, (default_price, price) in used.items()]
    rows.append(
        [
            f"**example bill**: all of this, for {nightly.users:,} users",
            *("", f"**{example[0]:.2f}**", "", f"**{example[1]:.2f}**"),
        ]
    )
    script = f"for comparison: an export of {export.users:,} users each night by the plain script"
    rows.append([script, "", f"{exports:.2f}", "", f"{exports:.2f}"])
    return markdown.table(("a month", "number", "$", "number, with `track_changes` and `user_events`", "$"), rows)


def _measured(measurement: Measurement, measured_on: str) -> str:
    used = measurement.usage.values()
    rows: list[tuple[str, list[float]]] = [
        ("state transitions", [each.transitions for each in used]),
        ("Lambda invocations", [sum(each.invocations.values()) for each in used]),
        ("DynamoDB write units, table", [each.table_write_units for each in used]),
        ("DynamoDB write units, index `by_shard`", [each.index_write_units for each in used]),
        ("SQS requests", [each.sqs_requests for each in used]),
        ("emails", [each.emails for each in used]),
        ("EventBridge events", [each.events for each in used]),
        ("bytes of log lines", [each.log_bytes for each in used]),
        ("bytes of the execution's input", [each.input_bytes for each in used]),
        ("bytes of the item", [each.item_bytes for each in used]),
    ]
    shown = markdown.table(
        ("each takes", *measurement.usage),
        [
            [name, *(f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:.2f}" for value in values)]
            for name, values in rows
        ],
    )
    return f"The mean of {measurement.users} users of each kind, on {measured_on}:\n\n{shown}"


def _calls(measurement: Measurement) -> str:
    made = sorted(
        {(who, what) for used in measurement.usage.values() for who in used.calls for what in used.calls[who]}
    )
    return markdown.table(
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
        texts=(0, 1),
    )


def _durations_table(measurement: Measurement, prices: Prices) -> str:
    rows = []
    for name in dict.fromkeys(name for used in measurement.usage.values() for name in used.invocations):
        users = [used for used in measurement.usage.values() if name in used.invocations]
        seen = [used.local_milliseconds[name] for used in users if name in used.local_milliseconds]
        # Its calls are the same in each.
        assumed = users[0].billed_milliseconds(name) / users[0].invocations[name]
        gb_seconds = assumed / 1000 * measurement.memory_mb / 1024
        shown = " to ".join(dict.fromkeys(f"{each:.0f}" for each in (min(seen), max(seen)))) if seen else ""
        rows.append(
            [
                *(f"`{name}`", shown, f"{assumed:.0f}", f"{gb_seconds:.3f}"),
                f"{gb_seconds * prices['lambda_gb_seconds']:.2f}",
            ]
        )
    further = 0.1 * measurement.memory_mb / 1024
    rows.append(["each further 100 ms", "", "100", f"{further:.3f}", f"{further * prices['lambda_gb_seconds']:.2f}"])
    shown = markdown.table(
        ("function", "ms on the local AWS, median", "ms assumed", "GB-seconds", "$ of a million invocations"), rows
    )
    calls = ", ".join(f"{milliseconds:g} ms of `{name}`" for name, milliseconds in ASSUMED_CALL_MILLISECONDS.items())
    pauses = ", ".join(f"{milliseconds:g} ms of `{name}`" for name, milliseconds in PAUSE_MILLISECONDS.items())
    return (
        f"{shown}\n\nAssumed: {ASSUMED_CODE_MILLISECONDS:g} ms of each invocation, and for each measured call {calls}."
        f" Pauses: {pauses}."
    )


def _prices(prices: Prices) -> str:
    return markdown.table(
        (f"list prices of {prices.region}, recorded on {prices.recorded_on}", "$", ""),
        [
            [price.title, f"{price.dollars:g}", "" if price.confirmed else "not confirmed"]
            for price in prices.prices.values()
        ],
        texts=(0, 2),
    )
