"""The unknown keys of object variables that inputs.tf finds. Terraform needs no provider for them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.mocked_terraform import ROOT, environment, terraform_init

# Unknown at plan, as the ARN of a resource that the same configuration creates.
UNKNOWN = "${terraform_data.new.id}"

# An unknown key in each object, with the required keys of the object. Other values are unknown at plan.
MISSPELLED: dict[str, Any] = {
    "welcome_email": {
        "from": "a@example.com",
        "form": "a@example.com",
        "app_client_ids": [UNKNOWN],
        "translations": {"de": {"subject": "s", "text": UNKNOWN, "html": "h", "subjct": "s"}},
    },
    "table": {
        "name": UNKNOWN,
        "attribute_prefix": "",
        "deletion_protecton": False,
        "nme": UNKNOWN,
        "partition_key": {"name": UNKNOWN, "nme": "id"},
        "sort_key": {"name": UNKNOWN, "value": "PROFILE", "valeu": "PROFILE"},
    },
    "user_events": {"event_bus_arn": UNKNOWN, "stream": UNKNOWN},
    "deleted_users": {"retention_day": 1},
    "reconciliation": {"schedul": "none"},
    "alarms": {"trigger-errors": {"treshold": 1, "topic_arns": [UNKNOWN]}, "changes-lost": None},
    "lambda": {
        "memory": 256,
        "code_bucket": UNKNOWN,
        "vpc_config": {"subnet_ids": [UNKNOWN], "security_group_ids": [UNKNOWN], "subnets": []},
    },
}
FOUND = {
    'alarms["trigger-errors"]': "treshold",
    "deleted_users": "retention_day",
    "lambda": "memory",
    "lambda.vpc_config": "subnets",
    "reconciliation": "schedul",
    "table": "deletion_protecton, nme",
    "table.partition_key": "nme",
    "table.sort_key": "valeu",
    "user_events": "stream",
    "welcome_email": "form",
    'welcome_email.translations["de"]': "subjct",
}

# Keys of maps, null instead of objects, and values that are unknown at plan.
CORRECT: dict[str, Any] = {
    "welcome_email": None,
    "table": {
        "name": UNKNOWN,
        "attribute_prefix": "",
        "attribute_names": {"email": UNKNOWN},
        "extra_attributes": {"PK": "{sub}"},
        "partition_key": None,
        "sort_key": None,
    },
    "user_events": {"event_bus_arn": UNKNOWN, "stream_arn": UNKNOWN},
    "deleted_users": None,
    "lambda": {"vpc_config": None},
    "alarms": {"trigger-errors": {"topic_arns": [UNKNOWN]}, "changes-lost": {"enabled": False}},
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The errors of a plan whose module is inputs.tf alone, with the condition of main.tf."""
    folder = tmp_path_factory.mktemp("unknown_keys")
    for path in ("variables.tf", "inputs.tf", "modules/inputs"):
        copy = folder / "module" / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, copy)
    condition = {
        "condition": "${length(local.unknown_keys) == 0}",
        "error_message": '${join("\\n", local.unknown_keys)}',
    }
    output = {"output": {"none": {"value": None, "precondition": condition}}}
    (folder / "module" / "output.tf.json").write_text(json.dumps(output))
    cases = {"misspelled": MISSPELLED, "correct": CORRECT, "defaults": {}}
    required = {"source": "./module", "user_pool_id": "eu-west-1_AbCdEfGhI", "stage": "dev"}
    configuration = {
        "resource": {"terraform_data": {"new": {}}},
        "module": {name: required | given for name, given in cases.items()},
    }
    (folder / "main.tf.json").write_text(json.dumps(configuration))
    terraform_init(folder, environment(folder))
    arguments = ["terraform", "plan", "-input=false", "-lock=false", "-json"]
    planned = subprocess.run(
        arguments, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
    )
    events = [json.loads(line) for line in planned.stdout.splitlines()]
    return [event["diagnostic"]["detail"] for event in events if "diagnostic" in event]


def test_unknown_key_of_each_object_is_found_beside_unknown_values(messages: list[str]) -> None:
    (message,) = messages
    found = dict(line.split(":")[0].split(" has the unknown key ") for line in message.splitlines())
    assert found == FOUND
    assert "deleted_users has the unknown key retention_day: each must be one of action, retention_days." in message


def test_unknown_keys_are_looked_for_in_each_object_type() -> None:
    types = (ROOT / "modules" / "inputs" / "variables.tf").read_text(encoding="utf-8")
    assert len(FOUND) == types.count("object({")
