"""modules/user_table without the other modules: how the provider plans, changes and reads a new or existing table."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from local_aws.client import LocalAws
from local_aws.offline.provider_processes import pinned_versions
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
                        "attributes": ["name", "email"],
                        "needs_shard_index": True,
                        "deletes_items": True,
                        "sync_groups": False,
                        "publishes_events": False,
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
        {
            "partition_key": {"name": "id", "value": "{sub}"},
            "attribute_names": {},
            "extra_attributes": {},
            "ttl_attribute": "expires_at",
            "billing_mode": "PAY_PER_REQUEST",
            "deletion_protection": False,
            "point_in_time_recovery": True,
            "email_index": True,
            "replica_regions": [],
        }
        | given
    )


def run_as_typed(aws: LocalAws, command: str) -> None:
    """Make the API call of an `aws dynamodb` command."""
    aws_, service, operation, *rest = shlex.split(command)
    assert (aws_, service) == ("aws", "dynamodb")

    arguments = {
        "".join(part.title() for part in option[2:].split("-")): json.loads(value) if value[0] in "[{" else value
        for option, value in zip(rest[::2], rest[1::2], strict=True)
    }
    getattr(aws.client("dynamodb"), operation.replace("-", "_"))(**arguments)


SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "single-table": {
        "partition_key": {"name": "PK", "value": "USER#{sub}"},
        "sort_key": {"name": "SK", "value": "PROFILE"},
        "attribute_prefix": "cognito's_",
        "ttl_attribute": "until",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_existing_table_warns_of_what_it_lacks_and_names_its_key(aws: LocalAws, tmp_path: Path, shape: str) -> None:
    """The commands in the warnings fix what they report."""
    dynamodb = aws.client("dynamodb")
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    given = json.loads(table(name=f"theirs-alone-{shape}", **SHAPES[shape]))
    keys = {given["partition_key"]["name"]: "HASH", **({"SK": "RANGE"} if "sort_key" in given else {})}
    dynamodb.create_table(
        TableName=given["name"],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "KMSMasterKeyId": key},
    )
    terraform = table_alone(tmp_path)
    variables = {"table": json.dumps(given)}
    applied = terraform("apply", "-auto-approve", variables=variables)
    assert terraform.outputs()["table"]["existing_kms_key_arn"] == key
    assert applied.stdout.count(WARNING) == 2
    warnings = terraform.warnings(variables)
    commands = re.findall(r"(aws dynamodb .*?[\]}]'(?! --))", warnings)
    assert len(commands) == 2, warnings
    for command in commands:
        run_as_typed(aws, command)
    assert WARNING not in terraform("apply", "-auto-approve", variables=variables).stdout
    assert terraform.outputs()["table"]["has_shard_index"]
    shard = f"{SHAPES[shape].get('attribute_prefix', '')}shard"
    assert terraform.outputs()["table"]["layout"]["index_keys"] == sorted([*keys, shard])
    assert terraform.warnings(variables) == ""
    # Back to the key that DynamoDB owns.
    dynamodb.update_table(TableName=given["name"], SSESpecification={"Enabled": False})
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


def test_plan_fails_when_keys_of_the_table_change(aws: LocalAws, tmp_path: Path) -> None:
    """The operator accepts the change with -replace, which stores the new settings."""
    dynamodb = aws.client("dynamodb")
    terraform = table_alone(tmp_path)
    terraform("apply", "-auto-approve", variables={"table": table()})
    dynamodb.put_item(TableName="made-alone", Item={"id": {"S": "theirs"}})
    single = {"table": table(**SHAPES["single-table"], email_index=False)}
    failed = terraform("apply", "-auto-approve", variables=single, expect=1)
    assert "Terraform would delete the table made-alone with all its items" in failed.stderr
    assert dynamodb.get_item(TableName="made-alone", Key={"id": {"S": "theirs"}})["Item"] == {"id": {"S": "theirs"}}
    terraform("apply", "-auto-approve", "-replace=module.user_table.terraform_data.identity", variables=single)
    described = dynamodb.describe_table(TableName="made-alone")["Table"]
    assert [key["AttributeName"] for key in described["KeySchema"]] == ["PK", "SK"]
    assert terraform.warnings(single) == ""
    terraform("destroy", "-auto-approve", variables=single)
