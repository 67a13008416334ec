"""Sends the head of an answer together with the start of its body, as AWS does.

Without this patch, the head is sent first. Then Terraform's AWS provider 5.100.0 loses some answers on a busy machine
(aws/aws-sdk-go-v2#2737):

1. The provider's writing thread has sent a request, and waits for a processor.
2. Another thread reads the head of the answer, and the SDK closes the body of the request.
3. The writing thread handles the closed body as a failure, and closes the connection.
4. The SDK cannot read the body of the answer and repeats the call. A create fails with "already exists".

The provider reads 4096 bytes at a time. It does not lose what it has read with the head.
"""

from __future__ import annotations

from typing import Any

import h11
from hypercorn.events import RawData
from hypercorn.protocol.h11 import H11Protocol

from local_aws.emulator_patches.patching import expect_exactly


def apply() -> None:
    expect_exactly(H11Protocol._send_h11_event, "5e40283daa303ec7")
    H11Protocol._send_h11_event = _send_h11_event


async def _send_h11_event(self: Any, event: Any) -> None:
    try:
        data = self.connection.send(event)
    except h11.LocalProtocolError:
        if self.connection.their_state != h11.ERROR:
            raise
        return
    if isinstance(event, h11.Response):
        self.head = data
        return
    head = self.__dict__.pop("head", b"")
    await self.send(RawData(head + data))
