"""Step Functions executions start, time out and are redriven as on AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config

from tests.local_aws.conftest import (
    ended,
    invoking,
    make_function,
    make_machine,
    name,
    run,
    until,
)

if TYPE_CHECKING:
    from local_aws.client import LocalAws

# Waits scale to a hundredth in these tests.
WAITING: dict[str, Any] = {
    "StartAt": "Wait",
    "States": {"Wait": {"Type": "Wait", "Seconds": 100, "End": True}},
}
FAIL = {"operation": "lambda:InvokeFunction", "fault": "500", "times": 1}


def test_start_execution_returns_the_running_execution(aws: LocalAws) -> None:
    states, machine = aws.client("stepfunctions"), make_machine(aws, WAITING)
    first = states.start_execution(stateMachineArn=machine, name="once", input='{"a": 1}')
    again = states.start_execution(stateMachineArn=machine, name="once", input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="once", input='{"a": 2}')
    assert ended(aws, first["executionArn"])["status"] == "SUCCEEDED"
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="once", input='{"a": 1}')


@pytest.mark.parametrize("invalid", ["", "x" * 81, "a b", "a:b"])
def test_start_execution_rejects_invalid_name(aws: LocalAws, invalid: str) -> None:
    states = aws.client("stepfunctions", config=Config(parameter_validation=False))
    with pytest.raises(states.exceptions.InvalidName):
        states.start_execution(stateMachineArn=make_machine(aws, WAITING), name=invalid)


def test_list_executions_fails_without_state_machine(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    arn = make_machine(aws, WAITING)
    assert states.list_executions(stateMachineArn=arn)["executions"] == []
    with pytest.raises(states.exceptions.StateMachineDoesNotExist):
        states.list_executions(stateMachineArn=f"{arn}-missing")


def test_execution_times_out(aws: LocalAws) -> None:
    found = run(
        aws,
        make_machine(
            aws,
            {
                **WAITING,
                "TimeoutSeconds": 1,
                "States": {"Wait": {"Type": "Wait", "Seconds": 200, "End": True}},
            },
        ),
    )
    assert (found["status"], found["error"], found["redriveStatus"]) == (
        "TIMED_OUT",
        "States.Timeout",
        "REDRIVABLE",
    )
    types = [
        event["type"]
        for event in aws.client("stepfunctions").get_execution_history(executionArn=found["executionArn"])["events"]
    ]
    assert types[-1] == "ExecutionTimedOut"


def test_deleted_machine_ends_after_the_running_state(aws: LocalAws) -> None:
    """Terraform waits for the end of the state machine, and then deletes what its tasks need."""
    states = aws.client("stepfunctions")
    second = {"Second": {"Type": "Wait", "Seconds": 10_000, "End": True}}
    first = {"Wait": {"Type": "Wait", "Seconds": 100, "Next": "Second"}}
    machine = make_machine(aws, {**WAITING, "States": first | second})
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]
    states.delete_state_machine(stateMachineArn=machine)
    assert states.describe_state_machine(stateMachineArn=machine)["status"] == "DELETING"
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    with pytest.raises(states.exceptions.StateMachineDeleting):
        states.start_execution(stateMachineArn=machine)
    until(lambda: machine not in [each["stateMachineArn"] for each in states.list_state_machines()["stateMachines"]])
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.describe_execution(executionArn=execution)


def _recording_machine(aws: LocalAws) -> str:
    """First adds to its input and remembers it; Second is what fails in these tests."""
    function = make_function(aws, "def handler(event, context): return event")
    return make_machine(
        aws,
        {
            "StartAt": "First",
            "QueryLanguage": "JSONata",
            "States": {
                "First": {
                    "Type": "Pass",
                    "Output": {"n": "{% $states.input.n + 1 %}"},
                    "Assign": {"remembered": "{% $states.input.n %}"},
                    "Next": "Second",
                },
                "Second": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::lambda:invoke",
                    "End": True,
                    "Arguments": {
                        "FunctionName": function,
                        "Payload": {
                            "n": "{% $states.input.n %}",
                            "remembered": "{% $remembered %}",
                            "first_input": "{% $states.context.Execution.Input %}",
                            "redrives": "{% $states.context.Execution.RedriveCount %}",
                        },
                    },
                    "Output": "{% $states.result.Payload %}",
                },
            },
        },
    )


def test_redrive_continues_from_the_failed_state(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    aws.set_faults([FAIL])  # type: ignore[list-item]
    failed = run(aws, _recording_machine(aws), {"n": 1})
    arn = failed["executionArn"]
    assert (failed["status"], failed["redriveCount"], failed["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")
    redriven_at = states.redrive_execution(executionArn=arn)["redriveDate"]
    found = ended(aws, arn)
    assert found["status"] == "SUCCEEDED"
    assert json.loads(found["output"]) == {"n": 2, "remembered": 1, "first_input": {"n": 1}, "redrives": 1}
    assert (found["redriveCount"], found["redriveDate"]) == (1, redriven_at)
    assert (found["redriveStatus"], json.loads(found["input"])) == ("NOT_REDRIVABLE", {"n": 1})
    assert "error" not in found
    types = [event["type"] for event in states.get_execution_history(executionArn=arn)["events"]]
    assert types.count("PassStateEntered") == 1
    after = types[types.index("ExecutionRedriven") :]
    assert after[:2] == ["ExecutionRedriven", "TaskStateEntered"]
    assert after[-1] == "ExecutionSucceeded"
    listed = states.list_executions(stateMachineArn=found["stateMachineArn"])["executions"]
    assert [(item["status"], item["redriveCount"]) for item in listed] == [("SUCCEEDED", 1)]


def test_redrive_is_rejected_while_the_execution_runs(aws: LocalAws) -> None:
    states, machine = (
        aws.client("stepfunctions"),
        make_machine(
            aws,
            {
                "StartAt": "Wait",
                "States": {"Wait": {"Type": "Wait", "Seconds": 50, "Next": "No"}, "No": {"Type": "Fail"}},
            },
        ),
    )
    arn = states.start_execution(stateMachineArn=machine)["executionArn"]
    states.stop_execution(executionArn=arn)
    assert states.describe_execution(executionArn=arn)["redriveStatus"] == "REDRIVABLE"
    token = name("token")
    first = states.redrive_execution(executionArn=arn, clientToken=token)
    assert states.redrive_execution(executionArn=arn, clientToken=token)["redriveDate"] == first["redriveDate"]
    with pytest.raises(states.exceptions.ExecutionNotRedrivable):
        states.redrive_execution(executionArn=arn)
    assert ended(aws, arn)["status"] == "FAILED"
    assert ended(aws, arn)["redriveCount"] == 1


def test_redrive_is_rejected_after_success(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    done = run(aws, make_machine(aws, {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}))
    with pytest.raises(states.exceptions.ExecutionNotRedrivable):
        states.redrive_execution(executionArn=done["executionArn"])
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.redrive_execution(executionArn=done["executionArn"] + "x")


def test_stopped_execution_stays_aborted(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    function = make_function(
        aws, "import time\ndef handler(event, context):\n    time.sleep(0.5)\n    raise ValueError"
    )
    arn = states.start_execution(stateMachineArn=make_machine(aws, invoking(function)))["executionArn"]
    until(lambda: aws.calls().get("lambda:InvokeFunction"))
    states.stop_execution(executionArn=arn)

    def task_has_ended() -> bool:
        history = states.get_execution_history(executionArn=arn)["events"]
        return any(event["type"] == "TaskFailed" for event in history)

    until(task_has_ended)
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
