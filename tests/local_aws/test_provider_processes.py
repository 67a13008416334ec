"""Terraform's providers, started once for many commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from local_aws.offline.provider_processes import (
    REATTACH_VARIABLE,
    pinned_versions,
    running_providers,
)
from local_aws.offline.provider_relay import named_types
from local_aws.offline.terraform_providers import PROJECT, terraform_environment
from tests.deployed import eventually

ADDRESS = "registry.terraform.io/hashicorp/aws"


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def pids(given: dict[str, str]) -> list[int]:
    return [provider["Pid"] for provider in json.loads(given[REATTACH_VARIABLE]).values()]


def test_running_providers_serve_terraform_and_end_with_their_context(tmp_path: Path) -> None:
    environment = {**os.environ, **terraform_environment(), "CHECKPOINT_DISABLE": "1"}
    (tmp_path / "main.tf").write_text(re.sub(r"archive = {.*?}", "", pinned_versions(), flags=re.DOTALL))
    with running_providers(environment) as given:
        assert json.loads(given[REATTACH_VARIABLE]).keys() == {ADDRESS}
        # Without init: there is no other provider that Terraform could start.
        said = subprocess.run(
            ["terraform", "providers", "schema", "-json"],
            cwd=tmp_path,
            env={**environment, **given},
            capture_output=True,
            check=True,
        ).stdout
        [(address, schemas)] = json.loads(said)["provider_schemas"].items()
        assert address == ADDRESS
        assert {"aws_dynamodb_table", "aws_lambda_function"} <= schemas["resource_schemas"].keys() <= named_types()
        assert {"aws_caller_identity"} <= schemas["data_source_schemas"].keys() <= named_types()
        assert "region" in schemas["provider"]["block"]["attributes"]
        assert all(map(is_running, pids(given)))
    assert not any(map(is_running, pids(given)))


def test_running_providers_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    provider = tmp_path / "provider"
    address = '{"fake": {"Pid": $$, "Addr": {"String": "/none"}}}'
    provider.write_text(
        f"#!/bin/sh\ntrap '' TERM\ncat <<END\n{REATTACH_VARIABLE}='{address}'\nEND\nwhile sleep 1; do :; done\n"
    )
    provider.chmod(0o755)
    starter = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from local_aws.offline import provider_processes\n"
        "provider_processes._installed = lambda _: [Path(sys.argv[1])]\n"
        "with provider_processes.running_providers(os.environ) as given:\n"
        "    print(given[provider_processes.REATTACH_VARIABLE], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", starter, str(provider)]
    killed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    pid = json.loads(killed.stdout)["fake"]["Pid"]
    eventually(lambda: not is_running(pid))
