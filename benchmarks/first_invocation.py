"""The first invocation in a new container, with the CPU share of a Lambda function: the module and the tutorials.

Each measurement has its own process, and the shapes take turns. A process imports its handler, as Lambda does to
initialize a function, and then handles one event. It calls a TLS server in this process, which has no quota.

AWS does not document the CPU of an initialization. Others have measured more than the share of the memory. So it is
measured twice: without the quota, and with it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.cold_start import ENVIRONMENT, ROOT, SOURCES, warm_ups
from benchmarks.cpu_quota import CpuQuota, NoCpuQuotaError, cpu_quota
from benchmarks.sign_up_path import MAIL_AND_START, MODULE_SHAPE, PUT_ITEM
from demo.report import Unexpected
from tests.samples import QUEUE_URL, SUB, USER_SYNC

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MEGABYTES_OF_A_PROCESSOR: Final = 1769
MEMORY_MB: Final = (512, 256)

# The handler of each shape, and its calls.
_SHAPES: Final = {
    MODULE_SHAPE: ("cognito_user_sync.handlers.post_confirmation.handler", ["StartExecution"]),
    MAIL_AND_START: ("benchmarks.tutorial_shape.mail_and_start", ["SendEmail", "StartExecution"]),
    PUT_ITEM: ("benchmarks.tutorial_shape.put_item", ["PutItem"]),
}
_EVENT: Final = {
    "triggerSource": "PostConfirmation_ConfirmSignUp",
    "userName": "ada.lovelace",
    "callerContext": {"clientId": "app"},
    "request": {"userAttributes": {"sub": SUB, "email": "ada.lovelace@example.com"}},
    "response": {},
}
_PROCESS: Final = """
import importlib, json, sys, time
began = time.perf_counter()
handler = importlib.import_module({module!r}).{function}
initialized = time.perf_counter()
event = json.loads(sys.argv[1])
print(flush=True)
sys.stdin.readline()
called = time.perf_counter()
answer = handler(event, None)
ended = time.perf_counter()
assert answer == event
print(json.dumps([initialized - began, ended - called]))
"""


@dataclass(frozen=True)
class Times:
    """Medians of the processes of one shape, in milliseconds. `slowest_call` is the maximum.

    `together` is initialization and first call. The quota limits only the call, or both (`limited_together`).
    """

    initialization: float
    call: float
    slowest_call: float
    together: float
    limited_together: float


@dataclass(frozen=True)
class FirstInvocations:
    """`by_memory`: the times of each shape, by the function's memory in MB."""

    rounds: int
    quota: str
    by_memory: Mapping[int, Mapping[str, Times]]


def measure(rounds: int) -> FirstInvocations | None:
    """Measure all shapes. Returns None on a machine without a CPU quota for this user."""
    by_memory, version = {}, ""
    with _aws() as (environment, made):
        for memory_mb in MEMORY_MB:
            try:
                with cpu_quota(processors(memory_mb)) as quota:
                    version = quota.version
                    by_memory[memory_mb] = _measured(rounds, environment, quota)
            except NoCpuQuotaError:
                return None
    processes = (rounds + warm_ups(rounds)) * 2 * len(MEMORY_MB)
    expected = Counter(call for _, calls in _SHAPES.values() for call in calls * processes)
    if made != expected:
        raise Unexpected(f"the first invocations called {dict(made)}, expected {dict(expected)}")
    return FirstInvocations(rounds, version, by_memory)


def processors(memory_mb: int) -> float:
    """Return the share of one processor that a function with this memory has."""
    return memory_mb / MEGABYTES_OF_A_PROCESSOR


def _measured(rounds: int, environment: Mapping[str, str], quota: CpuQuota) -> dict[str, Times]:
    calls: dict[str, list[tuple[float, float]]] = {shape: [] for shape in _SHAPES}
    limited: dict[str, list[tuple[float, float]]] = {shape: [] for shape in _SHAPES}
    for number in range(rounds + warm_ups(rounds)):
        for shape in _SHAPES:
            call, both = (_run(shape, environment, quota, is_limited) for is_limited in (False, True))
            if number >= warm_ups(rounds):
                calls[shape].append(call)
                limited[shape].append(both)
    return {
        shape: Times(
            initialization=median(initialization for initialization, _ in calls[shape]),
            call=median(call for _, call in calls[shape]),
            slowest_call=max(call for _, call in calls[shape]),
            together=median(map(sum, calls[shape])),
            limited_together=median(map(sum, limited[shape])),
        )
        for shape in _SHAPES
    }


def _run(shape: str, environment: Mapping[str, str], quota: CpuQuota, is_limited: bool) -> tuple[float, float]:
    """Return the milliseconds of the initialization and of the first call, in a new process."""
    module, _, function = _SHAPES[shape][0].rpartition(".")
    code = _PROCESS.format(module=module, function=function)
    with subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(_EVENT)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        if is_limited:
            quota.limit(process.pid)
        process.stdout.readline()
        quota.limit(process.pid)
        output, _ = process.communicate("\n")
    if process.returncode:
        raise Unexpected(f"the first invocation of {shape} failed")
    initialization, call = json.loads(output)
    return 1000 * initialization, 1000 * call


@contextmanager
def _aws() -> Iterator[tuple[dict[str, str], Counter[str]]]:
    """Serve the AWS calls of the shapes. Yields the environment of their processes, and the counted calls."""
    made: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers.get("X-Amz-Target", "SendEmail").rpartition(".")[2]
            made[operation] += 1
            content = _ANSWERS[operation]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with TemporaryDirectory() as folder, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        certificate, bundle = _certificate(Path(folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield _environment(f"https://127.0.0.1:{server.server_port}", bundle), made
        finally:
            server.shutdown()
            thread.join()


_ANSWERS: Final = {
    "StartExecution": b'{"executionArn": "arn", "startDate": 1767225600}',
    "PutItem": b"{}",
    "SendEmail": b"""<SendEmailResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">
    <SendEmailResult><MessageId>1</MessageId></SendEmailResult></SendEmailResponse>""",
}


def _environment(endpoint: str, bundle: Path) -> dict[str, str]:
    return {
        **ENVIRONMENT,
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(map(str, (SOURCES, ROOT))),
        "AWS_CA_BUNDLE": str(bundle),
        "AWS_ENDPOINT_URL": endpoint,
        "USER_SYNC_STATE_MACHINE_ARN": USER_SYNC,
        "RETRY_QUEUE_URL": QUEUE_URL,
        "STATE_MACHINE_ARN": USER_SYNC,
        "SENDER": "hello@example.com",
        "TABLE_NAME": "users",
    }


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate with its key, and botocore's certificate authorities with this one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")])
    today = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server, bundle = folder / "server.pem", folder / "authorities.pem"
    server.write_bytes(certificate + private_key)
    bundle.write_bytes(Path(botocore.__file__).with_name("cacert.pem").read_bytes() + certificate)
    return server, bundle
