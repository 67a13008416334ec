"""A small run of everything that `make bench` measures."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

import cognito_user_sync.handlers
from benchmarks import pages
from benchmarks.__main__ import measure
from benchmarks.figures import Prices
from benchmarks.sign_up_path import MAIL_AND_START, MODULE_SHAPE, PUT_ITEM
from benchmarks.sign_up_usage import CHANGE, DEFAULT, EVENT, NO_WELCOME, TUTORIAL, WELCOME
from demo.report import Report

FIRST_SHAPES = [MODULE_SHAPE, MAIL_AND_START, PUT_ITEM]


def test_benchmarks_measure_and_show_everything() -> None:
    report = Report(Console(stderr=True, highlight=False))
    results = measure(report, rounds=1, users=2, sign_ups=2, burst=20, sizes=(1_000,), one_provider=True)
    path, burst = results.sign_up_path, results.sign_up_path.burst
    # On a busy machine, a trigger can take longer than the 5 s that Cognito allows. Even then no user is lost.
    assert (burst.lost, burst.one_welcome_email) == (0, 20)
    calls = {name: used.calls for name, used in results.cost.usage.items()}
    assert {name: made for name, made in calls[WELCOME].items() if "amazonaws" not in name} == {
        "post-confirmation": {"states:StartExecution": 1},
        "sync-user": {"cognito-idp:AdminGetUser": 1, "dynamodb:UpdateItem": 1},
        "send-welcome": {"cognito-idp:AdminGetUser": 1, "ses:SendEmail": 1},
    }
    assert calls[TUTORIAL]["tutorial-mail-and-start"] == {"ses:SendEmail": 1, "states:StartExecution": 1}
    transitions = {name: used.transitions for name, used in results.cost.usage.items()}
    assert transitions == {NO_WELCOME: 1, WELCOME: 2, TUTORIAL: 1, CHANGE: 0, EVENT: 0}
    assert calls[EVENT] == {
        "lambda.amazonaws.com": {"lambda:InvokeFunction": 1},
        "publish-user-events": {"events:PutEvents": 1},
    }
    for name, most in {WELCOME: 55, NO_WELCOME: 28, CHANGE: 6, EVENT: 2}.items():
        dollars = results.cost.usage[name].dollars_per_million(results.cost.memory_mb, Prices.load())
        assert sum(dollars.values()) - dollars["SES"] <= most
    assert results.cost.standing[DEFAULT].dashboards == 1
    assert path.terraform.resources > 50
    assert results.cold_start.zip_bytes < 90_000
    handlers = {path.stem for path in Path(cognito_user_sync.handlers.__path__[0]).glob("[a-z]*.py")}
    assert results.cold_start.starts.keys() == handlers
    first = results.first_invocations
    assert first is None or [list(shapes) for shapes in first.by_memory.values()] == [FIRST_SHAPES, FIRST_SHAPES]
    assert "2 sign-ups in each shape" in pages.benchmark_parts(results, Prices.load())["sign-up path"]
    assert pages.headlines(results, Prices.load()).startswith("- **Sign-up**: the trigger makes 1 API call.")
