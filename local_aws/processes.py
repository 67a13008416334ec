"""Remembers the server that `up` started and its access key. Ends this server only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from local_aws.client import LocalAwsError, new_access_key

_END_SECONDS = 15.0


class StateFolder:
    """`.local/` in the current folder: a log, a process ID and an access key for each port."""

    def __init__(self, port: int, folder: Path | None = None) -> None:
        self.port = port
        self.folder = folder or Path.cwd() / ".local"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"local-aws-{port}.log"
        self.pid_file = self.folder / f"local-aws-{port}.pid"
        self.key_file = self.folder / f"local-aws-{port}.key"

    def make_access_key(self) -> str:
        """Write a new access key, which only this user can read."""
        self.key_file.unlink(missing_ok=True)
        self.key_file.touch(mode=0o600, exist_ok=False)
        self.key_file.write_text(new_access_key())
        return self.access_key()

    def access_key(self) -> str:
        """Return the key of the last start, or ""."""
        return self.key_file.read_text() if self.key_file.exists() else ""

    def remember(self, pid: int) -> None:
        self.pid_file.write_text(f"{pid}\n")

    def is_running(self) -> bool:
        """Return whether the remembered process is the server. Process IDs are reused."""
        return self.pid_file.exists() and self._is_server(int(self.pid_file.read_text()))

    def end(self) -> bool:
        """End the remembered process and wait for it. Returns False if it has ended before."""
        running = self.is_running()
        if running:
            self._end(int(self.pid_file.read_text()))
        self.pid_file.unlink(missing_ok=True)
        self.key_file.unlink(missing_ok=True)
        return running

    def _is_server(self, pid: int) -> bool:
        return f" -m local_aws serve --port {self.port}" in command_of(pid)

    def _end(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _END_SECONDS
        while self._is_server(pid):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise LocalAwsError(f"the local AWS (process {pid}) did not end within {_END_SECONDS:g} s; killed it")
            time.sleep(0.05)


def command_of(pid: int) -> str:
    """Return the command line of a running process, or "". A zombie has ended."""
    shown = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    state, _, command = shown.partition(" ")
    return "" if state.startswith("Z") else command.strip()
