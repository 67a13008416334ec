"""The module's table, or an existing one, alone: as the provider plans, changes and reads it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from local_aws.client import LocalAws
from local_aws.provider_processes import pinned_versions
from tests.deployed import ROOT, Terraform

WARNING = "Warning: Check block"


def table_alone(folder: Path) -> Terraform:
    (folder / "main.tf.json").write_text(
        json.dumps(
            {
                "variable": {"table": {"type": "any"}},
                "module": {
                    "user_table": {
                        "source": str(ROOT / "modules" / "user_table"),
                        "name": "made-alone",
                        "arn": "arn:aws:dynamodb:us-east-1:000000000000:table/made-alone",
                        "table": "${var.table}",
                        "finds_deleted_users": True,
                        "deletes_items": True,
                    }
                },
                "output": {"table": {"value": "${module.user_table}"}},
            }
        )
    )
    (folder / "versions.tf").write_text(pinned_versions())
    terraform = Terraform(folder, folder / "data", folder / "terraform.tfstate")
    terraform("init")
    return terraform


def table(**given: Any) -> str:
    return json.dumps(
        {"billing_mode": "PAY_PER_REQUEST", "deletion_protection": False, "point_in_time_recovery": True}
        | {"email_index": True}
        | given
    )


def run_as_typed(aws: LocalAws, command: str) -> None:
    """Call what an `aws dynamodb` command calls."""
    aws_, service, operation, *rest = shlex.split(command)
    assert (aws_, service) == ("aws", "dynamodb")

    def value(words: list[str]) -> Any:
        if words[0][0] in "[{":
            return json.loads(words[0])
        if "=" not in words[0]:
            return words[0]
        return [dict(pair.split("=") for pair in word.split(",")) for word in words]

    options: dict[str, list[str]] = {}
    for word in rest:
        if word.startswith("--"):
            option = options.setdefault("".join(part.title() for part in word[2:].split("-")), [])
        else:
            option.append(word)
    arguments = {name: value(words) for name, words in options.items()}
    if given := arguments.get("TimeToLiveSpecification"):
        arguments["TimeToLiveSpecification"] = {**given[0], "Enabled": given[0]["Enabled"] == "true"}
    getattr(aws.client("dynamodb"), operation.replace("-", "_"))(**arguments)


def test_existing_table_warns_of_what_it_lacks_and_names_its_key(aws: LocalAws, tmp_path: Path) -> None:
    """And the commands in the warnings add it."""
    dynamodb = aws.client("dynamodb")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    dynamodb.create_table(
        TableName="theirs-alone",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "KMSMasterKeyId": key},
    )
    terraform = table_alone(tmp_path)
    variables = {"table": table(name="theirs-alone")}
    applied = terraform("apply", "-auto-approve", variables=variables)
    assert terraform.outputs()["table"]["existing_kms_key_arn"] == key
    assert applied.stdout.count(WARNING) == 2
    warnings = terraform.warnings(variables)
    commands = re.findall(r"(aws dynamodb .*?(?:\]'|expires_at))", warnings)
    assert len(commands) == 2, warnings
    for command in commands:
        run_as_typed(aws, command)
    assert WARNING not in terraform("apply", "-auto-approve", variables=variables).stdout
    assert terraform.warnings(variables) == ""
    # DynamoDB's own key again.
    dynamodb.update_table(TableName="theirs-alone", SSESpecification={"Enabled": False})
    terraform("apply", "-auto-approve", variables=variables)
    assert terraform.outputs()["table"].get("existing_kms_key_arn") is None


def test_table_changes_its_billing_mode_and_back(aws: LocalAws, tmp_path: Path) -> None:
    def described() -> dict[str, Any]:
        found: dict[str, Any] = aws.client("dynamodb").describe_table(TableName="made-alone")["Table"]
        return found

    terraform = table_alone(tmp_path)
    provisioned = {"table": table(billing_mode="PROVISIONED", read_capacity=5, write_capacity=6)}
    terraform("apply", "-auto-approve", variables=provisioned)
    assert terraform.warnings(provisioned) == ""
    for each in (described(), *described()["GlobalSecondaryIndexes"]):
        throughput = each["ProvisionedThroughput"]
        assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (5, 6)
    on_demand = {"table": table()}
    terraform("apply", "-auto-approve", variables=on_demand)
    assert described()["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert terraform.warnings(on_demand) == ""
    terraform("destroy", "-auto-approve", variables=on_demand)
