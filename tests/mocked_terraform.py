"""Runs Terraform on this module without AWS, and returns its messages and planned resources as data."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.offline.provider_processes import pinned_versions, running_providers
from local_aws.offline.terraform_providers import terraform_environment

ROOT = Path(__file__).parents[1]


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return an environment for Terraform with its data in a folder and without credentials."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    terraform = {"TF_DATA_DIR": str(folder / ".terraform"), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    # The schema of the AWS provider is large: fewer garbage collections save a quarter of the processor time.
    return inherited | terraform | {"GOGC": "400"} | variables


def terraform_init(folder: Path, environment: dict[str, str]) -> None:
    arguments = ["terraform", "init", "-input=false", "-backend=false", "-no-color"]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def as_json_configuration(value: Any) -> str:
    """Write a value in Terraform's JSON syntax, in which strings are templates."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def variable_names(module: Path) -> list[str]:
    return re.findall(r'^variable "(\w+)"', (module / "variables.tf").read_text(encoding="utf-8"), re.MULTILINE)


def object_variables() -> set[str]:
    """Return the variables whose types are in modules/inputs."""
    return set(
        re.findall(r'^output "(\w+)"', (ROOT / "modules/inputs/outputs.tf").read_text(encoding="utf-8"), re.MULTILINE)
    )


def validation_errors(folder: Path, cases: list[dict[str, Any]]) -> list[list[str]]:
    """Return the error messages of the module's variables for each case, which is the arguments of a module block.

    The plan has the variables only, so it needs no provider. It passes object variables directly to modules/inputs: an
    error does not name the block that calls the calling module, and so would not name the case.
    """
    (folder / "variables").mkdir()
    shutil.copy(ROOT / "variables.tf", folder / "variables")
    shutil.copytree(ROOT / "modules" / "inputs", folder / "inputs")
    inputs, objects = variable_names(ROOT / "modules" / "inputs"), object_variables()
    for number, given in enumerate(cases):
        modules: dict[str, Any] = {
            f"variables_{number}": {
                "source": "./variables",
                **{name: value for name, value in given.items() if name not in objects},
            }
        }
        if objects & set(given):
            modules[f"inputs_{number}"] = {
                "source": "./inputs",
                "attributes": ["name", "email", "phone_number"],  # the default
                **{name: value for name, value in given.items() if name in inputs},
            }
        (folder / f"{number}.tf.json").write_text(as_json_configuration({"module": modules}), encoding="utf-8")
    terraform_init(folder, environment(folder))
    arguments = ["terraform", "plan", "-input=false", "-lock=false", "-json"]
    planned = subprocess.run(
        arguments, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    messages: list[list[str]] = [[] for _ in cases]
    for line in planned.stdout.splitlines():
        if diagnostic := json.loads(line).get("diagnostic"):
            messages[int(diagnostic["range"]["filename"].removesuffix(".tf.json"))].append(diagnostic["detail"])
    return messages


# --- the whole module, with mocked providers

REGION, ACCOUNT_ID, USER_POOL_ID = "eu-west-1", "123456789012", "eu-west-1_AbCdEfGhI"

# The names of the module's resources, without the prefix, and their modules.
FUNCTIONS = {
    "post-confirmation": "module.sign_up.module.post_confirmation",
    "retry-sign-ups": "module.sign_up.module.retry_queue.module.function",
    "sync-user": "module.user_sync.module.sync_user",
    "send-welcome": "module.user_sync.module.send_welcome[0]",
    "pool-trigger": "module.pool_trigger[0].module.function",
    "sync-changes": "module.change_tracking[0].module.queue.module.function",
    "publish-user-events": "module.user_events[0].module.function",
    "plan-shards": "module.reconciliation[0].module.plan_shards",
    "reconcile-shards": "module.reconciliation[0].module.reconcile_shards",
    "start-run": "module.reconciliation[0].module.start_run[0]",
}
STATE_MACHINES = {
    "user-sync": "module.user_sync.module.state_machine",
    "reconciliation": "module.reconciliation[0].module.state_machine",
}
SCHEDULE_ROLES = {
    "schedule": "module.reconciliation[0].module.schedule[0]",
    "trigger-check": "module.pool_trigger[0].module.check",
}
QUEUES = {
    "retry": "module.sign_up.module.retry_queue.aws_sqs_queue.this",
    "retry-dead-letter": "module.sign_up.module.retry_queue.aws_sqs_queue.dead_letter",
    "changes": "module.change_tracking[0].module.queue.aws_sqs_queue.this",
    "changes-dead-letter": "module.change_tracking[0].module.queue.aws_sqs_queue.dead_letter",
    "user-events-dead-letter": "module.user_events[0].aws_sqs_queue.dead_letter",
}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


def queue_url(name: str) -> str:
    return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{name}"


# The ARNs that AWS would assign, by address. All are different, so that tests can distinguish them.
MADE = {
    **{
        f"{at}.aws_lambda_function.this": {"arn": arn("lambda", f"function:{name}"), "code_sha256": "mocked"}
        for name, at in FUNCTIONS.items()
    },
    "module.user_sync.aws_lambda_layer_version.welcome_email[0]": {"arn": arn("lambda", "layer:welcome-email:1")},
    **{
        f"{at}.aws_sfn_state_machine.this": {"arn": arn("states", f"stateMachine:{name}")}
        for name, at in STATE_MACHINES.items()
    },
    **{at: {"arn": arn("sqs", name), "url": queue_url(name)} for name, at in QUEUES.items()},
    "module.reconciliation[0].aws_lambda_invocation.first_run[0]": {
        "result": json.dumps({"execution_arn": arn("states", "execution:reconciliation:first")})
    },
    **{
        f"{at}.aws_iam_role.this": {"arn": f"arn:aws:iam::{ACCOUNT_ID}:role/{role}"}
        for role, at in SCHEDULE_ROLES.items()
    },
}


def packages(module: str) -> list[dict[str, Any]]:
    """Override the packages with an existing file, the configuration. Other tests use real packages."""
    outputs = {"zip_path": "main.tf.json", "package": {"filename": "main.tf.json", "source_code_hash": "mocked"}}
    names = ("functions_package", "welcome_email_package")
    return [{"target": f"{module}.module.{name}", "outputs": outputs} for name in names]


POOL_ADDRESS = "data.aws_cognito_user_pool.this"
TABLE_ADDRESS = "module.user_table.data.aws_dynamodb_table.existing"


def user_pool(
    post_confirmation: str = "", kms_key_id: str = "", pre_sign_up: str = "", verified: tuple[str, ...] = ("email",)
) -> dict[str, Any]:
    """Return a pool as the data source reads it. `verified` are the attributes that Cognito verifies at sign-up."""
    return {
        "id": USER_POOL_ID,
        "arn": arn("cognito-idp", f"userpool/{USER_POOL_ID}"),
        "auto_verified_attributes": list(verified),
        "schema_attributes": [{"name": name} for name in ("sub", "email", "custom:plan", "dev:custom:team")],
        "lambda_config": [
            {"post_confirmation": post_confirmation, "kms_key_id": kms_key_id, "pre_sign_up": pre_sign_up}
        ],
    }


@dataclass(frozen=True)
class Case:
    """One use of the module, with a pool or table as the data sources read it."""

    arguments: dict[str, Any] = field(default_factory=dict)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)  # by address
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)  # of overridden modules, by address


@dataclass(frozen=True)
class Made:
    """The module's resources and data sources for a case by address, and its outputs."""

    resources: dict[str, dict[str, Any]]
    outputs: dict[str, Any]

    def __getitem__(self, address: str) -> Any:
        return self.resources[address]["values"]

    def of_type(self, kind: str) -> dict[str, Any]:
        """Return the values of all resources of a type, by address."""
        return {address: found["values"] for address, found in self.resources.items() if found["type"] == kind}


@dataclass(frozen=True)
class Scenario:
    """Cases to apply together, and then cases to plan, with the same or new names."""

    applied: dict[str, Case]
    planned: dict[str, Case]
    targets: tuple[str, ...] = ()  # the targets of apply and plan in each case; empty means everything


def mocked_terraform(folder: Path, scenarios: dict[str, Scenario]) -> dict[str, tuple[dict[str, Made], list[str]]]:
    """Run scenarios with mocked providers, each with a new state.

    Returns:
        The resources by case, and the errors of the plan. Terraform does not name the case of an error.
    """
    _write_stub(folder)
    for name, scenario in scenarios.items():
        file = {
            "mock_provider": {"archive": {}, "aws": {"source": "./mocks"}},
            "run": [
                {"applied": _run("apply", scenario.applied, scenario.targets)},
                {"planned": _run("plan", scenario.planned, scenario.targets)},
            ],
        }
        (folder / f"{name}.tftest.json").write_text(as_json_configuration(file), encoding="utf-8")
    events = list(events_of_tests(folder, files=len(scenarios)))
    return {
        name: _results([event for event in events if event.get("@testfile") == f"{name}.tftest.json"])
        for name in scenarios
    }


def events_of_tests(folder: Path, files: int) -> Iterator[dict[str, Any]]:
    """Yield the messages of `terraform test` before the teardown of the last file, which has no real resources."""
    with_providers = environment(folder, **terraform_environment())
    terraform_init(folder, with_providers)
    teardowns = 0
    with (
        running_providers(with_providers, folder) as running,
        subprocess.Popen(
            ["terraform", "test", "-json", "-verbose"],
            cwd=folder,
            env=with_providers | running,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as terraform,
    ):
        assert terraform.stdout is not None
        try:
            for event in map(json.loads, terraform.stdout):
                yield event
                teardowns += event.get("test_file", {}).get("progress") == "teardown"
                if teardowns == files:
                    return
        finally:
            # Its providers are in the same session.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(terraform.pid, signal.SIGKILL)


def _results(events: list[dict[str, Any]]) -> tuple[dict[str, Made], list[str]]:
    errors: dict[str, list[str]] = {"applied": [], "planned": []}
    for event in events:
        if event.get("diagnostic", {}).get("severity") == "error":
            diagnostic = event["diagnostic"]
            errors[event.get("@testrun", "applied")].append(diagnostic["detail"] or diagnostic["summary"])
    assert not errors["applied"], "\n".join(errors["applied"])
    (state,) = [event["test_state"] for event in events if "test_state" in event]
    outputs = state.get("outputs", {}).get("case", {}).get("value", {})
    made = {case: Made({}, values) for case, values in outputs.items()}
    for resource in _resources(state["root_module"]):
        case, _, address = resource["address"].removeprefix('module.case["').partition('"].')
        made.setdefault(case, Made({}, {})).resources[address] = resource
    return made, errors["planned"]


def copy_module(folder: Path) -> None:
    """Copy the module to `folder`/module, and the mocks of its providers to `folder`/mocks."""
    for path in [*ROOT.glob("*.tf"), ROOT / "pyproject.toml", ROOT / "modules", ROOT / "emails"]:
        copy = folder / "module" / path.name
        copy.parent.mkdir(exist_ok=True)
        (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    shutil.copytree(ROOT / "tests" / "mocks", folder / "mocks")
    (folder / "versions.tf").write_text(pinned_versions(), encoding="utf-8")


def _write_stub(folder: Path) -> None:
    """Write a configuration with one use of the module for each case of the variable `cases`, which is JSON."""
    copy_module(folder)
    stub = {
        "variable": {"cases": {"type": "string"}},
        "module": {
            "case": {
                "source": "./module",
                "for_each": "${jsondecode(var.cases)}",
                # null selects the default of a variable that is not nullable.
                **{name: f"${{try(each.value.{name}, null)}}" for name in variable_names(ROOT)},
            }
        },
        "output": {"case": {"value": "${module.case}"}},
    }
    (folder / "main.tf.json").write_text(json.dumps(stub))


def _run(command: str, cases: dict[str, Case], targets: tuple[str, ...]) -> dict[str, Any]:
    def address(case: str, below: str) -> str:
        return f'module.case["{case}"].{below}'

    arguments = {name: {"user_pool_id": USER_POOL_ID, "stage": "dev"} | case.arguments for name, case in cases.items()}
    found = {name: {POOL_ADDRESS: user_pool()} | case.found for name, case in cases.items()}
    return {
        "command": command,
        "variables": {"cases": json.dumps(arguments)},
        "plan_options": {"target": [address(case, target) for case in cases for target in targets]} if targets else {},
        "override_data": [
            {"target": address(case, at), "values": values} for case in cases for at, values in found[case].items()
        ],
        "override_resource": [
            {"target": address(case, at), "values": values} for case in cases for at, values in MADE.items()
        ],
        "override_module": [override for case in cases for override in packages(f'module.case["{case}"]')]
        + [
            {"target": address(case, at), "outputs": outputs}
            for case, given in cases.items()
            for at, outputs in given.outputs.items()
        ],
    }


def _resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)
