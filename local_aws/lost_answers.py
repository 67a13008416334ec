"""Answers a call again that an SDK sends again, because the answer to its first attempt did not reach it.

On a busy machine Terraform's provider now and then loses an answer, and repeats the call by itself: "already exists"
would then fail an apply that has nothing wrong with it. The header amz-sdk-invocation-id, which both the provider's SDK
and botocore send, tells the second attempt from a second call. The calls of functions are not spared: what they make of
a lost answer is the module's own business.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from local_aws.operations import Call, Request
    from local_aws.service_errors import Response

_KEPT: Final = 500


class LostAnswers:
    """The answers to calls that succeeded, by the invocation of the SDK that they belong to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Response] = OrderedDict()

    def answer(self, call: Call, request: Request) -> Response | None:
        """What an earlier attempt of the same call was answered; None if there was none."""
        with self._lock:
            return self._answers.get(_invocation(call, request))

    def keep(self, call: Call, request: Request, response: Response) -> None:
        """Keep the answer of a call that succeeded. Not of one that a fault is to hide: there, the second attempt is
        what is tested."""
        if not _invocation(call, request) or response[0] >= 300:
            return
        with self._lock:
            self._answers[_invocation(call, request)] = response
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)


def _invocation(call: Call, request: Request) -> str:
    return request.headers.get("amz-sdk-invocation-id", "") if call.caller == "root" else ""
