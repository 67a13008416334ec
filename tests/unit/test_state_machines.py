"""The state machines' definitions: what each Task retries and catches, and where each Choice leads.

Every error class that a handler's code defines has a decision here. A new one fails the test until it has, too.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.terraform_source import Json, handler_of, state_machine, states

SOURCES = Path(__file__).parents[2] / "lambda_src"
PACKAGE = "cognito_user_sync"

# Lambda did not run the function, or says nothing of how it ended.
# https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
NOT_INVOKED = frozenset({"Lambda.TooManyRequestsException"})
SERVICE = frozenset({"Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"})
UNKNOWN_END = frozenset(
    {
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
IDEMPOTENT = NOT_INVOKED | SERVICE | UNKNOWN_END


class Task(NamedTuple):
    """What a Task does about errors.

    Attributes:
        waits_for: Errors with a Retry before, whose waits test_deadlines.py compares.
        retried: ErrorEquals of its last Retry.
        fails: Error classes of the handler's code that end the Task at once.
        caught: Whether every error is caught, with the state that follows.
        longest_wait_seconds: MaxDelaySeconds.
        attempts: MaxAttempts.
    """

    retried: frozenset[str]
    waits_for: tuple[str, ...] = ()
    fails: frozenset[str] = frozenset()
    caught: str | None = None
    longest_wait_seconds: int = 120
    attempts: int = 8


TASKS = {
    "SyncUser": Task(
        retried=IDEMPOTENT | {"PoolUnavailable", "TableUnavailable"},
        waits_for=("NotConsistentYet",),
        fails=frozenset(
            {
                *("InvalidSyncRequest", "MissingSetting", "TableRefused", "UnusableUser"),
                *("MarkerRefused", "PoolRefused", "PrefixRefused"),
            }
        ),
    ),
    # Retried only if the email was certainly not sent: Cognito is read before.
    "SendWelcome": Task(
        retried=NOT_INVOKED | {"PoolUnavailable", "WelcomeNotSent"},
        waits_for=("NotConsistentYet",),
        fails=frozenset(
            {
                *("InvalidSyncRequest", "MissingSetting", "UnknownPlaceholder", "WelcomeOutcomeUnknown"),
                *("WelcomeRefused", "UnusableUser", "TableRefused", "TableUnavailable"),
                *("MarkerRefused", "PoolRefused", "PrefixRefused"),
            }
        ),
    ),
    "ListRuns": Task(retried=frozenset({"States.ALL"}), longest_wait_seconds=60, attempts=6),
    # It retries Cognito's errors itself. Its failure is reported at the end of the run.
    "EnsureTrigger": Task(
        retried=NOT_INVOKED | SERVICE,
        fails=frozenset(
            {
                *("ForeignTrigger", "InvalidRequest", "MissingSetting", "PoolChanged", "PoolUnproved"),
                *("TableRefused", "TableUnavailable", "UnusableUser", "UpdateRejectedError"),
            }
        ),
        caught="PlanShards",
        longest_wait_seconds=60,
        attempts=6,
    ),
    "PlanShards": Task(
        retried=IDEMPOTENT | {"OutOfTime"},
        fails=frozenset(
            {
                *("InvalidInput", "MissingSetting", "TableRefused", "UnusableUser"),
                *("MarkerRefused", "PoolRefused", "PrefixRefused"),
                # The planner waits for these as long as it has time: OutOfTime.
                *("PoolUnavailable", "TableUnavailable"),
            }
        ),
    ),
    # OutOfTime, PrefixRefused and MarkerRefused are the worker's own: what is left is in its result.
    "ReconcileShards": Task(
        retried=IDEMPOTENT,
        fails=frozenset(
            {
                *("InvalidInput", "MissingSetting", "OutOfTime", "PoolUnavailable", "TableUnavailable"),
                *("MarkerRefused", "PoolRefused", "PrefixRefused", "TableRefused", "UnusableUser"),
            }
        ),
    ),
}
MACHINE_OF = {name: machine for machine in ("user_sync", "reconciliation") for name in states(machine)}


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of the package that a module imports, directly or not, and itself."""
    path = SOURCES / f"{module.replace('.', '/')}.py"
    found = {module}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            found.update(*(imports(f"{PACKAGE}.{alias.name}") for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            found |= imports(str(node.module))
    return frozenset(found)


def error_classes(handler: str) -> set[str]:
    """Return the public exception classes that the code of a handler defines."""
    return {
        name
        for module in imports(f"{PACKAGE}.handlers.{handler}")
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module
        if not name.startswith("_")
    }


@pytest.mark.parametrize("name", TASKS)
def test_task_retries_and_catches_exactly_these_errors(name: str) -> None:
    state, task = states(MACHINE_OF[name])[name], TASKS[name]
    *before, retry = state["Retry"]
    assert [each["ErrorEquals"] for each in before] == [[error] for error in task.waits_for]
    assert len(retry["ErrorEquals"]) == len(set(retry["ErrorEquals"]))
    assert set(retry["ErrorEquals"]) == task.retried
    assert {key: value for key, value in retry.items() if key != "ErrorEquals"} == {
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": task.longest_wait_seconds,
        "MaxAttempts": task.attempts,
        "JitterStrategy": "FULL",
    }
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.trigger", "Next": task.caught}] if task.caught else []
    assert state.get("Catch", []) == catch


@pytest.mark.parametrize("name", [name for name in TASKS if name != "ListRuns"])
def test_every_error_class_of_a_handler_is_retried_or_fails(name: str) -> None:
    task = TASKS[name]
    handler = handler_of(states(MACHINE_OF[name])[name])
    assert handler
    retried = {error for error in task.retried if "." not in error} | {*task.waits_for}
    assert not retried & task.fails
    assert retried | task.fails == error_classes(handler)


def test_every_task_is_in_the_table() -> None:
    tasks = {name for name, machine in MACHINE_OF.items() if states(machine)[name]["Type"] == "Task"}
    assert tasks == TASKS.keys()


# --- Choice states


def value_at(path: str, data: Json) -> object:
    """Return what a reference path such as $.plan.batches[0] finds; None if there is nothing."""
    value: object = data
    for step in path.removeprefix("$.").replace("[0]", ".0").split("."):
        found = value.get(step) if isinstance(value, dict) else None
        value = value[0] if isinstance(value, list) and value else found
    return value


def holds(rule: Json, data: Json) -> bool:
    """Return whether a rule of a Choice state matches; of the rules that the definitions use."""
    if "And" in rule:
        return all(holds(each, data) for each in rule["And"])
    if "Not" in rule:
        return not holds(rule["Not"], data)
    [operator] = rule.keys() - {"Variable", "Next"}
    value, operand = value_at(rule["Variable"], data), rule[operator]
    match operator:
        case "IsPresent":
            return (value is not None) is bool(operand)
        case "StringEquals" | "BooleanEquals":
            return bool(value == operand)
        case "StringEqualsPath":
            return value == value_at(operand, data)
        case "NumericGreaterThan":
            return isinstance(value, int) and value > int(operand)
    raise AssertionError(f"unknown operator {operator}")


def chosen(name: str, data: Json) -> str:
    """Return the state that a Choice state leads to."""
    state = states(MACHINE_OF[name])[name]
    return str(next((rule["Next"] for rule in state["Choices"] if holds(rule, data)), state["Default"]))


@pytest.mark.parametrize(
    ("name", "data", "following"),
    [
        ("IsAnyListed", {"running": {"count": 0}}, "Begin"),
        ("IsAnyListed", {"running": {"count": 1}}, "FindOldestRun"),
        ("IsOldestRun", {"oldest": {"ExecutionArn": "a"}, "own_arn": "a"}, "Begin"),
        ("IsOldestRun", {"oldest": {"ExecutionArn": "a"}, "own_arn": "b"}, "AnotherIsRunning"),
        ("IsTriggerEnsured", {"attach_trigger": "true", "input": {}}, "EnsureTrigger"),
        ("IsTriggerEnsured", {"attach_trigger": "true", "input": {"dry_run": False}}, "EnsureTrigger"),
        ("IsTriggerEnsured", {"attach_trigger": "true", "input": {"dry_run": True}}, "PlanShards"),
        # What is not a boolean is the planner's to reject; nothing may change before that.
        ("IsTriggerEnsured", {"attach_trigger": "true", "input": {"dry_run": "yes"}}, "PlanShards"),
        ("IsTriggerEnsured", {"attach_trigger": "false", "input": {}}, "PlanShards"),
        ("IsWorkLeft", {"plan": {"batches": [{}]}}, "ReconcileBatches"),
        ("IsWorkLeft", {"plan": {"batches": []}}, "Summarize"),
        ("IsAllWell", {"summary": {"problems": ["one"]}}, "EndedWithProblems"),
        ("IsAllWell", {"summary": {"problems": []}}, "Done"),
    ],
)
def test_choice_leads_to_the_following_state(name: str, data: Json, following: str) -> None:
    assert chosen(name, data) == following


def test_every_choice_is_tested() -> None:
    choices = {name for name, machine in MACHINE_OF.items() if states(machine)[name]["Type"] == "Choice"}
    assert choices == {"IsAnyListed", "IsOldestRun", "IsTriggerEnsured", "IsWorkLeft", "IsAllWell"}


def test_states_follow_each_other() -> None:
    found = {name: states(machine)[name] for name, machine in MACHINE_OF.items()}
    assert state_machine("user_sync")["StartAt"] == "SyncUser"
    assert state_machine("reconciliation")["StartAt"] == "ListRuns"
    assert {name: state["Next"] for name, state in found.items() if "Next" in state} == {
        "SyncUser": "SendWelcome",
        "ListRuns": "IsAnyListed",
        "FindOldestRun": "IsOldestRun",
        "Begin": "IsTriggerEnsured",
        "EnsureTrigger": "PlanShards",
        "PlanShards": "IsWorkLeft",
        "ReconcileBatches": "PlanShards",
        "Summarize": "IsAllWell",
    }
    assert {name for name, state in found.items() if state.get("End")} == {
        "SendWelcome",
        "AnotherIsRunning",
        "ReconcileShards",
    }


def test_user_sync_has_two_states_that_pass_the_payload_on() -> None:
    """Each transition is paid for. What an execution shows is what the functions return, and nothing else."""
    steps = states("user_sync")
    assert list(steps) == ["SyncUser", "SendWelcome"]
    for name, step in steps.items():
        assert step["Type"] == "Task", name
        assert step["Parameters"]["Payload.$"] == "$", name
        assert step["OutputPath"] == "$.Payload", name
        # Those would keep the input, which anyone who may start an execution writes.
        assert not step.keys() & {"ResultPath", "ResultSelector", "InputPath"}, name


def test_a_run_with_problems_fails_and_any_other_succeeds() -> None:
    ends = states("reconciliation")
    assert ends["EndedWithProblems"]["Type"] == "Fail"
    assert ends["Done"] == {"Type": "Succeed", "OutputPath": "$.summary"}
