"""One run of the acceptance tests: a pool and a deployment with the run's tag, and a folder with their state.

The folder is kept until all resources of the run are deleted.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tests.acceptance import leftovers
from tests.acceptance.account import Account
from tests.deployed import PASSWORD, ROOT, Deployment, Pool, Terraform, running_providers_for

if TYPE_CHECKING:
    from local_aws.client import LocalAws

CONFIGURATION = Path(__file__).parent / "deployment"
HOME = ROOT / ".local" / "acceptance"

# All settings of the pool that a request of UpdateUserPool must repeat.
POOL_SETTINGS: dict[str, Any] = {
    "UserPoolTier": "LITE",  # the lowest price per active user
    "AutoVerifiedAttributes": ["email"],
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 10,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "RequireUppercase": True,
            "TemporaryPasswordValidityDays": 3,
        }
    },
    "EmailVerificationSubject": "Acceptance test: your code",
    "EmailVerificationMessage": "It is {####}",
}


class UninterruptedTerraform(Terraform):
    """Terraform that finishes after an interrupt. If it were killed, new resources would not be in its state.

    Its output is also in terraform-<command>.log in its folder.
    """

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        log = self.folder / f"terraform-{arguments[0]}.log"
        with log.open("w") as output:
            # In a new session: Ctrl-C in a terminal goes to all processes of the session, and Terraform exits
            # immediately, without its state, after a second interrupt.
            process = subprocess.Popen(
                ["nice", "-n", "5", "terraform", *arguments],
                cwd=self.folder,
                env={**os.environ, **running_providers_for(self.folder), "TF_DATA_DIR": str(self.work)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait()
            except KeyboardInterrupt:
                print("\nInterrupted. Terraform finishes the running operations.", flush=True)
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, log.read_text(), "")


@dataclass
class Run:
    """A run. Everything that it creates has acc-<ID> in its name, and the tag acceptance-run if it accepts tags."""

    account: Account  # in which the resources are
    id: str
    folder: Path
    email: str
    pool_id: str | None = None
    # Usernames of the users that the pool had before the module, by sub.
    existing_users: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, account: Account, home: Path = HOME) -> Run:
        run_id = secrets.token_hex(6)
        run = cls(account, run_id, home / run_id, account.email)
        run.folder.mkdir(parents=True)
        run.save()
        return run

    @classmethod
    def load(cls, account: Account, folder: Path) -> Run:
        """Return the run of a folder, as last saved."""
        saved = json.loads((folder / "run.json").read_text())
        return cls(account, folder.name, folder, saved["email"], saved["pool_id"])

    def save(self) -> None:
        """Write the file that `load` reads."""
        saved = {
            "account": self.account.id,
            "region": self.account.region,
            "email": self.email,
            "pool_id": self.pool_id,
        }
        (self.folder / "run.json").write_text(json.dumps(saved, indent=2) + "\n")

    @property
    def name(self) -> str:
        return leftovers.prefix(self.id)

    @property
    def _aws(self) -> LocalAws:
        """The account, for helpers that need only its clients."""
        return cast("LocalAws", self.account)

    @property
    def tags(self) -> dict[str, str]:
        return {leftovers.TAG: self.id}

    def create_pool(self) -> Pool:
        """Create a pool that another team could own, with two users."""
        cognito = self.account.client("cognito-idp")
        made = cognito.create_user_pool(
            PoolName=self.name,
            MfaConfiguration="OFF",
            Schema=[{"Name": "plan", "AttributeDataType": "String", "Mutable": True}],
            UserPoolTags={**self.tags, "owner": "another-team"},
            **POOL_SETTINGS,
        )["UserPool"]
        self.pool_id = made["Id"]
        self.save()
        cognito.set_user_pool_mfa_config(
            UserPoolId=made["Id"], SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="OPTIONAL"
        )
        client = cognito.create_user_pool_client(
            UserPoolId=made["Id"],
            ClientName="app",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            # Without these, a client can write only the standard attributes.
            ReadAttributes=["email", "name", "custom:plan"],
            WriteAttributes=["email", "name", "custom:plan"],
        )["UserPoolClient"]
        pool = Pool(self._aws, made["Id"], client["ClientId"], cognito)
        for username in ("canary-existing-1", "canary-existing-2"):
            self.existing_users[create_user(pool, username)] = username
        return pool

    @property
    def variables(self) -> dict[str, str]:
        return {"user_pool_id": str(self.pool_id), "run_id": self.id, "email": self.email}

    def terraform(self) -> UninterruptedTerraform:
        return UninterruptedTerraform.of_copy(CONFIGURATION, self.folder)

    def deployment(self, terraform: Terraform) -> Deployment:
        return Deployment(self._aws, terraform.outputs()["user_sync"])

    def left_over(self) -> list[str]:
        return leftovers.left_over(self.account, self.id)

    def clean(self) -> None:
        """Destroy the deployment, delete the pool and all remaining resources, and then the folder.

        Raises:
            AssertionError: A resource remains. The folder is kept for another try.
        """
        if (self.folder / "terraform.tfstate").exists():
            terraform = self.terraform()
            done = terraform._run(
                "destroy",
                "-input=false",
                "-no-color",
                "-auto-approve",
                f"-state={terraform.state}",
                "-lock-timeout=15m",  # an apply continues if its test was killed
                *(f"-var={name}={value}" for name, value in self.variables.items()),
            )
            if done.returncode:
                print(f"terraform destroy failed, so resources are deleted by name: see {self.folder}", flush=True)
        failures = leftovers.delete_named(self.account, self.id)
        left: list[str] = []

        def nothing_left() -> bool:
            left[:] = self.left_over()
            return not left

        try:
            # The index of tags is eventually consistent, with a delay of minutes.
            self.account.eventually(nothing_left, seconds=300)
        except AssertionError as error:
            raise AssertionError(
                f"Run {self.id} has left in account {self.account.id}, region {self.account.region}:\n- "
                + "\n- ".join(left + failures)
                + f"\nTry make acceptance-clean again later, or delete them and the folder {self.folder}."
            ) from error
        shutil.rmtree(self.folder)


def create_user(pool: Pool, username: str) -> str:
    """Create a user as an administrator, without an email or an invocation of the trigger. Return the sub."""
    made = pool.cognito.admin_create_user(
        UserPoolId=pool.id,
        Username=username,
        MessageAction="SUPPRESS",
        TemporaryPassword=PASSWORD,
        UserAttributes=[{"Name": "name", "Value": "Canary before"}],
    )["User"]
    return next(str(attribute["Value"]) for attribute in made["Attributes"] if attribute["Name"] == "sub")


def interrupted(home: Path = HOME) -> list[Path]:
    """Return the folders of runs that were not cleaned up."""
    return sorted(found.parent for found in home.glob("*/run.json"))


def clean_up(account: Account, home: Path = HOME) -> list[str]:
    """Clean up after the interrupted runs in this account and region. Return the remaining problems."""
    problems = []
    for folder in interrupted(home):
        saved = json.loads((folder / "run.json").read_text())
        if (saved["account"], saved["region"]) != (account.id, account.region):
            problems.append(
                f"The interrupted run {folder.name} is in account {saved['account']}, region {saved['region']}, but the"
                f" credentials are for account {account.id}, region {account.region}. Change them, and run:"
                " make acceptance-clean"
            )
            continue
        print(f"Cleaning up after the interrupted run {folder.name}", flush=True)
        try:
            Run.load(account, folder).clean()
        except AssertionError as error:
            problems.append(str(error))
    return problems
