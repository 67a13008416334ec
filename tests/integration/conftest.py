"""An existing user pool on the local AWS."""

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
    """Autouse, so that Terraform finds its ID in the environment."""
    made = make_pool(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_VAR_user_pool_id", made.id)
        yield made


@pytest.fixture(scope="session", autouse=True)
def errors_with_their_reason() -> Iterator[None]:
    """Add Terraform's message to the test's error, which pytest-terraform leaves out."""

    def run(runner: Any, arguments: list[str], output: bool = False) -> bytes | None:
        providers = running_providers_for(Path(runner.module_dir))
        environment = {**os.environ, **providers, "TF_IN_AUTOMATION": "yes", "TF_DATA_DIR": str(runner.work_dir)}
        done = subprocess.run(arguments, cwd=runner.module_dir, env=environment, capture_output=True, check=False)
        printed = (done.stdout + done.stderr).decode()
        print(printed)
        if done.returncode:
            reason = " ".join(printed[printed.find("Error:") :].replace("│", " ").split())
            raise subprocess.CalledProcessError(done.returncode, f"terraform {arguments[1]}: {reason}")
        return done.stdout if output else None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TerraformRunner, "_run_cmd", run)
        yield
