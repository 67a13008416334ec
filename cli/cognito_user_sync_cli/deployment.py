"""What is deployed: the module's outputs, from Terraform or from the deployment's SSM parameter, and AWS clients."""

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
from cognito_user_sync_cli.aws_errors import is_outage, unless_gone

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

# An output that no other module is likely to have, and what its value ends with.
_MARK = "user_sync_state_machine_arn"
_SUFFIX = "-user-sync"

# The parameter of a deployment, by its prefix: modules/deployment_record.
_PARAMETER = "/cognito-user-sync/{}"

# An unavailable service costs a minute at most.
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})


class NotDeployedError(Exception):
    """The module was not found where it was looked for; the message says where, and what to do."""


@dataclass(frozen=True)
class Deployment:
    """The module's outputs that are worked with, under their names."""

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
    """Of the module; None if it comes from outputs."""

    @classmethod
    def from_outputs(cls, outputs: dict[str, Any], source: str) -> Deployment:
        """`outputs` as `terraform output -json` prints them, of the module itself or of a configuration that has an
        output with all of the module's (`output "user_sync" { value = module.user_sync }`). Raises NotDeployedError."""
        values = {name: output["value"] for name, output in outputs.items()}
        candidates = [values, *(value for value in values.values() if isinstance(value, dict))]
        found = [candidate for candidate in candidates if _MARK in candidate]
        if len(found) != 1:
            raise NotDeployedError(
                f"{source} has {len(found)} outputs named {_MARK}: it must have exactly one, its own or one in an"
                ' output such as output "user_sync" { value = module.user_sync }, and be applied in this workspace'
            )
        return cls._from_values(found[0], source)

    @classmethod
    def _from_values(cls, values: dict[str, Any], source: str) -> Deployment:
        if missing := [field.name for field in fields(cls) if field.default is MISSING and field.name not in values]:
            raise NotDeployedError(
                f"{source} has no {', '.join(missing)}: it is of another version of the module than this command."
                " Apply the module's version that this command came with."
            )
        known: dict[str, Any] = {field.name: values.get(field.name) for field in fields(cls)}
        return cls(**known)

    @classmethod
    def from_parameter(cls, prefix: str, region: str | None) -> Deployment:
        """Of the SSM parameter that an apply writes before anything else; no state is needed.

        Args:
            prefix: <name>-<stage>.
            region: None for the region of the environment or the AWS profile.

        Raises:
            NotDeployedError: There is no such parameter, or it is of another version of the module.
        """
        try:
            client = boto3.client("ssm", region_name=region, config=_CONFIG)
        except NoRegionError as error:
            raise NotDeployedError("--prefix needs a region: give --region, or set AWS_REGION") from error
        value = _parameter(client, prefix)
        if value is None:
            raise NotDeployedError(
                f"there is no SSM parameter {_PARAMETER.format(prefix)} in the account of your AWS credentials and"
                f" region {client.meta.region_name}: nothing is deployed there under that name. Give"
                " <name>-<stage> as the prefix"
            )
        return cls.from_record(json.loads(value), f"the SSM parameter {_PARAMETER.format(prefix)}")

    @classmethod
    def from_record(cls, record: dict[str, Any], source: str) -> Deployment:
        """Of what modules/deployment_record writes: outputs, and the short names of the functions."""
        _, partition, _, region, account, _, machine = record[_MARK].split(":")
        prefix = machine.removesuffix(_SUFFIX)
        functions = {name: f"{prefix}-{name}" for name in record["functions"]}
        logs = {name: f"/aws/lambda/{function}" for name, function in functions.items()}
        machines = [record[_MARK], record.get("reconciliation_state_machine_arn")]
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
        """Of the folder and its selected workspace. Raises NotDeployedError."""
        if not folder.is_dir():
            raise NotDeployedError(f"{folder} is not a folder: name the Terraform folder that deployed it")
        try:
            done = subprocess.run(
                ["terraform", "output", "-json", "-no-color"], cwd=folder, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as missing:
            raise NotDeployedError(
                "terraform is not installed: give a file with `terraform output -json` by --outputs"
            ) from missing
        if done.returncode != 0:
            raise NotDeployedError(
                f"terraform output failed in {folder}. Run terraform init there, or use --prefix. Terraform says:\n"
                f"{done.stderr.strip()}"
            )
        return cls.from_outputs(json.loads(done.stdout), f"terraform output in {folder}")

    @classmethod
    def from_file(cls, file: Path) -> Deployment:
        """Of a file that holds what `terraform output -json` printed. Raises NotDeployedError."""
        try:
            outputs = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise NotDeployedError(_no_outputs(file, f" ({error})")) from error
        if not isinstance(outputs, dict) or not all(
            isinstance(each, dict) and "value" in each for each in outputs.values()
        ):
            raise NotDeployedError(_no_outputs(file))
        return cls.from_outputs(outputs, str(file))

    def check(self) -> None:
        """Look whether outputs of Terraform are of something that is deployed.

        An unavailable service is no reason to stop: the commands that need it say so.

        Raises:
            NotDeployedError: The credentials are of another account, or nothing is deployed in this one.
        """
        try:
            account = self._client_of_identity().get_caller_identity()["Account"]
        except (BotoCoreError, ClientError) as error:
            if not is_outage(error):
                raise
            account = self.account
        if account != self.account:
            raise NotDeployedError(
                f"your AWS credentials are of account {account}, but this deployment is in account {self.account}:"
                " set AWS_PROFILE, or log in there"
            )
        try:
            self.states.describe_state_machine(stateMachineArn=self.user_sync_state_machine_arn)
        except self.states.exceptions.StateMachineDoesNotExist:
            if not self._has_parameter():
                raise NotDeployedError(
                    f"there is no {self.prefix}{_SUFFIX} in account {self.account} and region {self.region}: it was"
                    " destroyed, or these outputs are of something else. Use those of a deployment in this account"
                ) from None
        except (BotoCoreError, ClientError):
            pass

    def _has_parameter(self) -> bool:
        """Return whether the deployment is known here: somebody may have deleted the state machine alone."""
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
        """The table, as the environment of a deployed function describes it. Raises NotDeployedError."""
        name = f"{self.prefix}-sync-user"
        with self.environment("sync-user") as variables:
            table = settings.user_table(self.dynamodb, variables)
        if table.layout.user_pool_id != self.user_pool_id:
            raise NotDeployedError(
                f"the outputs name the user pool {self.user_pool_id}, and the function {name} has"
                f" {table.layout.user_pool_id}: use the outputs of the last apply"
            )
        return table

    @contextmanager
    def environment(self, function: str) -> Iterator[dict[str, str]]:
        """Return the environment variables of a function, by its short name.

        Raises NotDeployedError if they cannot be used.
        """
        name = f"{self.prefix}-{function}"
        environment = self.functions.get_function_configuration(FunctionName=name).get("Environment", {})
        try:
            yield environment.get("Variables", {})
        except settings.MissingSettingError as missing:
            # Lambda leaves the variables out if the caller may not decrypt them.
            why = environment.get("Error", {}).get("Message") or (
                f"{missing}. Apply the module's version that this command came with"
            )
            raise NotDeployedError(f"the environment of the function {name} cannot be used: {why}") from missing


def _no_outputs(file: Path, why: str = "") -> str:
    return (
        f"{file} does not hold what `terraform output -json` prints{why}. Write it again, in the Terraform folder that"
        " deployed it"
    )


def _parameter(client: Any, prefix: str) -> str | None:
    answer = unless_gone(lambda: client.get_parameter(Name=_PARAMETER.format(prefix)))
    return None if answer is None else str(answer["Parameter"]["Value"])
