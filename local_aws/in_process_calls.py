"""Sends the emulator's internal calls through the gate. They are not HTTP requests.

These are a Lambda that Step Functions, Cognito, a queue or a rule invokes, an execution that a rule starts,
and the service integrations of a state machine.
"""

from __future__ import annotations

import contextvars
import re
import time
from typing import TYPE_CHECKING, Any, Final

from ministack.core.responses import error_response_json
from ministack.services import cognito, eventbridge, lambda_svc, stepfunctions

from local_aws.emulator_patches.patching import expect
from local_aws.gate import Gate, counted_operation
from local_aws.operations import function_name
from local_aws.service_errors import KMS_ERRORS, error_of

if TYPE_CHECKING:
    from local_aws.faults import FaultKind

# The invoking service, which is the caller in the counts.
invoking_service: contextvars.ContextVar[str] = contextvars.ContextVar("invoking_service", default="aws")

# The errors of failed calls in a state machine.
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
_LAMBDA_TASK_ERROR: Final[dict[str, tuple[str, str]]] = {
    "throttle": ("Lambda.TooManyRequestsException", "Rate Exceeded."),
    "500": ("Lambda.ServiceException", "The service encountered an internal error."),
    "timeout": ("Lambda.SdkClientException", "Unable to execute HTTP request: Read timed out"),
    "reset": ("Lambda.SdkClientException", "Unable to execute HTTP request: Connection reset"),
    "access_denied": (
        "Lambda.AWSLambdaException",
        "User is not authorized to perform: lambda:InvokeFunction",
    ),
    "kms_access_denied": ("Lambda.KMSAccessDeniedException", KMS_ERRORS["kms_access_denied"][1]),
    "kms_invalid_state": ("Lambda.KMSInvalidStateException", KMS_ERRORS["kms_invalid_state"][1]),
}
_INTEGRATION: Final = re.compile(r"arn:aws:states:::(aws-sdk:)?([a-z0-9]+):([A-Za-z0-9]+)")
_IAM_PREFIX: Final = {
    "cognitoidentityprovider": "cognito-idp",
    "sfn": "states",
    "sesv2": "ses",
    "eventbridge": "events",
}


def install(gate: Gate) -> None:
    _install_lambda(gate)
    _install_start_execution(gate)
    _install_integrations(gate)


def _install_lambda(gate: Gate) -> None:
    execute = lambda_svc._execute_function
    expect(
        execute,
        "if _function_config_scope_mismatch(config):",
        "slot, limit = _acquire_execution_slot(func, config)",
    )

    def gated_execute(func: dict[str, Any], event: Any) -> dict[str, Any]:
        config = func.get("config") or func
        if lambda_svc._function_config_scope_mismatch(config):
            return execute(func, event)  # type: ignore[no-any-return]  # comes back here in the right scope
        caller = invoking_service.get()
        outcome = gate.admit_in_process("lambda:InvokeFunction", caller, config.get("FunctionName"))
        time.sleep(outcome.delay_seconds)
        if outcome.fault is not None and not outcome.after:
            return _failed_invocation(outcome.fault)
        result: dict[str, Any] = execute(func, event)
        if outcome.fault is not None:
            return _failed_invocation(outcome.fault)
        if result.get("throttle") and caller == "states.amazonaws.com":
            # The function is at its reserved concurrency.
            return _failed_invocation("throttle")
        return result

    lambda_svc._execute_function = gated_execute

    for module, name, calls, service in (
        (stepfunctions, "_call_lambda", "_execute_function", "states.amazonaws.com"),
        (lambda_svc, "_run_sqs_batch", "_execute_function", "lambda.amazonaws.com"),
        (lambda_svc, "_run_stream_batch", "_execute_function", "lambda.amazonaws.com"),
        (cognito, "_run_idp_handler", "handler(", "cognito-idp.amazonaws.com"),
    ):
        expect(getattr(module, name), calls)
        setattr(module, name, _invoked_by(service, getattr(module, name)))


def _invoked_by(service: str, call: Any) -> Any:
    def invoked(*args: Any) -> Any:
        token = invoking_service.set(service)
        try:
            return call(*args)
        finally:
            invoking_service.reset(token)

    return invoked


def _failed_invocation(fault: FaultKind) -> dict[str, Any]:
    """Return a failed invocation in the form of lambda_svc. `local_aws_fault`: Lambda failed, not the function."""
    error_type, message = _LAMBDA_TASK_ERROR[fault]
    return {
        "error": True,
        "local_aws_fault": fault,
        "log": "",
        "body": {"errorType": error_type, "errorMessage": message},
    }


def _install_start_execution(gate: Gate) -> None:
    start = stepfunctions._start_execution

    def gated_start(data: dict[str, Any]) -> Any:
        outcome = gate.admit_in_process("states:StartExecution", invoking_service.get())
        # The execution, on a thread with a copy of this context, makes other calls than the request.
        counted_operation.set(None)
        time.sleep(outcome.delay_seconds)
        answer = start(data) if outcome.fault is None or outcome.after else None
        return answer if outcome.fault is None else _states_error(outcome.fault)

    stepfunctions._start_execution = gated_start
    dispatch = eventbridge._dispatch_to_stepfunctions
    expect(dispatch, "_sfn._start_execution({")
    eventbridge._dispatch_to_stepfunctions = _invoked_by("events.amazonaws.com", dispatch)


def _states_error(fault: FaultKind) -> Any:
    match fault:
        case "throttle" | "500":
            code, status, message = error_of(fault, "states")
        case "access_denied":
            code, status, message = (
                "AccessDeniedException",
                400,
                "not authorized to perform: states:StartExecution",
            )
        case _:
            code, status, message = "ServiceUnavailable", 503, "The connection failed."
    return error_response_json(code, message, status)


def _install_integrations(gate: Gate) -> None:
    invoke = stepfunctions._invoke_resource
    expect(
        invoke,
        "for prefix, handler in _SERVICE_DISPATCH.items():",
        "_invoke_aws_sdk_integration(resource, input_data)",
    )

    def gated_invoke(resource: str, input_data: Any) -> Any:
        token = invoking_service.set("states.amazonaws.com")
        try:
            operation = integration_operation(resource)
            # These two pass the gate elsewhere.
            if operation is None or operation in ("lambda:InvokeFunction", "states:StartExecution"):
                return invoke(resource, input_data)
            outcome = gate.admit_in_process(operation, "states.amazonaws.com")
            time.sleep(outcome.delay_seconds)
            if outcome.fault is None:
                return invoke(resource, input_data)
            if outcome.after:
                invoke(resource, input_data)
            raise stepfunctions._ExecutionError(*_task_error(resource, operation, outcome.fault))
        finally:
            invoking_service.reset(token)

    stepfunctions._invoke_resource = gated_invoke


def integration_operation(resource: str) -> str | None:
    """Return the IAM action of arn:aws:states:::sqs:sendMessage or arn:aws:states:::aws-sdk:sfn:listExecutions."""
    if match := _INTEGRATION.match(resource):
        _, service, action = match.groups()
        if (service, action) == ("lambda", "invoke"):
            return "lambda:InvokeFunction"
        return f"{_IAM_PREFIX.get(service, service)}:{action[0].upper()}{action[1:]}"
    return "lambda:InvokeFunction" if ":lambda:" in resource and function_name(resource) != resource else None


def _task_error(resource: str, operation: str, fault: FaultKind) -> tuple[str, str]:
    sdk, service, _ = _INTEGRATION.match(resource).groups()  # type: ignore[union-attr]  # it named the operation
    match fault:
        case "throttle" | "500":
            code, _, message = error_of(fault, operation.partition(":")[0])
        case "access_denied":
            code, message = "AccessDeniedException", f"User is not authorized to perform: {operation}"
        case _:
            code, message = "SdkClientException", "Unable to execute HTTP request"
    if sdk:
        return stepfunctions._prefix_sdk_error(service, code), message
    prefix = {"sqs": "SQS", "dynamodb": "DynamoDB", "sns": "SNS"}.get(service, service.capitalize())
    return f"{prefix}.{code}", message
