"""Each alarm's metric, dimensions and threshold, compared with the names of the resources."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from tests.mocked_terraform import ROOT, USER_POOL_ID, Made, arn
from tests.terraform.conftest import (
    ALARM_NAMES,
    LONGEST_NAME,
    LONGEST_STAGE,
    ON_CALL,
    RUNBOOK,
    TOPIC,
    WARN_TOPIC,
    Terraform,
)

PREFIX, DEV = f"{LONGEST_NAME}-{LONGEST_STAGE}", "cognito-user-sync-dev"

TRIGGER = {"FunctionName": f"{PREFIX}-post-confirmation"}
USER_SYNC = {"StateMachineArn": arn("states", f"stateMachine:{PREFIX}-user-sync")}
RECONCILIATION = {"StateMachineArn": arn("states", f"stateMachine:{PREFIX}-reconciliation")}
CHANGES = {"RuleName": f"{PREFIX}-changes"}

# Namespace, metric, dimensions, statistic, threshold, seconds of a period, evaluated periods, datapoints to alarm.
ALARMS: dict[str, tuple[Any, ...]] = {
    "trigger-errors": ("AWS/Lambda", "Errors", TRIGGER, "Sum", 0, 60, 1, 1),
    "trigger-throttles": ("AWS/Lambda", "Throttles", TRIGGER, "Sum", 0, 60, 3, 2),
    "trigger-duration": ("AWS/Lambda", "Duration", TRIGGER, "Maximum", 4000, 60, 3, 2),
    "trigger-missing": ("AWS/Lambda", "Errors", {"FunctionName": f"{PREFIX}-pool-trigger"}, "Sum", 0, 1800, 1, 1),
    "user-sync-failed": ("AWS/States", "ExecutionsFailed", USER_SYNC, "Sum", 0, 60, 1, 1),
    "user-sync-timed-out": ("AWS/States", "ExecutionsTimedOut", USER_SYNC, "Sum", 0, 60, 1, 1),
    "retry-dead-letter": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{PREFIX}-retry-dead-letter"}),
        *("Maximum", 0, 60, 1, 1),
    ),
    "changes-undelivered": ("AWS/Events", "FailedInvocations", CHANGES, "Sum", 0, 60, 1, 1),
    "changes-lost": ("AWS/Events", "InvocationsFailedToBeSentToDlq", CHANGES, "Sum", 0, 60, 1, 1),
    "changes-dead-letter": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{PREFIX}-changes-dead-letter"}),
        *("Maximum", 0, 60, 1, 1),
    ),
    "user-events-age": (
        *("AWS/Lambda", "IteratorAge", {"FunctionName": f"{PREFIX}-publish-user-events"}),
        *("Maximum", 900_000, 60, 5, 5),
    ),
    "user-events-dead-letter": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{PREFIX}-user-events-dead-letter"}),
        *("Maximum", 0, 60, 1, 1),
    ),
    "reconciliation-failed": ("AWS/States", "ExecutionsFailed", RECONCILIATION, "Sum", 0, 60, 1, 1),
    "reconciliation-timed-out": ("AWS/States", "ExecutionsTimedOut", RECONCILIATION, "Sum", 0, 60, 1, 1),
    # Metrics of the account.
    "ses-bounce-rate": ("AWS/SES", "Reputation.BounceRate", {}, "Average", 0.05, 3600, 1, 1),
    "ses-complaint-rate": ("AWS/SES", "Reputation.ComplaintRate", {}, "Average", 0.001, 3600, 1, 1),
}


# Alarms on metric math: the expression, the metrics by ID with namespace and dimensions, the statistic; then as above.
def failing(function: str) -> tuple[Any, ...]:
    dimensions = {"FunctionName": f"{PREFIX}-{function}"}
    metrics = {"errors": ("Errors", "AWS/Lambda", dimensions), "invocations": ("Invocations", "AWS/Lambda", dimensions)}
    return "IF(errors == invocations, errors, 0)", metrics, "Sum", 0, 600, 2, 2


def age(queue: str, minutes: int) -> tuple[Any, ...]:
    """Return the expression for messages that were waiting or being handled in each of the minutes."""
    dimensions = {"QueueName": f"{PREFIX}-{queue}"}
    metrics = {
        "waiting": ("ApproximateNumberOfMessagesVisible", "AWS/SQS", dimensions),
        "in_flight": ("ApproximateNumberOfMessagesNotVisible", "AWS/SQS", dimensions),
    }
    return "waiting + FILL(in_flight, 0)", metrics, "Maximum", 0, 60, minutes, minutes


EXPRESSIONS: dict[str, tuple[Any, ...]] = {
    # No invocation succeeded in 20 minutes.
    "sync-user-failing": failing("sync-user"),
    "send-welcome-failing": failing("send-welcome"),
    "retry-age": age("retry", 15),
    "changes-age": age("changes", 30),
    # No success in overdue_hours, here 24. An hour before the deployment has no polls.
    "reconciliation-overdue": (
        "IF(polls >= 0, FILL(runs, 0))",
        {
            "runs": ("ExecutionsSucceeded", "AWS/States", RECONCILIATION),
            "polls": ("NumberOfEmptyReceives", "AWS/SQS", {"QueueName": f"{PREFIX}-retry"}),
        },
        *("Sum", 1, 3600, 24, 24),
    ),
}
# `everything` has log groups that CloudWatch does not filter.
LOST = "sign-ups-lost"
PAGES = {
    *("trigger-errors", "trigger-throttles", "trigger-missing", LOST),
    *("sync-user-failing", "send-welcome-failing", "retry-age"),
}
# Alarms that also notify of OK. An alarm that counts failures ends in the next minute, which does not mean healthy.
ENDS = {
    *("trigger-missing", "sync-user-failing", "send-welcome-failing", "reconciliation-overdue"),
    *("retry-age", "retry-dead-letter", "changes-age", "changes-dead-letter"),
    *("user-events-age", "user-events-dead-letter"),
    *("ses-bounce-rate", "ses-complaint-rate"),
}
FIELDS = ("threshold", "period", "evaluation_periods", "datapoints_to_alarm")


def alarms(made: Made, prefix: str = DEV) -> dict[str, Any]:
    found = made.of_type("aws_cloudwatch_metric_alarm").values()
    return {values["alarm_name"].removeprefix(f"{prefix}-"): values for values in found}


@pytest.fixture
def everything_made(terraform: Terraform) -> Made:
    return terraform.made["everything"]


@pytest.fixture
def everything(everything_made: Made) -> dict[str, Any]:
    return alarms(everything_made, PREFIX)


def test_alarms_watch_what_is_made(everything: dict[str, Any]) -> None:
    fields = ("namespace", "metric_name", "dimensions", "statistic", *FIELDS)
    found = {name: tuple(alarm[field] for field in fields) for name, alarm in everything.items()}
    assert {name: values for name, values in found.items() if name not in EXPRESSIONS} == ALARMS


def test_alarms_on_expressions_watch_what_is_made(everything: dict[str, Any]) -> None:
    for name, (expression, metrics, stat, threshold, period, periods, datapoints) in EXPRESSIONS.items():
        alarm = everything[name]
        fields = ("threshold", "evaluation_periods", "datapoints_to_alarm")
        assert tuple(alarm[field] for field in fields) == (threshold, periods, datapoints)
        (shown,) = [query for query in alarm["metric_query"] if not query["metric"]]
        assert (shown["expression"], shown["return_data"]) == (expression, True)
        found = {query["id"]: query["metric"][0] for query in alarm["metric_query"] if query["metric"]}
        fields = ("metric_name", "namespace", "dimensions")
        assert {each: tuple(metric[field] for field in fields) for each, metric in found.items()} == metrics
        assert {(metric["stat"], metric["period"]) for metric in found.values()} == {(stat, period)}


def test_variable_alarms_is_validated_with_the_defaults_of_monitoring() -> None:
    found = re.findall(
        r"^ +(\S+) += { period_seconds = (\d+), evaluation_periods = (\d+) }$",
        (ROOT / "modules" / "inputs" / "main.tf").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    periods = {name: (int(seconds), int(number)) for name, seconds, number in found}
    assert list(periods) == ALARM_NAMES
    # The first is tested below. overdue_hours sets the periods of the second.
    del periods[LOST], periods["reconciliation-overdue"]
    assert periods == {name: (ALARMS | EXPRESSIONS)[name][-3:-1] for name in periods}


def test_lost_sign_ups_are_counted_in_the_log_of_the_trigger(terraform: Terraform) -> None:
    """tests/unit/test_log_fields.py tests the level that post_confirmation logs."""
    made = terraform.made["defaults"]
    filters = made.of_type("aws_cloudwatch_log_metric_filter")
    (counted,) = [each for each in filters.values() if each["name"].endswith(LOST)]
    assert counted["log_group_name"] == "/aws/lambda/cognito-user-sync-dev-post-confirmation"
    assert counted["pattern"] == '{ $.level = "ERROR" }'
    (metric,) = counted["metric_transformation"]
    alarm = alarms(made)[LOST]
    assert (alarm["namespace"], alarm["metric_name"]) == (metric["namespace"], metric["name"])
    assert (alarm["statistic"], *(alarm[field] for field in FIELDS)) == ("Sum", 0, 60, 1, 1)


def test_a_run_is_overdue_after_two_days_by_default(terraform: Terraform) -> None:
    assert alarms(terraform.made["defaults"])["reconciliation-overdue"]["evaluation_periods"] == 48


def test_missing_data_is_reported_where_aws_always_has_some(everything: dict[str, Any]) -> None:
    """A new alarm has INSUFFICIENT_DATA. Missing data is never breaching, so no alarm starts in ALARM."""
    reported = {"trigger-missing", "retry-age", "changes-age"}
    for name, alarm in everything.items():
        overdue = name == "reconciliation-overdue"
        assert alarm["comparison_operator"] == ("LessThanThreshold" if overdue else "GreaterThanThreshold"), name
        # SES may publish no rate if nothing is sent. The alarm then keeps its state.
        others = "ignore" if name.startswith("ses-") else "notBreaching"
        assert alarm["treat_missing_data"] == ("missing" if name in reported else others), name
        assert (alarm["insufficient_data_actions"] or []) == (alarm["alarm_actions"] if name in reported else []), name


def test_alarms_name_a_command_and_a_section_of_the_runbook(everything: dict[str, Any], terraform: Terraform) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    # As on GitHub.
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    by_default = alarms(terraform.made["defaults"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for name, alarm in {LOST: by_default[LOST], **everything}.items():
        description = alarm["alarm_description"]
        assert "cognito-user-sync " in description or "aws logs tail " in description, name
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        assert len(description) <= 1024 - 200, name  # with the longest runbook_url
        url, _, anchor = description.rpartition(f" Runbook of version {version}: ")[2].partition("#")
        assert url == ("docs/operations.md" if name == LOST else RUNBOOK), name
        assert anchor in anchors, name
    names = [alarm["alarm_name"] for alarm in everything.values()]
    assert terraform.made["everything"].outputs["alarm_names"] == sorted(names)


def test_alarms_that_cannot_wait_page_and_all_others_warn(everything: dict[str, Any]) -> None:
    for name, alarm in everything.items():
        topics = [TOPIC] if name in PAGES else [WARN_TOPIC]
        assert alarm["alarm_actions"] == topics, name
        assert (alarm["ok_actions"] or []) == (topics if name in ENDS else []), name


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        ("defaults", {"changes-", "user-events-", "ses-", "send-welcome-"}),
        ("everything", {LOST}),
        ("least", {"changes-", "user-events-", "ses-", "reconciliation-overdue", "send-welcome-", "trigger-missing"}),
        (
            "not_overdue",
            {"changes-", "user-events-", "ses-", "reconciliation-overdue", "trigger-throttles", "send-welcome-"},
        ),
        ("no_reconciliation", {"changes-", "user-events-", "ses-", "reconciliation-"}),
        ("small", {""}),
    ],
)
def test_what_is_not_made_has_no_alarm(terraform: Terraform, case: str, missing: set[str]) -> None:
    """Resources that are missing: welcome email, change tracking, log filters, schedule, reconciliation.

    no_reconciliation sends the welcome email by SES of another region. An alarm cannot use metrics of another region.
    """
    expected = {name for name in [*ALARMS, *EXPRESSIONS, LOST] if not name.startswith(tuple(missing))}
    assert set(alarms(terraform.made[case], PREFIX if case == "everything" else DEV)) == expected


def test_operations_page_lists_every_default(everything: dict[str, Any]) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    row = r"^\| `([a-z-]+)` \| (page|warn) \| .+ \| ([\d.]+) \| (\d+) \| (\d+) \| (\d+) \|$"
    listed = re.findall(row, page, re.MULTILINE)
    defaults = {name: values[-4:] for name, values in {**ALARMS, **EXPRESSIONS}.items()} | {LOST: (0, 60, 1, 1)}
    del defaults["reconciliation-overdue"]
    assert {name: tuple(map(float, numbers)) for name, _, *numbers in listed} == defaults
    assert {name for name, topics, *_ in listed if topics == "page"} == PAGES
    assert {*everything, LOST} == set(ALARM_NAMES)  # those that the variable accepts


def test_alarm_takes_changes_and_keeps_the_rest(terraform: Terraform) -> None:
    made = terraform.made["not_overdue"]
    found = alarms(made)
    assert {name: tuple(alarm[field] for field in FIELDS) for name, alarm in found.items()} == {
        **{name: ALARMS[name][-4:] for name in found if name in ALARMS},
        "sync-user-failing": (0, None, 2, 2),
        "trigger-errors": (5, 300, 3, 3),
        "trigger-duration": (2500, 60, 3, 2),
        LOST: (0, 60, 3, 2),
        # In metric math, each metric has the period.
        "retry-age": (2, None, 10, 10),
    }
    periods = [query["metric"][0]["period"] for query in found["retry-age"]["metric_query"] if query["metric"]]
    assert periods == [120, 120]
    for name, alarm in found.items():
        # Without alarm_warn_topic_arns.
        topics = {"trigger-duration": [ON_CALL], "user-sync-failed": []}.get(name, [TOPIC])
        assert (alarm["alarm_actions"] or []) == topics, name


def test_description_names_changed_threshold_and_time(terraform: Terraform, everything: dict[str, Any]) -> None:
    changed = alarms(terraform.made["not_overdue"])
    for name, default, now in (
        ("trigger-duration", "more than 4 seconds", "more than 2.5 seconds"),
        ("retry-age", "in the retry queue for 15 minutes", "in the retry queue for 20 minutes"),
    ):
        assert default in everything[name]["alarm_description"]
        assert now in changed[name]["alarm_description"]


def test_dashboard_shows_the_alarms_that_exist(terraform: Terraform) -> None:
    """CloudWatch rejects an alarm widget without alarms."""
    for case, widgets in (("defaults", 1), ("small", 0)):
        (dashboard,) = terraform.made[case].of_type("aws_cloudwatch_dashboard").values()
        shown = [each for each in json.loads(dashboard["dashboard_body"])["widgets"] if each["type"] == "alarm"]
        assert len(shown) == widgets
        assert [len(each["properties"]["alarms"]) for each in shown] == [len(alarms(terraform.made[case]))] * widgets


def widgets(made: Made) -> list[dict[str, Any]]:
    """Return the widgets of the dashboard, from top to bottom and from left to right."""
    (dashboard,) = made.of_type("aws_cloudwatch_dashboard").values()
    return sorted(json.loads(dashboard["dashboard_body"])["widgets"], key=lambda each: (each["y"], each["x"]))


def charts(made: Made) -> dict[str, Any]:
    shown = [each["properties"] for each in widgets(made) if each["type"] == "metric"]
    return {each["title"]: each["metrics"] for each in shown}


def test_dashboard_answers_the_questions_of_an_incident_in_order(everything_made: Made) -> None:
    shown = [
        each["properties"].get("title", each["properties"].get("markdown", "").partition("?")[0])
        for each in widgets(everything_made)[1:]
    ]
    assert shown == [
        *("Is this module the cause", "Sign-ups", "Executions", "Welcome emails", "SES"),
        *("Which users are affected", "Users who were not synced, or got no welcome email"),
        *("Is it getting worse", "Queues", "Attempts", "Items", "Reconciliation"),
        "Alarms",
    ]
    cognito, *of_trigger = charts(everything_made)["Sign-ups"]
    search = f'{{AWS/Cognito,UserPool,UserPoolClient}} MetricName="SignUpSuccesses" UserPool="{USER_POOL_ID}"'
    assert search in cognito[0]["expression"]
    assert ["AWS/Lambda", "Invocations"] in [metric[:2] for metric in of_trigger]
    # The queue's metric of age ignores messages that fail repeatedly.
    metrics = {
        (metric, queue.removeprefix(f"{PREFIX}-")) for _, metric, _, queue, _ in charts(everything_made)["Queues"]
    }
    waiting, handled = "ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"
    queues = ("retry", "changes")
    assert metrics == {
        *((metric, queue) for metric in (waiting, handled) for queue in queues),
        *((waiting, f"{queue}-dead-letter") for queue in (*queues, "user-events")),
        ("IteratorAge", "publish-user-events"),
    }


@pytest.mark.parametrize(("case", "prefix"), [("defaults", DEV), ("everything", PREFIX), ("small", DEV)])
def test_saved_queries_read_the_logs_of_the_functions(terraform: Terraform, case: str, prefix: str) -> None:
    """All logs but that of start-run, which names no user. The widget "Who is affected" runs one of the queries."""
    made = terraform.made[case]
    groups = {each["name"] for each in made.of_type("aws_cloudwatch_log_group").values() if "/lambda/" in each["name"]}
    groups.discard(f"/aws/lambda/{prefix}-start-run")
    queries = made.of_type("aws_cloudwatch_query_definition").values()
    assert {each["name"] for each in queries} == {
        f"{prefix}/{name}" for name in ("users-not-handled", "errors-by-code", "lost-sign-ups", "one-user")
    }
    for each in queries:
        assert set(each["log_group_names"]) == groups
    (logs,) = [each["properties"] for each in widgets(made) if each["type"] == "log"]
    *sources, _, _, _, _ = logs["query"].split(" | ")
    assert set(sources) == {f"SOURCE '{group}'" for group in groups}
    assert logs["query"].endswith(
        next(each["query_string"] for each in queries if each["name"].endswith("/users-not-handled"))
    )


def test_welcome_emails_are_counted_by_outcome_and_shown(terraform: Terraform) -> None:
    """tests/unit/test_log_fields.py tests the field that send_welcome logs."""
    made = terraform.made["no_reconciliation"]
    filters = made.of_type("aws_cloudwatch_log_metric_filter")
    (counted,) = [each for each in filters.values() if each["name"].endswith("welcome-emails")]
    (metric,) = counted["metric_transformation"]
    assert counted["log_group_name"] == "/aws/lambda/cognito-user-sync-dev-send-welcome"
    assert counted["pattern"] == '{ $.welcome_email = "*" }'
    assert metric["dimensions"] == {"welcome_email": "$.welcome_email"}
    (shown,) = charts(made)["Welcome emails"][-1]
    assert f'SEARCH(\'{{"{metric["namespace"]}",welcome_email}} MetricName="{metric["name"]}"\',' in shown["expression"]
    assert shown["label"] == "${PROP('Dim.welcome_email')}"


@pytest.mark.parametrize("case", ["defaults", "everything"])
def test_welcome_emails_are_not_counted_if_nothing_can(terraform: Terraform, case: str) -> None:
    """Without a welcome email, and with a log group that CloudWatch does not filter."""
    made = terraform.made[case]
    names = [each["name"] for each in made.of_type("aws_cloudwatch_log_metric_filter").values()]
    assert names == ([] if case == "everything" else [f"{DEV}-{LOST}"])
    assert "WelcomeEmails" not in str(charts(made))
