"""The pool and the table may be in the module's own configuration: their changes must not touch the module."""

from __future__ import annotations

import json
from pathlib import Path

from tests.mocked_terraform import (
    USER_POOL_ID,
    arn,
    as_json_configuration,
    copy_module,
    events_of_tests,
    packages,
    user_pool,
)
from tests.terraform.conftest import table

EXISTING = table(("by_shard", "shard", "id"))
CONFIGURATION = {
    "variable": {"team": {"type": "string"}},
    "resource": {
        "aws_cognito_user_pool": {"theirs": {"name": "theirs", "email_verification_subject": "${var.team}"}},
        "aws_dynamodb_table": {
            "theirs": {
                "name": "users",
                "billing_mode": "PAY_PER_REQUEST",
                "hash_key": "id",
                "attribute": [{"name": "id", "type": "S"}],
                "tags": {"team": "${var.team}"},
            }
        },
        "aws_sns_topic": {"theirs": {"name": "alarms"}},
        # Like a subscription filter for each log group: the keys are known at plan.
        "terraform_data": {
            output: {"for_each": f"${{module.user_sync.{output}}}", "input": "${each.value}"}
            for output in ("function_arns", "role_arns", "log_group_arns", "queue_arns", "alarm_arns")
        },
    },
    "module": {
        "user_sync": {
            "source": "./module",
            "user_pool_id": "${aws_cognito_user_pool.theirs.id}",
            "stage": "dev",
            "attach_trigger": False,
            "table": {"name": "${aws_dynamodb_table.theirs.name}"},
            # Unknown until the topic exists, and so must not decide which alarms exist.
            "alarms": {
                "trigger-errors": {"topic_arns": ["${aws_sns_topic.theirs.arn}"]},
                "trigger-throttles": {"enabled": False},
                "trigger-duration": {"topic_arns": "${aws_sns_topic.theirs[*].arn}"},
            },
        }
    },
}
TESTS = {
    "mock_provider": {"archive": {}, "aws": {"source": "./mocks"}},
    "override_resource": [
        {
            "target": "aws_cognito_user_pool.theirs",
            "values": {"id": USER_POOL_ID, "arn": arn("cognito-idp", f"userpool/{USER_POOL_ID}")},
        },
        {"target": "aws_sns_topic.theirs", "values": {"arn": arn("sns", "alarms")}},
    ],
    "override_data": [
        {"target": "module.user_sync.data.aws_cognito_user_pool.this", "values": user_pool()},
        {"target": "module.user_sync.module.user_table.data.aws_dynamodb_table.existing", "values": EXISTING},
    ],
    "override_module": packages("module.user_sync"),
    "run": [
        {"applied": {"command": "apply", "variables": {"team": "identity"}}},
        {"planned": {"command": "plan", "variables": {"team": "platform"}}},
    ],
}


def test_change_of_pool_and_table_replaces_and_defers_nothing(tmp_path: Path) -> None:
    """A deferred data source makes ARNs unknown: Terraform then replaces Cognito's permission, and sign-ups fail."""
    copy_module(tmp_path)
    (tmp_path / "main.tf.json").write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    (tmp_path / "owned.tftest.json").write_text(as_json_configuration(TESTS), encoding="utf-8")
    events = list(events_of_tests(tmp_path, files=1))
    assert [event["diagnostic"] for event in events if event.get("diagnostic", {}).get("severity") == "error"] == []
    (plan,) = [event["test_plan"] for event in events if "test_plan" in event]
    actions = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
    assert actions.pop("aws_cognito_user_pool.theirs") == ["update"]
    assert actions.pop("aws_dynamodb_table.theirs") == ["update"]
    assert {address: each for address, each in actions.items() if each not in (["no-op"], ["update"])} == {}
