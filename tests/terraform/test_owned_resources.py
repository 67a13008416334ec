"""Changes of other resources in the same configuration, also of the pool and the table, replace nothing."""

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
        # As a subscription filter for each log group has: the keys are known at plan.
        "terraform_data": {
            output: {"for_each": f"${{module.user_sync.{output}}}", "input": "${each.value}"}
            for output in ("function_arns", "role_arns", "log_group_arns", "queue_arns", "alarm_arns")
        }
        | {"before": {"input": "${var.team}"}},
    },
    "module": {
        "user_sync": {
            "source": "./module",
            "user_pool_id": "${aws_cognito_user_pool.theirs.id}",
            "stage": "dev",
            "attach_trigger": False,
            "table": {"name": "${aws_dynamodb_table.theirs.name}", "attribute_prefix": ""},
            # The ARN is unknown until the topic exists, so the set of alarms must not depend on it.
            "alarms": {
                "trigger-errors": {"topic_arns": ["${aws_sns_topic.theirs.arn}"]},
                "trigger-throttles": {"enabled": False},
                "trigger-duration": {"topic_arns": "${aws_sns_topic.theirs[*].arn}"},
            },
        },
        # Terraform reads every data source of the module at apply, also account and region.
        "depending": {
            "source": "./module",
            "user_pool_id": USER_POOL_ID,
            "stage": "depending",
            # The check of the trigger waits for the apply. A plan then only warns, but `terraform test` fails.
            "attach_trigger": False,
            "welcome_email": {"from": "welcome@example.com"},
            "chained_function_arn": arn("lambda", "function:theirs"),
            "track_changes": True,
            "depends_on": ["terraform_data.before"],
        },
    },
}
# A change of one of these replaces the resource, but a mocked provider plans no replacement. So no one may be unknown.
REPLACING = {
    "aws_cloudwatch_dashboard": {"dashboard_name"},
    "aws_cloudwatch_log_group": {"name"},
    "aws_cloudwatch_log_metric_filter": {"log_group_name", "name"},
    "aws_dynamodb_table": {"name"},
    "aws_iam_role": {"name", "path"},
    "aws_iam_role_policy": {"name", "role"},
    "aws_lambda_function": {"function_name"},
    "aws_lambda_invocation": {"function_name", "input", "triggers"},
    "aws_lambda_permission": {"function_name", "source_account", "source_arn"},
    "aws_scheduler_schedule": {"name"},
    "aws_sfn_state_machine": {"name"},
    "aws_sqs_queue": {"name"},
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
        {"target": "module.depending.data.aws_cognito_user_pool.this", "values": user_pool()},
        {"target": "module.user_sync.module.user_table.data.aws_dynamodb_table.existing", "values": EXISTING},
    ],
    "override_module": packages("module.user_sync") + packages("module.depending"),
    "run": [
        {"applied": {"command": "apply", "variables": {"team": "identity"}}},
        {"planned": {"command": "plan", "variables": {"team": "platform"}}},
    ],
}


def test_change_of_other_resources_replaces_nothing(tmp_path: Path) -> None:
    """A deferred data source makes ARNs unknown: Terraform then replaces Cognito's permission, and sign-ups fail."""
    copy_module(tmp_path)
    # Like the check of the trigger, a check of the welcome email would wait for the apply.
    (tmp_path / "module" / "checks.tf").unlink()
    (tmp_path / "main.tf.json").write_text(json.dumps(CONFIGURATION), encoding="utf-8")
    (tmp_path / "owned.tftest.json").write_text(as_json_configuration(TESTS), encoding="utf-8")
    events = list(events_of_tests(tmp_path, files=1))
    assert [event["diagnostic"] for event in events if event.get("diagnostic", {}).get("severity") == "error"] == []
    (plan,) = [event["test_plan"] for event in events if "test_plan" in event]
    actions = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
    assert actions.pop("aws_cognito_user_pool.theirs") == ["update"]
    assert actions.pop("aws_dynamodb_table.theirs") == ["update"]
    deferred = {address for address, each in actions.items() if each == ["read"]}
    assert "module.depending.data.aws_service.lambda" in deferred
    assert [address for address in deferred if not address.startswith("module.depending.")] == []
    others = {address: each for address, each in actions.items() if address not in deferred}
    assert {address: each for address, each in others.items() if each not in (["no-op"], ["update"])} == {}
    unknown = {
        change["address"]: sorted(REPLACING[change["type"]] & change["change"]["after_unknown"].keys())
        for change in plan["resource_changes"]
        if change["type"] in REPLACING and change["mode"] == "managed"
    }
    assert len(unknown) > 60
    assert {address: names for address, names in unknown.items() if names} == {}
