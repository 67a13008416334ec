"""What the local AWS keeps from its start to its end, also of deleted resources. Tests read it over /_local/.

- `permissions`: what roles asked IAM for. Only calls with a role's credentials are here, and only those that reach IAM:
  a fault fails a call before. Calls of the emulator for a state machine, a schedule or a queue do not ask IAM.
- `logs`: the lines of each function.
- `data`: the texts in executions, queue messages and events. Tests search it for personal data.
"""

from __future__ import annotations

import functools
import json
import threading
from collections import Counter
from typing import Any, Final

from ministack.core import iam_evaluator
from ministack.services import eventbridge, lambda_svc, sqs, sts
from ministack.services import stepfunctions as sfn

from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]


class Texts:
    """Texts, by where they were. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, list[str]] = {}

    def add(self, where: str, *texts: str) -> None:
        with self._lock:
            self._texts.setdefault(where, []).extend(texts)

    def as_json(self) -> dict[str, list[str]]:
        with self._lock:
            return {where: list(texts) for where, texts in sorted(self._texts.items())}


class Permissions:
    """How often a role (by name) asked for an action on a resource (an ARN, or "*"), and whether it was allowed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[tuple[str, str, str, bool]] = Counter()

    def add(self, role: str, action: str, resource: str, allowed: bool) -> None:
        with self._lock:
            self._asked[role, action, resource, allowed] += 1

    def as_json(self) -> list[Json]:
        names = ("role", "action", "resource", "allowed", "times")
        with self._lock:
            return [dict(zip(names, (*asked, times), strict=True)) for asked, times in sorted(self._asked.items())]


permissions: Final = Permissions()
logs: Final = Texts()
data: Final = Texts()


def install() -> None:
    """Wrap the emulator's functions. Call it before the patches, which wrap some of the same functions."""
    _keep_permissions()
    _keep_logs()
    _keep_histories()
    _keep_messages()
    _keep_events()


def _keep_permissions() -> None:
    enforce = iam_evaluator.enforce
    expect(enforce, "result = evaluate(ctx, principal.policies, *principal.limits)")

    @functools.wraps(enforce)
    def kept_enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Json | None = None,
    ) -> Any:
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if role := role_of(access_key_id):
            permissions.add(role, iam_action, resource_arn, denied is None)
        return denied

    iam_evaluator.enforce = kept_enforce


def role_of(access_key_id: str) -> str | None:
    """Return the role's name of a session: arn:aws:sts::000000000000:assumed-role/<role>/<session>."""
    session = sts._sessions.get(access_key_id)
    _, is_role, rest = str(session["Arn"]).partition(":assumed-role/") if session else ("", "", "")
    return rest.split("/")[0] if is_role else None


def _keep_logs() -> None:
    emit = lambda_svc._emit_lambda_logs
    expect(emit, "def _emit_lambda_logs(func: dict, request_id: str, log_text: str,")

    @functools.wraps(emit)
    def kept_emit(func: Json, request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
        config = func.get("config") or func
        logs.add(str(config.get("FunctionName")), *(log_text or "").splitlines())
        emit(func, request_id, log_text, *args, **kwargs)

    lambda_svc._emit_lambda_logs = kept_emit


def _keep_histories() -> None:
    """The input of an execution is in its first status-change event."""
    add_event = sfn._add_event
    expect(add_event, 'execution["events"].append(event)')

    def kept_add_event(execution: Json, *args: Any) -> Any:
        event = add_event(execution, *args)
        machine = execution["stateMachineArn"].rpartition(":")[2]
        data.add(f"history of {machine}", json.dumps(event, default=str))
        return event

    sfn._add_event = kept_add_event


def _keep_messages() -> None:
    send = sqs._act_send_message
    expect(send, 'url = data.get("QueueUrl", qurl)', 'body_text = data.get("MessageBody", "")')

    def kept_send(given: Json, queue_url: str) -> Any:
        queue = given.get("QueueUrl", queue_url).rpartition("/")[2]
        data.add(f"messages of {queue}", json.dumps([given.get("MessageBody", ""), given.get("MessageAttributes")]))
        return send(given, queue_url)

    sqs._act_send_message = kept_send
    sqs._HANDLERS["SendMessage"] = kept_send

    dispatch = eventbridge._dispatch_to_sqs
    expect(dispatch, "queue_name = spec.resource", '"body": payload,')

    def kept_dispatch(spec: Any, payload: str, *args: Any) -> Any:
        data.add(f"messages of {spec.resource}", payload)
        return dispatch(spec, payload, *args)

    eventbridge._dispatch_to_sqs = kept_dispatch


def _keep_events() -> None:
    put = eventbridge._put_events
    expect(put, 'entries = data.get("Entries", [])', '"Detail": entry.get("Detail", "{}"),')

    def kept_put(given: Json, *args: Any, **kwargs: Any) -> Any:
        for entry in given.get("Entries", []):
            data.add(f"events of {entry.get('Source')}", str(entry.get("Detail", "")))
        return put(given, *args, **kwargs)

    eventbridge._put_events = kept_put
