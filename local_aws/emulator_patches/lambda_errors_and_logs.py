"""Python functions fail and log as in AWS's runtime.

On AWS, the result of an exception is {"errorType": its class, "errorMessage", "requestId", "stackTrace"}, the process
continues, and the root logger writes to the function's log in the format of its LoggingConfig. ministack names every
exception Runtime.HandlerError, ends the worker, and configures no logger. It estimates when a worker has written its
last line, which takes 50 ms for each invocation without output.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ministack.core import lambda_runtime
from ministack.services import cloudwatch_logs, lambda_svc

from local_aws.emulator_patches import lambda_worker_prelude
from local_aws.emulator_patches.patching import expect, expect_exactly, replace_once

END_OF_INVOCATION: Final = lambda_worker_prelude._LA_END
# A dead worker writes no end mark. Its last lines are in the pipe.
_LAST_LINES_SECONDS: Final = 0.25

_HANDLER_CALL: Final = r"""        try:
            result = handler_fn(event, context)
            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\n")
        except Exception as e:
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\n")
        _real_stdout.flush()
"""
_PATCHED_CALL: Final = r"""        _real_stdout.write(_la_invoke(handler_fn, event, context) + "\n")
        _real_stdout.flush()
"""
_INIT_ERROR: Final = '_real_stdout.write(json.dumps({"status": "error", "error": str(e)})'
_PATCHED_INIT_ERROR: Final = (
    '_real_stdout.write(json.dumps({"status": "error", "error": type(e).__name__ + ": " + str(e)})'
)
_BEFORE_IMPORT: Final = "    try:\n        mod = importlib.import_module(module_name)\n"
_INIT_FAILED: Final = re.compile(r"Worker init failed: (\w+): (.*)", re.DOTALL)

_DURATION: Final = re.compile(r"\tDuration: ([\d.]+) ms")

# The error of the last invocation on this thread.
_last = threading.local()


def apply() -> None:
    _patch_worker_script()
    _patch_worker_environment()
    _patch_log_collection()
    _patch_answers()
    _patch_platform_lines()


def _patch_worker_script() -> None:
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    script = replace_once(script, _HANDLER_CALL, _PATCHED_CALL)
    script = replace_once(script, _INIT_ERROR, _PATCHED_INIT_ERROR)
    script = replace_once(script, _BEFORE_IMPORT, f"    _la_install_logging()\n{_BEFORE_IMPORT}")
    prelude = Path(lambda_worker_prelude.__file__).read_text(encoding="utf-8")
    lambda_runtime._PYTHON_WORKER_SCRIPT = f"{prelude}\n\n{script}"


def _patch_worker_environment() -> None:
    """AWS sets a function's log format, level and group in its environment, and keys that cannot be guessed."""
    credentials = lambda_runtime.execution_credentials
    expect(lambda_runtime.Worker._spawn, "spawn_env.update(execution_credentials(self.config))")
    expect(
        credentials,
        'role_name = role_arn.rsplit("/", 1)[-1]',
        'digest = hashlib.sha256(f"{function_arn}:{role_arn}".encode()).hexdigest()',
    )

    def credentials_and_logging(config: dict[str, Any]) -> dict[str, str]:
        logging_config = config.get("LoggingConfig") or {}
        given = {
            "AWS_LAMBDA_LOG_FORMAT": logging_config.get("LogFormat", "Text"),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging_config.get("LogGroup") or f"/aws/lambda/{config.get('FunctionName')}",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', '')}",
        }
        if "ApplicationLogLevel" in logging_config:
            given["AWS_LAMBDA_LOG_LEVEL"] = logging_config["ApplicationLogLevel"]
        # The emulator derives a session's keys from the ARNs of function and role. The role is the ARN's last part.
        secret_role = f"{os.environ['AWS_ACCESS_KEY_ID']}/{config.get('Role', '')}"
        return {**credentials({**config, "Role": secret_role}), **given}

    lambda_runtime.execution_credentials = lambda_svc.execution_credentials = credentials_and_logging


def _patch_log_collection() -> None:
    original = lambda_runtime.Worker._drain_stderr_bounded
    expect_exactly(original, "3fd7cc742872e604")

    def lines_of_this_invocation(self: Any, *args: Any, **kwargs: Any) -> str:
        if not str(self.config.get("Runtime", "")).startswith("python"):
            return str(original(self, *args, **kwargs))
        lines: list[str] = []
        # A dead worker, which has no process, writes no end mark.
        deadline = time.monotonic() + (_LAST_LINES_SECONDS if self._proc is None else 5.0)
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._stderr_queue.get(timeout=left)
            except queue.Empty:
                break
            if line.endswith(END_OF_INVOCATION):
                if rest := line.removesuffix(END_OF_INVOCATION):
                    lines.append(rest)
                break
            lines.append(line)
        return "\n".join(lines)

    lambda_runtime.Worker._drain_stderr_bounded = lines_of_this_invocation


def _patch_answers() -> None:
    invoke = lambda_runtime.Worker.invoke
    expect(invoke, 'if response.get("status") == "error":', 'response["log"] = self._drain_stderr_bounded()')

    def patched_invoke(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        response: dict[str, Any] = invoke(self, *args, **kwargs)
        error = response.pop("local_aws_error", None)
        if error is not None:
            response.update(status="error", error=error["errorMessage"], trace=error.pop("logged"))
        _last.error = error
        return response

    lambda_runtime.Worker.invoke = patched_invoke

    execute = lambda_svc._execute_function_warm
    expect(
        execute,
        'error_type = "Runtime.HandlerError"',
        'return {\n            "body": {"errorMessage": str(e)',
    )

    def patched_execute(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        _last.error = None
        result: dict[str, Any] = execute(func, event, request_id)
        if result.get("error") and not result.get("throttle"):
            config = func.get("config") or func
            result["body"] = _last.error or _runtime_error(result["body"], config, request_id)
        return result

    lambda_svc._execute_function_warm = patched_execute


def _runtime_error(body: dict[str, Any], config: dict[str, Any], request_id: str) -> dict[str, Any]:
    """Return an error outside the handler, with Lambda's name for it."""
    message = str(body["errorMessage"])
    if message == "Worker process died":
        return {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: Runtime exited with error: exit status 1",
        }
    failed = _INIT_FAILED.fullmatch(message)
    if failed is None:
        return body
    name, cause = failed.groups()
    module = str(config.get("Handler", "")).rpartition(".")[0]
    match name:
        case "ImportError" | "ModuleNotFoundError":
            return {
                "errorType": "Runtime.ImportModuleError",
                "errorMessage": f"Unable to import module '{module}': {cause}",
            }
        case "SyntaxError" | "IndentationError":
            return {
                "errorType": "Runtime.UserCodeSyntaxError",
                "errorMessage": f"Syntax error in module '{module}': {cause}",
            }
        case "AttributeError" if "has no attribute" in cause:
            return {"errorType": "Runtime.HandlerNotFound", "errorMessage": f"Handler not found: {cause}"}
        case _:
            return {"errorType": name, "errorMessage": cause}


def _patch_platform_lines() -> None:
    """With JSON logs, AWS also writes START and REPORT as JSON."""
    emit, append = lambda_svc._emit_lambda_logs, cloudwatch_logs._append_log_events
    expect(emit, "_cwl._append_log_events(stream, [", 'start = f"START RequestId: {request_id}')

    def patched_emit(func: dict[str, Any], request_id: str, *args: Any, **kwargs: Any) -> None:
        config = func.get("config") or func
        _last.json_request_id = request_id if _logs_json(config) else None
        try:
            emit(func, request_id, *args, **kwargs)
        finally:
            _last.json_request_id = None

    def patched_append(stream: Any, events: list[dict[str, Any]], *args: Any, **kwargs: Any) -> Any:
        if request_id := getattr(_last, "json_request_id", None):
            events = [patched for event in events if (patched := _platform_event(event, request_id)) is not None]
        return append(stream, events, *args, **kwargs)

    lambda_svc._emit_lambda_logs = patched_emit
    cloudwatch_logs._append_log_events = patched_append


def _logs_json(config: dict[str, Any]) -> bool:
    return (config.get("LoggingConfig") or {}).get("LogFormat") == "JSON"


def _platform_event(event: dict[str, Any], request_id: str) -> dict[str, Any] | None:
    """Return START and REPORT as JSON. END has no JSON form. Other events do not change."""
    message = event["message"]
    if message == f"END RequestId: {request_id}":
        return None
    for text, kind in (("START", "platform.start"), ("REPORT", "platform.report")):
        if message.startswith(f"{text} RequestId: {request_id}"):
            when = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            line: dict[str, Any] = {
                "time": f"{when:%Y-%m-%dT%H:%M:%S}.{event['timestamp'] % 1000:03d}Z",
                "type": kind,
                "record": {"requestId": request_id},
            }
            if duration := _DURATION.search(message):
                line["record"]["metrics"] = {"durationMs": float(duration[1])}
            return {**event, "message": json.dumps(line)}
    return event
