"""Cold starts: the work of a new process before its first event, which is imports and clients.

Each measurement has its own process, and the compared processes take turns. The comparison is boto3 alone: its import,
and the creation of the same clients.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from tests.samples import environment

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = ROOT / "lambda_src"

_POOL: Final = ("handler.clients.user_pool()", "cognito-idp")
_TABLE: Final = ("handler.clients.user_table()", "dynamodb")
_POOL_OF_MANY: Final = ("handler.clients.user_pool(many=True)", "cognito-idp")
_TABLE_OF_MANY: Final = ("handler.clients.user_table(many=True)", "dynamodb")
# The clients that an invocation of each handler usually needs: the code that creates them, and the names of boto3.
CLIENTS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "post_confirmation": [("handler._states()", "stepfunctions")],
    "retry_sign_ups": [("handler._states()", "stepfunctions")],
    "sync_changes": [_POOL, _TABLE],
    "publish_user_events": [("handler._events()", "events")],
    "sync_user": [_POOL, _TABLE],
    "send_welcome": [_POOL, ("handler._ses()", "sesv2")],
    "pool_trigger": [("handler.boto3.client('cognito-idp', config=handler._CONFIG)", "cognito-idp")],
    "plan_shards": [_POOL_OF_MANY, _TABLE_OF_MANY],
    "reconcile_shards": [_POOL_OF_MANY, _TABLE_OF_MANY],
    "start_run": [("handler._states()", "stepfunctions")],
}

_MEASURED = """
import json, time
wall, cpu = time.perf_counter(), time.process_time()
{code}
measured = [time.perf_counter() - wall, time.process_time() - cpu]
# Not getrusage: its peak may be that of the parent process.
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps([*measured, peak / 1024]))
"""
# As Lambda imports it. The depth of the stack changes the time, by up to 25 ms with CPython 3.11.
_OURS = "import importlib\nhandler = importlib.import_module('cognito_user_sync.handlers.{handler}')\n{calls}"
_PYTHONS_GC = "import cognito_user_sync.handlers, gc\ngc.set_threshold(700)\n"
_BOTO3 = "import boto3\n{calls}"

# The variables that the functions read when they create a client.
ENVIRONMENT: Final = {
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    **environment(["id", "shard"]),
}


@dataclass(frozen=True)
class Start:
    """Medians: milliseconds, and MB of the peak resident set, which includes Python (Linux only)."""

    wall_ms: float
    cpu_ms: float
    peak_mb: float


@dataclass(frozen=True)
class Compared:
    """`pythons_gc`: ours, with Python's default settings of the garbage collector."""

    clients: Sequence[str]
    ours: Start
    pythons_gc: Start
    boto3: Start

    @property
    def ratio(self) -> float:
        """Ratio of the CPU times, which other processes disturb least."""
        return self.ours.cpu_ms / self.boto3.cpu_ms


def measure(rounds: int) -> dict[str, Compared]:
    """Return the measurement of each handler."""
    found = {}
    for handler, clients in CLIENTS.items():
        ours = _OURS.format(handler=handler, calls="\n".join(call for call, _ in clients))
        plain = _BOTO3.format(calls="\n".join(f"boto3.client({service!r})" for _, service in clients))
        starts = _in_turns(rounds, ours, _PYTHONS_GC + ours, plain)
        found[handler] = Compared([service for _, service in clients], *starts)
    return found


def import_boto3(rounds: int) -> Start:
    (start,) = _in_turns(rounds, "import boto3")
    return start


def _in_turns(rounds: int, *codes: str) -> list[Start]:
    """Return the medians for each code. The processes take turns."""
    starts: list[list[tuple[float, float, float]]] = [[] for _ in codes]
    for _ in range(rounds + warm_ups(rounds)):
        for code, found in zip(codes, starts, strict=True):
            found.append(_start(code))
    return [_medians(each[-rounds:]) for each in starts]


def warm_ups(rounds: int) -> int:
    """Return the number of rounds that are not measured: the first reads files from disk. A test has one round."""
    return 1 if rounds > 1 else 0


def zip_bytes() -> int:
    """Return the size of a function's zip. Python's compressor differs from Terraform's by a few bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(SOURCES.glob("cognito_user_sync/**/*.py")):
            archive.write(path, path.relative_to(SOURCES))
    return len(content.getvalue())


def _start(code: str) -> tuple[float, float, float]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCES),
        "PYTHONDONTWRITEBYTECODE": "",
        **ENVIRONMENT,
    }
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED.format(code=code)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu, peak = json.loads(done.stdout)
    return 1000 * wall, 1000 * cpu, peak


def _medians(starts: Sequence[tuple[float, float, float]]) -> Start:
    wall, cpu, peak = zip(*starts, strict=True)
    return Start(median(wall), median(cpu), median(peak))
