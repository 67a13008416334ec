from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from local_aws.client import LocalAws


def test_head_and_body_arrive_together(aws: LocalAws) -> None:
    """A client that reads once has the head and the body, however early it reads."""
    server = urlsplit(aws.endpoint_url)
    request = f"GET /_local/calls HTTP/1.1\r\nHost: {server.netloc}\r\nX-Local-Aws-Key: {aws.access_key}\r\n\r\n"
    with socket.create_connection((server.hostname, server.port)) as connection:
        for _ in range(50):
            connection.sendall(request.encode())
            head, _, body = connection.recv(65536).decode().partition("\r\n\r\n")
            length = re.search(r"(?mi)^content-length: (\d+)", head)
            assert length
            assert len(body) == int(length[1])
