"""Records what roles ask IAM for, and whether they are let, from the start to the end of a laptop AWS.

Only calls with a role's credentials are here, as IAM sees them: a call that a rule of faults refuses never gets to IAM,
and what the emulator does inside itself for a state machine, a schedule or a queue does not ask it.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from typing import Any, NamedTuple

from ministack.core import iam_evaluator
from ministack.services import sts

from local_aws.emulator_patches.patching import expect


class Asked(NamedTuple):
    """One thing that a role asked for. `role` is its name; `resource` an ARN, or "*"."""

    role: str
    action: str
    resource: str
    allowed: bool


class PermissionRecord:
    """How often each thing was asked for. Threads may share one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[Asked] = Counter()

    def add(self, asked: Asked) -> None:
        with self._lock:
            self._asked[asked] += 1

    def as_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{**asked._asdict(), "times": times} for asked, times in sorted(self._asked.items())]


record = PermissionRecord()


def install() -> None:
    """To be called before the mends: one of them asks for each resource of a mail."""
    enforce = iam_evaluator.enforce
    expect(enforce, "result = evaluate(ctx, principal.policies, *principal.limits)")

    @functools.wraps(enforce)
    def recorded_enforce(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
        if role := role_of(access_key_id):
            record.add(Asked(role, iam_action, resource_arn, denied is None))
        return denied

    iam_evaluator.enforce = recorded_enforce


def role_of(access_key_id: str) -> str | None:
    """The name of the role whose session it is: arn:aws:sts::000000000000:assumed-role/<role>/<session>."""
    session = sts._sessions.get(access_key_id)
    _, is_role, rest = str(session["Arn"]).partition(":assumed-role/") if session else ("", "", "")
    return rest.split("/")[0] if is_role else None
