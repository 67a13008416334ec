"""Plan and apply as pipelines run them: on two machines, for two accounts and regions, and after a failed upload.

Each folder is a clone of a configuration that uses the module. To save time, only a part of the module is applied: the
function send-welcome, which has both packages, and its dependencies.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync_cli.deployed_email import read_deployed_email
from local_aws.client import LocalAws
from local_aws.offline.provider_processes import REATTACH_VARIABLE, running_providers, with_addresses
from tests.deployed import ROOT, Pool, archive_provider_in
from tests.fakes.command_line import invoke
from tests.samples import outputs

CONFIGURATION = """
terraform {
  backend "local" { path = "../terraform.tfstate" }
}

variable "user_pool_id" {}
variable "code_bucket" { default = null }

module "user_sync" {
  source = "./module"

  user_pool_id  = var.user_pool_id
  name          = "NAME"
  stage         = "dev"
  welcome_email = { from = "welcome@example.com" }
  table         = { deletion_protection = false }
  lambda        = { code_bucket = var.code_bucket }
}
"""
DEPENDS_ON = """
resource "terraform_data" "before" {}

module "user_sync" {
  depends_on = [terraform_data.before]
"""
# The packages are targets too: Terraform does not delete the old object of a resource that is only a dependency.
PART = [f"-target=module.user_sync.module.{name}" for name in ("user_sync.module.send_welcome", "functions_package")]
APPLY = " ".join(["terraform apply -auto-approve -no-color", *PART])
# A text of the sources, which must be in no plan and no state.
SOURCE = "def handler("

DEPLOYING = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
GITHUB = DEPLOYING.partition("### GitHub Actions")[2].partition("```\n")[0]
GITLAB = DEPLOYING.partition("### GitLab CI")[2].partition("```\n")[0]
JOBS = dict(zip(("plan", "apply"), GITHUB.partition("\njobs:")[2].split("\n  apply:"), strict=True))
CARRIED = re.findall(r"^            (\S+)$", JOBS["plan"], re.MULTILINE)


class Clone:
    """A clone of a configuration, with the module in its folder `module`. Clones in the same folder share a state."""

    def __init__(self, folder: Path, configuration: str, **variables: str) -> None:
        self.folder = folder
        for name in ("modules", "lambda_src", "emails"):
            shutil.copytree(ROOT / name, folder / "module" / name, ignore=shutil.ignore_patterns("__pycache__"))
        for file in [*ROOT.glob("*.tf"), ROOT / "pyproject.toml"]:
            shutil.copy(file, folder / "module")
        (folder / "main.tf").write_text(configuration)
        self.environment = {
            **{f"TF_VAR_{name}": value for name, value in variables.items()},
            **{f"TF_CLI_ARGS_{command}": " ".join(["-no-color", *PART]) for command in ("plan", "destroy")},
        }
        # The lock file, which is committed.
        self("terraform init -input=false")

    def __call__(self, command: str, expect: int = 0) -> str:
        """Run a command, and return its output without frames and line breaks."""
        done = subprocess.run(
            ["bash", "-euc", command],
            cwd=self.folder,
            env={**os.environ, **self.environment, **self._archive_provider()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout
        return " ".join(done.stdout.replace("│", " ").split())

    def _archive_provider(self) -> dict[str, str]:
        """Return the variable of the archive provider in this clone's folder. The AWS provider may run in another."""
        running = os.environ.get(REATTACH_VARIABLE)
        return with_addresses(running, archive_provider_in(self.folder)) if running else {}

    def job(self, name: str, expect: int = 0) -> str:
        """Run the commands of a job of the documented workflow; `expect` is the exit status of the last one."""
        *commands, last = re.findall(r"^      - run: (.+)$", JOBS[name], re.MULTILINE)
        return " ".join([*map(self, commands), self(last, expect)])

    def take(self, names: list[str], source: Clone) -> None:
        """Copy what a pipeline passes from one job to the next, and remove the rest of an earlier run."""
        shutil.rmtree(self.folder / ".terraform", ignore_errors=True)
        for name in names:
            if name.endswith("/"):
                shutil.copytree(source.folder / name, self.folder / name)
            else:
                shutil.copy(source.folder / name, self.folder / name)

    def change_code(self, release: str) -> None:
        """Change the sources as another release does."""
        file = self.folder / "module/lambda_src/cognito_user_sync/__init__.py"
        file.write_text(file.read_text() + f"# {release}\n")

    def newest_code(self) -> Path:
        zips = (self.folder / ".terraform" / "cognito-user-sync").rglob("functions-????????????????.zip")
        return max(zips, key=lambda file: file.stat().st_mtime)


def running_code(aws: LocalAws, name: str) -> str:
    """Return the SHA-256 of the code that the function runs, from AWS."""
    function = aws.client("lambda").get_function(FunctionName=f"{name}-dev-send-welcome")
    return str(function["Configuration"]["CodeSha256"])


def hash_of(file: Path) -> str:
    return base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()


def test_documented_pipelines_run_the_same_commands() -> None:
    assert CARRIED == ["tfplan", ".terraform/cognito-user-sync/"]
    assert re.findall(r"^      - (\S+)$", GITLAB, re.MULTILINE) == CARRIED
    assert "include-hidden-files: true" in JOBS["plan"]
    commands = re.findall(r"^ +- run: (.+)$", GITHUB, re.MULTILINE)
    assert set(re.findall(r"^    - (terraform .+)$", GITLAB, re.MULTILINE)) == set(commands)


def test_saved_plan_applies_in_another_clone_from_a_bucket(aws: LocalAws, pool: Pool, tmp_path: Path) -> None:
    """The plan contains the packages. Neither the plan nor the state has the sources as text."""
    aws.client("s3").create_bucket(Bucket="code")
    configuration = CONFIGURATION.replace("NAME", "bucket")
    plans, applies = (
        Clone(tmp_path / name, configuration, user_pool_id=pool.id, code_bucket="code") for name in ("plan", "apply")
    )
    before = ""
    for release in ("1.0.0", "2.0.0"):
        for each in (plans, applies):
            each.change_code(release)
        assert SOURCE not in plans.job("plan")
        applies.take(["tfplan"], plans)
        applies.job("apply")
        assert running_code(aws, "bucket") == hash_of(plans.newest_code()) != before
        before = running_code(aws, "bucket")
    assert SOURCE not in (tmp_path / "terraform.tfstate").read_text()
    keys = [found["Key"] for found in aws.client("s3").list_objects_v2(Bucket="code")["Contents"]]
    assert [key.rpartition("/")[2][:9] for key in keys] == ["functions", "welcome-e"], "the old package is deleted"
    assert all(key.startswith("cognito-user-sync/000000000000/us-east-1/bucket-dev/") for key in keys)
    applies("terraform destroy -input=false -auto-approve")
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="code")


@pytest.fixture(scope="module")
def clones(aws: LocalAws, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Clone]]:
    """A clone that plans, and one that applies, in whose folder the AWS provider reads zips."""
    folder = tmp_path_factory.mktemp("clones")
    (folder / "apply").mkdir()
    with running_providers(os.environ, folder / "apply") as given, pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        configuration = CONFIGURATION.replace("NAME", "carried")
        yield (
            Clone(folder / "plan", configuration, user_pool_id=pool.id),
            Clone(folder / "apply", configuration, user_pool_id=pool.id),
        )


def test_saved_plan_without_its_zips_fails_before_anything_changes(aws: LocalAws, clones: tuple[Clone, Clone]) -> None:
    """With the folder of the zips, the plan applies. Zips of other code do not replace them."""
    plans, applies = clones
    plans.job("plan")
    applies.take(["tfplan"], plans)
    applies.change_code("2.0.0")
    applies("terraform init -input=false && terraform plan -out=other")
    failed = applies.job("apply", expect=1)
    assert "The zip files of this plan do not exist" in failed
    assert "lambda.code_bucket" in failed
    resources = json.loads((applies.folder / "../terraform.tfstate").read_text())["resources"]
    assert [each for each in resources if each["mode"] == "managed" and each["instances"]] == []

    plans.job("plan")  # Terraform applies a saved plan once.
    applies.take(CARRIED, plans)
    applies.job("apply")
    assert running_code(aws, "carried") == hash_of(plans.newest_code())


def test_depends_on_of_the_module_leaves_the_zips_to_the_apply(aws: LocalAws, clones: tuple[Clone, Clone]) -> None:
    """Terraform then reads data sources at apply, and so creates the zips at apply."""
    plans, applies = clones
    for each in clones:
        configuration = CONFIGURATION.replace("NAME", "carried").replace('module "user_sync" {', DEPENDS_ON)
        (each.folder / "main.tf").write_text(configuration)
    assert SOURCE not in plans.job("plan")
    applies.take(["tfplan"], plans)
    applies.job("apply")
    assert running_code(aws, "carried") == hash_of(applies.newest_code())


def test_plan_after_a_failed_upload_names_the_function_and_the_repair(
    aws: LocalAws, clones: tuple[Clone, Clone]
) -> None:
    """Provider 5.100 stores the hash of the package that AWS rejected, so that Terraform plans no change."""
    _, applies = clones
    applies(APPLY)
    applies.change_code("3.0.0")
    applies("terraform plan -out=tfplan")
    aws.set_faults([{"operation": "lambda:UpdateFunctionCode", "fault": "access_denied"}])
    try:
        applies("terraform apply tfplan", expect=1)
    finally:
        aws.clear_faults()
    failed = applies("terraform plan", expect=1)
    code = applies.newest_code()
    assert "The function carried-dev-send-welcome does not run the code of this module" in failed
    command = "aws lambda update-function-code --publish --region us-east-1 --function-name carried-dev-send-welcome"
    assert f"{command} --zip-file fileb://./{code.relative_to(applies.folder)}" in failed
    aws.client("lambda").update_function_code(
        FunctionName="carried-dev-send-welcome", ZipFile=code.read_bytes(), Publish=True
    )
    assert "No changes." in applies("terraform plan")


def test_rollback_lasts_until_it_is_undone_or_another_release(
    aws: LocalAws, clones: tuple[Clone, Clone], tmp_path: Path
) -> None:
    function_arn = "arn:aws:lambda:us-east-1:000000000000:function:carried-dev-send-welcome"
    given = outputs(
        user_sync_state_machine_arn="arn:aws:states:us-east-1:000000000000:stateMachine:carried-dev-user-sync",
        function_arns={"send-welcome": function_arn},
    )

    def rollback(*arguments: str) -> str:
        result = invoke(tmp_path, given, "rollback", *arguments)
        assert result.exit_code == 0, result.output
        return result.output

    _, applies = clones
    good = running_code(aws, "carried")
    applies.change_code("4.0.0")
    applies(APPLY)
    bad = running_code(aws, "carried")
    assert good != bad

    assert "carried-dev-send-welcome: runs this release now" in rollback()
    assert "carried-dev-send-welcome: already runs this release" in rollback()
    assert running_code(aws, "carried") == good
    failed = applies("terraform plan", expect=1)
    assert "The function carried-dev-send-welcome does not run the code of this module" in failed
    assert "To end a rollback: cognito-user-sync rollback --undo" in failed

    rollback("--undo")
    assert running_code(aws, "carried") == bad
    assert "No changes." in applies("terraform plan")

    rollback("--to", good[:8])
    applies.change_code("5.0.0")
    applies(APPLY)
    assert running_code(aws, "carried") == hash_of(applies.newest_code())
    assert good[:12] in rollback("--list")


def test_same_name_is_deployed_to_two_accounts_and_two_regions(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One configuration deploys all three. They share no zip, role or object."""
    # A running provider has one configuration only.
    monkeypatch.delenv(REATTACH_VARIABLE)
    places: dict[str, dict[str, Any]] = {
        "here": {},
        "other_account": {"access_key": "111111111111", "secret_key": aws.access_key, "token": aws.access_key},
        "other_region": {"region": "eu-west-1"},
    }
    configuration = {
        "provider": {"aws": [{"alias": place, **given} for place, given in places.items()]},
        "module": {
            place: {
                "source": "./module",
                "providers": {"aws": f"aws.{place}"},
                "user_pool_id": f"{given.get('region', 'us-east-1')}_AbCdEfGhI",
                "name": "same",
                "stage": "dev",
                "welcome_email": {"from": "welcome@example.com", "subject": f"Welcome to {place}"},
                "table": {"deletion_protection": False},
            }
            for place, given in places.items()
        },
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(configuration))
    clone = Clone(tmp_path, "")
    parts = " ".join(f"-target=module.{place}.module.user_sync.module.send_welcome" for place in places)
    clone(f"terraform apply -input=false -auto-approve {parts}")
    for place, given in places.items():
        names = {"aws_access_key_id": "access_key", "aws_session_token": "token"}
        credentials = {name: given[key] for name, key in names.items() if key in given}
        functions = aws.client("lambda", region_name=given.get("region", "us-east-1"), **credentials)
        assert read_deployed_email(functions, "same-dev-send-welcome").subject == f"Welcome to {place}"
