"""What is deployed: the module's outputs, as Terraform tells them, and AWS clients for them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

# An output that no other module is likely to have.
_MARK = "user_sync_state_machine_arn"


class NotDeployed(Exception):
    """The module's outputs were not found; the message says where they were looked for, and what to do."""


@dataclass(frozen=True)
class Deployment:
    user_sync_state_machine_arn: str
    unstarted_queue_url: str
    reconciliation_state_machine_arn: str | None = None

    @classmethod
    def from_outputs(cls, outputs: dict[str, Any], source: str) -> Deployment:
        """`outputs` as `terraform output -json` prints them, of the module itself or of a configuration that has an
        output with all of the module's (`output "user_sync" { value = module.user_sync }`). Raises NotDeployed."""
        values = {name: output["value"] for name, output in outputs.items()}
        candidates = [values, *(value for value in values.values() if isinstance(value, dict))]
        found = [candidate for candidate in candidates if _MARK in candidate]
        if len(found) != 1:
            raise NotDeployed(
                f"{source} has {len(found)} outputs named {_MARK}: it must have exactly one, its own or one in an"
                ' output such as: output "user_sync" { value = module.user_sync }'
            )
        return cls(found[0][_MARK], found[0]["unstarted_queue_url"], found[0].get("reconciliation_state_machine_arn"))

    @classmethod
    def from_terraform(cls, folder: Path) -> Deployment:
        """Of the folder and its selected workspace. Raises NotDeployed."""
        if not folder.is_dir():
            raise NotDeployed(f"{folder} is not a folder")
        try:
            done = subprocess.run(
                ["terraform", "output", "-json"], cwd=folder, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as missing:
            raise NotDeployed(
                "terraform is not installed: give a file with `terraform output -json` by --outputs"
            ) from missing
        if done.returncode != 0:
            raise NotDeployed(f"terraform output failed in {folder}:\n{done.stderr.strip()}")
        return cls.from_outputs(json.loads(done.stdout), f"terraform output in {folder}")

    @classmethod
    def from_file(cls, file: Path) -> Deployment:
        """Of a file that holds what `terraform output -json` printed. Raises NotDeployed."""
        try:
            outputs = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NotDeployed(f"{file} does not hold what `terraform output -json` prints: {error}") from error
        if not isinstance(outputs, dict) or not all(
            isinstance(each, dict) and "value" in each for each in outputs.values()
        ):
            raise NotDeployed(f"{file} does not hold what `terraform output -json` prints")
        return cls.from_outputs(outputs, str(file))

    @property
    def region(self) -> str:
        return self.user_sync_state_machine_arn.split(":")[3]

    @cached_property
    def states(self) -> SFNClient:
        return boto3.client("stepfunctions", region_name=self.region, config=_CONFIG)

    @cached_property
    def queues(self) -> SQSClient:
        return boto3.client("sqs", region_name=self.region, config=_CONFIG)


_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})
