"""Runs in each Python Lambda worker: this text is prepended to ministack's worker script.

Like AWS's Python runtime, it configures the root logger in the function's log format, and reports errors. It may import
the standard library only.
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from typing import Any

_LA_END = "\x1elocal-aws-end-of-invocation"
_LA_RESERVED = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "asctime",
    "message",
    "aws_request_id",
}


class _LaInvocation:
    request_id = ""


def _la_stack(error: BaseException) -> list[str]:
    """Return the traceback from the handler on, without the worker's frame."""
    return traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])


def _la_time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds * 1000) % 1000:03d}Z"


class _LaJsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": _la_time(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": _LaInvocation.request_id or None,
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["stackTrace"] = traceback.format_list(traceback.extract_tb(error.__traceback__))
            line["errorType"] = type(error).__name__
            line["errorMessage"] = str(error)
            line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        for key, value in vars(record).items():
            if key not in _LA_RESERVED and key not in line:
                line[key] = value
        return json.dumps({k: v for k, v in line.items() if v is not None}, ensure_ascii=False, default=str)


class _LaTextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when, request = _la_time(record.created), _LaInvocation.request_id
        text = f"[{record.levelname}]\t{when}\t{request}\t{record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def _la_json_logs() -> bool:
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"


def _la_install_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LaJsonFormatter() if _la_json_logs() else _LaTextFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    if _la_json_logs():
        level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")
        root.setLevel({"TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level))


def _la_error(error: BaseException, error_type: str | None = None) -> dict[str, Any]:
    """Return Lambda's result for an exception, and the log line of the runtime (`logged`)."""
    stack = _la_stack(error)
    answer = {
        "errorMessage": str(error),
        "errorType": error_type or type(error).__name__,
        "requestId": _LaInvocation.request_id,
        "stackTrace": stack,
    }
    if _la_json_logs():
        logged = json.dumps({"timestamp": _la_time(time.time()), "log_level": "ERROR", **answer})
    else:
        head = f"[ERROR] {answer['errorType']}: {answer['errorMessage']}"
        logged = f"{head}\nTraceback (most recent call last):\n{''.join(stack)}".rstrip()
    return {**answer, "logged": logged}


def _la_invoke(handler: Any, event: Any, context: Any) -> str:
    """Return the worker's answer, one line of JSON. The worker continues after an exception, as on AWS."""
    _LaInvocation.request_id = context.aws_request_id
    try:
        result = handler(event, context)
    except Exception as error:  # noqa: BLE001
        answer = json.dumps({"status": "ok", "local_aws_error": _la_error(error)})
    else:
        try:
            answer = json.dumps({"status": "ok", "result": result})
        except (TypeError, ValueError) as error:
            answer = json.dumps({"status": "ok", "local_aws_error": _la_error(error, "Runtime.MarshalError")})
    sys.stderr.write(_LA_END + "\n")
    sys.stderr.flush()
    return answer
