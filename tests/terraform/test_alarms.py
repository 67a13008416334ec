"""Each alarm's metric, dimensions and threshold, against the names of what is made."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.mocked_terraform import ROOT, Made, arn
from tests.terraform.conftest import ALARM_NAMES, LONGEST_NAME, LONGEST_STAGE, ON_CALL, TOPIC, Terraform

PREFIX = f"{LONGEST_NAME}-{LONGEST_STAGE}"

TRIGGER = {"FunctionName": f"{PREFIX}-post-confirmation"}
USER_SYNC = {"StateMachineArn": arn("states", f"stateMachine:{PREFIX}-user-sync")}
RECONCILIATION = {"StateMachineArn": arn("states", f"stateMachine:{PREFIX}-reconciliation")}
CHANGES = {"RuleName": f"{PREFIX}-changes"}

# Namespace, metric, dimensions, statistic, threshold that is exceeded, seconds, periods.
ALARMS: dict[str, tuple[Any, ...]] = {
    "trigger-errors": ("AWS/Lambda", "Errors", TRIGGER, "Sum", 0, 60, 1),
    "trigger-throttles": ("AWS/Lambda", "Throttles", TRIGGER, "Sum", 0, 60, 1),
    "trigger-duration": ("AWS/Lambda", "Duration", TRIGGER, "Maximum", 4000, 60, 1),
    "user-sync-failed": ("AWS/States", "ExecutionsFailed", USER_SYNC, "Sum", 0, 60, 1),
    "user-sync-timed-out": ("AWS/States", "ExecutionsTimedOut", USER_SYNC, "Sum", 0, 60, 1),
    "unstarted-dead-letter": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{PREFIX}-unstarted-dead-letter"}),
        *("Maximum", 0, 60, 1),
    ),
    "changes-undelivered": ("AWS/Events", "FailedInvocations", CHANGES, "Sum", 0, 60, 1),
    "changes-lost": ("AWS/Events", "InvocationsFailedToBeSentToDlq", CHANGES, "Sum", 0, 60, 1),
    "changes-dead-letter": (
        *("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": f"{PREFIX}-changes-dead-letter"}),
        *("Maximum", 0, 60, 1),
    ),
    "reconciliation-failed": ("AWS/States", "ExecutionsFailed", RECONCILIATION, "Sum", 0, 60, 1),
    "reconciliation-timed-out": ("AWS/States", "ExecutionsTimedOut", RECONCILIATION, "Sum", 0, 60, 1),
    # Fewer than one success in overdue_hours, which are 24 here.
    "reconciliation-overdue": ("AWS/States", "ExecutionsSucceeded", RECONCILIATION, "Sum", 1, 3600, 24),
    # Of the account.
    "ses-bounce-rate": ("AWS/SES", "Reputation.BounceRate", {}, "Average", 0.05, 3600, 1),
    "ses-complaint-rate": ("AWS/SES", "Reputation.ComplaintRate", {}, "Average", 0.001, 3600, 1),
}


# On metric math: expression, namespace, the metrics by ID, dimensions, statistic; and as above.
FAILING = ("IF(errors == invocations, errors, 0)", "AWS/Lambda", {"errors": "Errors", "invocations": "Invocations"})
EXPRESSIONS: dict[str, tuple[Any, ...]] = {
    # No invocation has succeeded in 20 minutes.
    "sync-user-failing": (*FAILING, {"FunctionName": f"{PREFIX}-sync-user"}, "Sum", 0, 600, 2),
    "send-welcome-failing": (*FAILING, {"FunctionName": f"{PREFIX}-send-welcome"}, "Sum", 0, 600, 2),
    # In each of 15 minutes a message was waiting, or invisible while it was retried.
    "unstarted-age": (
        *("waiting + tried", "AWS/SQS"),
        {"waiting": "ApproximateNumberOfMessagesVisible", "tried": "ApproximateNumberOfMessagesNotVisible"},
        *({"QueueName": f"{PREFIX}-unstarted"}, "Maximum", 0, 60, 15),
    ),
}


def alarms(made: Made, prefix: str = "cognito-user-sync-dev") -> dict[str, Any]:
    found = made.of_type("aws_cloudwatch_metric_alarm").values()
    return {values["alarm_name"].removeprefix(f"{prefix}-"): values for values in found}


@pytest.fixture
def everything(terraform: Terraform) -> dict[str, Any]:
    return alarms(terraform.made["everything"], PREFIX)


def test_alarms_watch_what_is_made(everything: dict[str, Any]) -> None:
    fields = ("namespace", "metric_name", "dimensions", "statistic", "threshold", "period", "evaluation_periods")
    found = {name: tuple(alarm[field] for field in fields) for name, alarm in everything.items()}
    assert {name: values for name, values in found.items() if name not in EXPRESSIONS} == ALARMS


def test_alarms_on_expressions_watch_what_is_made(everything: dict[str, Any]) -> None:
    for name, (expression, namespace, metrics, dimensions, stat, threshold, period, periods) in EXPRESSIONS.items():
        alarm = everything[name]
        assert (alarm["threshold"], alarm["evaluation_periods"]) == (threshold, periods)
        found = {query["id"]: query["metric"] for query in alarm["metric_query"] if query["metric"]}
        (shown,) = [query for query in alarm["metric_query"] if not query["metric"]]
        assert (shown["expression"], shown["return_data"]) == (expression, True)
        assert {query_id: metric["metric_name"] for query_id, (metric,) in found.items()} == metrics
        for (metric,) in found.values():
            fields = ("namespace", "dimensions", "stat", "period")
            assert tuple(metric[field] for field in fields) == (namespace, dimensions, stat, period)


def test_a_run_is_overdue_after_two_days_by_default(terraform: Terraform) -> None:
    assert alarms(terraform.made["defaults"])["reconciliation-overdue"]["evaluation_periods"] == 48


def test_missing_data_breaches_only_if_a_run_is_due(everything: dict[str, Any]) -> None:
    for name, alarm in everything.items():
        overdue = name == "reconciliation-overdue"
        assert alarm["comparison_operator"] == ("LessThanThreshold" if overdue else "GreaterThanThreshold"), name
        # SES may publish no rate while nothing is sent: an alarm stays as it is.
        others = "ignore" if name.startswith("ses-") else "notBreaching"
        assert alarm["treat_missing_data"] == ("breaching" if overdue else others), name


def test_alarms_name_a_command_and_notify_the_topics(everything: dict[str, Any], terraform: Terraform) -> None:
    for name, alarm in everything.items():
        description = alarm["alarm_description"]
        assert "cognito-user-sync " in description or "aws logs tail " in description, name
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
        assert len(description) <= 1024, name
        assert alarm["alarm_actions"] == alarm["ok_actions"] == [TOPIC], name
    names = [alarm["alarm_name"] for alarm in everything.values()]
    assert terraform.made["everything"].outputs["alarm_names"] == sorted(names)


@pytest.mark.parametrize(
    ("case", "missing"),
    [
        ("defaults", {"changes-", "ses-", "send-welcome-"}),
        ("least", {"changes-", "ses-", "reconciliation-overdue", "send-welcome-"}),
        ("not_overdue", {"changes-", "ses-", "reconciliation-overdue", "trigger-throttles", "send-welcome-"}),
        ("no_reconciliation", {"changes-", "ses-", "reconciliation-"}),
        ("small", {""}),
    ],
)
def test_what_is_not_made_has_no_alarm(terraform: Terraform, case: str, missing: set[str]) -> None:
    """With no schedule, with overdue_hours = 0 and one alarm off, with no reconciliation, and with all alarms off.

    no_reconciliation sends the welcome email by SES of another region, whose metrics no alarm of this one can watch.
    """
    expected = {name for name in [*ALARMS, *EXPRESSIONS] if not name.startswith(tuple(missing))}
    assert set(alarms(terraform.made[case])) == expected


def test_operations_page_lists_every_default(everything: dict[str, Any]) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \| .+ \| ([\d.]+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    assert {name: tuple(map(float, defaults)) for name, *defaults in listed} == {
        **{name: values[-3:] for name, values in ALARMS.items() if name != "reconciliation-overdue"},
        **{name: values[-3:] for name, values in EXPRESSIONS.items()},
    }
    assert set(everything) == set(ALARM_NAMES)  # those that the variable accepts


def test_alarm_takes_changes_and_keeps_the_rest(terraform: Terraform) -> None:
    made = terraform.made["not_overdue"]
    found = alarms(made)
    fields = ("threshold", "period", "evaluation_periods")
    assert {name: tuple(alarm[field] for field in fields) for name, alarm in found.items()} == {
        **{name: ALARMS[name][-3:] for name in found if name in ALARMS},
        "sync-user-failing": (0, None, 2),
        "trigger-errors": (5, 300, 3),
        "trigger-duration": (2500, 60, 1),
        # On metric math: each metric has the period.
        "unstarted-age": (2, None, 10),
    }
    periods = [query["metric"][0]["period"] for query in found["unstarted-age"]["metric_query"] if query["metric"]]
    assert periods == [120, 120]
    for name, alarm in found.items():
        topics = {"trigger-duration": [ON_CALL], "user-sync-failed": []}.get(name, [TOPIC])
        assert (alarm["alarm_actions"] or []) == (alarm["ok_actions"] or []) == topics, name


def test_description_names_changed_threshold_and_time(terraform: Terraform, everything: dict[str, Any]) -> None:
    changed = alarms(terraform.made["not_overdue"])
    for name, default, now in (
        ("trigger-duration", "more than 4 of the 5 seconds", "more than 2.5 of the 5 seconds"),
        ("unstarted-age", "waiting for 15 minutes", "waiting for 20 minutes"),
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


def charts(made: Made) -> dict[str, Any]:
    (dashboard,) = made.of_type("aws_cloudwatch_dashboard").values()
    shown = json.loads(dashboard["dashboard_body"])["widgets"]
    return {each["properties"]["title"]: each["properties"]["metrics"] for each in shown if each["type"] == "metric"}


def test_welcome_emails_are_counted_by_outcome_and_shown(terraform: Terraform) -> None:
    """The field is send_welcome's: tests/unit/test_log_fields.py."""
    made = terraform.made["no_reconciliation"]
    (counted,) = made.of_type("aws_cloudwatch_log_metric_filter").values()
    (metric,) = counted["metric_transformation"]
    assert counted["log_group_name"] == "/aws/lambda/cognito-user-sync-dev-send-welcome"
    assert counted["pattern"] == '{ $.welcome_email = "*" }'
    assert metric["dimensions"] == {"welcome_email": "$.welcome_email"}
    (shown,) = charts(made)["Mails"][-1]
    assert f'SEARCH(\'{{"{metric["namespace"]}",welcome_email}} MetricName="{metric["name"]}"\',' in shown["expression"]
    assert shown["label"] == "${PROP('Dim.welcome_email')}"


@pytest.mark.parametrize("case", ["defaults", "everything"])
def test_welcome_emails_are_not_counted_if_nothing_can(terraform: Terraform, case: str) -> None:
    """No welcome email, and a log group that CloudWatch does not filter."""
    made = terraform.made[case]
    assert made.of_type("aws_cloudwatch_log_metric_filter") == {}
    assert "SEARCH" not in str(charts(made))
