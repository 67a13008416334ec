"""Step Functions executions start once, time out, can be redriven, and end before their state machine is deleted.

ministack runs an execution in one function, `_run_execution`, which this module replaces: timeout, redrive and deletion
need the current state of a run. The emulator runs the states themselves.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
import time
from typing import Any, Final

from ministack.services import stepfunctions as sfn

from local_aws.emulator_patches.patching import expect, expect_exactly

Json = dict[str, Any]
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
_FORBIDDEN_IN_NAMES: Final = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")
_REDRIVABLE: Final = ("FAILED", "ABORTED", "TIMED_OUT")

# Held while an execution is created or changes its status.
_changing = threading.RLock()


def apply() -> None:
    expect_exactly(sfn._run_execution, "996dff84e0e0605a")
    expect_exactly(sfn._fail_execution, "e6da895fa0b74cdd")
    expect(sfn.handle_request, '"StartExecution": _start_execution,', '"DescribeExecution": _describe_execution,')
    sfn._run_execution = run_execution
    _patch_start()
    _patch_stop()
    _patch_delete()
    _patch_describe()
    _patch_redrive()


# --- start ---


def _patch_start() -> None:
    """AWS validates the name, and returns the running execution if name and input are the same."""
    start = sfn._start_execution
    expect(start, "# Reject duplicate execution names", 'input_str = data.get("input", "{}")')

    def patched_start(data: Json) -> Any:
        if (error := _invalid_name(data)) is not None:
            return error
        with _changing:
            machine = sfn._resolve_state_machine_arn(data.get("stateMachineArn", ""))
            if _is_deleting(machine):
                return sfn.error_response_json(
                    "StateMachineDeleting", f"State Machine is being deleted: '{machine}'", 400
                )
            if machine and data.get("name"):
                arn = f"{machine.replace(':stateMachine:', ':execution:')}:{data['name']}"
                running = sfn._executions.get(arn)
                if running and running["status"] == "RUNNING" and running["input"] == data.get("input", "{}"):
                    return sfn.json_response({"executionArn": arn, "startDate": running["startDate"]})
            return start(data)

    sfn._start_execution = patched_start


def _invalid_name(data: Json) -> Any | None:
    name = data.get("name")
    if name is not None and (not 1 <= len(name) <= 80 or _FORBIDDEN_IN_NAMES.search(name)):
        return sfn.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
    return None


def _patch_stop() -> None:
    stop = sfn._stop_execution

    def patched_stop(data: Json) -> Any:
        with _changing:
            answer = stop(data)
            _finish_deletion(sfn._executions.get(data.get("executionArn"), {}).get("stateMachineArn"))
            return answer

    sfn._stop_execution = patched_stop


# --- delete ---


def _patch_delete() -> None:
    """AWS ends each execution at its next transition, and deletes the state machine after the last one.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
    """
    delete = sfn._delete_state_machine
    expect(delete, "del _state_machines[arn]")

    def patched_delete(data: Json) -> Any:
        arn = data.get("stateMachineArn", "")
        with _changing:
            if not _runs(arn):
                return delete(data)
            sfn._state_machines[arn]["status"] = "DELETING"
        return sfn.json_response({})

    sfn._delete_state_machine = patched_delete


def _runs(machine: str) -> bool:
    return machine in sfn._state_machines and any(
        execution["stateMachineArn"] == machine and execution["status"] == "RUNNING"
        for execution in sfn._executions.values()
    )


def _finish_deletion(machine: str | None) -> None:
    if machine is not None and _is_deleting(machine) and not _runs(machine):
        sfn._delete_state_machine({"stateMachineArn": machine})


def _is_deleting(machine: str | None) -> bool:
    return (sfn._state_machines.get(machine) or {}).get("status") == "DELETING"


# --- run ---


def run_execution(arn: str) -> None:
    """Run an execution from its start to its end. Replaces ministack's function."""
    execution = sfn._executions.get(arn)
    if execution is None:
        return
    # As in ministack: each execution is RUNNING for a moment.
    time.sleep(0.15)
    definition = _definition(execution)
    if definition is not None:
        given = json.loads(execution["input"])
        _Run(execution, definition).walk(definition.get("StartAt", ""), given, {})


def _definition(execution: Json) -> Json | None:
    machine = sfn._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        _end(
            execution,
            execution.get("_run"),
            "FAILED",
            "StateMachineDeleted",
            "State machine no longer exists",
        )
        return None
    try:
        definition: Json = json.loads(machine["definition"])
    except ValueError:
        _end(
            execution,
            execution.get("_run"),
            "FAILED",
            "InvalidDefinition",
            "Could not parse state machine definition",
        )
        return None
    return definition


class _Run:
    """One run through the states. A redrive is a new run of the same execution. An outdated run has no effect."""

    def __init__(self, execution: Json, definition: Json) -> None:
        self.execution = execution
        self.definition = definition
        with _changing:
            execution["_run"] = self

    def is_current(self) -> bool:
        return self.execution["status"] == "RUNNING" and self.execution["_run"] is self

    def walk(self, state: str | None, given: Any, variables: Json) -> None:
        timer = self._timer()
        ctx = self._context(variables)
        try:
            while state is not None and self.is_current():
                if _is_deleting(self.execution["stateMachineArn"]):
                    return _end(self.execution, self, "ABORTED")
                state, given = self._enter(state, given, ctx)
            _end(self.execution, self, "SUCCEEDED", output=json.dumps(given))
        except sfn._ExecutionError as error:
            _end(self.execution, self, "FAILED", error.error, error.cause)
        except Exception as error:  # noqa: BLE001 - the execution fails with it
            sfn.logger.exception("Unexpected error in execution %s", self.execution["executionArn"])
            _end(self.execution, self, "FAILED", "States.Runtime", str(error))
        finally:
            if timer is not None:
                timer.cancel()

    def _enter(self, name: str, given: Any, ctx: Json) -> tuple[str | None, Any]:
        """Run one top-level state. Returns the next state and its input."""
        state = self.definition.get("States", {}).get(name)
        if state is None:
            raise sfn._ExecutionError("States.Runtime", f"State '{name}' not found in definition")
        kind = state.get("Type")
        ctx["State"] = {"Name": name, "EnteredTime": sfn.now_iso(), "RetryCount": 0}
        # Where a redrive continues.
        self.execution["_last_state"] = (name, given, dict(ctx["variables"]))
        sfn._add_event(
            self.execution,
            f"{kind}StateEntered",
            {"stateEnteredEventDetails": {"name": name, "input": json.dumps(given)}},
        )
        following: str | None
        match kind:
            case "Succeed":
                output = sfn._apply_output_path(state, sfn._apply_input_path(state, given, ctx), ctx)
                following = None
            case "Fail":
                raise sfn._ExecutionError(*sfn._fail_state_error(state, given, ctx))
            case "Task" | "Parallel" | "Map":
                output, following = getattr(sfn, f"_execute_{kind.lower()}")(state, given, self.execution, ctx)
            case "Pass" | "Choice" | "Wait":
                output, following = getattr(sfn, f"_execute_{kind.lower()}")(state, given, ctx)
            case _:
                raise sfn._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
        if self.is_current():
            sfn._add_event(
                self.execution,
                f"{kind}StateExited",
                {"stateExitedEventDetails": {"name": name, "output": json.dumps(output)}},
            )
        return following, output

    def _context(self, variables: Json) -> Json:
        """Return the context object, $$ or $states.context."""
        execution = self.execution
        return {
            "QueryLanguage": self.definition.get("QueryLanguage", "JSONPath"),
            "Execution": {
                "Id": execution["executionArn"],
                "Input": json.loads(execution["input"]),
                "Name": execution["name"],
                "StartTime": execution["startDate"],
                "RedriveCount": execution.get("redriveCount", 0),
                **({"RedriveTime": execution["redriveDate"]} if "redriveDate" in execution else {}),
            },
            "StateMachine": {
                "Id": execution["stateMachineArn"],
                "Name": execution["stateMachineArn"].rpartition(":")[2],
            },
            "variables": variables,
        }

    def _timer(self) -> threading.Timer | None:
        """Return the timer that ends the execution after the machine's TimeoutSeconds, which are not scaled."""
        seconds = self.definition.get("TimeoutSeconds")
        if seconds is None:
            return None
        context = contextvars.copy_context()
        timer = threading.Timer(seconds, context.run, (_end, self.execution, self, "TIMED_OUT", "States.Timeout", None))
        timer.daemon = True
        timer.start()
        return timer


_ENDED: Final = {
    "SUCCEEDED": ("ExecutionSucceeded", "executionSucceededEventDetails"),
    "FAILED": ("ExecutionFailed", "executionFailedEventDetails"),
    "TIMED_OUT": ("ExecutionTimedOut", "executionTimedOutEventDetails"),
    "ABORTED": ("ExecutionAborted", "executionAbortedEventDetails"),
}


def _end(
    execution: Json,
    run: object,
    status: str,
    error: str | None = None,
    cause: str | None = None,
    output: str | None = None,
) -> None:
    """End an execution, unless it has ended or has a newer run."""
    with _changing:
        if execution["status"] != "RUNNING" or execution.get("_run") is not run:
            return
        execution.update(status=status, stopDate=sfn.now_iso(), output=output)
        details: Json = {"output": output}
        if status != "SUCCEEDED":
            details = {"error": error, **({"cause": cause} if cause is not None else {})}
            execution.update(details)
            if execution.get("sync"):
                execution["output"] = json.dumps({"Error": error, "Cause": cause})
        event, key = _ENDED[status]
        sfn._add_event(execution, event, {key: details})
        _finish_deletion(execution["stateMachineArn"])
    sfn._emit_execution_status_event(execution)


# --- describe and redrive ---


def redrive_status(execution: Json) -> tuple[str, str]:
    status = execution["status"]
    if status in _REDRIVABLE:
        return "REDRIVABLE", f"Execution is {status} and is redrivable"
    return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"


def _patch_describe() -> None:
    describe, list_executions = sfn._describe_execution, sfn._list_executions

    def patched_describe(data: Json) -> Any:
        status, headers, body = describe(data)
        if status != 200:
            return status, headers, body
        execution = sfn._executions[data["executionArn"]]
        redrivable, reason = redrive_status(execution)
        shown = {**json.loads(body), **_redrives(execution), "redriveStatus": redrivable}
        if redrivable == "NOT_REDRIVABLE":
            shown["redriveStatusReason"] = reason
        return sfn.json_response(shown)

    def patched_list(data: Json) -> Any:
        machine = data.get("stateMachineArn")
        if machine and sfn._resolve_state_machine_arn(machine) is None:
            message = f"State Machine Does Not Exist: '{machine}'"
            return sfn.error_response_json("StateMachineDoesNotExist", message, 400)
        status, headers, body = list_executions(data)
        if status != 200:
            return status, headers, body
        page = json.loads(body)
        for item in page["executions"]:
            item.update(_redrives(sfn._executions.get(item["executionArn"]) or {}))
        return sfn.json_response(page)

    sfn._describe_execution = patched_describe
    sfn._list_executions = patched_list


def _redrives(execution: Json) -> Json:
    shown = {"redriveCount": execution.get("redriveCount", 0)}
    return {**shown, "redriveDate": execution["redriveDate"]} if "redriveDate" in execution else shown


def _patch_redrive() -> None:
    handle = sfn.handle_request

    async def patched_handle(method: str, path: str, headers: dict[str, str], body: bytes, query: Json) -> Any:
        if headers.get("x-amz-target") == "AWSStepFunctions.RedriveExecution":
            return sfn._finalize_response(redrive(json.loads(body)))
        return await handle(method, path, headers, body, query)

    sfn.handle_request = patched_handle


def redrive(data: Json) -> Any:
    """Continue an ended execution from the state in which it ended, with the input and variables of this state.

    https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    """
    arn = data.get("executionArn", "")
    with _changing:
        execution = sfn._executions.get(arn)
        if execution is None:
            return sfn.error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
        token = data.get("clientToken")
        if token is not None and token == execution.get("_redrive_token"):
            return sfn.json_response({"redriveDate": execution["redriveDate"]})
        redrivable, reason = redrive_status(execution)
        if redrivable != "REDRIVABLE":
            return sfn.error_response_json("ExecutionNotRedrivable", reason, 400)
        definition = _definition(execution)
        if definition is None:
            return sfn.error_response_json("ExecutionNotRedrivable", "The state machine no longer exists", 400)
        count = execution.get("redriveCount", 0) + 1
        execution.update(
            status="RUNNING",
            stopDate=None,
            output=None,
            redriveCount=count,
            redriveDate=sfn.now_iso(),
            _redrive_token=token,
        )
        for key in ("error", "cause"):
            execution.pop(key, None)
        sfn._add_event(execution, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
        state, given, variables = execution.get("_last_state") or (
            definition.get("StartAt", ""),
            json.loads(execution["input"]),
            {},
        )
        run = _Run(execution, definition)
    sfn._emit_execution_status_event(execution)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run.walk, state, given, dict(variables)), daemon=True).start()
    return sfn.json_response({"redriveDate": execution["redriveDate"]})
