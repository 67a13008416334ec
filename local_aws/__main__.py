"""python -m local_aws serve | up | down | env"""

from __future__ import annotations

import argparse
import importlib
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, cast

from local_aws import client, processes
from local_aws.client import LocalAws, LocalAwsError

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PORT = 4566


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="AWS on a laptop; see docs/local-aws.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = _command(commands, "serve", "serve in the foreground")
    serve.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    up = _command(commands, "up", "start in the background, and return when ready")
    for command in (serve, up):
        command.add_argument("--no-auth", action="store_true", help="do not enforce IAM")
    _command(commands, "down", "end what `up` started")
    _command(commands, "env", "print the `export` lines under which AWS tools and Terraform talk to it")
    given = parser.parse_args(arguments)
    try:
        match given.command:
            case "serve":
                from local_aws.server import serve as serve_in_foreground

                return serve_in_foreground(given.port, not given.no_auth, given.until_stdin_closes)
            case "up":
                return _up(given.port, not given.no_auth)
            case "down":
                return _down(given.port)
            case _:
                return _env(given.port)
    except LocalAwsError as error:
        print(f"local_aws: {error}", file=sys.stderr)
        return 1


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}")
    return command


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _endpoint(port: int) -> str:
    return f"http://{client.HOST}:{port}"


def _up(port: int, auth: bool) -> int:
    aws = LocalAws(_endpoint(port))
    if aws.is_ready():
        print(f"The laptop AWS is already up at {aws.endpoint_url}")
        return 0
    if not client.port_is_free(port):
        raise LocalAwsError(f"{aws.endpoint_url} is in use by another process; choose another port with PORT=...")
    state = processes.StateFolder(port)
    with state.log.open("wb") as output:
        process = subprocess.Popen(
            client.server_command(port, auth),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=client.server_environment(),
            start_new_session=True,
        )
    try:
        client.wait_until_ready(aws, process, state.log, seconds=60)
    except BaseException:
        process.kill()
        process.wait()
        raise
    state.remember(process.pid)
    print(f"The laptop AWS is up at {aws.endpoint_url} (log: {state.log})")
    return 0


def _down(port: int) -> int:
    state = processes.StateFolder(port)
    if state.end():
        print(f"The laptop AWS at {_endpoint(port)} is down")
    else:
        print(f"No laptop AWS was started here for {_endpoint(port)}")
    return 0


def _env(port: int) -> int:
    lines = {**LocalAws(_endpoint(port)).environment(), **_terraform_environment()}
    for name, value in lines.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _terraform_environment() -> dict[str, str]:
    """Terraform's own settings, where this machine needs any."""
    providers = importlib.import_module("local_aws.terraform_providers")
    return cast("Callable[[], dict[str, str]]", providers.terraform_environment)()


if __name__ == "__main__":
    sys.exit(main())
