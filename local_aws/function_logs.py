"""Keeps what functions logged, also of log groups that are gone since: from the start to the end of a laptop AWS."""

from __future__ import annotations

import functools
import threading
from typing import Any

from ministack.services import lambda_svc

from local_aws.emulator_patches.patching import expect


class FunctionLogs:
    """Every line, by function. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, list[str]] = {}

    def add(self, function: str, lines: list[str]) -> None:
        with self._lock:
            self._lines.setdefault(function, []).extend(lines)

    def as_json(self) -> dict[str, list[str]]:
        with self._lock:
            return {function: list(lines) for function, lines in sorted(self._lines.items())}


kept = FunctionLogs()


def install() -> None:
    """To be called before the mends, which check the function that is wrapped here."""
    emit = lambda_svc._emit_lambda_logs
    expect(emit, "def _emit_lambda_logs(func: dict, request_id: str, log_text: str,")

    @functools.wraps(emit)
    def kept_emit(func: dict[str, Any], request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
        config = func.get("config") or func
        kept.add(str(config.get("FunctionName")), (log_text or "").splitlines())
        emit(func, request_id, log_text, *args, **kwargs)

    lambda_svc._emit_lambda_logs = kept_emit
