"""How the command line finds a deployment, its common options, and the messages if there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.main import get_command

from cognito_user_sync_cli.app import app, with_common_options_first
from cognito_user_sync_cli.deployment import Deployment, DeploymentError
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.fake_aws import FakeAws
from tests.samples import POOL_ID, environment

ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:cognito-user-sync-dev-user-sync"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/cognito-user-sync-dev-retry"
OUTPUTS: dict[str, Any] = {
    "user_pool_id": "eu-west-1_AbCdEfGhI",
    "user_table_name": "cognito-user-sync-dev-users",
    "user_sync_state_machine_arn": ARN,
    "post_confirmation_function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:cognito-user-sync-dev-x",
    "retry_queue_url": QUEUE,
    "alarm_names": [],
    "function_arns": {},
    "log_group_arns": {},
    "dashboard_url": "https://example.com",
    "user_pool_trigger": {"attached_function_arn": None, "chained_function_arn": None},
    "user_table_stream_arn": None,
}
CLI = Path(__file__).parents[2] / "cli"


def terraform_outputs(**outputs: Any) -> dict[str, Any]:
    return {name: {"sensitive": False, "type": "string", "value": value} for name, value in outputs.items()}


@pytest.mark.parametrize(
    "outputs",
    [OUTPUTS, {"user_sync": OUTPUTS}, {"user_pool_id": "eu-west-1_AbCdEfGhI", "user_sync": OUTPUTS}],
    ids=["of-a-clone", "of-a-configuration", "among-others"],
)
def test_from_file_finds_outputs_of_module(tmp_path: Path, outputs: dict[str, Any]) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(terraform_outputs(**outputs)))
    deployment = Deployment.from_file(file)
    known = {name: value for name, value in OUTPUTS.items() if name != "user_table_stream_arn"}
    assert deployment == Deployment(**known)
    assert (deployment.region, deployment.account) == ("eu-west-1", "123456789012")
    assert deployment.prefix == "cognito-user-sync-dev"


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "has 0 outputs named user_sync_state_machine_arn"),
        ({"one": OUTPUTS, "two": OUTPUTS}, "has 2 outputs named"),
    ],
    ids=["none", "two"],
)
def test_from_file_rejects_none_or_several_deployments(tmp_path: Path, outputs: dict[str, Any], message: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(terraform_outputs(**outputs)))
    with pytest.raises(DeploymentError, match=message):
        Deployment.from_file(file)


def test_from_file_rejects_outputs_of_another_version(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    older = {name: value for name, value in OUTPUTS.items() if name not in ("alarm_names", "dashboard_url")}
    file.write_text(json.dumps(terraform_outputs(**older)))
    with pytest.raises(
        DeploymentError, match="has no alarm_names, dashboard_url: it is from another version of the module"
    ):
        Deployment.from_file(file)


def test_user_table_has_settings_of_deployed_function(aws: FakeAws) -> None:
    known = {name: value for name, value in OUTPUTS.items() if name != "user_table_stream_arn"}
    variables = environment(DELETED_USERS="mark", RETENTION_DAYS="30")
    aws.on("lambda.GetFunctionConfiguration", Response({"Environment": {"Variables": variables}}))
    table = Deployment(**known | {"user_pool_id": POOL_ID}).user_table
    assert (table.name, table.layout.attributes, table.deletion.retention_days) == ("users", ("name", "email"), 30)
    assert "/functions/cognito-user-sync-dev-sync-user/" in aws.calls[0].path


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ({}, "environment variable USER_TABLE is not set. Apply the version of the module that this command is from"),
        ({"Environment": {"Variables": {"USER_TABLE_NAME": "users"}}}, "environment variable USER_TABLE is not set"),
        (
            {"Environment": {"Error": {"ErrorCode": "AccessDeniedException", "Message": "no kms:Decrypt"}}},
            "no kms:Decrypt",
        ),
    ],
    ids=["no environment", "older version", "not decrypted"],
)
def test_user_table_reports_unusable_environment(aws: FakeAws, configuration: dict[str, Any], why: str) -> None:
    known = {name: value for name, value in OUTPUTS.items() if name != "user_table_stream_arn"}
    aws.on("lambda.GetFunctionConfiguration", Response(configuration))
    with pytest.raises(
        DeploymentError, match=f"the environment of the function cognito-user-sync-dev-sync-user .*{why}"
    ):
        _ = Deployment(**known).user_table


# --- without Terraform's state

RECORD = {
    **{name: value for name, value in OUTPUTS.items() if name not in ("function_arns", "log_group_arns")},
    "reconciliation_state_machine_arn": ARN.replace("user-sync-dev-user-sync", "user-sync-dev-reconciliation"),
    "functions": ["sync-user"],
    "version": "1.2.3",
}
PREFIX = "cognito-user-sync-dev"


def test_from_parameter_needs_no_state(aws: FakeAws) -> None:
    aws.on("ssm.GetParameter", Response({"Parameter": {"Value": json.dumps(RECORD)}}))
    deployment = Deployment.from_parameter(PREFIX, "eu-west-1")
    assert aws.calls[0].body == {"Name": "/cognito-user-sync/cognito-user-sync-dev"}
    assert (deployment.prefix, deployment.region, deployment.version) == (PREFIX, "eu-west-1", "1.2.3")
    place = "eu-west-1:123456789012"
    assert deployment.function_arns == {"sync-user": f"arn:aws:lambda:{place}:function:{PREFIX}-sync-user"}
    logs = f"arn:aws:logs:{place}:log-group"
    assert deployment.log_group_arns == {
        "sync-user": f"{logs}:/aws/lambda/{PREFIX}-sync-user",
        "user-sync": f"{logs}:/aws/vendedlogs/states/{PREFIX}-user-sync",
        "reconciliation": f"{logs}:/aws/vendedlogs/states/{PREFIX}-reconciliation",
    }


def test_from_parameter_reports_region_of_environment(aws: FakeAws) -> None:
    aws.on("ssm.GetParameter", error_response("ParameterNotFound"))
    with pytest.raises(
        DeploymentError, match="the SSM parameter /cognito-user-sync/dev does not exist .* region eu-central-1"
    ):
        Deployment.from_parameter("dev", None)


def test_from_parameter_rejects_another_version(aws: FakeAws) -> None:
    record = {name: value for name, value in RECORD.items() if name != "alarm_names"}
    aws.on("ssm.GetParameter", Response({"Parameter": {"Value": json.dumps(record)}}))
    with pytest.raises(DeploymentError, match="the SSM parameter .* has no alarm_names: it is from another version"):
        Deployment.from_parameter(PREFIX, "eu-west-1")


def test_prefix_needs_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    done = cognito_user_sync("--prefix", "dev", "status")
    assert (done.returncode, done.stderr) == (
        2,
        "Error: --prefix needs a region: add --region, or set AWS_REGION\n",
    )


def test_region_is_rejected_without_prefix() -> None:
    done = cognito_user_sync("--region", "eu-west-1", "status")
    assert done.returncode == 2
    assert "only allowed with --prefix" in done.stderr


# --- outputs of a deployment that may not exist


@pytest.fixture
def deployment(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    aws.on("sts.GetCallerIdentity", Response(identity("123456789012")))
    aws.on("sfn.DescribeStateMachine", Response({}))
    return Deployment.from_outputs(terraform_outputs(**OUTPUTS), "a test")


def identity(account: str) -> bytes:
    """Return the answer of GetCallerIdentity."""
    result = f"<GetCallerIdentityResult><Account>{account}</Account></GetCallerIdentityResult>"
    return f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode()


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("sts.GetCallerIdentity", EndpointConnectionError(endpoint_url="https://sts")),
        ("sfn.DescribeStateMachine", EndpointConnectionError(endpoint_url="https://states")),
        ("sfn.DescribeStateMachine", error_response("InternalFailure", 500)),
        ("sfn.DescribeStateMachine", error_response("AccessDeniedException")),
    ],
)
def test_check_passes_in_outage(aws: FakeAws, deployment: Deployment, operation: str, answer: Answer) -> None:
    aws.on(operation, answer)
    deployment.check()


def test_check_reports_another_account(aws: FakeAws, deployment: Deployment) -> None:
    aws.on("sts.GetCallerIdentity", Response(identity("210987654321")))
    with pytest.raises(
        DeploymentError, match="for account 210987654321, but this deployment is in account 123456789012"
    ):
        deployment.check()


@pytest.mark.parametrize("answer", [error_response("ParameterNotFound"), error_response("AccessDeniedException")])
def test_check_reports_missing_deployment(aws: FakeAws, deployment: Deployment, answer: Answer) -> None:
    aws.on("sfn.DescribeStateMachine", error_response("StateMachineDoesNotExist"))
    aws.on("ssm.GetParameter", answer)
    with pytest.raises(DeploymentError, match="cognito-user-sync-dev-user-sync does not exist in account 123456789012"):
        deployment.check()


def test_check_passes_when_only_state_machine_is_missing(aws: FakeAws, deployment: Deployment) -> None:
    aws.on("sfn.DescribeStateMachine", error_response("StateMachineDoesNotExist"))
    aws.on("ssm.GetParameter", Response({"Parameter": {"Value": "{}"}}))
    deployment.check()


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": {"b": 1}}'])
def test_from_file_rejects_other_content(tmp_path: Path, content: str) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(content)
    with pytest.raises(DeploymentError, match=r"outputs\.json is not the output of `terraform output -json`"):
        Deployment.from_file(file)


def test_from_terraform_rejects_folder_without_deployment(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="has 0 outputs"):
        Deployment.from_terraform(tmp_path)


def test_from_terraform_reports_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="missing is not a folder"):
        Deployment.from_terraform(tmp_path / "missing")


def test_from_terraform_reports_missing_terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeploymentError, match="terraform is not installed"):
        Deployment.from_terraform(tmp_path)


def cognito_user_sync(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cognito_user_sync_cli", *arguments],
        env={**os.environ, "PYTHONPATH": f"{CLI}{os.pathsep}{CLI.parent / 'lambda_src'}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_command_exits_2_without_deployment(tmp_path: Path) -> None:
    done = cognito_user_sync("--chdir", str(tmp_path), "failures")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"Error: terraform output in {tmp_path} has 0 outputs")
    assert "Traceback" not in done.stderr


def test_command_exits_2_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(terraform_outputs(**OUTPUTS)))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    done = cognito_user_sync("--outputs", str(file), "failures")
    assert done.returncode == 2
    assert done.stderr.startswith("No AWS credentials: set AWS_PROFILE or ")
    assert done.stderr.count("\n") == 1


def test_help_needs_no_deployment() -> None:
    done = cognito_user_sync("failures", "redrive", "--help")
    assert done.returncode == 0
    assert "--all" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("status --chdir x", "--chdir x status"),
        ("failures redrive --outputs x --all", "--outputs x failures redrive --all"),
        ("user ada --prefix=x --region y --sync", "--prefix=x --region y user ada --sync"),
        ("user -- --chdir x", "user -- --chdir x"),
        ("status --help --chdir", "--chdir status --help"),
    ],
)
def test_common_options_are_accepted_at_any_position(arguments: str, expected: str) -> None:
    assert with_common_options_first(arguments.split(), get_command(app).params) == expected.split()


def test_common_options_are_not_options_of_a_command() -> None:
    """The command would not get it."""

    def options(command: Any) -> set[str]:
        below = getattr(command, "commands", {}).values()
        own = {name for each in command.params if each.param_type_name == "option" for name in each.opts}
        return own.union(*map(options, below))

    group: Any = get_command(app)
    of_all = {name for each in group.params if each.param_type_name == "option" for name in each.opts}
    assert {"--chdir", "--prefix"} <= of_all
    assert not of_all & set().union(*map(options, group.commands.values()))
