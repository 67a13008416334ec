"""python -m local_aws serve | up | down | env | emails | aws"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from local_aws import client, processes
from local_aws.client import LocalAws, LocalAwsError
from local_aws.offline.terraform_providers import terraform_environment

DEFAULT_PORT = 4566


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="The local AWS; see docs/local-aws.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = _command(commands, "serve", "serve in the foreground")
    serve.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    up = _command(commands, "up", "start in the background, and return when ready")
    for command in (serve, up):
        command.add_argument("--allow-origin", type=_origin, help="let web pages of this origin call Cognito")
    _command(commands, "down", "stop what `up` started")
    _command(commands, "env", "print the `export` lines under which AWS tools and Terraform talk to it")
    text = "print the emails that Cognito and SES have sent, in a shell that has what `env` prints"
    commands.add_parser("emails", help=text, description=text)
    aws = commands.add_parser("aws", help="substitute for the AWS CLI: aws SERVICE OPERATION --option value")
    aws.add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    try:
        match given.command:
            case "serve":
                from local_aws.server import serve as serve_in_foreground

                access_key = os.environ.pop(client.KEY_VARIABLE, None) or _new_access_key(given.port)
                return serve_in_foreground(given.port, access_key, given.allow_origin, given.until_stdin_closes)
            case "up":
                return _up(given.port, given.allow_origin)
            case "down":
                return _down(given.port)
            case "env":
                return _env(given.port)
            case "emails":
                return _emails()
            case _:
                return _aws(given.words)
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
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: it must be from 1 to 65535")
    return int(text)


def _origin(text: str) -> str | None:
    if text and not re.fullmatch(r"https?://[^\s/*]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an origin: it must be like http://localhost:5173")
    return text or None


def _endpoint(port: int) -> str:
    return f"http://{client.HOST}:{port}"


def _running(port: int) -> LocalAws | None:
    """Return the local AWS that was started here, if it answers."""
    state = processes.StateFolder(port)
    aws = LocalAws(_endpoint(port), state.access_key())
    # Only this process gets the key, not another one that has taken the port.
    return aws if state.is_running() and aws.is_ready() else None


def _new_access_key(port: int) -> str:
    if not client.port_is_free(port):
        raise LocalAwsError(f"{_endpoint(port)} is in use by another process; choose another port with PORT=...")
    return processes.StateFolder(port).make_access_key()


def _up(port: int, allow_origin: str | None) -> int:
    if _running(port):
        if allow_origin:
            raise LocalAwsError(
                f"a local AWS runs at {_endpoint(port)}; stop it first, to allow an origin: make local-aws-down"
            )
        print(f"The local AWS is already up at {_endpoint(port)}")
        return 0
    aws = LocalAws(_endpoint(port), _new_access_key(port))
    state = processes.StateFolder(port)
    with state.log.open("wb") as output:
        process = subprocess.Popen(
            client.server_command(port, allow_origin),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=client.server_environment(aws.access_key),
            start_new_session=True,
        )
    try:
        client.wait_until_ready(aws, process, state.log, seconds=60)
    except BaseException:
        process.kill()
        process.wait()
        raise
    state.remember(process.pid)
    # State of the previous local AWS. The workspaces stay: Terraform may have selected one.
    for file in Path("terraform.tfstate.d").glob(f"*-local-{port}/terraform.tfstate*"):
        file.unlink()
    print(f"The local AWS is up at {aws.endpoint_url} (log: {state.log})")
    return 0


def _down(port: int) -> int:
    state = processes.StateFolder(port)
    if state.end():
        print(f"The local AWS at {_endpoint(port)} is down")
    else:
        print(f"No local AWS was started here for {_endpoint(port)}")
    return 0


def _env(port: int) -> int:
    aws = _running(port)
    if aws is None:
        raise LocalAwsError(
            f"no local AWS that was started here answers at {_endpoint(port)}; start one with: make local-aws-up"
        )
    # Terraform's own data directory, so that a deployment to AWS does not use the providers of the local AWS.
    lines = {**aws.environment(), **terraform_environment(), "TF_DATA_DIR": ".terraform/local-aws"}
    for name, value in lines.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _of_environment() -> LocalAws:
    """Return the local AWS of the shell's settings. AWS itself is rejected: the shell may have its credentials."""
    endpoint, access_key = (os.environ.get(f"AWS_{name}", "") for name in ("ENDPOINT_URL", "ACCESS_KEY_ID"))
    if not endpoint.startswith(f"http://{client.HOST}:"):
        raise LocalAwsError(
            f'AWS_ENDPOINT_URL is "{endpoint}", not that of a local AWS; set it with: eval "$(make -s local-aws-env)"'
        )
    return LocalAws.at(endpoint, access_key)


def _emails() -> int:
    for mail in _of_environment().outbox():
        print(f"From: {mail.source}\nTo: {', '.join(mail.to)}\nSubject: {mail.subject}\n\n{mail.text.strip()}\n")
    return 0


def _aws(words: list[str]) -> int:
    from local_aws import aws_cli

    if len(words) < 2:
        raise LocalAwsError("the form is: python -m local_aws aws SERVICE OPERATION --option value")
    _of_environment()
    print(aws_cli.call(words[0], words[1], words[2:]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
