"""Answers a create again that an SDK sends again, because the answer to its first attempt did not reach it.

On a busy machine Terraform's provider now and then loses an answer, and repeats the create by itself: then "already
exists" would fail an apply that has nothing wrong with it. The header amz-sdk-invocation-id, which both the provider's
SDK and botocore send, tells the second attempt from a second create.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from local_aws.operations import Call, Request
    from local_aws.service_errors import Response

_KEPT: Final = 500


class RepeatedCreates:
    """The answers to creates, by the invocation of the SDK that they belong to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Response] = OrderedDict()

    def answer(self, call: Call, request: Request) -> Response | None:
        """What the same create was answered before; None if it is the first, or no create."""
        with self._lock:
            return self._answers.get(_invocation(call, request) or "")

    def keep(self, call: Call, request: Request, response: Response) -> None:
        """Keep the answer of a create that succeeded. Not of one that a fault is to hide: there, the second attempt is
        what is tested."""
        invocation = _invocation(call, request)
        if invocation is None or response[0] >= 300:
            return
        with self._lock:
            self._answers[invocation] = response
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)


def is_create(call: Call) -> bool:
    return call.action.startswith("Create")


def _invocation(call: Call, request: Request) -> str | None:
    return request.headers.get("amz-sdk-invocation-id") if is_create(call) else None
