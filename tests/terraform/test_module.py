"""The resources that the module creates with the defaults, with every option, and with the fewest options."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.mocked_terraform import (
    ACCOUNT_ID,
    FUNCTIONS,
    QUEUES,
    ROOT,
    STATE_MACHINES,
    USER_POOL_ID,
    Made,
    arn,
    queue_url,
)
from tests.samples import environment
from tests.terraform.conftest import (
    APPLIED,
    BOUNDARY,
    BUS,
    KEY,
    LONGEST_NAME,
    LONGEST_STAGE,
    PREVIOUS_KEY,
    SENDER_KEY,
    SMS_ROLE,
    STREAM,
    TABLE_KEY,
    THEIR_IDENTITY,
    THEIRS,
    Terraform,
)

BOOKKEEPING = [
    *["username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at", "synced_at"],
    *["deleted_at", "shard", "user_pool_id", "synced_attributes"],
]
GROUPS = ["groups", "groups_observed_at"]

DEV, LONGEST = "cognito-user-sync-dev", f"{LONGEST_NAME}-{LONGEST_STAGE}"
POOL_ARN = arn("cognito-idp", f"userpool/{USER_POOL_ID}")


@pytest.fixture
def defaults(terraform: Terraform) -> Made:
    return terraform.made["defaults"]


@pytest.fixture
def everything(terraform: Terraform) -> Made:
    return terraform.made["everything"]


@pytest.fixture
def least(terraform: Terraform) -> Made:
    return terraform.made["least"]


def functions(made: Made, prefix: str) -> dict[str, Any]:
    return {
        values["function_name"].removeprefix(f"{prefix}-"): values
        for values in made.of_type("aws_lambda_function").values()
    }


def environments(made: Made, prefix: str) -> dict[str, dict[str, str]]:
    return {name: values["environment"][0]["variables"] for name, values in functions(made, prefix).items()}


def user_table(made: Made, prefix: str) -> dict[str, Any]:
    """Return USER_TABLE, which must be the same in all functions that have it, and in the output."""
    (found,) = {each["USER_TABLE"] for each in environments(made, prefix).values() if "USER_TABLE" in each}
    layout: dict[str, Any] = json.loads(found)
    assert layout == made.outputs["user_table_layout"]
    return layout


def definition(made: Made, name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(made[f"{STATE_MACHINES[name]}.aws_sfn_state_machine.this"]["definition"])
    return parsed


# --- the functions


def test_environment_of_every_function_by_default(defaults: Made) -> None:
    attributes = '["name","email","phone_number"]'
    user_sync = arn("states", f"stateMachine:{DEV}-user-sync")
    user = {
        "USER_POOL_ID": USER_POOL_ID,
        "USER_TABLE": environments(defaults, DEV)["sync-user"]["USER_TABLE"],
        "ATTRIBUTES": attributes,
        "DELETED_USERS": "mark",
        "RETENTION_DAYS": "30",
    }
    assert environments(defaults, DEV) == {
        "post-confirmation": {
            "USER_SYNC_STATE_MACHINE_ARN": user_sync,
            "RETRY_QUEUE_URL": queue_url("retry"),
        },
        "retry-sign-ups": {"USER_SYNC_STATE_MACHINE_ARN": user_sync},
        "sync-user": user,
        "pool-trigger": {
            "USER_POOL_ID": USER_POOL_ID,
            "POST_CONFIRMATION_FUNCTION_ARN": arn("lambda", f"function:{DEV}-post-confirmation"),
            "CHAINED_FUNCTION_ARN": "",
        },
        "plan-shards": {
            **user,
            "HAS_SHARD_INDEX": "true",
            "LIST_USERS_PER_SECOND": "15",
            "MAX_CONCURRENCY": "4",
            "MAX_DELETE_PERCENT": "10",
        },
        "reconcile-shards": user,
        "start-run": {"RECONCILIATION_STATE_MACHINE_ARN": arn("states", "stateMachine:reconciliation")},
    }


def test_layout_of_the_table_by_default(defaults: Made) -> None:
    """The unit tests use the same names."""
    expected = json.loads(environment(["id", "shard"])["USER_TABLE"])
    assert user_table(defaults, DEV) == {**expected, "name": f"{DEV}-users"}


def test_layout_of_the_table_with_every_option(everything: Made) -> None:
    given = APPLIED["everything"].arguments["table"]
    layout = ("partition_key", "sort_key", "attribute_prefix", "attribute_names", "extra_attributes", "ttl_attribute")
    assert user_table(everything, LONGEST) == {
        "name": f"{LONGEST}-users",
        "is_own": True,
        **{setting: given[setting] for setting in layout},
        "index_keys": ["GSI1PK", "PK", "SK"],
    }


def test_layout_of_an_existing_table(least: Made, terraform: Terraform) -> None:
    """The index keys are all attributes that the table defines, also those of an application."""
    for made, prefix, index_keys in (
        (least, "", ["email", "id", "shard"]),
        (terraform.made["not_overdue"], "cognito_", ["cognito_shard", "id"]),
    ):
        layout = user_table(made, DEV)
        assert (layout["name"], layout["is_own"], layout["attribute_prefix"]) == ("users", False, prefix)
        assert layout["index_keys"] == index_keys


def test_layout_with_an_email_index(terraform: Terraform) -> None:
    layout = user_table(terraform.made["no_reconciliation"], DEV)
    assert layout["extra_attributes"] == {"email_lower": "{email|lower}"}
    assert layout["index_keys"] == ["email_lower", "id", "shard"]


def test_bookkeeping_names_are_those_of_this_module(everything: Made) -> None:
    """The names are those of the documentation and of the message about unknown names."""
    written = json.loads(
        everything["module.reconciliation[0].aws_lambda_invocation.first_run[0]"]["triggers"]["written"]
    )
    assert written["names"] == {
        **{field: f"cognito_{field}" for field in [*BOOKKEEPING, *GROUPS, "given_name"]},
        "custom:plan": "plan",
        "shard": "GSI1PK",
    }


def test_marked_items_expire_by_default_in_a_table_of_this_module(defaults: Made, terraform: Terraform) -> None:
    """In an existing table, attributes of an application would also expire."""
    assert defaults.outputs["deleted_users"] == {"action": "mark", "retention_days": 30}
    existing = terraform.made["not_overdue"]
    assert existing.outputs["deleted_users"] == {"action": "mark", "retention_days": None}
    assert "RETENTION_DAYS" not in environments(existing, DEV)["sync-user"]


def test_environment_of_every_function_with_every_option(everything: Made) -> None:
    attributes = '["given_name","custom:plan"]'
    user_sync = arn("states", f"stateMachine:{LONGEST}-user-sync")
    user = {
        "USER_POOL_ID": USER_POOL_ID,
        "USER_TABLE": environments(everything, LONGEST)["sync-user"]["USER_TABLE"],
        "ATTRIBUTES": attributes,
        "DELETED_USERS": "delete_item",
        "SYNC_GROUPS": "true",
    }
    assert environments(everything, LONGEST) == {
        "post-confirmation": {
            "USER_SYNC_STATE_MACHINE_ARN": user_sync,
            "RETRY_QUEUE_URL": queue_url("retry"),
            "CHAINED_FUNCTION_ARN": THEIRS,
        },
        "retry-sign-ups": {"USER_SYNC_STATE_MACHINE_ARN": user_sync},
        "sync-user": user,
        "send-welcome": {"USER_POOL_ID": USER_POOL_ID, "ATTRIBUTES": attributes},
        "pool-trigger": {
            "USER_POOL_ID": USER_POOL_ID,
            "POST_CONFIRMATION_FUNCTION_ARN": arn("lambda", f"function:{LONGEST}-post-confirmation"),
            "CHAINED_FUNCTION_ARN": THEIRS,
        },
        "publish-user-events": {**user, "EVENT_BUS_ARN": BUS},
        "sync-changes": {**user, "USER_SYNC_STATE_MACHINE_ARN": user_sync},
        "plan-shards": {
            **user,
            "HAS_SHARD_INDEX": "true",
            "LIST_USERS_PER_SECOND": "20",
            "MAX_CONCURRENCY": "7",
            "MAX_DELETE_PERCENT": "5",
        },
        "reconcile-shards": user,
        "start-run": {"RECONCILIATION_STATE_MACHINE_ARN": arn("states", "stateMachine:reconciliation")},
    }


def test_functions_run_their_handlers(everything: Made) -> None:
    found = functions(everything, LONGEST)
    assert set(found) == set(FUNCTIONS)
    for name, values in found.items():
        handler = name.replace("-", "_")
        assert values["handler"] == f"cognito_user_sync.handlers.{handler}.handler"
        assert (ROOT / "lambda_src/cognito_user_sync/handlers" / f"{handler}.py").is_file()
        assert values["logging_config"][0]["log_group"] == f"/aws/lambda/{LONGEST}-{name}"


def test_functions_take_memory_and_architecture(defaults: Made, everything: Made) -> None:
    """A reconciliation worker has at least one full CPU: 1,769 MB."""
    for name, values in functions(defaults, DEV).items():
        assert (values["memory_size"], values["architectures"]) == (
            1769 if name == "reconcile-shards" else 512,
            ["arm64"],
        )
    for values in functions(everything, LONGEST).values():
        assert (values["memory_size"], values["architectures"]) == (2048, ["x86_64"])


def test_reserved_concurrency_is_for_the_trigger_alone(defaults: Made, everything: Made) -> None:
    assert {values["reserved_concurrent_executions"] for values in functions(defaults, DEV).values()} == {-1}
    reserved = {
        name: values["reserved_concurrent_executions"] for name, values in functions(everything, LONGEST).items()
    }
    assert reserved == dict.fromkeys(FUNCTIONS, -1) | {"post-confirmation": 9}


def test_functions_take_runtime_layer_and_vpc(defaults: Made, everything: Made) -> None:
    for values in functions(defaults, DEV).values():
        assert (values["runtime"], values["layers"], values["vpc_config"]) == ("python3.13", [], [])
    vpc_config = APPLIED["everything"].arguments["lambda"]["vpc_config"]
    for name, values in functions(everything, LONGEST).items():
        layers = [arn("lambda", "layer:welcome-email:1")] if name == "send-welcome" else []
        assert (values["runtime"], values["layers"]) == ("python3.12", layers)
        (found,) = values["vpc_config"]
        assert {key: sorted(found[key]) for key in vpc_config} == vpc_config


# --- settings of all resources


def test_everything_is_made_after_the_log_group_of_the_deployment(everything: Made) -> None:
    """AWS rejects a second log group of this name. A second deployment would take over queues, rules and alarms."""
    group = "module.case.aws_cloudwatch_log_group.deployment"
    before = {
        address
        for address, resource in everything.resources.items()
        if resource["mode"] == "managed" and resource["type"] != "terraform_data"  # which is not in AWS
        if group not in resource.get("depends_on", [])
    }
    assert before == {"aws_cloudwatch_log_group.deployment"}


def test_names_are_within_the_limits_of_aws(everything: Made) -> None:
    limits = {
        "aws_lambda_function": ("function_name", 64),
        "aws_iam_role": ("name", 64),
        "aws_iam_role_policy": ("name", 128),
        "aws_sqs_queue": ("name", 80),
        "aws_sfn_state_machine": ("name", 80),
        "aws_cloudwatch_event_rule": ("name", 64),
        "aws_scheduler_schedule": ("name", 64),
        "aws_dynamodb_table": ("name", 255),
        "aws_cloudwatch_metric_alarm": ("alarm_name", 255),
    }
    for kind, (name, limit) in limits.items():
        # The provider adds 26 characters to a prefix of an IAM name.
        names = [
            f"{values['name_prefix']}{'x' * 26}" if values.get("name_prefix", "").startswith(LONGEST) else values[name]
            for values in everything.of_type(kind).values()
        ]
        assert names
        # IAM names are unique per account, not per region.
        prefix = f"{LONGEST}-eu-west-1" if kind == "aws_iam_role" else LONGEST
        assert all(len(name) <= limit and name.startswith(f"{prefix}-") for name in names), names


def test_key_encrypts_everything(defaults: Made, everything: Made) -> None:
    for made, key in ((defaults, None), (everything, KEY)):
        for values in made.of_type("aws_lambda_function").values():
            assert values["kms_key_arn"] == key
        for values in made.of_type("aws_sqs_queue").values():
            assert (values["kms_master_key_id"], bool(values["sqs_managed_sse_enabled"])) == (key, key is None)
        for address, values in made.of_type("aws_cloudwatch_log_group").items():
            # The log group of the deployment is always empty.
            assert values["kms_key_id"] == (None if address == "aws_cloudwatch_log_group.deployment" else key)
        for values in made.of_type("aws_sfn_state_machine").values():
            (found,) = values["encryption_configuration"]
            kind = "CUSTOMER_MANAGED_KMS_KEY" if key else "AWS_OWNED_KEY"
            assert (found["type"], found["kms_key_id"]) == (kind, key)
            assert found["kms_data_key_reuse_period_seconds"] == (300 if key else None)
        (table,) = made.of_type("aws_dynamodb_table").values()
        (found,) = table["server_side_encryption"]
        assert found["enabled"] == (key is not None)
        assert key in (None, found["kms_key_arn"])


def test_table_changes_after_the_roles_that_use_it(everything: Made) -> None:
    """DynamoDB uses the table's key with the permissions of the caller, so the roles need a new key first."""
    depends_on = everything.resources["module.user_table.aws_dynamodb_table.this[0]"]["depends_on"]
    for function in ("sync-user", "sync-changes", "plan-shards", "reconcile-shards"):
        address = re.sub(r"\[\d\]", "", FUNCTIONS[function])
        assert f"module.case.{address}.aws_iam_role_policy.this" in depends_on


def test_log_policy_of_each_function_is_separate(everything: Made) -> None:
    """A function can log its errors, such as a lost sign-up, even if its other policy is missing."""
    for name, address in FUNCTIONS.items():
        (statement,) = everything[f"{address}.data.aws_iam_policy_document.log"]["statement"]
        assert statement["actions"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        assert statement["resources"] == [f"{everything[f'{address}.aws_cloudwatch_log_group.this']['arn']}:*"], name
        assert "WriteOwnLog" not in statements(everything, f"{address}.data.aws_iam_policy_document.this"), name
        assert everything[f"{address}.aws_iam_role_policy.log"]["name"] == f"{LONGEST}-{name}-log"


def test_functions_that_read_what_is_encrypted_may_use_the_key(everything: Made) -> None:
    """A function that writes to a queue or an execution also has permission to encrypt."""
    writers = {"post-confirmation", "retry-sign-ups", "start-run", "sync-changes", "publish-user-events"}
    for name, address in FUNCTIONS.items():
        found = statements(everything, f"{address}.data.aws_iam_policy_document.this")
        actions = ["kms:Decrypt", "kms:GenerateDataKey"] if name in writers else ["kms:Decrypt"]
        assert found["UseKey"]["actions"] == actions, name


RUN_SCHEDULE = "module.reconciliation[0].module.schedule[0].aws_scheduler_schedule.this"
POLICIES = {
    **{name: f"{at}.data.aws_iam_policy_document.this" for name, at in {**FUNCTIONS, **STATE_MACHINES}.items()},
    # The schedule trigger-check invokes a function, which needs no permission for the key.
    "schedule": "module.reconciliation[0].module.schedule[0].data.aws_iam_policy_document.this",
}


def test_roles_may_use_previous_keys_as_the_present_one(everything: Made, least: Made, defaults: Made) -> None:
    """Messages stay encrypted with the previous key, also if there is no key any more."""
    for made, keys in ((everything, [PREVIOUS_KEY, KEY]), (least, [PREVIOUS_KEY]), (defaults, [])):
        found = {
            name: sorted(statements(made, address).get("UseKey", {}).get("resources", []))
            for name, address in POLICIES.items()
            if address in made.resources
        }
        assert len(found) >= 6
        assert found == dict.fromkeys(found, keys)


def test_functions_may_use_the_key_of_an_existing_table_through_dynamodb(terraform: Terraform, defaults: Made) -> None:
    made = terraform.made["table_key"]
    found = {name: statements(made, POLICIES[name]) for name in FUNCTIONS if POLICIES[name] in made.resources}
    statement = {name: policy["UseTableKey"] for name, policy in found.items() if "UseTableKey" in policy}
    assert statement.keys() == {"sync-user", "sync-changes", "plan-shards", "reconcile-shards"}
    for each in statement.values():
        assert (each["actions"], each["resources"]) == (["kms:Decrypt"], [TABLE_KEY])
        via = {"test": "StringEquals", "variable": "kms:ViaService", "values": ["dynamodb.eu-west-1.amazonaws.com"]}
        assert each["condition"] == [via]
    assert "UseTableKey" not in statements(defaults, POLICIES["sync-user"])


def test_logs_traces_boundary_and_tags_reach_every_resource(defaults: Made, everything: Made) -> None:
    for made, days, kind, mode, path, boundary, tags in (
        (defaults, 30, "STANDARD", "PassThrough", "/", None, {}),
        (everything, 7, "INFREQUENT_ACCESS", "Active", "/service/", BOUNDARY, {"team": "identity"}),
    ):
        for address, values in made.of_type("aws_cloudwatch_log_group").items():
            assert values["retention_in_days"] == days
            # The log group of the deployment is always empty.
            assert values["log_group_class"] == kind or address == "aws_cloudwatch_log_group.deployment"
        for values in made.of_type("aws_lambda_function").values():
            assert values["tracing_config"][0]["mode"] == mode
        for values in made.of_type("aws_sfn_state_machine").values():
            assert values["tracing_configuration"][0]["enabled"] == (mode == "Active")
        for values in made.of_type("aws_iam_role").values():
            assert (values["permissions_boundary"], values["path"]) == (boundary, path)
            assert values["force_detach_policies"]
        for address, resource in made.resources.items():
            if resource["mode"] == "managed":
                assert resource["values"].get("tags", tags) == tags, address


def test_dashboard_url_is_in_the_console_of_the_partition(terraform: Terraform) -> None:
    consoles = {"defaults": "console.aws.amazon.com", "small": "console.amazonaws-eusc.eu"}
    for case, console in consoles.items():
        url = terraform.made[case].outputs["dashboard_url"]
        place = f"https://eu-west-1.{console}/cloudwatch/home?region=eu-west-1"
        assert url == f"{place}#dashboards/dashboard/cognito-user-sync-dev-eu-west-1"


@pytest.mark.parametrize("case", ["defaults", "everything", "least", "small"])
def test_arn_outputs_have_a_key_for_each_resource(terraform: Terraform, case: str) -> None:
    """Each name ends with its key. The log group of the deployment is not in the output, because it is always empty."""
    made = terraform.made[case]
    for output, (kind, name) in {
        "function_arns": ("aws_lambda_function", "function_name"),
        "role_arns": ("aws_iam_role", "name"),
        "log_group_arns": ("aws_cloudwatch_log_group", "name"),
        "queue_arns": ("aws_sqs_queue", "name"),
        "alarm_arns": ("aws_cloudwatch_metric_alarm", "alarm_name"),
    }.items():
        names = {values[name] for values in made.of_type(kind).values()}
        names.discard(made["aws_cloudwatch_log_group.deployment"]["name"])
        prefix = LONGEST if case == "everything" else DEV
        assert {each.rpartition(f"{prefix}-")[2].removeprefix("eu-west-1-") for each in names} == set(
            made.outputs[output]
        ), output
    assert made.outputs["function_arns"] == {
        name: arn("lambda", f"function:{name}") for name in made.outputs["function_arns"]
    }
    assert made.outputs["queue_arns"] == {name: arn("sqs", name) for name in made.outputs["queue_arns"]}


@pytest.mark.parametrize("case", ["defaults", "everything", "least"])
def test_deployment_record_names_what_is_made(terraform: Terraform, case: str) -> None:
    made = terraform.made[case]
    prefix = LONGEST if case == "everything" else DEV
    (parameter,) = made.of_type("aws_ssm_parameter").values()
    assert parameter["name"] == f"/cognito-user-sync/{prefix}"
    assert len(parameter["insecure_value"].encode()) <= 4096, "a standard parameter holds 4 KB"
    record = json.loads(parameter["insecure_value"])
    assert record.pop("version") == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert set(record.pop("functions")) == set(made.outputs["function_arns"])
    # The record contains names. Mocked ARNs have no prefix.
    outputs = {name: made.outputs[name] for name in record}
    assert without(f"{prefix}-", record) == without(f"{prefix}-", outputs)


def without(prefix: str, values: dict[str, Any]) -> Any:
    return json.loads(json.dumps(values).replace(prefix, ""))


def test_logs_hold_no_data_of_executions(everything: Made) -> None:
    for values in everything.of_type("aws_sfn_state_machine").values():
        assert [(log["level"], log["include_execution_data"]) for log in values["logging_configuration"]] == [
            ("ERROR", False)
        ]


# --- sign-ups and the queues


def test_only_cognito_for_this_pool_may_invoke_the_trigger(defaults: Made) -> None:
    (permission,) = defaults.of_type("aws_lambda_permission").values()
    expected = {
        "action": "lambda:InvokeFunction",
        "function_name": arn("lambda", "function:post-confirmation"),
        "principal": "cognito-idp.amazonaws.com",
        "source_arn": POOL_ARN,
        "source_account": ACCOUNT_ID,
    }
    assert {name: permission[name] for name in expected} == expected


def statements(made: Made, address: str) -> dict[str, dict[str, Any]]:
    return {statement["sid"]: statement for statement in made[address]["statement"]}


@pytest.mark.parametrize(
    ("name", "function", "timeout_seconds"), [("retry", "retry-sign-ups", 30), ("changes", "sync-changes", 60)]
)
def test_queue_is_read_in_batches_that_may_fail_in_part(
    everything: Made, name: str, function: str, timeout_seconds: int
) -> None:
    at = FUNCTIONS[function].removesuffix(".module.function")
    mapping = everything[f"{at}.aws_lambda_event_source_mapping.this"]
    assert mapping["event_source_arn"] == arn("sqs", name)
    assert mapping["function_name"] == arn("lambda", f"function:{function}")
    # Only failed messages of a batch must be delivered again.
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    # With more, a bulk change could use the account's whole quota of ListUsers.
    assert mapping["scaling_config"] == [{"maximum_concurrency": 2}]
    assert everything[f"{FUNCTIONS[function]}.aws_lambda_function.this"]["timeout"] == timeout_seconds
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    visible_after = everything[QUEUES[name]]["visibility_timeout_seconds"]
    assert visible_after == 6 * timeout_seconds
    redrive = json.loads(everything[QUEUES[name]]["redrive_policy"])
    assert redrive["deadLetterTargetArn"] == arn("sqs", f"{name}-dead-letter")
    assert redrive["maxReceiveCount"] * visible_after == 12 * 3600
    for queue in (QUEUES[name], QUEUES[f"{name}-dead-letter"]):
        assert everything[queue]["message_retention_seconds"] == 14 * 24 * 3600


def queue_policy(made: Made, name: str) -> list[tuple[Any, ...]]:
    at = QUEUES[name].partition(".aws_sqs_queue")[0]
    policy = "dead_letter" if name == "user-events-dead-letter" else f'queue["{LONGEST}-{name}"]'
    return [
        (
            statement["sid"],
            statement["effect"],
            [*statement["principals"][0]["identifiers"], *statement["actions"], *statement["resources"]],
            [(condition["test"], condition["variable"], condition["values"]) for condition in statement["condition"]],
        )
        for statement in made[f"{at}.data.aws_iam_policy_document.{policy}"]["statement"]
    ]


def test_queues_deny_plain_http_and_other_senders_than_the_rule(everything: Made) -> None:
    def plain_http(name: str) -> tuple[Any, ...]:
        return (
            "DenyPlainHttp",
            "Deny",
            ["*", "sqs:*", arn("sqs", f"{LONGEST}-{name}")],
            [("Bool", "aws:SecureTransport", ["false"])],
        )

    rule = everything["module.change_tracking[0].aws_cloudwatch_event_rule.changes"]["arn"]

    def rule_sends(name: str) -> tuple[Any, ...]:
        return (
            "RuleSends",
            None,
            ["events.amazonaws.com", "sqs:SendMessage", arn("sqs", f"{LONGEST}-{name}")],
            [("ArnEquals", "aws:SourceArn", [rule])],
        )

    deny_others = (
        "DenyOtherSenders",
        "Deny",
        ["*", "sqs:SendMessage", arn("sqs", f"{LONGEST}-changes")],
        [("ArnNotEquals", "aws:SourceArn", [rule])],
    )
    assert {name: queue_policy(everything, name) for name in QUEUES} == {
        "retry": [plain_http("retry")],
        "retry-dead-letter": [plain_http("retry-dead-letter")],
        "changes": [plain_http("changes"), deny_others, rule_sends("changes")],
        # SQS moves messages there, so this is not denied.
        "changes-dead-letter": [plain_http("changes-dead-letter"), rule_sends("changes-dead-letter")],
        # Lambda sends with the role of the function.
        "user-events-dead-letter": [plain_http("user-events-dead-letter")],
    }


# --- events about users


def test_stream_is_read_until_its_records_almost_expire(everything: Made) -> None:
    mapping = everything["module.user_events[0].aws_lambda_event_source_mapping.stream"]
    assert mapping["event_source_arn"] == everything["module.user_table.aws_dynamodb_table.this[0]"]["stream_arn"]
    assert mapping["function_name"] == arn("lambda", "function:publish-user-events")
    assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
    assert (mapping["starting_position"], mapping["bisect_batch_on_function_error"]) == ("TRIM_HORIZON", True)
    # A stream keeps a record for 24 hours.
    assert (mapping["maximum_retry_attempts"], mapping["maximum_record_age_in_seconds"]) == (-1, 23 * 3600)
    (destination,) = mapping["destination_config"][0]["on_failure"]
    assert destination["destination_arn"] == arn("sqs", "user-events-dead-letter")
    (pattern,) = mapping["filter_criteria"][0]["filter"]
    image = {"cognito_user_pool_id": {"S": [USER_POOL_ID]}}
    assert json.loads(pattern["pattern"]) == {"dynamodb": {"NewImage": image}}


def test_user_events_enable_the_stream_of_the_module(terraform: Terraform) -> None:
    table = terraform.made["events"]["module.user_table.aws_dynamodb_table.this[0]"]
    assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES")


def test_user_events_read_the_stream_of_an_existing_table(terraform: Terraform) -> None:
    mapping = terraform.made["events_of_table"]["module.user_events[0].aws_lambda_event_source_mapping.stream"]
    assert mapping["event_source_arn"] == STREAM


# --- the trigger of the pool


POLICY_OF_POOL_TRIGGER = "module.pool_trigger[0].data.aws_iam_policy_document.this"


def test_pool_trigger_attaches_once_and_detaches_on_destroy(defaults: Made, everything: Made) -> None:
    for made, chained in ((defaults, ""), (everything, THEIRS)):
        # The chained function is in the environment, because destroy can send an older input.
        request = {"user_pool_id": USER_POOL_ID, "function_arn": arn("lambda", "function:post-confirmation")}
        guard = made["module.pool_trigger[0].aws_lambda_invocation.guard"]
        attach = made["module.pool_trigger[0].aws_lambda_invocation.attach"]
        assert json.loads(guard["input"]) == request | {"action": "detach"}
        assert json.loads(attach["input"]) == request | {"action": "attach"}
        assert (guard["lifecycle_scope"], attach["lifecycle_scope"]) == ("CRUD", "CREATE_ONLY")
        # A trigger that is replaced is detached first.
        assert guard["triggers"] == {"function_arn": arn("lambda", "function:post-confirmation")}
        # The pool can have the function that is new in the configuration.
        assert attach["triggers"] == {"chained_function_arn": chained}


def test_trigger_is_attached_after_all_that_a_sign_up_needs(everything: Made) -> None:
    """On destroy, it is detached before they are deleted."""
    attach = everything.resources["module.pool_trigger[0].aws_lambda_invocation.attach"]
    functions = ("sign_up.module.post_confirmation", "user_sync.module.sync_user", "user_sync.module.send_welcome")
    needed = {
        *(f"module.{function}.aws_lambda_function.this" for function in functions),
        *(f"module.{function}.aws_iam_role_policy.this" for function in functions),
        "module.sign_up.aws_lambda_permission.cognito",
        "module.sign_up.module.retry_queue.aws_sqs_queue.this",
        "module.user_sync.module.state_machine.aws_iam_role_policy.this",
        "module.user_sync.module.state_machine.aws_sfn_state_machine.this",
        "module.user_table.aws_dynamodb_table.this",
        # The guard detaches on destroy.
        "module.pool_trigger.aws_lambda_invocation.guard",
        "module.pool_trigger.module.function.aws_iam_role_policy.this",
        "module.pool_trigger.module.function.aws_cloudwatch_log_group.this",
    }
    assert needed <= {address.removeprefix("module.case.") for address in attach["depends_on"]}


def test_pool_trigger_may_grant_the_key_of_the_pool_alone(defaults: Made, everything: Made) -> None:
    """UpdateUserPool needs it for a pool with custom sender triggers. Other pools have no key."""
    assert "KeepSenderKey" not in statements(defaults, POLICY_OF_POOL_TRIGGER)
    grant = statements(everything, POLICY_OF_POOL_TRIGGER)["KeepSenderKey"]
    assert (grant["actions"], grant["resources"]) == (["kms:CreateGrant"], [SENDER_KEY])
    assert grant["condition"] == [
        {"test": "StringEquals", "variable": "kms:EncryptionContext:userpool-id", "values": [USER_POOL_ID]}
    ]


def test_pool_trigger_passes_the_sms_role_of_the_pool_alone(defaults: Made, everything: Made) -> None:
    """Without sms_role_arn, it can pass every role, because no data source returns the role of the pool."""
    for made, role in ((everything, SMS_ROLE), (defaults, f"arn:aws:iam::{ACCOUNT_ID}:role/*")):
        statement = statements(made, POLICY_OF_POOL_TRIGGER)["KeepSmsRole"]
        assert (statement["actions"], statement["resources"]) == (["iam:PassRole"], [role])
        to = {"test": "StringEquals", "variable": "iam:PassedToService", "values": ["cognito-idp.amazonaws.com"]}
        assert statement["condition"] == [to]


def test_trigger_is_not_attached_if_the_pool_names_it_itself(least: Made, defaults: Made) -> None:
    assert [address for address in least.resources if "pool_trigger" in address] == []
    assert least.outputs["user_pool_trigger"] == {"attached_function_arn": None, "chained_function_arn": None}
    assert defaults.outputs["user_pool_trigger"]["attached_function_arn"] == arn(
        "lambda", f"function:{DEV}-post-confirmation"
    )


# --- user_sync


def test_user_sync_is_one_step_without_a_welcome_email(defaults: Made) -> None:
    user_sync = definition(defaults, "user-sync")
    assert list(user_sync["States"]) == ["SyncUser"] == [user_sync["StartAt"]]
    step = user_sync["States"]["SyncUser"]
    assert step["End"]
    assert "Next" not in step
    assert step["Parameters"]["FunctionName"] == arn("lambda", "function:sync-user")
    assert "send-welcome" not in functions(defaults, DEV)


def test_user_sync_sends_the_welcome_email(everything: Made) -> None:
    user_sync = definition(everything, "user-sync")
    states = user_sync["States"]
    assert (user_sync["StartAt"], set(states)) == ("SyncUser", {"SyncUser", "SendWelcome"})
    assert states["SyncUser"]["Parameters"]["FunctionName"] == arn("lambda", "function:sync-user")
    assert states["SendWelcome"]["Parameters"]["FunctionName"] == arn("lambda", "function:send-welcome")
    assert (states["SyncUser"]["Next"], states["SendWelcome"]["End"]) == ("SendWelcome", True)


READ_GROUPS = ["cognito-idp:AdminListGroupsForUser"]
READ_ALL_GROUPS = [*READ_GROUPS, "cognito-idp:GetGroup", "cognito-idp:ListGroups", "cognito-idp:ListUsersInGroup"]
START_USER_SYNC = (["states:StartExecution"], [arn("states", f"stateMachine:{LONGEST}-user-sync")])


def test_changed_users_start_no_execution_by_default(terraform: Terraform) -> None:
    """START_USER_SYNC is set only with welcome_email.on_first_sign_in."""
    made = terraform.made["table_key"]
    assert "USER_SYNC_STATE_MACHINE_ARN" not in environments(made, DEV)["sync-changes"]
    address = "module.change_tracking[0].data.aws_iam_policy_document.sync_changes"
    assert statements(made, address).keys() == {"ReadUsers", "ReadAndWriteItems"}


def test_roles_read_the_pool_and_write_the_table(everything: Made, defaults: Made) -> None:
    """AdminGetUser reads and verifies. It can make a user count as monthly active, so ListUsers reads changed users.

    Only delete_item replaces items: PutItem takes an application's attributes, too.
    """
    read_and_verify = (["cognito-idp:AdminGetUser", "cognito-idp:ListUsers"], [POOL_ARN])
    writers = {
        "module.user_sync.data.aws_iam_policy_document.sync_user",
        "module.change_tracking[0].data.aws_iam_policy_document.sync_changes",
        "module.reconciliation[0].data.aws_iam_policy_document.reconcile_shards",
    }
    update, put = ["dynamodb:BatchGetItem", "dynamodb:UpdateItem"], ["dynamodb:PutItem"]
    for made, prefix, actions in ((everything, LONGEST, sorted(update + put)), (defaults, DEV, update)):
        table_arn = made.outputs["user_table_arn"].replace("table/mocked", f"table/{prefix}-users")
        for address in writers & made.resources.keys():
            found = [(sorted(each["actions"]), each["resources"]) for each in statements(made, address).values()]
            list_items = (["dynamodb:Query"], [f"{table_arn}/index/by_shard"])
            expected = [read_and_verify, (actions, [table_arn]), *([list_items] if "reconcile" in address else [])]
            expected += [START_USER_SYNC] if "sync_changes" in address else []
            if made is everything:
                expected.append((READ_ALL_GROUPS if "reconcile" in address else READ_GROUPS, [POOL_ARN]))
            assert sorted(found) == sorted(expected), address
    assert writers <= everything.resources.keys()
    for made in (everything, defaults):
        for address, policy in made.of_type("aws_iam_policy_document").items():
            if address not in writers:
                granted = {action for statement in policy["statement"] or [] for action in statement["actions"] or []}
                assert granted.isdisjoint(put), address
    welcome = statements(everything, "module.user_sync.data.aws_iam_policy_document.send_welcome[0]")
    assert (welcome["ReadUser"]["actions"], welcome["ReadUser"]["resources"]) == (
        ["cognito-idp:AdminGetUser"],
        [POOL_ARN],
    )
    assert "ReadUser" not in statements(everything, "module.sign_up.data.aws_iam_policy_document.post_confirmation")


def test_welcome_email_is_sent_by_ses_of_its_region(everything: Made, terraform: Terraform) -> None:
    """The ARN of an identity of another account or region contains the region."""
    for made, region, names, theirs in (
        (everything, "eu-west-1", ["configuration-set/ours", "identity/*"], []),
        (terraform.made["no_reconciliation"], "eu-central-1", ["identity/*"], [THEIR_IDENTITY]),
    ):
        statement = statements(made, "module.user_sync.data.aws_iam_policy_document.send_welcome[0]")[
            "SendFromOneAddress"
        ]
        ours = [f"arn:aws:ses:{region}:{ACCOUNT_ID}:{name}" for name in names]
        assert sorted(statement["resources"]) == sorted([*ours, *theirs])


def test_welcome_email_is_sent_from_one_address_and_name(everything: Made, terraform: Terraform) -> None:
    """A display name that is not ASCII has no condition. For an international label, each Punycode label is allowed."""
    address = {"test": "StringEquals", "variable": "ses:FromAddress", "values": ["welcome@example.com"]}
    name = {"test": "StringEquals", "variable": "ses:FromDisplayName", "values": ["Example"]}
    international = {"test": "StringLike", "variable": "ses:FromAddress", "values": ["hallo@post.xn--*.de"]}
    for made, conditions in (
        (everything, [address, name]),
        (terraform.made["no_reconciliation"], [international]),
    ):
        policy = statements(made, "module.user_sync.data.aws_iam_policy_document.send_welcome[0]")
        found = policy["SendFromOneAddress"]["condition"]
        assert sorted(found, key=lambda condition: condition["variable"]) == conditions


# --- changes


# Cognito API calls that change a user, and whose CloudTrail event has the user's sub.
EVENT_NAMES = {
    "AdminAddUserToGroup": "groups",
    "AdminCreateUser": "a new user, who does not sign up",
    "AdminDeleteUser": "a deleted user",
    "AdminDeleteUserAttributes": "attributes",
    "AdminDisableProviderForUser": "a link to an identity provider",
    "AdminDisableUser": "whether the user is enabled",
    "AdminEnableUser": "whether the user is enabled",
    "AdminLinkProviderForUser": "a link to an identity provider",
    "AdminRemoveUserFromGroup": "groups",
    "AdminResetUserPassword": "the user's status",
    "AdminSetUserPassword": "the user's status",
    "AdminUpdateUserAttributes": "attributes",
    "ChangePassword": "the time of the last change",
    "DeleteUser": "a deleted user",
    "DeleteUserAttributes": "attributes",
    "UpdateUserAttributes": "attributes",
    "VerifyUserAttribute": "whether an address is verified",
}


CHALLENGES = {"AdminRespondToAuthChallenge", "RespondToAuthChallenge"}
ANOTHER_POOL_ID = "eu-west-1_Another"


def changes_pattern(made: Made) -> str:
    pattern: str = made["module.change_tracking[0].aws_cloudwatch_event_rule.changes"]["event_pattern"]
    return pattern


def record(name: str, request: dict[str, str], additional: dict[str, str], **changed: Any) -> dict[str, Any]:
    """Return the CloudTrail event of a call."""
    detail = {
        "eventSource": "cognito-idp.amazonaws.com",
        "eventName": name,
        "requestParameters": request,
        "additionalEventData": {"sub": "6dfb0c1e-5c28-4d4a-8f5c-1a8f0f1b2c3d", **additional},
        **changed,
    }
    return {
        "source": "aws.cognito-idp",
        "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT_ID,
        "detail": detail,
    }


def calls_of(name: str) -> dict[str, str]:
    """Return request parameters with which a call changes a user."""
    return {"challengeName": "NEW_PASSWORD_REQUIRED"} if name in CHALLENGES else {}


@pytest.mark.parametrize(
    ("request_pool", "additional_pool", "matches"),
    [
        (USER_POOL_ID, None, True),
        (None, USER_POOL_ID, True),
        (None, None, True),
        (ANOTHER_POOL_ID, None, False),
        (None, ANOTHER_POOL_ID, False),
        (ANOTHER_POOL_ID, ANOTHER_POOL_ID, False),
    ],
)
def test_changes_rule_matches_events_of_this_pool_or_none(
    everything: Made, request_pool: str | None, additional_pool: str | None, matches: bool
) -> None:
    """All forms of events for every call but ConfirmSignUp, which invokes the trigger."""
    pattern = EventPattern.load(changes_pattern(everything))
    request, additional = ({} if pool is None else {"userPoolId": pool} for pool in (request_pool, additional_pool))
    for name in [*EVENT_NAMES, *CHALLENGES]:
        event = record(name, {**request, **calls_of(name)}, additional)
        assert pattern.matches_event(event) == matches, name
    for name in ("ConfirmSignUp", "ConfirmForgotPassword", "AdminSetUserMFAPreference", "AdminInitiateAuth"):
        assert not pattern.matches_event(record(name, request, additional))


def test_changes_rule_matches_the_new_password_challenge_alone(everything: Made) -> None:
    """Sign-ins with SRP and MFA challenges change no item, and are as frequent as sign-ins."""
    pattern = EventPattern.load(changes_pattern(everything))
    for name in CHALLENGES:
        for request in ({}, {"challengeName": "PASSWORD_VERIFIER"}, {"challengeName": "SMS_MFA"}):
            for pool in ({}, {"userPoolId": USER_POOL_ID}):
                assert not pattern.matches_event(record(name, {**request, **pool}, {}))
                assert not pattern.matches_event(record(name, request, pool))


@pytest.mark.parametrize(
    "changed",
    [
        {"errorCode": "NotAuthorizedException"},
        {"eventSource": "cognito-identity.amazonaws.com"},
        # Without a sub, the function cannot read the user.
        {"additionalEventData": {"userPoolId": USER_POOL_ID}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_changes_rule_matches_successful_calls_that_name_a_user(everything: Made, changed: dict[str, Any]) -> None:
    pattern = EventPattern.load(changes_pattern(everything))
    assert not pattern.matches_event(record("AdminUpdateUserAttributes", {"userPoolId": USER_POOL_ID}, {}, **changed))


def test_changes_rule_matches_no_event_of_another_account(everything: Made) -> None:
    """The policy of the default event bus can allow other accounts."""
    pattern = EventPattern.load(changes_pattern(everything))
    event = record("AdminUpdateUserAttributes", {"userPoolId": USER_POOL_ID}, {})
    assert pattern.matches_event(event)
    assert not pattern.matches_event(event | {"account": "210987654321"})


def test_changes_rule_names_each_call_once(everything: Made) -> None:
    """An event pattern has at most 2,048 characters, also with the longest user pool ID."""
    pattern = changes_pattern(everything)
    assert len(pattern.replace(USER_POOL_ID, f"ap-southeast-1_{'A' * 45}")) <= 2048
    for name in EVENT_NAMES.keys() | CHALLENGES:
        assert pattern.count(f'"{name}"') == 1


def test_groups_are_synced_only_with_sync_groups(defaults: Made, everything: Made, terraform: Terraform) -> None:
    tracked = terraform.made["table_key"]
    for name in ("AdminAddUserToGroup", "AdminRemoveUserFromGroup"):
        assert name in changes_pattern(everything)
        assert name not in changes_pattern(tracked)
    for made in (defaults, tracked):
        assert "deleted_groups" not in str(sorted(made.resources))
        policies = str([each["statement"] for each in made.of_type("aws_iam_policy_document").values()])
        assert [action for action in READ_ALL_GROUPS if action in policies] == []


def test_deleted_group_starts_a_reconciliation_of_groups(everything: Made) -> None:
    module = "module.change_tracking[0]"
    pattern = EventPattern.load(everything[f"{module}.aws_cloudwatch_event_rule.deleted_groups[0]"]["event_pattern"])
    event = record("DeleteGroup", {"userPoolId": USER_POOL_ID, "groupName": "staff"}, {})
    del event["detail"]["additionalEventData"]
    assert pattern.matches_event(event)
    for different in (
        {**event, "account": "210987654321"},
        {**event, "detail": {**event["detail"], "eventName": "CreateGroup"}},
        {**event, "detail": {**event["detail"], "errorCode": "ResourceNotFoundException"}},
        {**event, "detail": {**event["detail"], "requestParameters": {"userPoolId": ANOTHER_POOL_ID}}},
    ):
        assert not pattern.matches_event(different)
    target = everything[f"{module}.aws_cloudwatch_event_target.reconciliation[0]"]
    machine = arn("states", f"stateMachine:{LONGEST}-reconciliation")
    assert (target["arn"], json.loads(target["input"])) == (machine, {"only_groups": True, "dry_run": True})
    allowed = statements(everything, f"{module}.data.aws_iam_policy_document.deleted_groups[0]")
    assert (allowed["StartReconciliation"]["actions"], allowed["StartReconciliation"]["resources"]) == (
        ["states:StartExecution"],
        [machine],
    )
    trust = statements(everything, f"{module}.data.aws_iam_policy_document.rule_assumes_role[0]")["RuleAssumesRole"]
    assert trust["principals"] == [{"type": "Service", "identifiers": ["events.amazonaws.com"]}]
    assert {each["variable"]: each["values"] for each in trust["condition"]} == {
        "aws:SourceAccount": [ACCOUNT_ID],
        "aws:SourceArn": [arn("events", f"rule/{LONGEST}-deleted-groups")],
    }


def test_changes_are_sent_to_their_queue(everything: Made, defaults: Made) -> None:
    target = everything["module.change_tracking[0].aws_cloudwatch_event_target.queue"]
    assert (target["rule"], target["arn"]) == (f"{LONGEST}-changes", arn("sqs", "changes"))
    assert target["dead_letter_config"] == [{"arn": arn("sqs", "changes-dead-letter")}]
    (transformer,) = target["input_transformer"]
    request = transformer["input_template"]
    for name, path in transformer["input_paths"].items():
        request = request.replace(f"<{name}>", json.dumps(path))
    assert json.loads(request) == {
        "sub": "$.detail.additionalEventData.sub",
        "occurred_at": "$.detail.eventTime",
        "event_name": "$.detail.eventName",
    }
    assert [address for address in defaults.resources if "change_tracking" in address] == []


# --- reconciliation


def test_reconciliation_invokes_its_functions(everything: Made) -> None:
    states = definition(everything, "reconciliation")["States"]
    assert states["PlanShards"]["Parameters"]["FunctionName"] == arn("lambda", "function:plan-shards")
    batches = states["ReconcileBatches"]
    assert batches["MaxConcurrency"] == 7
    worker = batches["ItemProcessor"]["States"]["ReconcileShards"]
    assert worker["Parameters"]["FunctionName"] == arn("lambda", "function:reconcile-shards")


def test_reconciliation_attaches_a_lost_trigger(defaults: Made, everything: Made, least: Made) -> None:
    for made in (defaults, everything):
        states = definition(made, "reconciliation")["States"]
        assert states["Begin"]["Parameters"]["attach_trigger"] == "true"
        assert states["EnsureTrigger"]["Parameters"] == {
            "FunctionName": arn("lambda", "function:pool-trigger"),
            "Payload": {
                "action": "ensure",
                "user_pool_id": USER_POOL_ID,
                "function_arn": arn("lambda", "function:post-confirmation"),
            },
        }
    assert definition(least, "reconciliation")["States"]["Begin"]["Parameters"]["attach_trigger"] == "false"


def test_reconciliation_runs_on_its_schedule(defaults: Made, everything: Made) -> None:
    for made, expression in ((defaults, "cron(15 3 * * ? *)"), (everything, "rate(12 hours)")):
        schedule = made[RUN_SCHEDULE]
        assert schedule["schedule_expression"] == expression
        (target,) = schedule["target"]
        assert target["arn"] == arn("states", "stateMachine:reconciliation")
        assert target["role_arn"] == f"arn:aws:iam::{ACCOUNT_ID}:role/schedule"
        # The schedule can start a run immediately after its creation.
        depends_on = made.resources[RUN_SCHEDULE]["depends_on"]
        assert "module.case.module.reconciliation.module.schedule.aws_iam_role_policy.this" in depends_on


def test_trigger_is_checked_every_15_minutes_once_it_is_attached(defaults: Made) -> None:
    address = "module.pool_trigger[0].module.check.aws_scheduler_schedule.this"
    assert defaults[address]["schedule_expression"] == "rate(15 minutes)"
    (target,) = defaults[address]["target"]
    assert target["arn"] == arn("lambda", "function:pool-trigger")
    assert target["role_arn"] == f"arn:aws:iam::{ACCOUNT_ID}:role/trigger-check"
    assert json.loads(target["input"]) == {
        "action": "ensure",
        "user_pool_id": USER_POOL_ID,
        "function_arn": arn("lambda", "function:post-confirmation"),
    }
    # So destroy deletes it before it detaches the trigger.
    assert "module.case.module.pool_trigger.aws_lambda_invocation.attach" in defaults.resources[address]["depends_on"]


def test_first_run_starts_again_for_new_attributes_or_table(defaults: Made, everything: Made) -> None:
    for made, prefix, attributes in (
        (defaults, DEV, ["name", "email", "phone_number"]),
        (everything, LONGEST, ["given_name", "custom:plan"]),
    ):
        first_run = made["module.reconciliation[0].aws_lambda_invocation.first_run[0]"]
        assert first_run["function_name"] == f"{prefix}-start-run"
        assert first_run["lifecycle_scope"] == "CREATE_ONLY"
        depends_on = made.resources["module.reconciliation[0].aws_lambda_invocation.first_run[0]"]["depends_on"]
        assert "module.case.module.reconciliation.module.start_run.aws_iam_role_policy.this" in depends_on
        triggers = first_run["triggers"]
        written = json.loads(triggers.pop("written"))
        assert triggers == {
            "table": f"{prefix}-users",
            "attributes": json.dumps(attributes, separators=(",", ":")),
        }
        # Settings that every item depends on, other than the attributes.
        layout = user_table(made, prefix)
        assert written["extra_attributes"] == layout["extra_attributes"]
        identity = ("partition_key", "sort_key", "attribute_prefix", "ttl_attribute")
        assert {name: json.loads(written["identity"][name]) for name in identity} == {
            name: layout[name] for name in identity
        }


def test_first_run_of_an_existing_table_is_a_dry_run(
    defaults: Made, everything: Made, least: Made, terraform: Terraform
) -> None:
    """Scheduled runs are also dry runs, until the operator changes it. `everything` has run_on_apply = dry_run."""
    existing = terraform.made["not_overdue"]
    assert "run_on_apply" not in APPLIED["not_overdue"].arguments["reconciliation"]
    for made, run_input in ((defaults, {}), (everything, {"dry_run": True}), (existing, {"dry_run": True})):
        first_run = made["module.reconciliation[0].aws_lambda_invocation.first_run[0]"]
        assert json.loads(first_run["input"]) == {"input": run_input}
        assert json.loads(made[RUN_SCHEDULE]["target"][0]["input"]) == run_input
        assert made.outputs["first_run"] == {
            "execution_arn": arn("states", "execution:reconciliation:first"),
            "dry_run": run_input != {},
            "show_result": "cognito-user-sync status",
        }
    assert least.outputs["first_run"] is terraform.made["no_reconciliation"].outputs["first_run"] is None


def test_reconciliation_on_demand_is_its_state_machine_alone(least: Made, terraform: Terraform) -> None:
    assert least.of_type("aws_scheduler_schedule") == least.of_type("aws_lambda_invocation") == {}
    assert "start-run" not in functions(least, DEV)
    assert least.outputs["reconciliation_state_machine_arn"] == arn("states", "stateMachine:reconciliation")
    without = terraform.made["no_reconciliation"]
    assert [address for address in without.resources if "module.reconciliation" in address] == []
    assert without.outputs["reconciliation_state_machine_arn"] is None


# --- the table


def test_user_table_has_its_keys_index_and_expiry(defaults: Made, everything: Made, terraform: Terraform) -> None:
    by_shard = ("by_shard", "shard", "id", "KEYS_ONLY")
    for made, keys, indexes, others, ttl in (
        (defaults, ("id", None), [by_shard], ["shard"], "expires_at"),
        (everything, ("PK", "SK"), [("by_shard", "GSI1PK", "PK", "KEYS_ONLY")], ["GSI1PK"], "ttl"),
        (
            terraform.made["no_reconciliation"],
            ("id", None),
            [("by_email", "email_lower", "id", "KEYS_ONLY"), by_shard],
            ["shard", "email_lower"],
            "expires_at",
        ),
    ):
        table = made["module.user_table.aws_dynamodb_table.this[0]"]
        assert (table["hash_key"], table["range_key"]) == keys
        names = [*filter(None, keys), *others]
        assert {key["name"]: key["type"] for key in table["attribute"]} == dict.fromkeys(names, "S")
        assert indexes == sorted(
            (index["name"], index["hash_key"], index["range_key"], index["projection_type"])
            for index in table["global_secondary_index"]
        )
        assert table["ttl"] == [{"attribute_name": ttl, "enabled": True}]


def test_user_table_has_replicas_with_its_settings(defaults: Made, everything: Made) -> None:
    """The key of a replica has the ID of the table's key, in the region of the replica."""
    assert defaults["module.user_table.aws_dynamodb_table.this[0]"]["replica"] == []
    replicas = everything["module.user_table.aws_dynamodb_table.this[0]"]["replica"]
    expected = {
        region: {
            "kms_key_arn": KEY.replace("eu-west-1", region),
            "point_in_time_recovery": False,
            "propagate_tags": True,
        }
        for region in ("eu-central-1", "us-east-1")
    }
    assert {each["region_name"]: {name: each[name] for name in expected["us-east-1"]} for each in replicas} == expected


def test_user_table_and_its_indexes_take_the_capacity(defaults: Made, terraform: Terraform) -> None:
    table = defaults["module.user_table.aws_dynamodb_table.this[0]"]
    assert table["billing_mode"] == "PAY_PER_REQUEST"
    table = terraform.made["no_reconciliation"]["module.user_table.aws_dynamodb_table.this[0]"]
    assert table["billing_mode"] == "PROVISIONED"
    capacities = [(each["read_capacity"], each["write_capacity"]) for each in [table, *table["global_secondary_index"]]]
    assert capacities == [(5, 6)] * 3


def test_user_table_is_protected_and_backed_up_by_default(defaults: Made, everything: Made) -> None:
    for made, protected, stream in ((defaults, True, None), (everything, False, "NEW_AND_OLD_IMAGES")):
        table = made["module.user_table.aws_dynamodb_table.this[0]"]
        assert table["deletion_protection_enabled"] == protected
        assert table["point_in_time_recovery"][0]["enabled"] == protected
        assert table["stream_enabled"] == (stream is not None)
        assert stream in (None, table["stream_view_type"])


def test_existing_table_is_used_with_its_indexes(least: Made, terraform: Terraform) -> None:
    """by_shard is used only if it has the keys of the table's settings."""
    for made, has_shard_index in ((least, "false"), (terraform.made["not_overdue"], "true")):
        assert made.of_type("aws_dynamodb_table").keys() == {"module.user_table.data.aws_dynamodb_table.existing[0]"}
        assert made.outputs["user_table_name"] == "users"
        assert environments(made, DEV)["plan-shards"]["HAS_SHARD_INDEX"] == has_shard_index
