"""Serves the local AWS in the foreground, on one port of 127.0.0.1. Removes its files at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

from local_aws.client import HOST, PORT_IN_USE, REGION

# Other variables of the caller (credentials, profiles, proxies, AWS_CA_BUNDLE, PYTHONPATH) would change the emulator,
# or reach the Lambda functions, which inherit the environment of this process.
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "LOG_LEVEL", "VIRTUAL_ENV")
_KEPT_PREFIX: Final = "LOCAL_AWS_"


def prepare_environment(port: int, access_key: str, folder: Path) -> None:
    """Set the variables of ministack and its Lambda workers. Call it before ministack is imported."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIX)}
    nowhere = str(folder / "none")
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        GATEWAY_PORT=str(port),
        BIND_HOST=HOST,
        MINISTACK_REGION=REGION,
        AUTH="true",
        LAMBDA_EXECUTOR="local",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        DOCKER_HOST=f"unix://{nowhere}/docker.sock",
        PERSIST_STATE="0",
        S3_PERSIST="0",
        STATE_DIR=str(folder / "state"),
        S3_DATA_DIR=str(folder / "s3"),
        HOME=str(folder),
        TMPDIR=str(folder),
        TZ="UTC",
        AWS_ENDPOINT_URL=f"http://{HOST}:{port}",
        AWS_REGION=REGION,
        AWS_DEFAULT_REGION=REGION,
        # To the emulator, this is the key of the account's root.
        AWS_ACCESS_KEY_ID=access_key,
        AWS_SECRET_ACCESS_KEY=access_key,
        AWS_CONFIG_FILE=f"{nowhere}/config",
        AWS_SHARED_CREDENTIALS_FILE=f"{nowhere}/credentials",
        AWS_EC2_METADATA_DISABLED="true",
    )
    tempfile.tempdir = str(folder)


def serve(port: int, access_key: str, allowed_origin: str | None, until_stdin_closes: bool) -> int:
    """Serve until SIGTERM or SIGINT, or until standard input ends. Returns the exit status."""
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        print(f"local_aws: cannot listen on {HOST}:{port}: {error.strerror}", file=sys.stderr)
        return PORT_IN_USE
    port = listening.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="local-aws-"))
    try:
        prepare_environment(port, access_key, folder)
        asyncio.run(_serve(listening.detach(), allowed_origin, until_stdin_closes))
    finally:
        _end_lambda_workers()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _serve(descriptor: int, allowed_origin: str | None, until_stdin_closes: bool) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    from local_aws.access import Guard

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_stdin_closes:
        # The pipe of a killed parent closes, too.
        def wait_for_end() -> None:
            sys.stdin.buffer.read()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
    config = Config()
    config.bind = [f"fd://{descriptor}"]  # which hypercorn closes
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.shutdown_timeout = 5.0
    await hypercorn_serve(Guard(allowed_origin), config, shutdown_trigger=stop.wait)


def _end_lambda_workers() -> None:
    if "ministack.core.lambda_runtime" in sys.modules:
        sys.modules["ministack.core.lambda_runtime"].reset()
