"""`make release-table` ends the protection of the table in the state, and of no other."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from local_aws.client import LocalAws

ROOT = Path(__file__).parents[2]
STATE = """\
# module.user_table.aws_dynamodb_table.this[0]:
resource "aws_dynamodb_table" "this" {
    arn                         = "arn:aws:dynamodb:eu-west-1:000000000000:table/released"
    deletion_protection_enabled = true
    name                        = "released"

    attribute {
        name = "id"
        type = "S"
    }
}
"""


def test_release_table_disables_protection_of_this_table(aws: LocalAws, tmp_path: Path) -> None:
    dynamodb = aws.client("dynamodb", region_name="eu-west-1")
    for name in ("released", "other"):
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
        )
    state, program = tmp_path / "state", tmp_path / "terraform"
    state.write_text(STATE)
    program.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec echo "Terraform v1.9.0"\ntest "$1 $2" != "state show" || cat {state}\n'
    )
    program.chmod(0o755)
    environment = {**os.environ, **aws.environment(), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["make", "--no-print-directory", "release-table", "ENV=dev"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("To delete the table: make destroy ENV=dev")
    protected = {
        name: dynamodb.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"]
        for name in ("released", "other")
    }
    assert protected == {"released": False, "other": True}
