"""Somebody else's user pool on the laptop AWS, and the module deployed to it by the real Terraform: helpers."""

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
from local_aws.provider_processes import (
    RARELY_COLLECTED,
    REATTACH_VARIABLE,
    running_archive_provider,
    running_providers,
    with_addresses,
)
from local_aws.resources import let_pool_invoke
from local_aws.terraform_providers import terraform_environment
from tests import permissions

SENDER = "welcome@example.com"
PASSWORD = "Correct-horse-1"
SIGN_UP_CODE = "123456"  # the emulator's
RESET_CODE = "654321"

# In the username and in every attribute of the people in these tests: personal data, which no log, error or output of
# the module may show. In a username a hyphen follows it, and in an attribute never.
CANARY = "canary"
CANARY_PHONE = "+15550142857"
_ATTRIBUTE_VALUE = re.compile(rf"{CANARY}(?!-)|@example\.com|{re.escape(CANARY_PHONE)}")

# The one deployment whose roles are refused something on purpose: test_least_privilege.py.
STAGE_OF_REFUSALS = "refusals"

# Every standard attribute that no test sets by itself.
_OTHER_ATTRIBUTES = (
    "address", "birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "nickname", "picture",
    "preferred_username", "profile", "website", "zoneinfo",
)  # fmt: skip

ROOT = Path(__file__).parents[1]
DEPLOYMENT = ROOT / "tests" / "integration" / "deployment"

Answer = TypeVar("Answer")


@contextmanager
def laptop_aws() -> Iterator[LocalAws]:
    """A laptop AWS; this process's environment, and so Terraform's, points at it and at nothing else."""
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


def assert_roles_did_what_is_documented(aws: LocalAws) -> None:
    """Since its start no function has called what its role does not allow, also where it went on without; nor what
    docs/security.md does not say."""
    documented = {(permission.role, permission.action) for permission in permissions.table()}
    for each in aws.permissions():
        if is_not_the_tests_own(each["role"]):
            assert each["allowed"] or f"-{STAGE_OF_REFUSALS}-" in each["role"], each
            assert any(each["role"].endswith(f"-{role}") and each["action"] == action for role, action in documented), (
                f"not in docs/security.md: {each}"
            )


def is_not_the_tests_own(name: str) -> bool:
    """Whether a function, or its role, is the module's: the ones that tests make are named their-..."""
    return not name.startswith("their")


def assert_impersonal(what: str, text: str) -> None:
    """... also where a table breaks it over several lines."""
    unbroken = re.sub(r"[\s│┃]", "", text.lower())
    assert not [mark for mark in (CANARY, CANARY_PHONE) if mark in unbroken], f"{what} has personal data: {text}"


def assert_logs_are_impersonal(aws: LocalAws) -> None:
    """Nothing that functions of the module have logged since its start is personal data."""
    for function, lines in aws.logs().items():
        if is_not_the_tests_own(function):
            for line in lines:
                assert_impersonal(f"the log of {function}", line)


def assert_data_has_no_attributes(aws: LocalAws) -> None:
    """Requests name a user by sub and username, and hold no attribute: not in a message of a queue, not in input,
    output, history or status-change event of an execution, since the start and of every deployment."""
    for where, texts in aws.data().items():
        if is_not_the_tests_own(where.rpartition(" ")[2]):
            for text in texts:
                found = _ATTRIBUTE_VALUE.search(text.lower().replace(SENDER, ""))
                assert not found, f"an attribute of a user is in the {where}: {text}"


def assert_alarms_are_impersonal(aws: LocalAws) -> None:
    """No alarm that exists has personal data, in its definition or in its state."""
    for page in aws.client("cloudwatch").get_paginator("describe_alarms").paginate():
        for alarm in page["MetricAlarms"]:
            assert_impersonal("an alarm", str(alarm))


def eventually(question: Callable[[], Answer | None], seconds: float = 20, pause: float = 0.05) -> Answer:
    """The first answer that is true, asked every `pause` seconds until it is."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(pause)
    return answer


@dataclass(frozen=True)
class Pool:
    """A user pool that somebody else made, with its app client."""

    aws: LocalAws
    id: str
    client_id: str
    cognito: Any = field(repr=False)

    def sign_up(self, username: str, **attributes: str) -> str:
        """Sign up without confirming; returns the sub. Attributes that no test asks for are given, too."""
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
        """All that can be set on the pool; what changes by itself is left out."""
        pool = dict(self.cognito.describe_user_pool(UserPoolId=self.id)["UserPool"])
        for fact in ("LastModifiedDate", "EstimatedNumberOfUsers"):
            pool.pop(fact, None)
        # The deprecated twin of TemporaryPasswordValidityDays: AWS derives it, the emulator stores what it is sent.
        pool["AdminCreateUserConfig"] = {
            name: value
            for name, value in pool.get("AdminCreateUserConfig", {}).items()
            if name != "UnusedAccountValidityDays"
        }
        mfa = self.cognito.get_user_pool_mfa_config(UserPoolId=self.id)
        mfa.pop("ResponseMetadata")
        return {"pool": pool, "mfa": mfa}


class SignUps:
    """Users who sign up and confirm, one after the other, while a change goes on. None of them may see an error."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.subs: list[str] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> SignUps:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _go_on(self) -> None:
        # With a pause, so that the change itself gets the processor.
        while not self._stop.wait(0.1):
            username = f"{CANARY}-{uuid.uuid4().hex[:12]}"
            try:
                self.subs.append(self.pool.sign_up(username, email=f"{username}@example.com"))
                self.pool.confirm(username)
            except (ClientError, BotoCoreError) as error:
                self.failures.append(str(error))


def running_providers_for(folder: Path) -> dict[str, str]:
    """Return the variable with which commands in `folder` use the providers that run, if any do.

    Terraform makes zips in `folder`, where it runs; a running AWS provider reads them where this process runs.
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
    """Start one that runs as long as the laptop AWS, and return its address."""
    return _ARCHIVE_PROVIDERS.enter_context(running_archive_provider(os.environ, folder))


_ARCHIVE_PROVIDERS = ExitStack()


@dataclass(frozen=True)
class Terraform:
    """The real Terraform in `folder`, with a state and a data directory of its own in `work`."""

    folder: Path
    work: Path
    state: Path

    @classmethod
    def of_copy(cls, configuration: Path, folder: Path) -> Self:
        """A copy of a configuration that uses this module, in another folder, initialized."""
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
        """Fails the test unless Terraform ends with the status `expect`. Its streams have no line breaks and frames
        in messages, so that a sentence can be found."""
        given = [f"-var={name}={value}" for name, value in (variables or {}).items()]
        stateful = [] if command == "init" else [f"-state={self.state}"]
        done = self._run(command, "-input=false", "-no-color", *stateful, *given, *arguments)
        assert done.returncode == expect, done.stdout + done.stderr
        assert_impersonal(f"terraform {command}", done.stdout + done.stderr)
        # Terraform's own flag, above, is deprecated, too.
        assert "deprecated" not in (done.stdout + done.stderr).lower().replace("deprecated flag: -state", "")
        done.stdout, done.stderr = (" ".join(stream.replace("│", " ").split()) for stream in (done.stdout, done.stderr))
        return done

    def forget(self, address: str) -> None:
        """Take a resource out of the state."""
        done = self._run("state", "rm", f"-state={self.state}", address)
        assert done.returncode == 0, done.stderr

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            # After the functions, which have deadlines.
            ["nice", "-n", "5", "terraform", *arguments],
            cwd=self.folder,
            env={**os.environ, **running_providers_for(self.folder), "TF_DATA_DIR": str(self.work)},
            capture_output=True,
            text=True,
            check=False,
        )

    def warnings(self, variables: Mapping[str, str] | None = None) -> str:
        """What `check` blocks say at a plan; the plan must have nothing to change."""
        planned = self("plan", "-detailed-exitcode", variables=variables)
        return "".join(planned.stdout.partition("Warning: Check block")[1:])

    def outputs(self) -> dict[str, Any]:
        state = json.loads(self.state.read_text())
        return {name: output["value"] for name, output in state["outputs"].items()}


@dataclass(frozen=True)
class Deployment:
    """What the module made, by its outputs."""

    aws: LocalAws
    outputs: dict[str, Any]
    # Of each execution that was looked at, by ARN.
    _subs: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def item(self, sub: str) -> dict[str, Any] | None:
        answer = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["user_table_name"], Key={"id": {"S": sub}}, ConsistentRead=True
        )
        return {name: next(iter(value.values())) for name, value in answer.get("Item", {}).items()} or None

    def executions(self, sub: str) -> list[dict[str, Any]]:
        """The user's executions, each with its parsed input, newest first."""
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

    def settled(self, sub: str, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        """The user's `count` executions once none of them runs."""

        def all_ended() -> list[dict[str, Any]] | None:
            found = self.executions(sub)
            ended = len(found) == count and all(execution["status"] != "RUNNING" for execution in found)
            return found if ended else None

        return eventually(all_ended, seconds)

    def runs(self) -> list[dict[str, Any]]:
        """The runs of the reconciliation, newest first."""
        states = self.aws.client("stepfunctions")
        arn = self.outputs["reconciliation_state_machine_arn"]
        listed = states.list_executions(stateMachineArn=arn)["executions"]
        return [_described(states, execution["executionArn"]) for execution in listed]

    def reconcile(self, **given: Any) -> dict[str, Any]:
        """A run with this input, with its parsed output, or its cause where it ended with problems."""
        states = self.aws.client("stepfunctions")
        arn = self.outputs["reconciliation_state_machine_arn"]
        started = states.start_execution(stateMachineArn=arn, input=json.dumps(given))
        execution = self.ended(started["executionArn"])
        text = execution.get("output") or execution.get("cause", "")
        return {**execution, "summary": json.loads(text)}

    def ended(self, execution_arn: str) -> dict[str, Any]:
        """The execution, once it does not run any more."""
        states = self.aws.client("stepfunctions")

        def is_over() -> dict[str, Any] | None:
            described = _described(states, execution_arn)
            return described if described["status"] != "RUNNING" else None

        return eventually(is_over, seconds=120)

    def functions(self) -> list[str]:
        """The names of this deployment's functions that exist."""
        prefix = self.outputs["user_table_name"].removesuffix("users")
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        names = [function["FunctionName"] for page in pages for function in page["Functions"]]
        return [name for name in names if name.startswith(prefix)]

    def welcomes_to(self, address: str) -> list[Mail]:
        """The welcomes alone: Cognito's own mails with codes are in the outbox, too."""
        return [mail for mail in self.aws.outbox() if address in mail.to and SENDER in mail.source]


def _described(states: Any, execution_arn: str) -> dict[str, Any]:
    described: dict[str, Any] = states.describe_execution(executionArn=execution_arn)
    assert_impersonal("an execution's error", f"{described.get('error')}: {described.get('cause')}")
    return described


@dataclass(frozen=True)
class Operator:
    """Types `cognito-user-sync ...` for a deployment whose outputs are in a file, on a terminal of so many columns, and
    returns what it says."""

    outputs: Path
    columns: int = 200

    @classmethod
    def of(cls, deployment: Deployment, folder: Path) -> Operator:
        outputs = folder / "outputs.json"
        outputs.write_text(json.dumps({"user_sync": {"value": deployment.outputs}}))
        return cls(outputs)

    def __call__(self, *arguments: str, expect: int | None = 0) -> str:
        """What it says, without the line that names the deployment."""
        result = self.run(*arguments)
        assert expect in (None, result.exit_code), result.output
        said = result.stdout if "--json" in arguments else result.output
        return re.sub(r"\A\S+ in account \d+, \S+\n", "", said)

    def run(self, *arguments: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            # A test that ran before in this process may have had credentials of its own.
            credentials = boto3.DEFAULT_SESSION and boto3.DEFAULT_SESSION.get_credentials()
            if credentials and credentials.access_key != os.environ.get("AWS_ACCESS_KEY_ID"):
                boto3.DEFAULT_SESSION = None
            for console in (terminal.stdout, terminal.stderr):
                patch.setattr(console, "width", self.columns)
            result = CliRunner().invoke(command_line, ["--outputs", str(self.outputs), *arguments])
        # Those that show a user's data, or a message with a username, are asked for it.
        if arguments[0] not in {"user", "preview-email"} and arguments[:2] != ("failures", "show"):
            assert_impersonal(arguments[0], result.output)
        return result


def make_pool(aws: LocalAws, triggers: dict[str, str] | None = None) -> Pool:
    """Somebody else's pool, with a history."""
    cognito = aws.client("cognito-idp")
    made = cognito.create_user_pool(
        PoolName="somebody-elses",
        AutoVerifiedAttributes=["email"],
        LambdaConfig=triggers or {},
        MfaConfiguration="OFF",
        Policies={
            "PasswordPolicy": {
                "MinimumLength": 10,
                "RequireNumbers": True,
                "RequireUppercase": True,
                "TemporaryPasswordValidityDays": 7,  # which AWS fills in, and the emulator does not
            }
        },
        Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
        UserPoolTags={"owner": "somebody-else"},
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
    """Users whom an administrator made, as their usernames by sub."""

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
