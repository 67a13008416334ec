"""Helpers for tests that deploy the module with Terraform, to an existing user pool on the local AWS."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from typer.testing import CliRunner, Result

from cognito_user_sync_cli import terminal
from cognito_user_sync_cli.app import app as command_line
from local_aws.client import LocalAws, Mail
from local_aws.offline.provider_processes import (
    RARELY_COLLECTED,
    REATTACH_VARIABLE,
    running_archive_provider,
    running_providers,
    with_addresses,
)
from local_aws.offline.terraform_providers import terraform_environment
from local_aws.resources import let_pool_invoke
from tests import permissions

SENDER = "welcome@example.com"
PASSWORD = "Correct-horse-1"
SIGN_UP_CODE = "123456"  # the emulator's
RESET_CODE = "654321"

# A mark in the username and every attribute of the users in these tests. It is personal data, which no log, error or
# output of the module may show. Only in a username, a hyphen follows it.
CANARY = "canary"
CANARY_PHONE = "+15550142857"
_ATTRIBUTE_VALUE = re.compile(rf"{CANARY}(?!-)|@example\.com|{re.escape(CANARY_PHONE)}")

# The deployment whose calls IAM denies in tests: test_least_privilege.py.
STAGE_WITH_DENIALS = "denials"

# The standard attributes that no test sets.
_OTHER_ATTRIBUTES = (
    "address", "birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "nickname", "picture",
    "preferred_username", "profile", "website", "zoneinfo",
)  # fmt: skip

ROOT = Path(__file__).parents[1]
DEPLOYMENT = ROOT / "tests" / "integration" / "deployment"

Answer = TypeVar("Answer")


@contextmanager
def running_local_aws() -> Iterator[LocalAws]:
    """Run a local AWS. The environment of this process, and so of Terraform, contains only its endpoint."""
    with LocalAws.started() as started, pytest.MonkeyPatch.context() as patch, ExitStack() as providers:
        for name in list(os.environ):
            if name.startswith(("AWS_", "TF_VAR_", "TF_CLI_ARGS")):
                patch.delenv(name)
        for name, value in {**terraform_environment(), **started.environment(), **RARELY_COLLECTED}.items():
            patch.setenv(name, value)
        for name, value in providers.enter_context(running_providers(os.environ)).items():
            patch.setenv(name, value)
        started.client("sesv2").create_email_identity(EmailIdentity=SENDER)
        providers.callback(archive_provider_in.cache_clear)
        providers.callback(_ARCHIVE_PROVIDERS.close)
        yield started


def assert_calls_are_documented(aws: LocalAws) -> None:
    """Fail if a function has made a call that its role does not allow, or that docs/security.md does not list."""
    documented = {(permission.role, permission.action) for permission in permissions.table()}
    for each in aws.permissions():
        if is_of_module(each["role"]):
            assert each["allowed"] or f"-{STAGE_WITH_DENIALS}-" in each["role"], each
            assert any(each["role"].endswith(f"-{role}") and each["action"] == action for role, action in documented), (
                f"not in docs/security.md: {each}"
            )


def is_of_module(name: str) -> bool:
    """Return whether a function or role is of the module. The names of those that tests create start with "their"."""
    return not name.startswith("their")


def assert_no_personal_data(what: str, text: str) -> None:
    """Fail if a text has personal data, also if a table breaks it into several lines."""
    unbroken = re.sub(r"[\s│┃]", "", text.lower())
    assert not [mark for mark in (CANARY, CANARY_PHONE) if mark in unbroken], f"{what} has personal data: {text}"


def assert_logs_have_no_personal_data(aws: LocalAws) -> None:
    """Fail if a function of the module has logged personal data."""
    for function, lines in aws.logs().items():
        if is_of_module(function):
            for line in lines:
                assert_no_personal_data(f"the log of {function}", line)


def assert_requests_have_no_attributes(aws: LocalAws) -> None:
    """Fail if a request has an attribute of a user other than the sub and username.

    Requests are in the messages of queues, and in the input, output, history and status-change events of executions.
    """
    for where, texts in aws.data().items():
        if is_of_module(where.rpartition(" ")[2]):
            for text in texts:
                found = _ATTRIBUTE_VALUE.search(text.lower().replace(SENDER, ""))
                assert not found, f"an attribute of a user is in the {where}: {text}"


def assert_alarms_have_no_personal_data(aws: LocalAws) -> None:
    """Fail if the definition or state of an alarm has personal data."""
    for page in aws.client("cloudwatch").get_paginator("describe_alarms").paginate():
        for alarm in page["MetricAlarms"]:
            assert_no_personal_data("an alarm", str(alarm))


def eventually(question: Callable[[], Answer | None], seconds: float = 60, pause: float = 0.05) -> Answer:
    """Call `question` every `pause` seconds, and return its first true answer. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(pause)
    return answer


@dataclass(frozen=True)
class Pool:
    """An existing user pool with an app client."""

    aws: LocalAws
    id: str
    client_id: str
    cognito: Any = field(repr=False)

    def sign_up(self, username: str, **attributes: str) -> str:
        """Sign up without confirmation, with all standard attributes. Returns the sub."""
        others = {name: f"{CANARY} {name}" for name in _OTHER_ATTRIBUTES} | {"phone_number": CANARY_PHONE}
        given = [{"Name": name.replace("__", ":"), "Value": value} for name, value in {**others, **attributes}.items()]
        answer = self.cognito.sign_up(
            ClientId=self.client_id, Username=username, Password=PASSWORD, UserAttributes=given
        )
        return str(answer["UserSub"])

    def confirm(self, username: str) -> None:
        self.cognito.confirm_sign_up(ClientId=self.client_id, Username=username, ConfirmationCode=SIGN_UP_CODE)

    def reset_password(self, username: str) -> None:
        self.cognito.forgot_password(ClientId=self.client_id, Username=username)
        self.cognito.confirm_forgot_password(
            ClientId=self.client_id, Username=username, ConfirmationCode=RESET_CODE, Password=PASSWORD + "x"
        )

    def configuration(self) -> dict[str, Any]:
        """Return the settings of the pool."""
        pool = dict(self.cognito.describe_user_pool(UserPoolId=self.id)["UserPool"])
        for fact in ("LastModifiedDate", "EstimatedNumberOfUsers"):
            pool.pop(fact, None)
        # The deprecated name of TemporaryPasswordValidityDays. AWS derives it, the emulator stores what it receives.
        pool["AdminCreateUserConfig"] = {
            name: value
            for name, value in pool.get("AdminCreateUserConfig", {}).items()
            if name != "UnusedAccountValidityDays"
        }
        mfa = self.cognito.get_user_pool_mfa_config(UserPoolId=self.id)
        mfa.pop("ResponseMetadata")
        return {"pool": pool, "mfa": mfa}


class SignUps:
    """Users that sign up and confirm, one after the other, during a change. `failures` are the errors that they see."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.subs: list[str] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> SignUps:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # With a pause, to leave processor time to the change.
        while not self._stop.wait(0.1):
            username = f"{CANARY}-{uuid.uuid4().hex[:12]}"
            try:
                self.subs.append(self.pool.sign_up(username, email=f"{username}@example.com"))
                self.pool.confirm(username)
            except (ClientError, BotoCoreError) as error:
                self.failures.append(str(error))


def running_providers_for(folder: Path) -> dict[str, str]:
    """Return the variable with which commands in `folder` use the running providers, if there are any.

    Terraform creates zips in `folder`, where it runs. A running AWS provider reads them where this process runs.
    """
    if REATTACH_VARIABLE not in os.environ:
        return {}
    zips = Path(".terraform", "cognito-user-sync")
    if not (folder / zips).exists():
        zips.mkdir(parents=True, exist_ok=True)
        (folder / zips).parent.mkdir(exist_ok=True)
        (folder / zips).symlink_to(zips.resolve())
    return with_addresses(os.environ[REATTACH_VARIABLE], archive_provider_in(folder))


@functools.cache
def archive_provider_in(folder: Path) -> dict[str, object]:
    """Start an archive provider that runs as long as the local AWS, and return its address."""
    return _ARCHIVE_PROVIDERS.enter_context(running_archive_provider(os.environ, folder))


_ARCHIVE_PROVIDERS = ExitStack()


@dataclass(frozen=True)
class Terraform:
    """Terraform in `folder`, with its state in `state` and its data directory in `work`."""

    folder: Path
    work: Path
    state: Path

    @classmethod
    def of_copy(cls, configuration: Path, folder: Path) -> Self:
        """Copy a configuration that uses this module to another folder, and initialize it."""
        folder = folder.resolve()
        source = os.path.relpath(ROOT, folder)
        copied, count = re.subn(r'source = "[./]+"', f'source = "{source}"', (configuration / "main.tf").read_text())
        assert count == 1
        (folder / "main.tf").write_text(copied)
        terraform = cls(folder, folder / "data", folder / "terraform.tfstate")
        terraform("init")
        return terraform

    def __call__(
        self, command: str, *arguments: str, variables: Mapping[str, str] | None = None, expect: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command. Fails the test unless its exit status is `expect`.

        The output has no line breaks and frames, so that tests find whole sentences in it.
        """
        given = [f"-var={name}={value}" for name, value in (variables or {}).items()]
        stateful = [] if command == "init" else [f"-state={self.state}"]
        done = self._run(command, "-input=false", "-no-color", *stateful, *given, *arguments)
        assert done.returncode == expect, done.stdout + done.stderr
        assert_no_personal_data(f"terraform {command}", done.stdout + done.stderr)
        # Terraform's flag above is also deprecated.
        assert "deprecated" not in (done.stdout + done.stderr).lower().replace("deprecated flag: -state", "")
        done.stdout, done.stderr = (" ".join(stream.replace("│", " ").split()) for stream in (done.stdout, done.stderr))
        return done

    def forget(self, address: str) -> None:
        """Remove a resource from the state."""
        done = self._run("state", "rm", f"-state={self.state}", address)
        assert done.returncode == 0, done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            # Functions have deadlines, so they have priority.
            ["nice", "-n", "5", "terraform", *arguments],
            cwd=self.folder,
            env={**os.environ, **running_providers_for(self.folder), "TF_DATA_DIR": str(self.work)},
            capture_output=True,
            text=True,
            check=False,
        )

    def warnings(self, variables: Mapping[str, str] | None = None) -> str:
        """Return the warnings of `check` blocks in a plan, which must have no changes."""
        planned = self("plan", "-detailed-exitcode", variables=variables)
        return "".join(planned.stdout.partition("Warning: Check block")[1:])

    def outputs(self) -> dict[str, Any]:
        state = json.loads(self.state.read_text())
        return {name: output["value"] for name, output in state["outputs"].items()}


@dataclass(frozen=True)
class Deployment:
    """A deployment of the module, by its outputs."""

    aws: LocalAws
    outputs: dict[str, Any]
    # The subs of the executions that were read, by ARN.
    _subs: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def item(self, sub: str) -> dict[str, Any] | None:
        answer = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True
        )
        return {name: next(iter(value.values())) for name, value in answer.get("Item", {}).items()} or None

    def executions(self, sub: str) -> list[dict[str, Any]]:
        """Return the user's executions with their parsed input, newest first."""
        states = self.aws.client("stepfunctions")
        arn = self.outputs["user_sync_state_machine_arn"]
        found = []
        for execution in states.list_executions(stateMachineArn=arn, maxResults=1000)["executions"]:
            if self._subs.get(execution["executionArn"], sub) == sub:
                described = _described(states, execution["executionArn"])
                described["request"] = json.loads(described["input"])
                self._subs[execution["executionArn"]] = described["request"]["sub"]
                if described["request"]["sub"] == sub:
                    found.append(described)
        return found

    def settled(self, sub: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the user's `count` executions when none of them runs any more."""

        def all_ended() -> list[dict[str, Any]] | None:
            found = self.executions(sub)
            ended = len(found) == count and all(execution["status"] != "RUNNING" for execution in found)
            return found if ended else None

        return eventually(all_ended)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs of the reconciliation, newest first."""
        states = self.aws.client("stepfunctions")
        arn = self.outputs["reconciliation_state_machine_arn"]
        listed = states.list_executions(stateMachineArn=arn)["executions"]
        return [_described(states, execution["executionArn"]) for execution in listed]

    def reconcile(self, **given: Any) -> dict[str, Any]:
        """Start a run with this input, and return it with its parsed output, or its cause if it failed."""
        states = self.aws.client("stepfunctions")
        arn = self.outputs["reconciliation_state_machine_arn"]
        started = states.start_execution(stateMachineArn=arn, input=json.dumps(given))
        execution = self.ended(started["executionArn"])
        text = execution.get("output") or execution.get("cause", "")
        return {**execution, "summary": json.loads(text)}

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """Return the execution when it does not run any more."""
        states = self.aws.client("stepfunctions")

        def is_over() -> dict[str, Any] | None:
            described = _described(states, execution_arn)
            return described if described["status"] != "RUNNING" else None

        return eventually(is_over, seconds=120)

    def functions(self) -> list[str]:
        """Return the names of the existing functions of this deployment."""
        prefix = self.outputs["user_table_name"].removesuffix("users")
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        names = [function["FunctionName"] for page in pages for function in page["Functions"]]
        return [name for name in names if name.startswith(prefix)]

    def welcomes_to(self, address: str) -> list[Mail]:
        """Return the welcome emails to an address, without Cognito's emails with codes."""
        return [mail for mail in self.aws.outbox() if address in mail.to and SENDER in mail.source]


def _described(states: Any, execution_arn: str) -> dict[str, Any]:
    described: dict[str, Any] = states.describe_execution(executionArn=execution_arn)
    assert_no_personal_data("an execution's error", f"{described.get('error')}: {described.get('cause')}")
    return described


@dataclass(frozen=True)
class Operator:
    """Runs `cognito-user-sync` for a deployment, on a terminal with this number of columns.

    Attributes:
        outputs: The file with the outputs of the deployment.
        columns: The width of the terminal.
    """

    outputs: Path
    columns: int = 200

    @classmethod
    def of(cls, deployment: Deployment, folder: Path) -> Operator:
        outputs = folder / "outputs.json"
        outputs.write_text(json.dumps({"user_sync": {"value": deployment.outputs}}))
        return cls(outputs)

    def __call__(self, *arguments: str, expect: int | None = 0) -> str:
        """Return the output without the line that names the deployment."""
        result = self.run(*arguments)
        assert expect in (None, result.exit_code), result.output
        output = result.stdout if "--json" in arguments else result.output
        return re.sub(r"\A\S+ in account \d+, \S+\n", "", output)

    def run(self, *arguments: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            # An earlier test in this process may have used other credentials.
            credentials = boto3.DEFAULT_SESSION and boto3.DEFAULT_SESSION.get_credentials()
            if credentials and credentials.access_key != os.environ.get("AWS_ACCESS_KEY_ID"):
                boto3.DEFAULT_SESSION = None
            for console in (terminal.stdout, terminal.stderr):
                patch.setattr(console, "width", self.columns)
            result = CliRunner().invoke(command_line, ["--outputs", str(self.outputs), *arguments])
        # These commands show a user's data, or a message with a username, on purpose.
        if arguments[0] not in {"user", "preview-email"} and arguments[:2] != ("failures", "show"):
            assert_no_personal_data(arguments[0], result.output)
        return result


def make_pool(aws: LocalAws, triggers: dict[str, str] | None = None) -> Pool:
    """Create a pool with settings that the module must not change."""
    cognito = aws.client("cognito-idp")
    made = cognito.create_user_pool(
        PoolName="existing",
        AutoVerifiedAttributes=["email"],
        LambdaConfig=triggers or {},
        MfaConfiguration="OFF",
        Policies={
            "PasswordPolicy": {
                "MinimumLength": 10,
                "RequireNumbers": True,
                "RequireUppercase": True,
                "TemporaryPasswordValidityDays": 7,  # AWS adds it, the emulator does not
            }
        },
        Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
        UserPoolTags={"owner": "another-team"},
        EmailVerificationSubject="Your code",
        EmailVerificationMessage="It is {####}",
    )["UserPool"]
    cognito.set_user_pool_mfa_config(
        UserPoolId=made["Id"], SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="OPTIONAL"
    )
    client = cognito.create_user_pool_client(UserPoolId=made["Id"], ClientName="app")["UserPoolClient"]["ClientId"]
    for trigger in (triggers or {}).values():
        let_pool_invoke(aws, trigger, made["Arn"])
    return Pool(aws, made["Id"], client, cognito)


def make_users(pool: Pool, count: int) -> dict[str, str]:
    """Create users as an administrator. Returns the usernames by sub."""

    def make(_: int) -> tuple[str, str]:
        username = f"{CANARY}-{uuid.uuid4().hex[:12]}"
        made = pool.cognito.admin_create_user(
            UserPoolId=pool.id,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": f"{username}@example.com"}],
        )["User"]
        return next(attribute["Value"] for attribute in made["Attributes"] if attribute["Name"] == "sub"), username

    with ThreadPoolExecutor(8) as threads:
        return dict(threads.map(make, range(count)))
