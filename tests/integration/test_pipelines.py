"""Plan and apply as pipelines run them: on two machines, for two accounts and regions, and after a failed upload.

Each folder is a clone of a user's configuration. To save time only a part of the module is applied: the function
send-welcome, which has both packages, and what it depends on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_user_sync_cli import welcome
from local_aws.client import LocalAws
from local_aws.provider_processes import REATTACH_VARIABLE, running_providers
from tests import deployed
from tests.deployed import ROOT, Pool, Terraform

CONFIGURATION = """
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
# Packages by name: Terraform leaves the old object of what it only depends on.
PART = [f"-target=module.user_sync.module.{name}" for name in ("user_sync.module.send_welcome", "functions_package")]
# What the sources have, and no plan or state should show.
SOURCE = "def handler("


def clone(folder: Path, configuration: str) -> Terraform:
    """Make a clone of a configuration that has the module in its folder `module`. Clones of a folder share a state."""
    for name in ("modules", "lambda_src", "emails"):
        shutil.copytree(ROOT / name, folder / "module" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("*.tf"):
        shutil.copy(file, folder / "module")
    (folder / "main.tf").write_text(configuration)
    terraform = Terraform(folder, folder / "data", folder.parent / "terraform.tfstate")
    terraform("init")
    return terraform


def change_code(release: str, *clones: Terraform) -> None:
    """Give clones another release of the module."""
    for terraform in clones:
        file = terraform.folder / "module/lambda_src/cognito_user_sync/__init__.py"
        file.write_text(file.read_text() + f"# {release}\n")


def carry(names: list[str], source: Terraform, target: Terraform) -> None:
    """What a pipeline hands from one job to the next."""
    for name in names:
        if (source.folder / name).is_dir():
            shutil.copytree(source.folder / name, target.folder / name)
        else:
            shutil.copy(source.folder / name, target.folder / name)


def running_code(aws: LocalAws, name: str) -> str:
    """The SHA-256 of the code that the function runs, as AWS states it."""
    function = aws.client("lambda").get_function(FunctionName=f"{name}-dev-send-welcome")
    return str(function["Configuration"]["CodeSha256"])


def zips(terraform: Terraform) -> list[Path]:
    return sorted((terraform.folder / ".terraform" / "cognito-user-sync").rglob("functions-????????????????.zip"))


def hash_of(file: Path) -> str:
    return base64.b64encode(hashlib.sha256(file.read_bytes()).digest()).decode()


def test_saved_plan_applies_in_another_clone_from_a_bucket(aws: LocalAws, pool: Pool, tmp_path: Path) -> None:
    """The plan carries the packages. Neither it nor the state has the sources."""
    aws.client("s3").create_bucket(Bucket="code")
    plans, applies = (clone(tmp_path / name, CONFIGURATION.replace("NAME", "bucket")) for name in ("plan", "apply"))
    variables = {"user_pool_id": pool.id, "code_bucket": "code"}
    before = ""
    for _ in ("deployment", "upgrade"):
        planned = plans("plan", *PART, "-out=tfplan", variables=variables)
        assert SOURCE not in planned.stdout
        carry(["tfplan"], plans, applies)
        applies("apply", "tfplan")
        [*_, newest] = sorted(zips(plans), key=lambda file: file.stat().st_mtime)
        assert running_code(aws, "bucket") == hash_of(newest) != before
        before = running_code(aws, "bucket")
        change_code("2.0.0", plans, applies)
    assert SOURCE not in plans.state.read_text()
    keys = [found["Key"] for found in aws.client("s3").list_objects_v2(Bucket="code")["Contents"]]
    assert [key.rpartition("/")[2][:9] for key in keys] == ["functions", "welcome-e"], "the old package is deleted"
    assert all(key.startswith("cognito-user-sync/000000000000/us-east-1/bucket-dev/") for key in keys)
    applies("destroy", "-auto-approve", variables=variables)
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="code")


@pytest.fixture(scope="module")
def clones(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Terraform]]:
    """A clone that plans and one that applies, where the AWS provider looks for zips."""
    folder = tmp_path_factory.mktemp("clones")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployed, "let_running_provider_read_zips_of", lambda _: None)
        made = [clone(folder / name, CONFIGURATION.replace("NAME", "carried")) for name in ("plan", "apply")]
        with running_providers(os.environ, made[1].folder) as given:
            for name, value in given.items():
                patch.setenv(name, value)
            yield made


def test_saved_plan_without_its_zips_fails_before_anything_changes(
    aws: LocalAws, pool: Pool, clones: list[Terraform]
) -> None:
    """With the folder of the zips a plan applies. Zips of other code are no substitute."""
    plans, applies = clones
    variables = {"user_pool_id": pool.id}
    plans("plan", *PART, "-out=tfplan", variables=variables)
    carry(["tfplan"], plans, applies)
    change_code("2.0.0", applies)
    applies("plan", *PART, variables=variables)
    failed = applies("apply", "tfplan", expect=1)
    assert "The zips that this plan was made with are not here" in failed.stderr
    assert "lambda.code_bucket" in failed.stderr
    resources = json.loads(applies.state.read_text())["resources"]
    assert [each for each in resources if each["mode"] == "managed" and each["instances"]] == []

    # Terraform takes a saved plan once.
    plans("plan", *PART, "-out=tfplan", variables=variables)
    shutil.rmtree(applies.folder / ".terraform")
    carry(["tfplan", ".terraform"], plans, applies)
    applies("apply", "tfplan")
    (made,) = zips(plans)
    assert running_code(aws, "carried") == hash_of(made)


def test_depends_on_of_the_module_leaves_the_zips_to_the_apply(
    aws: LocalAws, pool: Pool, clones: list[Terraform]
) -> None:
    """Terraform then reads data sources at apply, and so makes the zips there."""
    plans, applies = clones
    shutil.rmtree(applies.folder / ".terraform")
    for terraform in clones:
        configuration = CONFIGURATION.replace("NAME", "carried").replace('module "user_sync" {', DEPENDS_ON)
        (terraform.folder / "main.tf").write_text(configuration)
    planned = plans("plan", *PART, "-out=tfplan", variables={"user_pool_id": pool.id})
    assert SOURCE not in planned.stdout
    carry(["tfplan"], plans, applies)
    applies("apply", "tfplan")
    (made,) = zips(applies)
    assert running_code(aws, "carried") == hash_of(made)


def test_plan_after_a_failed_upload_names_the_function_and_the_repair(
    aws: LocalAws, pool: Pool, clones: list[Terraform]
) -> None:
    """Provider 5.100 stores the hash of the package that AWS rejected, so that Terraform sees nothing to change."""
    _, applies = clones
    variables = {"user_pool_id": pool.id}
    change_code("3.0.0", applies)
    aws.set_faults([{"operation": "lambda:UpdateFunctionCode", "fault": "access_denied"}])
    try:
        applies("apply", *PART, "-auto-approve", variables=variables, expect=1)
    finally:
        aws.clear_faults()
    failed = applies("plan", *PART, variables=variables, expect=1)
    [*_, newest] = sorted(zips(applies), key=lambda file: file.stat().st_mtime)
    assert "The function carried-dev-send-welcome runs other code than this module's" in failed.stderr
    command = "aws lambda update-function-code --region us-east-1 --function-name carried-dev-send-welcome"
    zip_file = f"./{newest.relative_to(applies.folder)}"
    assert f"{command} --zip-file fileb://{zip_file}" in failed.stderr
    code = (applies.folder / zip_file).read_bytes()
    aws.client("lambda").update_function_code(FunctionName="carried-dev-send-welcome", ZipFile=code)
    assert running_code(aws, "carried") == hash_of(newest)
    assert "No changes." in applies("plan", *PART, variables=variables).stdout
    applies("destroy", "-auto-approve", variables=variables)


def test_same_name_is_deployed_to_two_accounts_and_two_regions(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one configuration: no zip, role or object of one is another's."""
    places: dict[str, dict[str, Any]] = {
        "here": {},
        "other_account": {"access_key": "111111111111", "secret_key": os.environ["AWS_SECRET_ACCESS_KEY"]},
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
    monkeypatch.delenv(REATTACH_VARIABLE)
    terraform = clone(tmp_path / "clone", "")
    (terraform.folder / "main.tf.json").write_text(json.dumps(configuration))
    terraform("init")
    parts = [f"-target=module.{place}.module.user_sync.module.send_welcome" for place in places]
    terraform("apply", "-auto-approve", *parts)
    for place, given in places.items():
        credentials = {"aws_access_key_id": given["access_key"]} if "access_key" in given else {}
        functions = aws.client("lambda", region_name=given.get("region", "us-east-1"), **credentials)
        assert welcome.deployed(functions, "same-dev-send-welcome").subject == f"Welcome to {place}"
    terraform("destroy", "-auto-approve", *parts)
