"""From measurements to dollars and docs/cost.md. The expected values are computed by hand."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cost_report import retries, retry_waits, tables
from benchmarks.dynamodb_units import index_write_units, item_bytes, write_units
from benchmarks.figures import Price, Prices
from benchmarks.results import Results
from benchmarks.sign_up_usage import (
    Standing,
    Usage,
    alarm_metrics,
    billed_bytes,
    transitions,
)

DOLLARS = {
    "step_functions_transitions": 25,
    "lambda_requests": 0.2,
    "lambda_gb_seconds": 10,
    "dynamodb_write_units": 0.625,
    "sqs_requests": 0.4,
    "ses_emails": 100,
    "eventbridge_events": 1,
    "log_gigabyte": 0.5,
    "alarm": 0.1,
    "dashboard": 3,
}
PRICES = Prices("2026-01-31", "us-east-1", {name: Price(name, dollars, True) for name, dollars in DOLLARS.items()})
SIGN_UP = Usage(
    transitions=2,
    invocations={"post-confirmation": 1, "sync-user": 1, "send-welcome": 1},
    local_milliseconds={"post-confirmation": 4, "sync-user": 5, "send-welcome": 3},
    table_write_units=1,
    index_write_units=1,
    sqs_requests=0,
    emails=1,
    log_bytes=1000,
    input_bytes=300,
    item_bytes=250,
    index_bytes=44,
    calls={
        "post-confirmation": {"states:StartExecution": 1},
        "sync-user": {"cognito-idp:AdminGetUser": 1, "dynamodb:UpdateItem": 1},
        "send-welcome": {"cognito-idp:AdminGetUser": 1, "ses:SendEmail": 1},
        "states.amazonaws.com": {"lambda:InvokeFunction": 2},
    },
)


def test_dollars_of_a_sign_up_by_service() -> None:
    dollars = SIGN_UP.dollars_per_million(512, PRICES)

    assert dollars == pytest.approx(
        {
            "Step Functions": 2 * 25,
            # Three requests, and 20 + 50, 20 + 60 + 5, and 20 + 60 + 100 ms at half a GB: 167,500 GB-seconds.
            "Lambda": 0.6 + 1.675,
            "DynamoDB": 2 * 0.625,
            "SQS": 0,
            "SES": 100,
            "EventBridge": 0,
            # A million times 1,000 bytes is a GB.
            "Logs": 0.5,
        }
    )


def test_dollars_of_a_change_include_queue_and_pause() -> None:
    calls = {"sync-changes": {"cognito-idp:ListUsers": 1, "dynamodb:UpdateItem": 1}}
    change = replace(
        SIGN_UP, transitions=0, invocations={"sync-changes": 1}, calls=calls, sqs_requests=3, emails=0, log_bytes=0
    )

    dollars = change.dollars_per_million(512, PRICES)

    assert dollars["Step Functions"] == 0
    assert dollars["SQS"] == pytest.approx(1.2)
    assert dollars["SES"] == 0
    assert dollars["Lambda"] == pytest.approx(0.2 + 1.425)  # 200 + 20 + 60 + 5 ms


def test_dollars_of_an_event_include_the_bus() -> None:
    nothing: dict[str, Any] = {
        "transitions": 0,
        "table_write_units": 0,
        "index_write_units": 0,
        "emails": 0,
        "log_bytes": 0,
    }
    calls = {"publish-user-events": {"events:PutEvents": 1}}
    event = replace(SIGN_UP, **nothing, invocations={"publish-user-events": 1}, calls=calls, events=1)

    dollars = event.dollars_per_million(512, PRICES)

    assert dollars["EventBridge"] == 1
    assert dollars["Lambda"] == pytest.approx(0.2 + 0.25)  # 20 + 30 ms


@pytest.mark.parametrize(
    ("seconds", "count"),
    # Attempts at 0, 2, 6, 14 and 22 seconds.
    [(0, 0), (0.5, 1), (2, 1), (2.5, 2), (6, 2), (13, 3), (22, 4), (1000, 4)],
)
def test_retries_last_until_the_end_of_an_outage(seconds: float, count: int) -> None:
    assert retries([2, 4, 8, 8], seconds) == count


def test_retries_are_those_of_the_state_machine() -> None:
    waits = retry_waits()
    assert (waits[:3], waits[-1], sum(waits)) == ([2, 4, 8], 480, 43230)


def test_fixed_cost_per_month() -> None:
    dollars = Standing(alarms=12, dashboards=1, polled_queues=2).dollars(PRICES)

    # Five connections that ask every 20 s are 648,000 requests in 30 days.
    assert dollars == pytest.approx({"alarms": 1.2, "dashboard": 3, "queues, empty": 2 * 0.648 * 0.4})


def test_example_bill_is_the_sum_of_its_parts() -> None:
    results = Results.load()
    shown = tables(
        results.cost,
        results.reconciliation.priced().figures,
        results.transfers.runs,
        results.measured_on,
        Prices.load(),
    )["per month"].replace("**", "")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines()[2:]]

    for column in (2, 4):
        alarms, dashboard, queues, fixed, *used, example, _ = [float(row[column]) for row in rows]
        assert fixed == pytest.approx(alarms + dashboard + queues, abs=0.02)
        assert example == pytest.approx(fixed + sum(used), abs=0.03)


@pytest.mark.parametrize(
    ("alarm", "metrics"),
    [
        ({"MetricName": "Errors"}, 1),
        ({"Metrics": [{"Expression": "a / b"}, {"MetricStat": {}}, {"MetricStat": {}}]}, 2),
    ],
    ids=["of a metric", "of an expression"],
)
def test_alarm_is_billed_by_its_metrics(alarm: dict[str, Any], metrics: int) -> None:
    assert alarm_metrics(alarm) == metrics


def test_item_bytes_count_names_and_values() -> None:
    assert item_bytes({"id": {"S": "0" * 36}}) == 2 + 36
    assert item_bytes({"name": {"S": "Müller"}}) == 4 + 7
    assert item_bytes({"enabled": {"BOOL": False}}) == 7 + 1
    assert item_bytes({"expires_at": {"N": "1790000000"}}) == 10 + 2 + 1  # three significant digits
    assert item_bytes({"id": {"S": "0"}, "enabled": {"BOOL": True}}) == 3 + 8
    assert item_bytes({}) == 0
    assert item_bytes({"names": {"SS": ["a", "ü"]}}) == 5 + 1 + 2
    with pytest.raises(ValueError, match="NS"):
        item_bytes({"numbers": {"NS": ["1"]}})


@pytest.mark.parametrize(
    ("before", "after", "units"), [(0, 1, 1), (0, 1024, 1), (0, 1025, 2), (1025, 10, 2), (300, 340, 1)]
)
def test_write_units_are_those_of_the_larger_item(before: int, after: int, units: int) -> None:
    assert write_units(before, after) == units


def test_index_write_units_of_a_changed_entry() -> None:
    entry = {"id": {"S": "a1"}, "shard": {"S": "a"}}

    assert index_write_units({}, entry) == 1
    assert index_write_units(entry, entry) == 0
    assert index_write_units(entry, {**entry, "shard": {"S": "b"}}) == 2
    assert index_write_units(entry, {}) == 1
    assert index_write_units({}, {}) == 0


def test_transitions_are_the_entered_states() -> None:
    task = ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"]
    history = [
        "ExecutionStarted", *task, "ChoiceStateEntered", "ChoiceStateExited", *task, "SucceedStateEntered",
        "SucceedStateExited", "ExecutionSucceeded",
    ]  # fmt: skip

    assert transitions(history) == 4
    for failure in ("TaskFailed", "TaskTimedOut", "LambdaFunctionFailed"):
        with pytest.raises(ValueError, match=failure):
            transitions([*history, failure])


def test_billed_bytes_leave_out_lines_of_lambda() -> None:
    assert billed_bytes(json.dumps({"time": "...", "type": "platform.report", "record": {}})) == 0
    assert billed_bytes('{"message": "ü"}') == 17 + 26


def test_one_sign_up_costs_what_security_says() -> None:
    root = Path(__file__).parents[2]
    [a_million] = re.findall(
        r"^\| sign-up, with the welcome email \|.* ([\d.]+) \|$", (root / "docs/cost.md").read_text(), re.MULTILINE
    )
    [said] = re.findall(r"costs about \$([\d.]+) once", (root / "SECURITY.md").read_text())

    assert f"{float(a_million) / 1_000_000:.5f}" == said


def test_price_that_is_not_confirmed_is_marked() -> None:
    prices, results = Prices.load(), Results.load()
    shown = tables(
        results.cost, results.reconciliation.priced().figures, results.transfers.runs, results.measured_on, prices
    )
    assert shown["prices"].count("not confirmed") == sum(not price.confirmed for price in prices.prices.values()) > 0
