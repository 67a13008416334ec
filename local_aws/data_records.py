"""Keeps what executions, queue messages and events have held, also of resources that are gone since.

Tests look there for personal data.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from ministack.services import eventbridge, sqs
from ministack.services import stepfunctions as sfn

from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]


class DataRecords:
    """Every text, by where it was. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[str, list[str]] = {}

    def add(self, where: str, text: str) -> None:
        with self._lock:
            self._texts.setdefault(where, []).append(text)

    def as_json(self) -> dict[str, list[str]]:
        with self._lock:
            return {where: list(texts) for where, texts in sorted(self._texts.items())}


kept = DataRecords()


def install() -> None:
    """Wrap what adds to an execution's history, to a queue and to an event bus. To be called before the mends."""
    _keep_histories()
    _keep_messages()
    _keep_events()


def _keep_histories() -> None:
    """The input of an execution is in its first status-change event."""
    add_event = sfn._add_event
    expect(add_event, 'execution["events"].append(event)')

    def kept_add_event(execution: Json, *args: Any) -> Any:
        event = add_event(execution, *args)
        machine = execution["stateMachineArn"].rpartition(":")[2]
        kept.add(f"history of {machine}", json.dumps(event, default=str))
        return event

    sfn._add_event = kept_add_event


def _keep_messages() -> None:
    send = sqs._act_send_message
    expect(send, 'url = data.get("QueueUrl", qurl)', 'body_text = data.get("MessageBody", "")')

    def kept_send(data: Json, queue_url: str) -> Any:
        queue = data.get("QueueUrl", queue_url).rpartition("/")[2]
        kept.add(f"messages of {queue}", json.dumps([data.get("MessageBody", ""), data.get("MessageAttributes")]))
        return send(data, queue_url)

    sqs._act_send_message = kept_send
    sqs._HANDLERS["SendMessage"] = kept_send

    dispatch = eventbridge._dispatch_to_sqs
    expect(dispatch, "queue_name = spec.resource", '"body": payload,')

    def kept_dispatch(spec: Any, payload: str, *args: Any) -> Any:
        kept.add(f"messages of {spec.resource}", payload)
        return dispatch(spec, payload, *args)

    eventbridge._dispatch_to_sqs = kept_dispatch


def _keep_events() -> None:
    put = eventbridge._put_events
    expect(put, 'entries = data.get("Entries", [])', '"Detail": entry.get("Detail", "{}"),')

    def kept_put(data: Json, *args: Any, **kwargs: Any) -> Any:
        for entry in data.get("Entries", []):
            kept.add(f"events of {entry.get('Source')}", str(entry.get("Detail", "")))
        return put(data, *args, **kwargs)

    eventbridge._put_events = kept_put
