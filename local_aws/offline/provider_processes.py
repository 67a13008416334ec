"""Runs the AWS provider once for many commands. Terraform would start it several times for each command.

A provider that is started with `-debug` prints its address. Terraform commands with this address in
TF_REATTACH_PROVIDERS start none: https://developer.hashicorp.com/terraform/plugin/debugging. `provider_relay.py` is
between them, so that a command reads few schemas. The provider has the environment and the working directory of its
start, and one configuration at a time: a configuration with aliases needs Terraform's own. The archive provider
resolves paths in the folder of the command, so each folder has its own.
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

from local_aws.offline.terraform_providers import ARCHIVE, CONFIG_VARIABLE, PROJECT, ProvidersError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REATTACH_VARIABLE: Final = "TF_REATTACH_PROVIDERS"

# For Terraform and its providers, which are Go programs. A command ends before there is much memory to free. Without
# garbage collection below this limit, it needs a fifth less CPU time.
RARELY_COLLECTED: Final = {"GOGC": "off", "GOMEMLIMIT": "400MiB"}

# The local AWS and the tests use this version, also if the registry has newer ones.
AWS_PROVIDER_VERSION: Final = "5.100.0"


@contextlib.contextmanager
def running_providers(environment: Mapping[str, str], folder: Path | None = None) -> Iterator[dict[str, str]]:
    """Start the AWS provider, and stop it in any case. With `folder`, that of the commands, start archive, too.

    Yields the variables with which Terraform commands use them. A provider without `-debug` is left to Terraform.
    """
    # A temporary folder for the sockets, because a killed provider leaves its socket. The path of a socket is limited
    # to about 100 characters.
    with tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp") as sockets, contextlib.ExitStack() as processes:
        reattach: dict[str, object] = {}
        for provider in _installed(environment):
            reattach |= processes.enter_context(_running(provider, {**environment, "TMPDIR": sockets}, folder))
        if folder is not None:
            reattach |= processes.enter_context(running_archive_provider(environment, folder))
        yield {REATTACH_VARIABLE: json.dumps(reattach)}


@contextlib.contextmanager
def running_archive_provider(environment: Mapping[str, str], folder: Path) -> Iterator[dict[str, object]]:
    """Start the substitute for hashicorp/archive in `folder`, and stop it in any case.

    Yields its address for TF_REATTACH_PROVIDERS; {} if Terraform has the real one, which starts quickly.
    """
    if not (Path(environment.get(CONFIG_VARIABLE, "")).parent / "mirror" / ARCHIVE).is_dir():
        yield {}
        return
    with (
        tempfile.TemporaryDirectory(prefix="tf-", dir="/tmp") as socket,
        subprocess.Popen(
            [sys.executable, str(PROJECT / "local_aws/offline/archive_provider.py"), "--dev"],
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
    """Return TF_REATTACH_PROVIDERS with the providers of its value `given`, and more."""
    return {REATTACH_VARIABLE: json.dumps({**json.loads(given), **more})}


def _installed(environment: Mapping[str, str]) -> list[Path]:
    """Return the provider's program. One process installs it for all others."""
    folder = PROJECT / ".local/terraform/running"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "versions.tf").write_text(pinned_versions())
        in_folder = {**environment, "TF_DATA_DIR": str(folder / "data")}
        # An earlier lock file may have other versions and checksums.
        (folder / ".terraform.lock.hcl").unlink(missing_ok=True)
        _terraform(folder, in_folder, "init", "-input=false", "-no-color", "-backend=false")
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
    """Yield the address of the provider, by its name in the registry."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local_aws.offline.provider_relay", str(provider)],
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
