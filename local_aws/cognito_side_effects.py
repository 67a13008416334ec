"""Side effects of Cognito's calls: the post-confirmation trigger, and CloudTrail's record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ministack.core.concurrency import run_reentrant

from local_aws import cloudtrail, trigger_relay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local_aws.operations import Call, Request
    from local_aws.service_errors import Response


def of(call: Call, request: Request) -> Callable[[Response], Awaitable[Response]] | None:
    """Return what must happen after the emulator's answer, or None. Call it before the emulator."""
    if call.service != "cognito-idp" or call.action not in cloudtrail.RECORDED:
        return None
    try:
        data = json.loads(request.body)
        record = cloudtrail.Record(call, data)
    except (ValueError, TypeError, AttributeError):
        return None  # an invalid request, which the emulator rejects

    def finish(response: Response) -> Response:
        if response[0] == 200 and _confirms(call.action, response[2]):
            response = trigger_relay.fire(call.action, data) or response
        record.publish(response)
        return response

    async def side_effects(response: Response) -> Response:
        finished: Response = await run_reentrant(finish, response, thread_name="local-aws-cognito")
        return finished

    return side_effects


def _confirms(action: str, body: bytes) -> bool:
    """Return whether the call has confirmed a user or reset a password."""
    if action == "SignUp":
        return bool(json.loads(body)["UserConfirmed"])
    return action in trigger_relay.TRIGGER_SOURCES
