"""A deployment: the module's outputs, from Terraform or the SSM parameter of the deployment, and AWS clients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from cognito_user_sync import settings
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import UserTable
from cognito_user_sync_cli.aws_errors import is_outage, none_if_missing

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

# The output that identifies this module, and the suffix of its value.
_STATE_MACHINE = "user_sync_state_machine_arn"
_SUFFIX = "-user-sync"

# The SSM parameter of a deployment, by its prefix. modules/deployment_record creates it.
_PARAMETER = "/cognito-user-sync/{}"

# An unavailable service delays a command by at most a minute.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})


class DeploymentError(Exception):
    """The deployment was not found, or lacks what the command needs. The message has the reason and what to do."""


@dataclass(frozen=True)
class Deployment:
    """The outputs of the module that the commands need, by their names, and the AWS clients of the deployment."""

    user_pool_id: str
    user_table_name: str
    user_sync_state_machine_arn: str
    post_confirmation_function_arn: str
    retry_queue_url: str
    alarm_names: list[str]
    dashboard_url: str
    user_pool_trigger: dict[str, Any]
    function_arns: dict[str, str]
    log_group_arns: dict[str, str]
    changes_queue_url: str | None = None
    reconciliation_state_machine_arn: str | None = None
    reconciliation_schedule_arn: str | None = None
    version: str | None = None
    """Version of the module. None if the deployment was read from outputs."""

    @classmethod
    def from_outputs(cls, outputs: dict[str, Any], source: str) -> Deployment:
        """Read the output of `terraform output -json`.

        The outputs are those of the module, or of a configuration with one output that has all outputs of the module:
        `output "user_sync" { value = module.user_sync }`.

        Args:
            outputs: The parsed JSON.
            source: Where the outputs are from, for messages.

        Raises:
            DeploymentError: There are no such outputs, or those of more than one deployment.
        """
        values = {name: output["value"] for name, output in outputs.items()}
        candidates = [values, *(value for value in values.values() if isinstance(value, dict))]
        found = [candidate for candidate in candidates if _STATE_MACHINE in candidate]
        if len(found) != 1:
            raise DeploymentError(
                f"{source} has {len(found)} outputs named {_STATE_MACHINE}: it must have exactly one, directly or in an"
                ' output such as output "user_sync" { value = module.user_sync }, and be applied in this workspace.'
                " terraform workspace list shows all"
            )
        return cls._from_values(found[0], source)

    @classmethod
    def _from_values(cls, values: dict[str, Any], source: str) -> Deployment:
        if missing := [field.name for field in fields(cls) if field.default is MISSING and field.name not in values]:
            raise DeploymentError(
                f"{source} has no {', '.join(missing)}: it is from another version of the module than this command."
                " Apply the version of the module that this command is from"
            )
        known: dict[str, Any] = {field.name: values.get(field.name) for field in fields(cls)}
        return cls(**known)

    @classmethod
    def from_parameter(cls, prefix: str, region: str | None) -> Deployment:
        """Read the SSM parameter of a deployment, which an apply writes first. This needs no Terraform state.

        Args:
            prefix: <name>-<stage>.
            region: None for the region of the environment or the AWS profile.

        Raises:
            DeploymentError: There is no such parameter, or it is from another version of the module.
        """
        try:
            client = boto3.client("ssm", region_name=region, config=_CONFIG)
        except NoRegionError as error:
            raise DeploymentError("--prefix needs a region: add --region, or set AWS_REGION") from error
        value = _parameter(client, prefix)
        if value is None:
            raise DeploymentError(
                f"the SSM parameter {_PARAMETER.format(prefix)} does not exist in the account of your AWS credentials"
                f" and region {client.meta.region_name}: there is no deployment of this name. The prefix must be"
                " <name>-<stage>"
            )
        return cls.from_record(json.loads(value), f"the SSM parameter {_PARAMETER.format(prefix)}")

    @classmethod
    def from_record(cls, record: dict[str, Any], source: str) -> Deployment:
        """Read what modules/deployment_record writes: outputs, and the short names of the functions."""
        _, partition, _, region, account, _, machine = record[_STATE_MACHINE].split(":")
        prefix = machine.removesuffix(_SUFFIX)
        functions = {name: f"{prefix}-{name}" for name in record["functions"]}
        logs = {name: f"/aws/lambda/{function}" for name, function in functions.items()}
        machines = [record[_STATE_MACHINE], record.get("reconciliation_state_machine_arn")]
        for name in [arn.rpartition(":")[2] for arn in machines if arn]:
            logs[name.removeprefix(f"{prefix}-")] = f"/aws/vendedlogs/states/{name}"
        place = f"{region}:{account}"
        derived = {
            "function_arns": {
                name: f"arn:{partition}:lambda:{place}:function:{function}" for name, function in functions.items()
            },
            "log_group_arns": {name: f"arn:{partition}:logs:{place}:log-group:{group}" for name, group in logs.items()},
        }
        return cls._from_values(record | derived, source)

    @classmethod
    def from_terraform(cls, folder: Path) -> Deployment:
        """Read the outputs of a Terraform folder and its selected workspace. Raises DeploymentError."""
        if not folder.is_dir():
            raise DeploymentError(f"{folder} is not a folder: it must be the Terraform folder of the deployment")
        try:
            done = subprocess.run(
                ["terraform", "output", "-json", "-no-color"], cwd=folder, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as missing:
            raise DeploymentError(
                "terraform is not installed: install it, or use --outputs with a file from `terraform output -json`"
            ) from missing
        if done.returncode != 0:
            raise DeploymentError(
                f"terraform output failed in {folder}. Run terraform init there, or use --prefix. Terraform's error:\n"
                f"{done.stderr.strip()}"
            )
        return cls.from_outputs(json.loads(done.stdout), f"terraform output in {folder}")

    @classmethod
    def from_file(cls, file: Path) -> Deployment:
        """Read a file with the output of `terraform output -json`. Raises DeploymentError."""
        try:
            outputs = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DeploymentError(_no_outputs(file, f" ({error})")) from error
        if not isinstance(outputs, dict) or not all(
            isinstance(each, dict) and "value" in each for each in outputs.values()
        ):
            raise DeploymentError(_no_outputs(file))
        return cls.from_outputs(outputs, str(file))

    def check(self) -> None:
        """Check that the outputs belong to a deployment in the account of the AWS credentials.

        An unavailable service is ignored here: the commands that need it report it.

        Raises:
            DeploymentError: The credentials are of another account, or the deployment does not exist.
        """
        try:
            account = self._client_of_identity().get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            if not is_outage(error):
                raise
            account = self.account
        if account != self.account:
            raise DeploymentError(
                f"your AWS credentials are for account {account}, but this deployment is in account {self.account}:"
                " set AWS_PROFILE, or log in to that account"
            )
        try:
            self.states.describe_state_machine(stateMachineArn=self.user_sync_state_machine_arn)
        except self.states.exceptions.StateMachineDoesNotExist:
            if not self._has_parameter():
                raise DeploymentError(
                    f"the state machine {self.prefix}{_SUFFIX} does not exist in account {self.account} and region"
                    f" {self.region}: the deployment was destroyed, or these outputs are from another one. Use the"
                    " outputs of a deployment in this account"
                ) from None
        except (BotoCoreError, ClientError):
            pass

    def _has_parameter(self) -> bool:
        """Return whether the SSM parameter exists: then only the state machine was deleted."""
        try:
            client = boto3.client("ssm", region_name=self.region, config=_CONFIG)
            return _parameter(client, self.prefix) is not None
        except (BotoCoreError, ClientError):
            return False

    @property
    def region(self) -> str:
        return self.user_sync_state_machine_arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.user_sync_state_machine_arn.split(":")[4]

    @property
    def prefix(self) -> str:
        """Prefix of the names of all resources: <name>-<stage>."""
        return self.user_sync_state_machine_arn.rpartition(":")[2].removesuffix(_SUFFIX)

    @property
    def user_events_dead_letter_queue_url(self) -> str | None:
        """URL of the dead-letter queue of events about users. None without user_events."""
        if "publish-user-events" not in self.function_arns:
            return None
        return f"{self.retry_queue_url.removesuffix('retry')}user-events-dead-letter"

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

    def ses(self, region: str) -> SESV2Client:
        return boto3.client("sesv2", region_name=region, config=_CONFIG)

    @cached_property
    def scheduler(self) -> Any:
        return boto3.client("scheduler", region_name=self.region, config=_CONFIG)

    @cached_property
    def iam(self) -> Any:
        return boto3.client("iam", region_name=self.region, config=_CONFIG)

    @cached_property
    def events(self) -> Any:
        return boto3.client("events", region_name=self.region, config=_CONFIG)

    @property
    def user_pool(self) -> UserPool:
        return UserPool(self.cognito, self.user_pool_id)

    @cached_property
    def user_table(self) -> UserTable:
        """The table, as the environment of the function sync-user describes it. Raises DeploymentError."""
        name = f"{self.prefix}-sync-user"
        with self.environment("sync-user") as variables:
            table = settings.user_table(self.dynamodb, variables)
        if table.layout.user_pool_id != self.user_pool_id:
            raise DeploymentError(
                f"the outputs have the user pool {self.user_pool_id}, but the function {name} has"
                f" {table.layout.user_pool_id}: use the outputs of the last apply"
            )
        return table

    @contextmanager
    def environment(self, function: str) -> Iterator[dict[str, str]]:
        """Return the environment variables of a function, by its short name.

        Raises:
            DeploymentError: The variables cannot be decrypted, or the block does not find one that it needs.
        """
        name = f"{self.prefix}-{function}"
        environment = self.functions.get_function_configuration(FunctionName=name).get("Environment", {})
        try:
            yield environment.get("Variables", {})
        except settings.MissingSettingError as missing:
            # Without permission to decrypt the variables, Lambda returns an error in place of them.
            reason = environment.get("Error", {}).get("Message") or (
                f"{missing}. Apply the version of the module that this command is from"
            )
            raise DeploymentError(f"the environment of the function {name} cannot be used: {reason}") from missing


def cognito_of(pool_id: str) -> CognitoIdentityProviderClient:
    """Return a client for the region of a pool."""
    return boto3.client("cognito-idp", region_name=pool_id.partition("_")[0], config=_CONFIG)


def _no_outputs(file: Path, reason: str = "") -> str:
    return (
        f"{file} is not the output of `terraform output -json`{reason}. Write the file again, in the Terraform folder"
        " of the deployment"
    )


def _parameter(client: Any, prefix: str) -> str | None:
    answer = none_if_missing(lambda: client.get_parameter(Name=_PARAMETER.format(prefix)))
    return None if answer is None else str(answer["Parameter"]["Value"])
