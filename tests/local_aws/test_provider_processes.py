"""Terraform's providers, started once for many commands."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from local_aws import provider_processes
from local_aws.provider_processes import CONFIGURATION, REATTACH_VARIABLE, running_providers
from local_aws.terraform_providers import terraform_environment
from tests.deployed import eventually

ADDRESSES = {"registry.terraform.io/hashicorp/archive", "registry.terraform.io/hashicorp/aws"}


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
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    with running_providers(environment) as given:
        assert json.loads(given[REATTACH_VARIABLE]).keys() == ADDRESSES
        # Without init: there is no other provider that Terraform could start.
        said = subprocess.run(
            ["terraform", "providers", "schema", "-json"],
            cwd=tmp_path,
            env={**environment, **given},
            capture_output=True,
            check=True,
        ).stdout
        assert json.loads(said)["provider_schemas"].keys() == ADDRESSES
        assert all(map(is_running, pids(given)))
    assert not any(map(is_running, pids(given)))


def test_running_providers_leave_out_what_does_not_take_debug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = tmp_path / "provider"
    provider.write_text("#!/bin/sh\nexit 2\n")
    provider.chmod(0o755)
    monkeypatch.setattr(provider_processes, "_installed", lambda _: [provider])
    with running_providers(os.environ) as given:
        assert json.loads(given[REATTACH_VARIABLE]) == {}


def test_running_providers_end_when_a_test_fails() -> None:
    environment = {**os.environ, **terraform_environment()}
    with pytest.raises(KeyError), running_providers(environment) as given:
        raise KeyError
    eventually(lambda: not any(map(is_running, pids(given))))
