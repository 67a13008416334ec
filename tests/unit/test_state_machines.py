"""The definitions of the state machines: what each Task retries and catches, and the next state of each Choice.

Every error class of a handler's code has a decision here. A new class without a decision fails a test.
"""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import botocore.session
import pytest

from cognito_user_sync_cli.errors_before_send import NOT_SENT
from tests.unit.terraform_source import Json, handler_of, state_machine, states, waits

SOURCES = Path(__file__).parents[2] / "lambda_src"
PACKAGE = "cognito_user_sync"

# Errors that Step Functions retries. docs/reliability.md has the reason for each name that AWS documents.
# https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
NOT_INVOKED = frozenset(
    {
        "Lambda.CodeArtifactUserDeletedException",
        "Lambda.CodeArtifactUserPendingException",
        "Lambda.EC2ThrottledException",
        "Lambda.EC2UnexpectedException",
        "Lambda.ENILimitReachedException",
        "Lambda.ENINotReadyException",
        "Lambda.ResourceConflictException",
        "Lambda.ResourceNotReadyException",
        "Lambda.SubnetIPAddressLimitReachedException",
        "Lambda.TooManyRequestsException",
    }
)
SERVICE = frozenset({"Lambda.ServiceException", "Lambda.SdkClientException"})
UNKNOWN_END = frozenset(
    {
        "Lambda.ClientExecutionTimeoutException",
        "Lambda.Unknown",
        "Runtime.ExitError",
        "Runtime.OutOfMemory",
        "Runtime.Unknown",
        "Sandbox.Failure",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
IDEMPOTENT = NOT_INVOKED | SERVICE | UNKNOWN_END
# New resources and permissions are eventually consistent. All but the first error mean that there was no invocation.
DENIED = frozenset(
    {
        "Lambda.AWSLambdaException",
        "Lambda.EC2AccessDeniedException",
        "Lambda.KMSAccessDeniedException",
        "Lambda.ResourceNotFoundException",
        "States.Permissions",
    }
)

# The number of retries and the longest wait. Jitter, which halves the waits, is for workers of the reconciliation,
# which fail at the same time. Sign-ups do not start at the same time.
TWELVE_HOURS: Json = {"IntervalSeconds": 2, "BackoffRate": 2, "MaxDelaySeconds": 480, "MaxAttempts": 97}
SIX_MINUTES: Json = {"IntervalSeconds": 2, "BackoffRate": 2, "MaxDelaySeconds": 60, "MaxAttempts": 10}
SEVEN_MINUTES: Json = {**SIX_MINUTES, "IntervalSeconds": 5}
THREE_MINUTES: Json = {
    "IntervalSeconds": 2,
    "BackoffRate": 2,
    "MaxDelaySeconds": 120,
    "MaxAttempts": 8,
    "JitterStrategy": "FULL",
}
ONE_MINUTE: Json = {**THREE_MINUTES, "MaxDelaySeconds": 60, "MaxAttempts": 6}


class Retrier(NamedTuple):
    """An entry of a Task's Retry."""

    errors: frozenset[str]
    waits: Json


class Task(NamedTuple):
    """How a Task handles errors.

    Attributes:
        retries: Its Retry, in order.
        fails: Error classes of the handler's code that fail the Task without a retry.
        caught: Whether every error is caught, with the state that follows.
    """

    retries: tuple[Retrier, ...]
    fails: frozenset[str] = frozenset()
    caught: str | None = None


TASKS = {
    "SyncUser": Task(
        (
            Retrier(frozenset({"NotConsistentYetError"}), SEVEN_MINUTES),
            Retrier(DENIED | {"AccessDeniedError"}, SIX_MINUTES),
            Retrier(IDEMPOTENT | {"CognitoUnavailableError", "TableUnavailableError"}, TWELVE_HOURS),
        ),
        fails=frozenset(
            {
                *("InvalidEventError", "MissingSettingError", "TableRejectedError", "UnusableUserError"),
                *("PagingTokenRejectedError", "CognitoRejectedError", "PrefixRejectedError"),
            }
        ),
    ),
    # Retried only if the email was certainly not sent. Errors of Cognito are before the send.
    "SendWelcome": Task(
        (
            Retrier(frozenset({"NotConsistentYetError"}), SEVEN_MINUTES),
            Retrier(DENIED - {"Lambda.AWSLambdaException"} | {"AccessDeniedError"}, SIX_MINUTES),
            Retrier(NOT_INVOKED | {"CognitoUnavailableError", "WelcomeNotSentError"}, TWELVE_HOURS),
        ),
        fails=frozenset(
            {
                *("InvalidEventError", "MissingSettingError", "UnknownPlaceholderError", "WelcomeOutcomeUnknownError"),
                *("WelcomeRejectedError", "UnusableUserError", "TableRejectedError", "TableUnavailableError"),
                *("PagingTokenRejectedError", "CognitoRejectedError", "PrefixRejectedError"),
            }
        ),
    ),
    "ListRuns": Task((Retrier(frozenset({"States.ALL"}), SIX_MINUTES),)),
    # The function retries Cognito's errors. The run reports its failure at the end.
    "EnsureTrigger": Task(
        (Retrier(DENIED, SIX_MINUTES), Retrier(NOT_INVOKED | SERVICE, ONE_MINUTE)),
        fails=frozenset(
            {
                *(
                    "AccessDeniedError",
                    "ForeignTriggerError",
                    "InvalidEventError",
                    "MissingSettingError",
                    "PoolChangedError",
                    "PoolUnverifiedError",
                ),
                *(
                    "ChainedFunctionUnavailableError",
                    "TableRejectedError",
                    "TableUnavailableError",
                    "TriggerMissingError",
                ),
                *("UnusableUserError", "UpdateRejectedError"),
            }
        ),
        caught="PlanShards",
    ),
    "PlanShards": Task(
        (Retrier(DENIED | {"AccessDeniedError"}, SIX_MINUTES), Retrier(IDEMPOTENT | {"OutOfTimeError"}, THREE_MINUTES)),
        fails=frozenset(
            {
                *("InvalidEventError", "MissingSettingError", "TableRejectedError", "UnusableUserError"),
                *("PagingTokenRejectedError", "CognitoRejectedError", "PrefixRejectedError"),
                # The planner retries these until its time ends, with OutOfTimeError.
                *("CognitoUnavailableError", "TableUnavailableError"),
            }
        ),
    ),
    # OutOfTimeError, PrefixRejectedError and PagingTokenRejectedError are handled by the worker.
    "ReconcileShards": Task(
        (Retrier(DENIED | {"AccessDeniedError"}, SIX_MINUTES), Retrier(IDEMPOTENT, THREE_MINUTES)),
        fails=frozenset(
            {
                *("MissingSettingError", "OutOfTimeError", "CognitoUnavailableError", "TableUnavailableError"),
                *(
                    "PagingTokenRejectedError",
                    "CognitoRejectedError",
                    "PrefixRejectedError",
                    "TableRejectedError",
                    "UnusableUserError",
                ),
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
    listed = [error for retrier in state["Retry"] for error in retrier["ErrorEquals"]]
    # Only the first retrier that names an error is used.
    assert len(listed) == len(set(listed))
    assert [
        Retrier(frozenset(retrier["ErrorEquals"]), {key: retrier[key] for key in retrier if key != "ErrorEquals"})
        for retrier in state["Retry"]
    ] == [*task.retries]
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.trigger", "Next": task.caught}] if task.caught else []
    assert state.get("Catch", []) == catch


@pytest.mark.parametrize("name", [name for name in TASKS if name != "ListRuns"])
def test_every_error_class_of_a_handler_is_retried_or_fails(name: str) -> None:
    task = TASKS[name]
    handler = handler_of(states(MACHINE_OF[name])[name])
    assert handler
    retried = {error for retrier in task.retries for error in retrier.errors if "." not in error}
    assert not retried & task.fails
    assert retried | task.fails == error_classes(handler)


def test_every_task_is_in_the_table() -> None:
    tasks = {name for name, machine in MACHINE_OF.items() if states(machine)[name]["Type"] == "Task"}
    assert tasks == TASKS.keys()


# --- docs/reliability.md

# Error names of Lambda's runtime and sandbox for invocations that end without the handler's return or exception.
# https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-execution.html
# https://github.com/aws/aws-lambda-runtime-interface-emulator/blob/main/internal/lambda/fatalerror/fatalerror.go
# https://github.com/aws/aws-lambda-python-runtime-interface-client/tree/main/awslambdaric
OF_THE_RUNTIME = frozenset(
    {
        *("Extension.Crash", "Extension.ExitError", "Extension.InitError", "Extension.LaunchError"),
        *("Function.ResponseSizeTooLarge", "Function.Unknown"),
        *("Runtime.ExitError", "Runtime.OutOfMemory", "Runtime.Unknown", "Sandbox.Failure", "Sandbox.Timedout"),
        *("Runtime.HandlerNotFound", "Runtime.ImportModuleError", "Runtime.MalformedHandlerName"),
        *("Runtime.InvalidEntrypoint", "Runtime.InvalidTaskConfig", "Runtime.InvalidWorkingDir"),
        *("Runtime.InvalidResponseModeHeader", "Runtime.TruncatedResponse", "Runtime.UserCodeSyntaxError"),
        *("Runtime.LambdaContextUnmarshalError", "Runtime.MarshalError", "Runtime.UnmarshalError"),
    }
)
# Error names of Step Functions. https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
OF_STEP_FUNCTIONS = frozenset(
    {
        *("Lambda.AWSLambdaException", "Lambda.ClientExecutionTimeoutException", "Lambda.SdkClientException"),
        *("Lambda.Unknown", "States.DataLimitExceeded", "States.Permissions", "States.Runtime", "States.Timeout"),
    }
)
STEPS = ("SyncUser", "SendWelcome", "PlanShards", "ReconcileShards", "EnsureTrigger")


def documented() -> dict[str, tuple[str, ...]]:
    """Return the rows of the page's table by error: how long each of STEPS retries it."""
    page = (SOURCES.parent / "docs/reliability.md").read_text(encoding="utf-8")
    heading, _, rows = page.partition("## What each step retries")[2].partition("|--")
    assert heading.rstrip().splitlines()[-1] == f"| error | {' | '.join(STEPS)} | why |"
    return {
        error: tuple(cell.strip() for cell in cells)
        for row in rows.partition("\n\n")[0].splitlines()[1:]
        for names, *cells, _ in [row.strip("| ").split("|")]
        for error in re.findall(r"`(\S+)`", names)
    }


def retried_for(step: str, error: str) -> str:
    """Return how long a step retries an error, on average, in the format of the page."""
    for retry in states(MACHINE_OF[step])[step]["Retry"]:
        if error in retry["ErrorEquals"]:
            seconds = sum(waits(retry)) / (2 if "JitterStrategy" in retry else 1)
            return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
    return "no" if "." in error else ""


def test_page_shows_whether_each_documented_error_is_retried() -> None:
    """Lambda's errors are from the SDK's model. A new version can have one without a decision."""
    invoke = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")
    of_lambda = {f"Lambda.{shape.name}" for shape in invoke.error_shapes}
    page = documented()
    assert {error for error in page if "." in error} == of_lambda | OF_THE_RUNTIME | OF_STEP_FUNCTIONS
    listed = {error for step in STEPS for retrier in TASKS[step].retries for error in retrier.errors}
    assert listed <= page.keys()
    assert page == {error: tuple(retried_for(step, error) for step in STEPS) for error in page}


def test_redrive_skips_what_send_welcome_must_not_retry() -> None:
    """An error that SendWelcome retries means that no email was sent, so redrive is also safe after it."""
    retried = {error for retrier in TASKS["SendWelcome"].retries for error in retrier.errors}
    assert retried <= NOT_SENT
    assert not NOT_SENT & (SERVICE | UNKNOWN_END | {"Lambda.AWSLambdaException", "WelcomeOutcomeUnknownError"})


# --- Choice states


def value_at(path: str, data: Json) -> object:
    """Return the value at a reference path such as $.plan.batches[0], or None."""
    value: object = data
    for step in path.removeprefix("$.").replace("[0]", ".0").split("."):
        found = value.get(step) if isinstance(value, dict) else None
        value = value[0] if isinstance(value, list) and value else found
    return value


def holds(rule: Json, data: Json) -> bool:
    """Return whether a rule of a Choice state matches. Supports the operators that the definitions use."""
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
    """Return the next state of a Choice state."""
    state = states(MACHINE_OF[name])[name]
    return str(next((rule["Next"] for rule in state["Choices"] if holds(rule, data)), state["Default"]))


@pytest.mark.parametrize(
    ("name", "data", "following"),
    [
        ("IsAnyListed", {"running": {"count": 0}}, "Begin"),
        ("IsAnyListed", {"running": {"count": 1}}, "FindOldestRun"),
        ("IsOldestRun", {"oldest": {"ExecutionArn": "a"}, "own_arn": "a"}, "Begin"),
        ("IsOldestRun", {"oldest": {"ExecutionArn": "a"}, "own_arn": "b"}, "AnotherIsRunning"),
        ("ShouldEnsureTrigger", {"attach_trigger": "true", "input": {}}, "EnsureTrigger"),
        ("ShouldEnsureTrigger", {"attach_trigger": "true", "input": {"dry_run": False}}, "EnsureTrigger"),
        ("ShouldEnsureTrigger", {"attach_trigger": "true", "input": {"dry_run": True}}, "PlanShards"),
        # The planner rejects a value that is not a boolean. Nothing may change before that.
        ("ShouldEnsureTrigger", {"attach_trigger": "true", "input": {"dry_run": "yes"}}, "PlanShards"),
        ("ShouldEnsureTrigger", {"attach_trigger": "false", "input": {}}, "PlanShards"),
        ("IsWorkLeft", {"plan": {"batches": [{}]}}, "ReconcileBatches"),
        ("IsWorkLeft", {"plan": {"batches": []}}, "Summarize"),
        ("HasProblems", {"summary": {"problems": ["one"]}}, "EndedWithProblems"),
        ("HasProblems", {"summary": {"problems": []}}, "Done"),
    ],
)
def test_choice_leads_to_the_following_state(name: str, data: Json, following: str) -> None:
    assert chosen(name, data) == following


def test_every_choice_is_tested() -> None:
    choices = {name for name, machine in MACHINE_OF.items() if states(machine)[name]["Type"] == "Choice"}
    assert choices == {"IsAnyListed", "IsOldestRun", "ShouldEnsureTrigger", "IsWorkLeft", "HasProblems"}


def test_states_follow_each_other() -> None:
    found = {name: states(machine)[name] for name, machine in MACHINE_OF.items()}
    assert state_machine("user_sync")["StartAt"] == "SyncUser"
    assert state_machine("reconciliation")["StartAt"] == "ListRuns"
    assert {name: state["Next"] for name, state in found.items() if "Next" in state} == {
        "SyncUser": "SendWelcome",
        "ListRuns": "IsAnyListed",
        "FindOldestRun": "IsOldestRun",
        "Begin": "ShouldEnsureTrigger",
        "EnsureTrigger": "PlanShards",
        "PlanShards": "IsWorkLeft",
        "ReconcileBatches": "PlanShards",
        "Summarize": "HasProblems",
    }
    assert {name for name, state in found.items() if state.get("End")} == {
        "SendWelcome",
        "AnotherIsRunning",
        "ReconcileShards",
    }


def test_user_sync_has_two_states_that_pass_the_payload_on() -> None:
    """AWS bills each transition. The output of an execution is the functions' return value only."""
    steps = states("user_sync")
    assert list(steps) == ["SyncUser", "SendWelcome"]
    for name, step in steps.items():
        assert step["Type"] == "Task", name
        assert step["Parameters"]["Payload.$"] == "$", name
        assert step["OutputPath"] == "$.Payload", name
        # These would keep the input, which everyone with permission to start an execution can write.
        assert not step.keys() & {"ResultPath", "ResultSelector", "InputPath"}, name


def test_a_run_with_problems_fails_and_any_other_succeeds() -> None:
    ends = states("reconciliation")
    assert ends["EndedWithProblems"]["Type"] == "Fail"
    assert ends["Done"] == {"Type": "Succeed", "OutputPath": "$.summary"}
