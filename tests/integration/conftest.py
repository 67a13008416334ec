"""Somebody else's user pool on the laptop AWS."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_terraform.tf import TerraformRunner

from local_aws.client import LocalAws
from tests.deployed import Pool, make_pool, running_providers_for


@pytest.fixture(scope="session", autouse=True)
def pool(aws: LocalAws) -> Iterator[Pool]:
    """Autouse, so that Terraform, which knows nothing of fixtures, finds its id in the environment."""
    made = make_pool(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", made.id)
        yield made


@pytest.fixture(scope="session", autouse=True)
def errors_with_their_reason() -> Iterator[None]:
    """pytest-terraform says of a command that failed only that it did; here the test's error has Terraform's own."""

    def run(runner: Any, arguments: list[str], output: bool = False) -> bytes | None:
        providers = running_providers_for(Path(runner.module_dir))
        environment = {**os.environ, **providers, "TF_IN_AUTOMATION": "yes", "TF_DATA_DIR": str(runner.work_dir)}
        done = subprocess.run(arguments, cwd=runner.module_dir, env=environment, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode()
        print(said)
        if done.returncode:
            reason = " ".join(said[said.find("Error:") :].replace("│", " ").split())
            raise subprocess.CalledProcessError(done.returncode, f"terraform {arguments[1]}: {reason}")
        return done.stdout if output else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TerraformRunner, "_run_cmd", run)
        yield
