"""Runs the AWS provider once for many commands, in place of several times in each command.

Terraform starts each provider several times a command. A provider that is started with `-debug` prints where it
listens, and Terraform commands with that in TF_REATTACH_PROVIDERS start none:
https://developer.hashicorp.com/terraform/plugin/debugging
`provider_relay.py` stands between them, so that a command reads few schemas. The provider has the environment and the
working directory that it was started with, not the command's. It has one configuration at a time: a configuration with
two of them (aliases) needs Terraform's own. The archive provider takes paths relative to the folder of
the command, so each folder has its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local_aws.terraform_providers import ARCHIVE, CONFIG_VARIABLE, PROJECT, ProvidersError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REATTACH_VARIABLE: Final = "TF_REATTACH_PROVIDERS"

# Terraform and its providers are Go programs, and a command ends before there is much memory to free. Without garbage
# collection below this limit it takes a fifth less CPU time.
RARELY_COLLECTED: Final = {"GOGC": "off", "GOMEMLIMIT": "400MiB"}

# The local AWS and the tests are verified with this version, also where the registry has newer ones.
AWS_PROVIDER_VERSION: Final = "5.100.0"


@contextlib.contextmanager
def running_providers(environment: Mapping[str, str], folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Start the AWS provider with `environment`, in `folder` or where this process is, and stop it in any case.

    Gives the variables that make Terraform commands use it. A provider that does not take `-debug` is left to
    Terraform. With `folder`, where the commands then are, the archive provider runs, too.
    """
    # A temporary folder for the sockets, since a provider that is killed leaves its socket.
    # Its path is short, since that of a socket may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp") as sockets, contextlib.ExitStack() as processes:
        reattach: dict[str, object] = {}
        for provider in _installed(environment):
            reattach |= processes.enter_context(_running(provider, {**environment, "TMPDIR": sockets}, folder))
        if folder is not None:
            reattach |= processes.enter_context(running_archive_provider(environment, folder))
        yield {REATTACH_VARIABLE: json.dumps(reattach)}


@contextlib.contextmanager
def running_archive_provider(environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, object]]:
    """Start the stand-in for hashicorp/archive in `folder`, and stop it in any case.

    Gives its address, as TF_REATTACH_PROVIDERS has it; nothing where Terraform gets the real one, which starts quickly.
    """
    if not (Path(environment.get(CONFIG_VARIABLE, "")).parent / "mirror" / ARCHIVE).is_dir():
        yield {}
        return
    with (
        tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp") as socket,
        subprocess.Popen(
            [sys.executable, str(PROJECT / "local_aws" / "archive_provider.py"), "--dev"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**environment, "TMPDIR": socket},
            text=True,
        ) as process,
    ):
        try:
            yield _address(process)
        finally:
            process.kill()


def with_addresses(given: str, more: Mapping[str, object]) -> dict[str, str]:
    """Return the variable that makes Terraform use the providers of its value `given`, and more."""
    return {REATTACH_VARIABLE: json.dumps({**json.loads(given), **more})}


def _installed(environment: Mapping[str, str]) -> list[Path]:
    """The provider's program, which one process installs for all others and for later."""
    folder = PROJECT / ".local/terraform/running"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "versions.tf").write_text(pinned_versions())
        in_folder = {**environment, "TF_DATA_DIR": str(folder / "data")}
        # With -upgrade, since the lock file may be of other versions.
        _terraform(folder, in_folder, "init", "-upgrade", "-input=false", "-no-color", "-backend=false")
        selected = json.loads(_terraform(folder, in_folder, "version", "-json"))["provider_selections"]
    providers = folder / "data" / "providers"
    return [
        path
        for name, version in selected.items()
        for path in (providers / name / version).glob("*/terraform-provider-aws_*")
    ]


def pinned_versions() -> str:
    """Return the module's versions.tf with AWS_PROVIDER_VERSION alone."""
    versions = (PROJECT / "versions.tf").read_text(encoding="utf-8")
    pinned, count = re.subn(
        r'(source += "hashicorp/aws"\s+version += )"[^"]+"', rf'\1"{AWS_PROVIDER_VERSION}"', versions
    )
    assert count == 1
    return pinned


def _terraform(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProvidersError(f"terraform {arguments[0]} of the providers failed: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def _running(provider: Path, environment: Mapping[str, str], folder: Path | None) -> Iterator[dict[str, object]]:
    """Gives where the provider listens, by its address in the registry."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws.provider_relay", str(provider)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        # Under -debug, each message is logged otherwise.
        env={**environment, "TF_LOG_SDK": "OFF", "TF_LOG_PROVIDER": "OFF", "PYTHONPATH": str(PROJECT)},
        text=True,
    )
    with process:  # which closes the pipes, and waits
        yield _address(process)


def _address(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(rf"{REATTACH_VARIABLE}='(.*)'", line):
            address: dict[str, object] = json.loads(found[1])
            return address
    return {}
