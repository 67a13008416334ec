"""Each deadline against the one that contains it: call, function, task, state machine, queue.

Numbers come from where they are set: the handlers' real clients (test_clients.py compares those), the modules'
Terraform files, and the state machines' definitions.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cognito_user_sync import pool_trigger, rate_limit, shards, user_table
from cognito_user_sync.handlers import post_confirmation, publish_user_events, retry_sign_ups, sync_changes, sync_user
from tests.unit.terraform_source import (
    Json,
    function_timeouts,
    handler_of,
    number,
    resource,
    state_machine,
    states,
    waits,
)
from tests.unit.test_clients import CLIENTS, Limits

ROOT = Path(__file__).parents[2]
DAY = 24 * 3600
COGNITO_WAITS_SECONDS = 5
# SQS keeps a message for 14 days from its first enqueue, half a day of which are the retries.
DEAD_LETTER_DAYS = 13.5

TASKS = [
    (machine, name) for machine in ("user_sync", "reconciliation") for name, state in states(machine).items()
    if state["Type"] == "Task"
]  # fmt: skip


def longest_call(limits: Limits) -> float:
    """Return the seconds after which a call has ended: all attempts, and botocore's pauses of at most 1, 2, 4 ... s."""
    pauses = sum(min(2.0**retry, 20) for retry in range(limits.attempts - 1))
    return limits.attempts * (limits.connect_seconds + limits.read_seconds) + pauses


def longest_task(task: Json) -> float:
    """Return the seconds after which a Task has ended: all attempts with their timeouts and waits.

    Each of its retriers counts its own attempts.
    """
    attempts = 1 + sum(retry["MaxAttempts"] for retry in task["Retry"])
    return float(attempts * task["TimeoutSeconds"] + sum(sum(waits(retry)) for retry in task["Retry"]))


@pytest.mark.parametrize("handler", CLIENTS)
def test_calls_end_within_the_timeout_of_their_function(handler: str) -> None:
    timeout = function_timeouts()[handler]
    assert {service: limits for service, limits in CLIENTS[handler].items() if longest_call(limits) > timeout} == {}


def test_post_confirmation_ends_within_the_time_that_cognito_waits() -> None:
    assert function_timeouts()["post_confirmation"] == COGNITO_WAITS_SECONDS
    calls = [longest_call(CLIENTS["post_confirmation"][service]) for service in ("stepfunctions", "sqs")]
    # The last round begins before _RETRY_WITHIN_SECONDS. A second stays for the start of a new function.
    assert post_confirmation._RETRY_WITHIN_SECONDS + sum(calls) <= COGNITO_WAITS_SECONDS - 1
    # A call that times out leaves time to begin one more.
    assert max(calls) <= post_confirmation._RETRY_WITHIN_SECONDS


def test_chained_function_has_most_of_the_time_that_cognito_waits() -> None:
    # StartExecution takes less than 0.1 s as a rule, and may take 0.5 s without Lambda ending the invocation.
    assert longest_call(CLIENTS["post_confirmation"]["lambda"]) == COGNITO_WAITS_SECONDS - 0.6


def test_queued_start_ends_within_its_reserved_time() -> None:
    slowest = longest_call(CLIENTS["retry_sign_ups"]["stepfunctions"])
    assert slowest <= retry_sign_ups._SLOWEST_START_SECONDS < function_timeouts()["retry_sign_ups"]


def test_queued_change_ends_within_its_reserved_time() -> None:
    services = ("cognito-idp", "dynamodb", "stepfunctions")
    cognito, dynamodb, states = (longest_call(CLIENTS["sync_changes"][service]) for service in services)
    # The calls: test_changes.py, test_sync_change_makes_at_most_five_calls.
    slowest = sync_changes._PAUSE_SECONDS + max(3 * cognito, cognito + states) + 3 * dynamodb
    assert slowest <= sync_changes._SLOWEST_CHANGE_SECONDS < function_timeouts()["sync_changes"]


def test_published_events_end_within_their_reserved_time() -> None:
    slowest = longest_call(CLIENTS["publish_user_events"]["events"])
    assert slowest <= publish_user_events._SLOWEST_CALL_SECONDS < function_timeouts()["publish_user_events"]


def test_sync_user_ends_within_its_function() -> None:
    cognito, dynamodb = (longest_call(CLIENTS["sync_user"][service]) for service in ("cognito-idp", "dynamodb"))
    # A user whose username changed hands: two reads by username, one of the list, one of the item, and the write.
    assert 3 * cognito + 2 * dynamodb < function_timeouts()["sync_user"]


def test_send_welcome_ends_within_its_function() -> None:
    # A function that Lambda ends may have sent the email. A second stays for the start of a new function.
    calls = [longest_call(CLIENTS["send_welcome"][service]) for service in ("cognito-idp", "sesv2")]
    assert sum(calls) <= function_timeouts()["send_welcome"] - 1


def test_sync_user_retries_an_unconfirmed_user_in_the_state_machine() -> None:
    """The last attempt ends with the outcome, since an execution that fails would raise an alarm for nothing."""
    retry = next(
        retry for retry in states("user_sync")["SyncUser"]["Retry"] if "NotConsistentYetError" in retry["ErrorEquals"]
    )
    # Jitter would shorten the waits.
    assert "JitterStrategy" not in retry
    # The first attempt may begin in the moment of the sign-up.
    assert sync_user._SHOWN_WITHIN.total_seconds() < sum(waits(retry)) <= 600
    assert sync_user._SHOWN_WITHIN.total_seconds() >= 300
    assert waits(retry)[0] <= 5, "most users are confirmed a moment later"


def test_pool_trigger_reserves_time_for_an_update_and_a_read() -> None:
    call = longest_call(CLIENTS["pool_trigger"]["cognito-idp"])
    assert 2 * call <= pool_trigger._VERIFICATION_SECONDS <= function_timeouts()["pool_trigger"] - 4 * call


@pytest.mark.parametrize("handler", ["plan_shards", "reconcile_shards"])
def test_reconciliation_reserves_time_for_calls_in_progress(handler: str) -> None:
    slowest = max(map(longest_call, CLIENTS[handler].values()))
    assert slowest <= rate_limit._MARGIN_SECONDS <= 60
    assert function_timeouts()[handler] >= shards.WORKER_SECONDS + rate_limit._MARGIN_SECONDS


@pytest.mark.parametrize(("machine", "name"), TASKS)
def test_each_task_outlasts_its_function(machine: str, name: str) -> None:
    task = states(machine)[name]
    handler = handler_of(task)
    assert task["TimeoutSeconds"] >= (function_timeouts()[handler] + 5 if handler else 60)


@pytest.mark.parametrize("name", ["SyncUser", "SendWelcome"])
def test_a_user_outlasts_an_outage_of_twelve_hours(name: str) -> None:
    """As long as a request in the retry queue: test_each_queue_outlasts_the_retries_of_its_function."""
    task = states("user_sync")[name]
    [retry] = [retry for retry in task["Retry"] if "CognitoUnavailableError" in retry["ErrorEquals"]]
    # Jitter would halve the waits on average.
    assert "JitterStrategy" not in retry
    assert sum(waits(retry)) >= 12 * 3600
    # Each period of the alarm then has an attempt. Its default is compared in tests/terraform/test_alarms.py.
    assert max(waits(retry)) + task["TimeoutSeconds"] < 600
    # A history ends at 25,000 events: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    assert 3 * sum(retry["MaxAttempts"] for retry in task["Retry"]) < 5000


@pytest.mark.parametrize(("machine", "name"), TASKS)
def test_each_task_waits_some_minutes_for_a_new_policy(machine: str, name: str) -> None:
    """IAM is eventually consistent, and the first executions begin seconds after the roles are created."""
    denied = {"SFN.AccessDeniedException", "States.ALL"} if name == "ListRuns" else {"Lambda.KMSAccessDeniedException"}
    [retry] = [retry for retry in states(machine)[name]["Retry"] if denied & {*retry["ErrorEquals"]}]
    assert 300 <= sum(waits(retry)) <= 900
    assert "JitterStrategy" not in retry


@pytest.mark.parametrize(("machine", "seconds"), [("user_sync", 2 * DAY), ("reconciliation", 7 * DAY)])
def test_each_state_machine_outlasts_the_retries_of_its_tasks(machine: str, seconds: int) -> None:
    tasks = [states(machine)[name] for of_machine, name in TASKS if of_machine == machine]
    assert sum(map(longest_task, tasks)) < state_machine(machine)["TimeoutSeconds"] == seconds


def test_each_queue_outlasts_the_retries_of_its_function() -> None:
    queue, dead_letter_queue = (resource("request_queue", "aws_sqs_queue", name) for name in ("this", "dead_letter"))
    timeouts = {handler: function_timeouts()[handler] for handler in ("retry_sign_ups", "sync_changes")}
    retention, dead_letter_retention = (
        number("request_queue", each["message_retention_seconds"]) for each in (queue, dead_letter_queue)
    )
    found = re.search(r"maxReceiveCount = (.+)}\)", queue["redrive_policy"])
    assert found
    for timeout in timeouts.values():
        variables = {"function.timeout_seconds": timeout}
        visibility = number("request_queue", queue["visibility_timeout_seconds"], variables)
        retries = number("request_queue", found[1], variables)
        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
        assert visibility >= 6 * timeout
        assert retries <= 1000, "the most that SQS takes"
        # README: Step Functions may be unavailable for 12 hours.
        assert 12 * 3600 <= retries * visibility < retention
        # A message that moves keeps its first enqueue time: the dead-letter queue needs the longest retention of SQS.
        assert dead_letter_retention - retries * visibility == DEAD_LETTER_DAYS * DAY
    assert dead_letter_retention == 14 * DAY


@pytest.mark.parametrize("file", ["docs/operations.md", "docs/reliability.md", "modules/monitoring/main.tf"])
def test_dead_letters_are_kept_as_long_as_is_said(file: str) -> None:
    text = " ".join((ROOT / file).read_text(encoding="utf-8").split())
    said = re.findall(r"dead-letter queue[^|]{0,40}? (?:for|only|them) ([\d.]+) days", text)
    assert said
    assert {float(days) for days in said} == {DEAD_LETTER_DAYS}


def test_tombstone_outlasts_reads_from_before_the_deletion() -> None:
    """A function writes only what it has read itself: a later retry of a request reads again."""
    assert max(function_timeouts().values()) < user_table.TOMBSTONE_DAYS * DAY
    variables = (ROOT / "modules" / "inputs" / "variables.tf").read_text(encoding="utf-8")
    assert f"var.deleted_users.retention_days >= {user_table.TOMBSTONE_DAYS}" in variables
