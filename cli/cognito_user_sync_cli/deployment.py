"""What is deployed: the module's outputs, as Terraform tells them, and AWS clients for them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from cognito_user_sync import settings
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import UserTable

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# An output that no other module is likely to have, and what its value ends with.
_MARK = "user_sync_state_machine_arn"
_SUFFIX = "-user-sync"

_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


class NotDeployed(Exception):
    """The module was not found where it was looked for; the message says where, and what to do."""


@dataclass(frozen=True)
class Deployment:
    """The module's outputs that are worked with, under their names."""

    user_pool_id: str
    user_sync_state_machine_arn: str
    post_confirmation_function_arn: str
    unstarted_queue_url: str
    alarm_names: list[str]
    dashboard_url: str
    user_pool_trigger: dict[str, Any]
    log_group_arns: dict[str, str]
    function_arns: dict[str, str]
    changes_queue_url: str | None = None
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
                ' output such as: output "user_sync" { value = module.user_sync }. Was this folder, in this workspace,'
                " applied?"
            )
        if missing := [field.name for field in fields(cls) if field.default is MISSING and field.name not in found[0]]:
            raise NotDeployed(
                f"{source} has no {', '.join(missing)}: it is of another version of the module than this command."
                " Apply the module's version that this command came with."
            )
        known: dict[str, Any] = {field.name: found[0].get(field.name) for field in fields(cls)}
        return cls(**known)

    @classmethod
    def from_terraform(cls, folder: Path) -> Deployment:
        """Of the folder and its selected workspace. Raises NotDeployed."""
        if not folder.is_dir():
            raise NotDeployed(f"{folder} is not a folder")
        try:
            done = subprocess.run(
                ["terraform", "output", "-json", "-no-color"], cwd=folder, capture_output=True, text=True, check=False
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

    def check(self) -> None:
        """Raises NotDeployed where the credentials are of another account, or nothing is deployed in this one."""
        account = self._client_of_identity().get_caller_identity()["Account"]
        if account != self.account:
            raise NotDeployed(
                f"your AWS credentials are of account {account}, but this deployment is in account {self.account}:"
                " set AWS_PROFILE, or log in there"
            )
        try:
            self.states.describe_state_machine(stateMachineArn=self.user_sync_state_machine_arn)
        except self.states.exceptions.StateMachineDoesNotExist:
            raise NotDeployed(
                f"there is no {self.prefix}{_SUFFIX} in account {self.account} and region {self.region}: it was"
                " destroyed, or these outputs are of something else"
            ) from None

    @property
    def region(self) -> str:
        return self.user_sync_state_machine_arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.user_sync_state_machine_arn.split(":")[4]

    @property
    def prefix(self) -> str:
        """What the names of all resources begin with: <name>-<stage>."""
        return self.user_sync_state_machine_arn.rpartition(":")[2].removesuffix(_SUFFIX)

    def _client_of_identity(self) -> STSClient:
        return boto3.client("sts", region_name=self.region, config=_CONFIG)

    @cached_property
    def states(self) -> SFNClient:
        return boto3.client("stepfunctions", region_name=self.region, config=_CONFIG)

    @cached_property
    def queues(self) -> SQSClient:
        return boto3.client("sqs", region_name=self.region, config=_CONFIG)

    @cached_property
    def cognito(self) -> CognitoIdentityProviderClient:
        return boto3.client("cognito-idp", region_name=self.region, config=_CONFIG)

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return boto3.client("dynamodb", region_name=self.region, config=_CONFIG)

    @cached_property
    def alarms(self) -> CloudWatchClient:
        return boto3.client("cloudwatch", region_name=self.region, config=_CONFIG)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return boto3.client("logs", region_name=self.region, config=_CONFIG)

    @cached_property
    def functions(self) -> LambdaClient:
        # pool-trigger may run for 90 s.
        return boto3.client("lambda", region_name=self.region, config=_CONFIG.merge(Config(read_timeout=100)))

    @cached_property
    def scheduler(self) -> Any:
        return boto3.client("scheduler", region_name=self.region, config=_CONFIG)

    @property
    def user_pool(self) -> UserPool:
        return UserPool(self.cognito, self.user_pool_id)

    @cached_property
    def user_table(self) -> UserTable:
        """The table, as the environment of a deployed function describes it. Raises NotDeployed."""
        name = f"{self.prefix}-sync-user"
        environment = self.functions.get_function_configuration(FunctionName=name).get("Environment", {})
        try:
            table = settings.user_table(self.dynamodb, environment.get("Variables", {}))
        except settings.MissingSetting as missing:
            # Lambda leaves the variables out if the caller may not decrypt them.
            why = environment.get("Error", {}).get("Message") or (
                f"{missing}. Apply the module's version that this command came with"
            )
            raise NotDeployed(f"the environment of the function {name} cannot be used: {why}") from missing
        if table.layout.user_pool_id != self.user_pool_id:
            raise NotDeployed(
                f"the outputs name the user pool {self.user_pool_id}, and the function {name} has"
                f" {table.layout.user_pool_id}: use the outputs of the last apply"
            )
        return table
