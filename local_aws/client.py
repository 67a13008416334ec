"""Starts a local AWS, or attaches to one, and talks to it. For tests, benchmarks and the demo."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from local_aws.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
# The variable with the server's access key. Other users of the machine can read arguments, but not the environment.
KEY_VARIABLE: Final = "LOCAL_AWS_ACCESS_KEY"
PORT_IN_USE: Final = 98  # the exit status of a server whose port is in use (EADDRINUSE on Linux)
_PROJECT: Final = Path(__file__).resolve().parent.parent


class Fault(TypedDict):
    """A rule for `set_faults`. Operations are named as IAM names them, or "service:*"."""

    operation: str
    fault: FaultKind
    rate: NotRequired[float]
    times: NotRequired[int | None]
    seed: NotRequired[int | None]
    after: NotRequired[bool]
    function: NotRequired[str]
    latency_ms: NotRequired[float]


class FiredFault(Fault):
    fired: int


class Asked(TypedDict):
    """What a role asked IAM for, how often, and whether it was allowed."""

    role: str
    action: str
    resource: str
    allowed: bool
    times: int


class CognitoSettings(TypedDict):
    confirmation_delay_seconds: NotRequired[float]
    description_delay_seconds: NotRequired[float]
    self_service_names_pool: NotRequired[bool]
    estimated_users: NotRequired[int | None]


class Quota(TypedDict):
    per_second: NotRequired[float]
    latency_ms: NotRequired[float]
    short_pages: NotRequired[float]


@dataclass(frozen=True)
class Mail:
    """An email in the outbox."""

    id: str
    source: str
    to: list[str]
    subject: str
    text: str
    html: str | None
    raw: dict[str, Any] = field(repr=False)


class LocalAwsError(RuntimeError):
    """The local AWS did not start, or rejected a request."""


class PortInUseError(LocalAwsError):
    """Another process listens on the port."""


class LocalAws:
    """A local AWS at an endpoint."""

    region: Final = REGION

    def __init__(self, endpoint_url: str, access_key: str, process: subprocess.Popen[bytes] | None = None) -> None:
        self.endpoint_url = endpoint_url.rstrip("/")
        self.access_key = access_key
        self.process = process
        self._clients: dict[str, Any] = {}
        self._making_client = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def started(
        cls,
        port: int | None = None,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        ready_within_seconds: float = 60,
        allow_origin: str | None = None,
    ) -> Iterator[LocalAws]:
        """Start one on `port` (default: a free one), and stop it in any case. `environment`: LOCAL_AWS_* settings."""
        with tempfile.TemporaryDirectory(prefix="local-aws-log-") as folder:
            log = log or Path(folder) / "local-aws.log"
            aws, process = _start(port, allow_origin, log, environment or {}, ready_within_seconds)
            end = functools.partial(_end, process)
            atexit.register(end)
            try:
                yield aws
            finally:
                end()
                atexit.unregister(end)

    @classmethod
    def at(cls, endpoint_url: str, access_key: str) -> LocalAws:
        """Attach to a running one, with its AWS_ACCESS_KEY_ID."""
        aws = cls(endpoint_url, access_key)
        if not aws.is_ready():
            raise LocalAwsError(
                f"no local AWS with this access key answers at {endpoint_url}; start one with: make local-aws-up"
            )
        return aws

    def is_ready(self) -> bool:
        return self.server_pid() is not None

    def server_pid(self) -> int | None:
        """Return the ID of its server process, or None if no local AWS answers at this endpoint."""
        try:
            health = self._request("GET", "/_local/health", seconds=2)
            return int(health["pid"])
        except (LocalAwsError, OSError, ValueError, KeyError, TypeError, HTTPException):
            return None

    def environment(self) -> dict[str, str]:
        """Return the variables with which boto3, the AWS CLI and Terraform's provider use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client. `settings` are boto3's, such as `config`."""
        with self._making_client:  # boto3's clients are thread-safe, its sessions are not
            if not settings and service in self._clients:
                return self._clients[service]
            own = {
                "aws_access_key_id": self.access_key,
                "aws_secret_access_key": self.access_key,
                "region_name": REGION,
            }
            made = self._session.client(service, endpoint_url=self.endpoint_url, **{**own, **settings})
            if not settings:
                self._clients[service] = made
            return made

    @functools.cached_property
    def _session(self) -> Any:
        import boto3
        import botocore.session

        # The caller's profile, certificates and configuration are meant for the real AWS.
        ignored = ("profile", "config_file", "credentials_file", "ca_bundle")
        defaults = {
            "profile": None,
            "config_file": os.devnull,
            "credentials_file": os.devnull,
            "ca_bundle": None,
        }
        own = botocore.session.Session({name: (None, None, defaults[name], None) for name in ignored})
        return boto3.session.Session(botocore_session=own)

    def set_faults(self, faults: Sequence[Fault]) -> None:
        self._request("PUT", "/_local/faults", list(faults))

    def faults(self) -> list[FiredFault]:
        """Return the rules, with how often each fired."""
        rules: list[FiredFault] = self._request("GET", "/_local/faults")
        return rules

    def clear_faults(self) -> None:
        self._request("DELETE", "/_local/faults")

    def set_quotas(self, quotas: Mapping[str, Quota]) -> None:
        self._request("PUT", "/_local/quotas", dict(quotas))

    def clear_quotas(self) -> None:
        self._request("DELETE", "/_local/quotas")

    def set_cognito(self, settings: CognitoSettings) -> None:
        self._request("PUT", "/_local/cognito", settings)

    def clear_cognito(self) -> None:
        self._request("DELETE", "/_local/cognito")

    def sign_in_federated(
        self,
        user_pool_id: str,
        subject: str,
        attributes: Mapping[str, str],
        provider: str = "Google",
        client_id: str | None = None,
    ) -> str:
        """Sign a user in through an identity provider for the first time. Returns the sub."""
        given = {
            "user_pool_id": user_pool_id,
            "provider": provider,
            "subject": subject,
            "attributes": dict(attributes),
            **({"client_id": client_id} if client_id else {}),
        }
        return str(self._request("POST", "/_local/federated-sign-in", given)["sub"])

    def calls(self) -> dict[str, int]:
        counts: dict[str, int] = self._request("GET", "/_local/calls")
        return counts

    def calls_by_caller(self) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = self._request("GET", "/_local/calls?by=caller")
        return counts

    def reset_calls(self) -> None:
        self._request("DELETE", "/_local/calls")

    def permissions(self) -> list[Asked]:
        """Return what all roles have asked IAM for since the start."""
        asked: list[Asked] = self._request("GET", "/_local/permissions")
        return asked

    def logs(self) -> dict[str, list[str]]:
        """Return the log lines of each function since the start, also of deleted log groups."""
        lines: dict[str, list[str]] = self._request("GET", "/_local/logs")
        return lines

    def data(self) -> dict[str, list[str]]:
        """Return the texts in executions, queue messages and events since the start, by where they were."""
        texts: dict[str, list[str]] = self._request("GET", "/_local/data")
        return texts

    def outbox(self) -> list[Mail]:
        """Return every email that SES accepted, oldest first."""
        accounts = self._request("GET", "/_ministack/ses/messages")["messages"]
        return [
            Mail(
                mail["MessageId"],
                mail["Source"],
                mail["To"],
                mail["Subject"],
                mail["BodyText"],
                mail["BodyHtml"],
                mail,
            )
            for mails in accounts.values()
            for mail in mails
        ]

    def scale_waits(self, factor: float) -> None:
        """Multiply the waits of Step Functions (Wait states and pauses between retries) by `factor`."""
        self._request("POST", "/_ministack/config", {"stepfunctions._SFN_WAIT_SCALE": factor})

    def _request(self, method: str, path: str, body: object = None, seconds: float = 30) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - http
            self.endpoint_url + path, data, {"X-Local-Aws-Key": self.access_key}, method=method
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=seconds) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError, KeyError, TypeError):
                text = json.loads(text)["message"]
            raise LocalAwsError(text) from error


def new_access_key() -> str:
    return secrets.token_hex(16)


def server_command(port: int, allow_origin: str | None, *options: str) -> list[str]:
    """Return the command of the server process."""
    command = [sys.executable, "-m", "local_aws", "serve", "--port", str(port), *options]
    command += ["--allow-origin", allow_origin] if allow_origin else []
    return command


def server_environment(access_key: str) -> dict[str, str]:
    """Return the caller's environment with the path to this package. The server drops what functions must not get."""
    path = os.pathsep.join(filter(None, [str(_PROJECT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, KEY_VARIABLE: access_key}


def port_is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def wait_until_ready(aws: LocalAws, process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Wait until the server answers. Raises LocalAwsError with the end of its log if it ends or takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = process.poll()
        if status == PORT_IN_USE:
            raise PortInUseError(f"{aws.endpoint_url} is in use by another process; choose another port")
        if status is not None:
            raise LocalAwsError(f"the local AWS ended with status {status} before it was ready.\n{_tail(log)}")
        if aws.server_pid() == process.pid:  # not another one on the same port
            return
        time.sleep(0.05)
    raise LocalAwsError(f"the local AWS was not ready within {seconds:g} seconds.\n{_tail(log)}")


def _start(
    port: int | None,
    allow_origin: str | None,
    log: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> tuple[LocalAws, subprocess.Popen[bytes]]:
    for attempt in range(5):
        chosen = _free_port() if port is None else port
        access_key = new_access_key()
        with log.open("wb") as output:
            process = subprocess.Popen(
                server_command(chosen, allow_origin, "--until-stdin-closes"),
                # The pipe closes when this process ends, and the server ends with the pipe.
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**server_environment(access_key), **environment},
                # Ctrl-C reaches only this process, which may still need the server.
                process_group=0,
            )
        aws = LocalAws(f"http://{HOST}:{chosen}", access_key, process)
        try:
            wait_until_ready(aws, process, log, seconds)
        except PortInUseError:
            _end(process)
            if port is not None or attempt == 4:
                raise
        except BaseException:
            _end(process)
            raise
        else:
            return aws, process
    raise AssertionError("unreachable")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _tail(log: Path, lines: int = 30) -> str:
    last = log.read_text(errors="replace").splitlines()[-lines:]
    return f"The end of {log}:\n" + "\n".join(last)
