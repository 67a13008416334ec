"""The messages of make to a new operator, and for a mistyped environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_aws.offline.terraform_providers import CONFIG_VARIABLE

ROOT = Path(__file__).parents[2]
DEPLOYING = ("plan", "apply", "destroy")
SETTINGS = ("ENV", "PLAN", "ARGS", "PORT", "ALLOW_ORIGIN", "WORKERS", "USERS", "SEED", "KEEP")
# Every target that uses one of them.
TARGETS = (
    *DEPLOYING, "demo", "reconcile", "mutants", "storm", "local-aws-up", "local-aws-down", "local-aws-env",
    "test-unit", "test-terraform", "test-local-aws", "test-integration",
)  # fmt: skip


OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON")
OF_DEPLOYING = ("AWS_REGION", "AWS_DEFAULT_REGION", "TF_WORKSPACE", CONFIG_VARIABLE)


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return make_in(ROOT, *arguments, **variables)


def make_in(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # The environment of a shell, also if make runs the tests.
    unset = OF_MAKE + OF_DEPLOYING + SETTINGS
    environment = {name: value for name, value in os.environ.items() if name not in unset} | variables
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_the_targets() -> None:
    listed = make()
    assert listed.returncode == 0
    targets = [line.split()[0] for line in listed.stdout.splitlines()]
    assert {"demo", "test", "check", "package", "plan", "apply", "destroy", "local-aws-up"} <= set(targets)


@pytest.mark.parametrize("target", DEPLOYING)
@pytest.mark.parametrize("stage", ["", "prod", "dev staging", "../dev"])
def test_make_rejects_unknown_environment_and_names_the_known(target: str, stage: str) -> None:
    rejected = make(target, f"ENV={stage}")
    assert rejected.returncode == 2
    known = " ".join(sorted(path.stem for path in (ROOT / "environments").glob("*.tfvars")))
    assert f'ENV is "{stage}": it must be one of {known}, as in: make plan ENV=dev' in rejected.stderr
    assert rejected.stdout == ""


@pytest.mark.parametrize(
    "text", ["x';id>{file};echo'", 'x";id>{file};"', "dev;id>{file}", "$(id>{file})", "$(shell id>{file})"]
)
def test_make_does_not_run_the_text_of_a_stage(tmp_path: Path, text: str) -> None:
    value = text.format(file=tmp_path / "file")
    for rejected in (make("known-environment", f"ENV={value}"), make("known-environment", ENV=value)):
        assert f'ENV is "{value}": it must be one of' in rejected.stderr
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("text", ["x';id>{file};echo'", "$(shell id>{file})"])
def test_make_variable_is_not_text_of_a_command(tmp_path: Path, text: str) -> None:
    settings = dict.fromkeys(SETTINGS, text.format(file=tmp_path / "file"))
    arguments = [f"{name}={value}" for name, value in settings.items()]
    for commands in (make("-n", *TARGETS, *arguments).stdout, make("-n", *TARGETS, **settings).stdout):
        assert all(f"${name}" in commands or f"${{{name}" in commands for name in SETTINGS)
        assert settings["ENV"] not in commands
    assert not (tmp_path / "file").exists()


@pytest.fixture
def terraform(tmp_path: Path) -> dict[str, str]:
    """A terraform on PATH that prints its arguments and the relevant variables of its environment."""
    program = tmp_path / "terraform"
    seen = f"${{TF_WORKSPACE-no workspace}}, $AWS_REGION, ${{{CONFIG_VARIABLE}-its own providers}}"
    program.write_text(
        '#!/bin/sh\n[ "$1" = version ] && exec echo "Terraform v1.9.0"\n'
        f'echo "terraform $* ({seen})" >&2\n'
        'if [ "$1" = state ]; then printf "%s" "${STATE-}"; fi\ntest "$1" != "${FAILS-}"\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}


def deploy(*arguments: str, **variables: str) -> list[str]:
    done = make(*arguments, "ENV=dev", **variables)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("target", DEPLOYING)
def test_deploying_needs_terraform_alone(terraform: dict[str, str], target: str) -> None:
    seen = "(no workspace, eu-west-1, its own providers)"
    arguments = '-target=a[0] -var=attributes=["name","plan"]'
    assert deploy(target, f"ARGS={arguments}", **terraform) == [
        f"terraform init -input=false {seen}",
        f"terraform workspace select -or-create=true dev {seen}",
        f"terraform {target} -var-file=environments/dev.tfvars {arguments} {seen}",
    ]


@pytest.mark.parametrize("target", DEPLOYING)
def test_deploying_searches_no_provider_when_init_fails(terraform: dict[str, str], target: str) -> None:
    failed = make(target, "ENV=dev", FAILS="init", **terraform)
    assert failed.returncode == 2
    assert [line for line in failed.stderr.splitlines() if line.startswith("terraform")] == [
        "terraform init -input=false (no workspace, eu-west-1, its own providers)"
    ]


GUARD = "module.pool_trigger[0].aws_lambda_invocation.guard"
POOL_TRIGGER = "module.pool_trigger[0].module.function.aws_lambda_function.this"


@pytest.mark.parametrize(
    ("state", "is_shown"),
    [([GUARD], True), ([GUARD, POOL_TRIGGER], False), ([POOL_TRIGGER], False), ([], False)],
    ids=str,
)
def test_failed_destroy_shows_how_to_create_the_deleted_function(
    terraform: dict[str, str], state: list[str], is_shown: bool
) -> None:
    failed = make("destroy", "ENV=dev", FAILS="destroy", STATE="\n".join(state), **terraform)
    assert failed.returncode == 2
    command = "make apply ENV=dev ARGS='-target=module.pool_trigger[0].module.function'"
    assert (command in failed.stderr.splitlines()) == is_shown


@pytest.mark.parametrize("target", [*DEPLOYING, "package"])
def test_deploying_does_not_set_where_providers_come_from(target: str) -> None:
    assert "local_aws" not in make("-n", target, "ENV=dev").stdout


def test_callers_own_provider_configuration_is_used(terraform: dict[str, str]) -> None:
    lines = deploy("plan", **terraform, **{CONFIG_VARIABLE: "/home/me/mirror.rc"})
    assert all(line.endswith(", /home/me/mirror.rc)") for line in lines)


@pytest.mark.parametrize("target", [*DEPLOYING, "package"])
@pytest.mark.parametrize("endpoint", ["", "https://example.com"])
def test_deploying_to_aws_rejects_providers_of_the_local_aws(
    terraform: dict[str, str], target: str, endpoint: str
) -> None:
    """A shell in which the local AWS was used still has them."""
    local = {CONFIG_VARIABLE: str(ROOT / ".local/terraform/terraform.rc")}
    rejected = make(target, "ENV=dev", **terraform, **local, AWS_ENDPOINT_URL=endpoint)
    assert rejected.returncode == 2
    assert f'AWS_ENDPOINT_URL is "{endpoint}": unset TF_CLI_CONFIG_FILE and TF_DATA_DIR' in rejected.stderr
    accepted = make(target, "ENV=dev", **terraform, **local, AWS_ENDPOINT_URL="http://127.0.0.1:4566")
    assert "unset TF_CLI_CONFIG_FILE" not in accepted.stderr


def test_a_saved_plan_is_applied_without_variables(terraform: dict[str, str]) -> None:
    *_, planned = deploy("plan", "PLAN=dev.tfplan", **terraform)
    *_, applied = deploy("apply", "PLAN=dev.tfplan", **terraform)
    assert planned.startswith("terraform plan -var-file=environments/dev.tfvars -out=dev.tfplan (")
    assert applied.startswith("terraform apply dev.tfplan (")


def test_another_workspace_in_the_environment_is_not_used(terraform: dict[str, str]) -> None:
    message, *lines = deploy("plan", TF_WORKSPACE="production", **terraform)
    assert message == "TF_WORKSPACE is production: using dev, the workspace of environments/dev.tfvars"
    assert all("(no workspace, eu-west-1, " in line for line in lines)


def test_local_aws_has_its_own_state(terraform: dict[str, str]) -> None:
    _, select, _ = deploy("plan", AWS_ENDPOINT_URL="http://127.0.0.1:4599", **terraform)
    assert select.startswith("terraform workspace select -or-create=true dev-local-4599 (")


@pytest.mark.parametrize("target", [*DEPLOYING, "reconcile"])
def test_make_rejects_stage_that_differs_from_the_file_name(
    terraform: dict[str, str], target: str, copied_environment: Path
) -> None:
    name = copied_environment.stem
    rejected = make(target, f"ENV={name}", **terraform)
    assert rejected.returncode == 2
    assert f'environments/{name}.tfvars has stage = "production": it must be "{name}", the name of the file' in (
        rejected.stderr
    )
    assert "terraform init" not in rejected.stderr
    assert "workspace" not in rejected.stderr


@pytest.fixture
def copied_environment() -> Iterator[Path]:
    copy = ROOT / "environments" / f"test-{uuid.uuid4().hex}.tfvars"
    shutil.copy(ROOT / "environments" / "production.tfvars", copy)
    try:
        yield copy
    finally:
        copy.unlink()


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """A clone without .venv, with a folder bin of programs that print a version."""
    for name in ("Makefile", "requirements/dev.txt", "bin/terraform", "bin/python3", "bin/python3.12"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def program(file: Path, prints: str, runs_code: bool = True) -> None:
    file.write_text(f"#!/bin/sh\necho '{prints}'\n[ $1 != -c ] || {str(runs_code).lower()}\n")
    file.chmod(0o755)


def set_up(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return make_in(clone, "setup", PATH=f"{clone / 'bin'}:{os.environ['PATH']}", **variables)


def test_setup_takes_the_interpreter_of_the_variable_python(bare_clone: Path) -> None:
    program(bare_clone / "bin" / "python3", "Python 3.10.4", runs_code=False)
    program(bare_clone / "bin" / "python3.12", "Python 3.12.1")
    program(bare_clone / "bin" / "terraform", "Terraform v1.11.4")
    assert "-m venv --clear .venv" in set_up(bare_clone, PYTHON="python3.12").stdout


@pytest.mark.parametrize(
    ("variables", "is_made"), [({}, False), ({"PYTHON": "python3.11"}, False), ({"PYTHON": "python3.12"}, True)]
)
def test_setup_makes_venv_again_when_python_has_another_version(
    bare_clone: Path, variables: dict[str, str], is_made: bool
) -> None:
    venv = bare_clone / ".venv"
    (venv / "bin").mkdir(parents=True)
    for name in ("pyvenv.cfg", ".ready"):
        (venv / name).touch()
    for file in (venv / "bin" / "python", bare_clone / "bin" / "python3.11"):
        program(file, "Python 3.11.7")
    for name in ("python3", "python3.12"):
        program(bare_clone / "bin" / name, "Python 3.12.1")
    program(bare_clone / "bin" / "terraform", "Terraform v1.11.4")
    assert ("-m venv --clear .venv" in set_up(bare_clone, **variables).stdout) == is_made


@pytest.mark.parametrize(
    ("prints", "found"), [("Terraform v1.8.5", "1.8.5"), ("Terraform v0.13.7", "0.13.7"), ("OpenTofu v1.9.0", "none")]
)
def test_setup_names_a_terraform_that_is_too_old(bare_clone: Path, prints: str, found: str) -> None:
    program(bare_clone / "bin" / "python3", "Python 3.12.1")
    program(bare_clone / "bin" / "terraform", prints)
    assert f"terraform >= 1.9 is required (found {found}): install it from https://" in set_up(bare_clone).stderr


@pytest.mark.parametrize("target", [*DEPLOYING, "package"])
def test_deploying_names_a_terraform_that_is_too_old(tmp_path: Path, target: str) -> None:
    program(tmp_path / "terraform", "Terraform v1.8.5")
    rejected = make(target, "ENV=dev", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "terraform >= 1.9 is required (found 1.8.5)" in rejected.stderr


def test_arguments_reach_pytest() -> None:
    for target in ("test-unit", "test-terraform", "test-local-aws", "test-integration"):
        assert make("-n", target, "ARGS=-k name").stdout.rstrip().endswith(" $ARGS")


def test_cli_is_the_command_line_of_the_clone(tmp_path: Path) -> None:
    """In every folder. It does not use an installed copy, which could be another version."""
    assert make("cli").returncode == 0
    shown = subprocess.run(
        [ROOT / ".venv/bin/cognito-user-sync", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "Usage: cognito-user-sync" in shown.stdout


def test_clean_stops_the_local_aws_first(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "local-aws-4599.pid").touch()
    # Without the message of the folder that a make in a make prints.
    command = ["make", "--no-print-directory", "-n", "-f", str(ROOT / "Makefile"), "clean"]
    commands = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    stop, remove = commands.splitlines()
    assert "for pid in .local/local-aws-4599.pid; do" in stop
    assert "-m local_aws down --port" in stop
    assert remove.startswith("rm -rf")


def test_acceptance_reports_missing_variables() -> None:
    missing = make("acceptance", ACCEPTANCE_ACCOUNT="", ACCEPTANCE_EMAIL="you@example.com")
    assert missing.returncode == 2
    assert "- ACCEPTANCE_ACCOUNT: ID of the AWS account" in missing.stderr
    assert "ACCEPTANCE_EMAIL" not in missing.stderr


def test_no_other_target_runs_tests_on_aws() -> None:
    commands = make("-n", "test", "check", "mutants", "storm", "bench", "demo", "docs").stdout
    assert "pytest" in commands
    assert "--on-aws" not in commands
    assert "-m tests.acceptance\n" not in commands


def test_clean_keeps_the_state_of_acceptance_runs() -> None:
    (ROOT / ".local" / "acceptance").mkdir(parents=True, exist_ok=True)
    words = make("-n", "clean").stdout.split()
    assert not {".local", ".local/acceptance"} & set(words)
