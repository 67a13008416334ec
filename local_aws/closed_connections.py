"""Lets an ASGI application close its connection without an answer. ASGI has no message for that."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.http_stream import HTTPStream

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_MARK = "local_aws.close_without_answer"

_app_send = HTTPStream.app_send
if "await self._send_error_response(500)" not in inspect.getsource(_app_send):
    raise RuntimeError(
        "hypercorn's HTTPStream.app_send no longer answers 500 for an application that sends nothing: "
        "adapt local_aws/closed_connections.py"
    )


def close_without_answer(scope: MutableMapping[str, Any]) -> None:
    """Close the connection when the application returns. It must not send anything."""
    scope[_MARK] = True


async def _send(self: HTTPStream, message: Any) -> None:
    if message is None and not self.closed and self.scope.get(_MARK):
        await self.send(StreamClosed(stream_id=self.stream_id))
        return
    await _app_send(self, message)


HTTPStream.app_send = _send
