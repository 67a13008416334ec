"""Starting and ending: what listens, what is left, whose process ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local_aws import __main__ as command
from local_aws import client, processes
from local_aws.client import LocalAws, LocalAwsError, PortInUseError
from tests.local_aws.conftest import make_function, until

if TYPE_CHECKING:
    from pathlib import Path


def listening_sockets(pid: int) -> list[str]:
    lines = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[3] for line in lines if f"pid={pid}," in line]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_server_listens_on_one_port_only(aws: LocalAws) -> None:
    aws.client("iot").list_things()
    aws.client("transfer").list_servers()
    aws.client("lambda").invoke(FunctionName=make_function(aws, "def handler(event, context): return 1"))
    assert aws.process is not None
    assert listening_sockets(aws.process.pid) == [aws.endpoint_url.removeprefix("http://")]


def test_server_ends_with_its_context_and_removes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    started: list[LocalAws] = []

    def fail_inside() -> None:
        with LocalAws.started(log=tmp_path / "log") as aws:
            started.append(aws)
            make_function(aws, "def handler(event, context): return 1", FunctionName="kept")
            aws.client("lambda").invoke(FunctionName="kept")
            assert [path for path in tmp_path.iterdir() if path.name.startswith("local-aws-")]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    [aws] = started
    assert aws.process is not None
    assert aws.process.poll() == 0
    assert [path.name for path in tmp_path.iterdir() if path.name != "log"] == []


def test_server_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom local_aws.client import LocalAws\n"
        "with LocalAws.started() as aws:\n    print(aws.process.pid, flush=True)\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**client.server_environment(client.new_access_key()), "TMPDIR": str(tmp_path)},
    ) as starter:
        assert starter.stdout is not None
        server = int(starter.stdout.readline())
        assert " -m local_aws serve" in processes.command_of(server)
        starter.kill()
    until(lambda: not processes.command_of(server))


def test_started_names_a_port_in_use(aws: LocalAws) -> None:
    port = int(aws.endpoint_url.rpartition(":")[2])
    with (
        pytest.raises(PortInUseError, match=f"http://127.0.0.1:{port} is in use"),
        LocalAws.started(port=port),
    ):
        pass
    assert aws.is_ready()


def test_started_shows_the_log_when_not_ready(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(LocalAwsError, match=f"not ready within 0.01 seconds.\nThe end of {log}"),
        LocalAws.started(log=log, ready_within_seconds=0.01),
    ):
        pass


def test_at_attaches_to_a_running_server(aws: LocalAws) -> None:
    assert LocalAws.at(aws.endpoint_url, aws.access_key).calls() == {}
    for url, access_key in ((aws.endpoint_url, "test"), (f"http://127.0.0.1:{free_port()}", aws.access_key)):
        with pytest.raises(LocalAwsError, match="make local-aws-up"):
            LocalAws.at(url, access_key)


def test_up_env_and_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "terraform_environment", lambda: {"TF_CLI_CONFIG_FILE": "/a b/terraform.rc"})
    port = free_port()
    arguments = ["--port", str(port)]
    workspaces = ("dev", f"dev-local-{port}", f"dev-local-{port}1")
    states = [tmp_path / "terraform.tfstate.d" / workspace / "terraform.tfstate" for workspace in workspaces]
    for state in states:
        state.parent.mkdir(parents=True)
        state.touch()
    try:
        assert command.main(["up", *arguments]) == 0
        assert [state.exists() for state in states] == [True, False, True]
        assert states[1].parent.exists()
        pid = int((tmp_path / ".local" / f"local-aws-{port}.pid").read_text())
        key_file = tmp_path / ".local" / f"local-aws-{port}.key"
        assert key_file.stat().st_mode & 0o777 == 0o600
        aws = LocalAws.at(f"http://127.0.0.1:{port}", key_file.read_text())
        assert listening_sockets(pid) == [f"127.0.0.1:{port}"]
        assert command.main(["up", *arguments]) == 0
        assert "already up" in capsys.readouterr().out
        assert command.main(["up", *arguments, "--allow-origin", "http://localhost:5173"]) == 1
        assert "stop it first, to allow an origin: make local-aws-down" in capsys.readouterr().err
        # Whatever took the port after a crash does not get the key.
        processes.StateFolder(port).remember(os.getpid())
        assert command.main(["env", *arguments]) == 1
        processes.StateFolder(port).remember(pid)
        capsys.readouterr()
        assert command.main(["env", *arguments]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{port}" in lines
        assert f"export AWS_ACCESS_KEY_ID={aws.access_key}" in lines
        assert aws.access_key not in processes.command_of(pid)
        assert "export TF_CLI_CONFIG_FILE='/a b/terraform.rc'" in lines
    finally:
        assert command.main(["down", *arguments]) == 0
    assert not aws.is_ready()
    assert not processes.command_of(pid)
    assert not key_file.exists()
    assert command.main(["env", *arguments]) == 1
    assert command.main(["down", *arguments]) == 0
    said = capsys.readouterr()
    assert "No local AWS was started here" in said.out
    assert "start one with: make local-aws-up" in said.err
    assert "export" not in said.out


def test_down_ends_only_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            processes.StateFolder(4566).remember(stranger.pid)
            assert command.main(["down", "--port", "4566"]) == 0
            assert stranger.poll() is None
            assert not (tmp_path / ".local" / "local-aws-4566.pid").exists()
        finally:
            os.kill(stranger.pid, signal.SIGKILL)


@pytest.mark.parametrize("origin", ["*", "null", "localhost:5173", "http://localhost:5173/", "http://*.example"])
def test_up_rejects_an_invalid_origin(origin: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["up", "--allow-origin", origin])
    assert f"{origin!r} is not an origin: it must be like http://localhost:5173" in capsys.readouterr().err
