"""Deployments of the module with mocked providers, all in one run of Terraform."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.mocked_terraform import (
    ACCOUNT_ID,
    POOL_ADDRESS,
    TABLE_ADDRESS,
    USER_POOL_ID,
    Case,
    Made,
    Scenario,
    arn,
    mocked_terraform,
    user_pool,
)

KEY, SENDER_KEY = arn("kms", "key/mrk-ours"), arn("kms", "key/of-the-pool")
PREVIOUS_KEY, TABLE_KEY = arn("kms", "key/before"), arn("kms", "key/of-the-table")
THEIRS = arn("lambda", "function:theirs")
TOPIC, WARN_TOPIC, ON_CALL = arn("sns", "alarms"), arn("sns", "warnings"), arn("sns", "on-call")
BUS = "arn:aws:events:eu-west-1:999999999999:event-bus/users"
STREAM = arn("dynamodb", "table/users/stream/2026-01-31T12:00:00.000")
RUNBOOK = "https://wiki.example.com/cognito-user-sync"
BOUNDARY = f"arn:aws:iam::{ACCOUNT_ID}:policy/boundary"
SMS_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/service-role/sms"
LONGEST_NAME, LONGEST_STAGE = "abcdefghijklmnopqr", "abcdefghijkl"
SMALL: dict[str, Any] = {"attach_trigger": False, "reconciliation": {"enabled": False}}

ALARM_NAMES = [
    *["trigger-errors", "trigger-throttles", "trigger-duration", "trigger-missing", "sign-ups-lost"],
    *["user-sync-failed", "user-sync-timed-out"],
    *["sync-user-failing", "send-welcome-failing"],
    *["retry-age", "retry-dead-letter"],
    *["changes-age", "changes-undelivered", "changes-lost", "changes-dead-letter"],
    *["user-events-age", "user-events-dead-letter"],
    *["reconciliation-failed", "reconciliation-timed-out", "reconciliation-overdue"],
    *["ses-bounce-rate", "ses-complaint-rate"],
]

SERVICE = {"partition": "aws", "region": "eu-west-1", "dns_name": "lambda.eu-west-1.amazonaws.com"}
THEIR_IDENTITY = "arn:aws:ses:eu-central-1:999999999999:identity/xn--mller-kva.de"
HONG_KONG = {**SMALL, "user_pool_id": "ap-east-1_AbCdEfGhI"}
IN_HONG_KONG = {"data.aws_service.lambda": {**SERVICE, "region": "ap-east-1"}}


def table(
    *indexes: tuple[str, str, str],
    key: str = "id",
    kind: str = "S",
    sort_key: str = "",
    ttl: str = "expires_at",
    **kinds: str,
) -> dict[str, Any]:
    """Return an existing table as the data source reads it. `kinds` are the types of index keys other than S."""
    names = [key, sort_key, *(name for _, *keys in indexes for name in keys)]
    attributes = dict.fromkeys(filter(None, names), "S") | {key: kind} | kinds
    return {
        "name": "users",
        "arn": arn("dynamodb", "table/users"),
        "hash_key": key,
        "range_key": sort_key,
        "attribute": [{"name": name, "type": kind} for name, kind in attributes.items()],
        "global_secondary_index": [
            dict(zip(("name", "hash_key", "range_key"), index, strict=True)) for index in indexes
        ],
        "ttl": [{"attribute_name": ttl, "enabled": True}] if ttl else [{"attribute_name": "", "enabled": False}],
    }


APPLIED = {
    "defaults": Case(),
    "everything": Case(
        {
            "name": LONGEST_NAME,
            "stage": LONGEST_STAGE,
            "attributes": ["given_name", "custom:plan"],
            "welcome_email": {
                "from": '"Example" <welcome@example.com>',
                "text": "Hello {{given_name}}",
                "html": "<p>{{ custom:plan }}</p>",
                "configuration_set": "ours",
                "app_client_ids": ["web"],
                "verified_only": True,
                "on_first_sign_in": True,
            },
            "chained_function_arn": THEIRS,
            "sms_role_arn": SMS_ROLE,
            "table": {
                "partition_key": {"name": "PK", "value": "POOL#{user_pool_id}#USER#{sub}"},
                "sort_key": {"name": "SK", "value": "PROFILE"},
                "attribute_prefix": "cognito_",
                "attribute_names": {"custom:plan": "plan", "shard": "GSI1PK"},
                "extra_attributes": {"entity": "User", "lookup": "PLAN#{custom:plan|lower}"},
                "ttl_attribute": "ttl",
                "stream_view_type": "NEW_AND_OLD_IMAGES",
                "deletion_protection": False,
                "point_in_time_recovery": False,
                "replica_regions": ["eu-central-1", "us-east-1"],
            },
            "deleted_users": {"action": "delete_item"},
            "track_changes": True,
            "sync_groups": True,
            "user_events": {"event_bus_arn": BUS},
            "reconciliation": {
                "run_on_apply": "dry_run",
                "schedule": "rate(12 hours)",
                "list_users_per_second": 20,
                "max_concurrency": 7,
                "max_delete_percent": 5,
                "overdue_hours": 24,
            },
            "alarm_topic_arns": [TOPIC],
            "alarm_warn_topic_arns": [WARN_TOPIC],
            "runbook_url": RUNBOOK,
            "kms_key_arn": KEY,
            "previous_kms_key_arns": [PREVIOUS_KEY],
            "log_retention_days": 7,
            "permissions_boundary_arn": BOUNDARY,
            "log_group_class": "INFREQUENT_ACCESS",
            "role_path": "/service/",
            "lambda": {
                "runtime": "python3.12",
                "memory_mb": 2048,
                "architecture": "x86_64",
                "trigger_reserved_concurrency": 9,
                "vpc_config": {"subnet_ids": ["subnet-0a1b", "subnet-0c2d"], "security_group_ids": ["sg-0a1b"]},
            },
            "tracing": True,
            "tags": {"team": "identity"},
        },
        {POOL_ADDRESS: user_pool(THEIRS, SENDER_KEY)},
    ),
    "least": Case(
        {
            "attach_trigger": False,
            "table": {"name": "users", "attribute_prefix": ""},
            "deleted_users": {"action": "keep"},
            "reconciliation": {"schedule": "none", "run_on_apply": "none"},
            "previous_kms_key_arns": [PREVIOUS_KEY],
        },
        # No index by_shard has the keys shard and id, and no item expires. With keep, nothing needs them.
        {
            TABLE_ADDRESS: table(
                ("by_shard", "email", "id"), ("by_shard", "shard", ""), ("by_email", "shard", "id"), ttl=""
            )
        },
    ),
    "not_overdue": Case(
        {
            "chained_function_arn": THEIRS,
            "table": {"name": "users", "attribute_prefix": "cognito_"},
            "reconciliation": {"overdue_hours": 0},
            "alarm_topic_arns": [TOPIC],
            "alarms": {
                "trigger-errors": {"threshold": 5, "period_seconds": 300, "evaluation_periods": 3},
                "trigger-throttles": {"enabled": False, "threshold": 5},
                "sign-ups-lost": {"evaluation_periods": 3, "datapoints_to_alarm": 2},
                "trigger-duration": {"threshold": 2500, "topic_arns": [ON_CALL]},
                "user-sync-failed": {"topic_arns": []},
                "user-sync-timed-out": None,
                "retry-age": {"threshold": 2, "period_seconds": 120, "evaluation_periods": 10},
                # Without track_changes there is no such alarm.
                "changes-lost": {"threshold": 5},
            },
        },
        {TABLE_ADDRESS: table(("by_shard", "cognito_shard", "id"))},
    ),
    "no_reconciliation": Case(
        {
            "table": {
                "email_index": True,
                "billing_mode": "PROVISIONED",
                "read_capacity": 5,
                "write_capacity": 6,
            },
            "welcome_email": {"from": "Müller <hallo@post.müller.de>", "identity_arn": THEIR_IDENTITY},
            "reconciliation": {"enabled": False},
        }
    ),
    "events": Case({**SMALL, "user_events": {"event_bus_arn": BUS}}),
    "events_of_table": Case(
        {
            **SMALL,
            "table": {"name": "users", "attribute_prefix": ""},
            "user_events": {"event_bus_arn": BUS, "stream_arn": STREAM},
        },
        {TABLE_ADDRESS: {**table(), "stream_arn": STREAM, "stream_view_type": "NEW_AND_OLD_IMAGES"}},
    ),
    "small": Case(
        {**SMALL, "alarms": {name: {"enabled": False} for name in ALARM_NAMES}},
        {"data.aws_service.lambda": {**SERVICE, "partition": "aws-eusc"}},
    ),
    # A mocked data source has no key: Terraform mocks no blocks. tests/integration/test_existing_table.py has one.
    "table_key": Case(
        {"attach_trigger": False, "track_changes": True},
        outputs={
            "module.user_table": {
                "name": "users",
                "arn": arn("dynamodb", "table/users"),
                "arn_by_name": arn("dynamodb", "table/users"),
                "stream_arn": None,
                "layout": {},
                "written": "{}",
                "user_pool_id_attribute": "user_pool_id",
                "has_shard_index": True,
                "existing_kms_key_arn": TABLE_KEY,
            }
        },
    ),
}


def ours(stage: str = "dev") -> str:
    return arn("lambda", f"function:cognito-user-sync-{stage}-post-confirmation")


# Applied for the plan that follows: the keys of a deployment.
KEYED = {
    "key_without_previous": Case({**SMALL, "kms_key_arn": PREVIOUS_KEY}),
    "key_with_previous": Case({**SMALL, "kms_key_arn": PREVIOUS_KEY}),
    "no_key_without_previous": Case({**SMALL, "kms_key_arn": PREVIOUS_KEY}),
}

ATTACHING: dict[str, Any] = {"reconciliation": {"enabled": False}}
# Applied for the plan that follows: a chained function that the plan does not name any more.
CHAINED = {"chained_no_longer": Case({**ATTACHING, "chained_function_arn": f"{THEIRS}-2"})}


# The plan that follows, and parts of its message; no parts if there is no message.
Plan = dict[str, tuple[Case, tuple[str, ...]]]

# The trigger of the pool. Terraform reports it and applies.
TRIGGERS: Plan = {
    "defaults": (Case(found={POOL_ADDRESS: user_pool(ours())}), ()),
    "everything": (
        Case(APPLIED["everything"].arguments),
        (f"trigger of user pool {USER_POOL_ID} is none, and not this module's", "-replace="),
    ),
    "not_overdue": (
        Case(APPLIED["not_overdue"].arguments, {**APPLIED["not_overdue"].found, POOL_ADDRESS: user_pool(THEIRS)}),
        (f"trigger of user pool {USER_POOL_ID} is {THEIRS}, and not this module's", "-replace="),
    ),
    "no_reconciliation": (
        Case(APPLIED["no_reconciliation"].arguments, {POOL_ADDRESS: user_pool(arn("lambda", "function:another"))}),
        (
            f"trigger of user pool {USER_POOL_ID} is {arn('lambda', 'function:another')}, and not this module's",
            "set chained_function_arn to exactly",
        ),
    ),
    # Not attached yet.
    "first_trigger": (Case(ATTACHING), ()),
    "first_trigger_with_a_chained_function": (
        Case({**ATTACHING, "chained_function_arn": THEIRS}, {POOL_ADDRESS: user_pool(THEIRS)}),
        (),
    ),
    "trigger_of_another_and_attach_trigger_off": (Case(SMALL, {POOL_ADDRESS: user_pool(THEIRS)}), ()),
    "trigger_of_the_owners_configuration": (Case(ATTACHING, {POOL_ADDRESS: user_pool(ours())}), ()),
}

WELCOMED: dict[str, Any] = {**SMALL, "welcome_email": {"from": "a@example.com"}}
UNVERIFIED: dict[str, Any] = {**SMALL, "welcome_email": {"from": "a@example.com", "verified_only": False}}
ON_FIRST_SIGN_IN: dict[str, Any] = {**SMALL, "welcome_email": {"from": "a@example.com", "on_first_sign_in": True}}
INVITING = {**user_pool(), "admin_create_user_config": [{"allow_admin_create_user_only": True}]}
PRE_SIGN_UP = arn("lambda", "function:pre-sign-up")

# The recipients of the welcome email. Terraform reports them and applies.
WELCOMES: Plan = {
    "welcome_by_default": (Case(WELCOMED, {POOL_ADDRESS: user_pool(verified=("phone_number", "email"))}), ()),
    "welcome_to_anyone": (
        Case(UNVERIFIED, {POOL_ADDRESS: user_pool(pre_sign_up=PRE_SIGN_UP, verified=())}),
        ("welcome_email.verified_only is false:", f"in user pool {USER_POOL_ID}."),
    ),
    "welcome_to_no_one": (
        Case(WELCOMED, {POOL_ADDRESS: user_pool(verified=("phone_number",))}),
        (
            f"User pool {USER_POOL_ID} does not verify email",
            'is ["phone_number"].',
            "is true, so users who sign up get no",
        ),
    ),
    "welcome_to_no_one_in_a_pool_without_triggers": (
        Case(WELCOMED, {POOL_ADDRESS: {**user_pool(verified=()), "lambda_config": []}}),
        (f"User pool {USER_POOL_ID} does not verify email", "is []."),
    ),
    "welcome_after_a_pre_sign_up_trigger": (
        Case(WELCOMED, {POOL_ADDRESS: user_pool(pre_sign_up=PRE_SIGN_UP)}),
        (f"User pool {USER_POOL_ID} has the pre-sign-up trigger {PRE_SIGN_UP}.", "sets autoVerifyEmail"),
    ),
    "welcome_to_no_one_who_is_invited": (
        Case(WELCOMED, {POOL_ADDRESS: INVITING}),
        (f"User pool {USER_POOL_ID} allows only administrators to create users", "Set welcome_email.on_first_sign_in"),
    ),
    "welcome_to_invited_users": (Case(ON_FIRST_SIGN_IN | {"track_changes": True}, {POOL_ADDRESS: INVITING}), ()),
    "no_welcome_to_invited_users": (Case(SMALL, {POOL_ADDRESS: INVITING}), ()),
    "no_welcome": (Case(SMALL, {POOL_ADDRESS: user_pool(pre_sign_up=PRE_SIGN_UP, verified=())}), ()),
}

EXISTING: dict[str, Any] = {"attach_trigger": False, "table": {"name": "users", "attribute_prefix": ""}}
RENAMED: dict[str, Any] = {
    "name": "users",
    "partition_key": {"name": "user's id"},
    "attribute_prefix": "cognito_",
    "ttl_attribute": "ttl",
}

# Missing parts of an existing table. Terraform reports them and applies.
TABLES: Plan = {
    "table_without_shard_index": (
        Case(
            {**EXISTING, "sync_groups": True, "deleted_users": {"action": "keep"}},
            {TABLE_ADDRESS: table(("by_shard", "shard", ""))},
        ),
        (
            "The table users has no index by_shard with the partition key shard and the sort key id",
            "does not find deleted users, and reconciles no groups",
            "aws dynamodb update-table --table-name users ",
            '"IndexName":"by_shard"',
        ),
    ),
    "table_without_shard_index_of_these_names": (
        Case(
            {**EXISTING, "table": RENAMED}, {TABLE_ADDRESS: table(("by_shard", "shard", "user's id"), key="user's id")}
        ),
        (
            "no index by_shard with the partition key cognito_shard and the sort key user's id",
            # For a shell.
            (
                """--attribute-definitions '[{"AttributeName":"user'\\''s id","AttributeType":"S"},"""
                """{"AttributeName":"cognito_shard","AttributeType":"S"}]'"""
            ),
            (
                """"KeySchema":[{"AttributeName":"cognito_shard","KeyType":"HASH"},"""
                """{"AttributeName":"user'\\''s id","KeyType":"RANGE"}]"""
            ),
        ),
    ),
    "table_without_ttl": (
        Case({**EXISTING, **SMALL, "deleted_users": {"action": "delete_item"}}, {TABLE_ADDRESS: table(ttl="")}),
        (
            "The table users has no TTL attribute",
            "do not expire",
            (
                "aws dynamodb update-time-to-live --table-name users --time-to-live-specification "
                """'{"AttributeName":"expires_at","Enabled":true}'"""
            ),
        ),
    ),
    "table_with_another_ttl": (
        Case(
            {**SMALL, "table": RENAMED, "deleted_users": {"retention_days": 90}},
            {TABLE_ADDRESS: table(key="user's id", ttl="until")},
        ),
        ("The table users has the TTL attribute until", "Without TTL on ttl", "do not expire", '"AttributeName":"ttl"'),
    ),
    # There is no deletion check, and no marked item expires.
    "table_that_needs_neither": (Case({**EXISTING, **SMALL}, {TABLE_ADDRESS: table(ttl="")}), ()),
    "table_without_ttl_and_delete": (
        Case({**EXISTING, **SMALL, "deleted_users": {"action": "delete"}}, {TABLE_ADDRESS: table(ttl="")}),
        (),
    ),
}


def existing(found: dict[str, dict[str, Any]], prefix: str = "", **given: Any) -> Case:
    return Case({**SMALL, "table": {"name": "users", "attribute_prefix": prefix, **given}}, found)


# Applied for the plan that follows: the table and keys of a deployment.
LOCATED = {
    **dict.fromkeys(
        [
            *["identity_table", "identity_key", "identity_sort_key", "identity_key_value", "identity_names"],
            "identity_same",
        ],
        Case(SMALL),
    ),
    "identity_of_another_existing_table": existing({TABLE_ADDRESS: table()}),
}


# The longest known time between runs, in hours, by schedule.
NOT_OVERDUE_YET = {
    "rate(120 minutes)": 2,
    "rate(12 hours)": 12,
    "rate(2 days)": 48,
    "cron(15 3 * * ? *)": 24,
    "cron(0/30 3 * * ? *)": 23,
    "cron(15 3 ? * MON-FRI *)": 72,
    "cron(15 3 ? * tue,4-5,SAT *)": 72,
    "cron(15 8-18 ? * 2,THU *)": 72,
    "cron(15 3 ? * MON *)": 168,
    "cron(15 3 1,8,15,22 * ? *)": 168,
}


# Cases that fail the plan.
FAILURES: Plan = {
    # Messages and executions are still encrypted with the previous key.
    "key_without_previous": (
        Case({**SMALL, "kms_key_arn": KEY}),
        (f"kms_key_arn was {PREVIOUS_KEY} and is now {KEY}.", "Add it to previous_kms_key_arns"),
    ),
    "key_with_previous": (Case({**SMALL, "kms_key_arn": KEY, "previous_kms_key_arns": [PREVIOUS_KEY]}), ()),
    "no_key_without_previous": (
        Case(SMALL),
        (f"kms_key_arn was {PREVIOUS_KEY} and is now null.", "Add it to previous_kms_key_arns"),
    ),
    # The state of one deployment with the variables of another.
    "small": (Case({**SMALL, "stage": "production"}), ("cognito-user-sync-dev of", "cognito-user-sync-production of")),
    "least": (
        Case({**APPLIED["least"].arguments, "name": "other"}, APPLIED["least"].found),
        ("cognito-user-sync-dev of", "other-dev of"),
    ),
    "no_reconciliation": (
        Case({**APPLIED["no_reconciliation"].arguments, "user_pool_id": "eu-west-1_Another"}),
        (f"of user pool {USER_POOL_ID}", "of user pool eu-west-1_Another"),
    ),
    # Conditions that validations of variables cannot check.
    "pool_of_another_region": (
        Case({**SMALL, "user_pool_id": "us-east-1_AbCdEfGhI"}),
        ("us-east-1_AbCdEfGhI", "us-east-1", "eu-west-1", "AWS_REGION=us-east-1"),
    ),
    "unknown_keys": (
        Case({**SMALL, "deleted_users": {"retention_day": 7}}),
        ("deleted_users has the unknown key retention_day: each must be one of action, retention_days.",),
    ),
    "unknown_placeholders": (
        Case(
            {
                **SMALL,
                "attributes": ["email", "custom:plan"],
                "welcome_email": {
                    "from": "a@example.com",
                    "subject": "{{nickname}} {{username}}",
                    "text": "{{ zoneinfo|UTC }} {{name|there}} {{ email }} {{display_name}}",
                    "html": "{{custom:team}} {{custom:plan}}",
                    "translations": {
                        "de": {"subject": "{{name}}", "text": "{{vorname}}", "html": "{{ picture | - }}"},
                        "fr": {"subject": "{{name}}", "text": "{{email}}", "html": "{{display_name|vous}}"},
                        "it": {"subject": "{{user name}}", "text": "{{}} {{email", "html": "{{name}}}} {name}"},
                    },
                },
            }
        ),
        (
            "welcome_email has the unknown placeholder {{custom:team}}, {{nickname}}, {{zoneinfo}}:",
            'welcome_email.translations["de"] has the unknown placeholder {{picture}}, {{vorname}}:',
            'welcome_email.translations["it"] has the unknown placeholder {{user name}}, {{}}, {{email:',
            "{{display_name}}, {{username}}, {{name}}, {{email}}, {{custom:plan}}",
        ),
    ),
    "paths_as_templates": (
        Case(
            {
                **SMALL,
                "welcome_email": {
                    "from": "a@example.com",
                    "html": "emails/welcome.html",
                    "translations": {"de": {"subject": "s", "text": "de.txt", "html_file": "main.tf.json"}},
                },
            }
        ),
        (
            'welcome_email has html = "emails/welcome.html", which is a path and not the content of an email: use ',
            'use html_file = "emails/welcome.html".',
            'welcome_email has text = "de.txt", which is a path',
        ),
    ),
    "template_and_file": (
        Case(
            {
                **SMALL,
                "welcome_email": {"from": "a@example.com", "text": "Hello", "text_file": "main.tf.json"},
            }
        ),
        ('welcome_email has both text and text_file = "main.tf.json": remove one of them.',),
    ),
    "first_sign_in_without_track_changes": (
        Case(ON_FIRST_SIGN_IN),
        ("welcome_email.on_first_sign_in is true and track_changes is false", "Set track_changes to true"),
    ),
    **{
        f"overdue_hours_of_{schedule}": (
            Case({"attach_trigger": False, "reconciliation": {"schedule": schedule, "overdue_hours": hours}}),
            (
                f"reconciliation.overdue_hours is {hours}, and the runs of reconciliation.schedule, {schedule}, can be",
                f"can be {hours} hours apart: overdue_hours must be longer",
            ),
        )
        for schedule, hours in NOT_OVERDUE_YET.items()
    },
    **{
        f"more_overdue_hours_of_{schedule}": (
            Case({"attach_trigger": False, "reconciliation": {"schedule": schedule, "overdue_hours": hours + 1}}),
            (),
        )
        for schedule, hours in NOT_OVERDUE_YET.items()
        if hours < 168
    },
    "schedule_that_is_unsure": (
        Case({"attach_trigger": False, "reconciliation": {"schedule": "cron(0 */6 * * ? *)", "overdue_hours": 1}}),
        (),
    ),
    **{
        f"never_overdue_{name}": (
            Case({"attach_trigger": False} | given | {"reconciliation": {"schedule": "rate(9 days)"} | reconciliation}),
            (),
        )
        for name, given, reconciliation in (
            ("without_a_reconciliation", {}, {"enabled": False}),
            ("with_no_hours", {}, {"overdue_hours": 0}),
            ("without_a_schedule", {}, {"schedule": "none"}),
            ("without_the_alarm", {"alarms": {"reconciliation-overdue": {"enabled": False}}}, {}),
        )
    },
    "region_without_ses": (
        Case({**HONG_KONG, "welcome_email": {"from": "a@example.com"}}, IN_HONG_KONG),
        ("welcome_email is set", "the pool's region, ap-east-1,", "Set welcome_email.region", "or to ap-east-1 if"),
    ),
    "region_without_ses_and_no_welcome_email": (Case(HONG_KONG, IN_HONG_KONG), ()),
    **{
        f"ses_in_{region}": (
            Case({**HONG_KONG, "welcome_email": {"from": "a@example.com", "region": region}}, IN_HONG_KONG),
            (),
        )
        for region in ("ap-southeast-1", "ap-east-1")
    },
    "chained_of_another_region": (
        Case({**SMALL, "chained_function_arn": THEIRS.replace("eu-west-1", "us-east-1")}),
        (THEIRS.replace("eu-west-1", "us-east-1"), "eu-west-1."),
    ),
    "chained_is_ours": (
        Case({**SMALL, "stage": "own", "chained_function_arn": ours("own")}),
        (f"chained_function_arn is {ours('own')},",),
    ),
    "chained_is_an_alias_of_ours": (
        Case({**SMALL, "chained_function_arn": f"{ours()}:live"}),
        (f"chained_function_arn is {ours()}:live,",),
    ),
    "chained_begins_like_ours": (Case({**SMALL, "chained_function_arn": f"{ours()}-2"}), ()),
    "table_with_another_key": (
        existing({TABLE_ADDRESS: table(key="pk")}),
        (
            "The table users has the partition key pk (S) and no sort key, but table.partition_key",
            "require the partition key id (S) and no sort key.",
        ),
    ),
    "table_with_a_number_as_key": (
        existing({TABLE_ADDRESS: table(kind="N")}),
        ("The table users has the partition key id (N) and no sort key, but",),
    ),
    "table_with_a_sort_key": (
        existing({TABLE_ADDRESS: table(sort_key="kind")}),
        ("The table users has the partition key id (S) and the sort key kind (S), but", "id (S) and no sort key."),
    ),
    "table_without_a_sort_key": (
        existing({TABLE_ADDRESS: table()}, sort_key={"name": "SK", "value": "PROFILE"}),
        ("the partition key id (S) and no sort key, but", "the partition key id (S) and the sort key SK (S)."),
    ),
    "table_with_a_number_as_sort_key": (
        existing({TABLE_ADDRESS: table(sort_key="SK", SK="N")}, sort_key={"name": "SK", "value": "PROFILE"}),
        ("the partition key id (S) and the sort key SK (N), but", "the partition key id (S) and the sort key SK (S)."),
    ),
    "table_with_these_keys": (
        existing(
            {TABLE_ADDRESS: table(("by_shard", "shard", "PK"), key="PK", sort_key="SK")},
            partition_key={"name": "PK", "value": "USER#{sub}"},
            sort_key={"name": "SK", "value": "PROFILE"},
        ),
        (),
    ),
    **{
        f"stream_of_table_{number}": (
            Case(
                {
                    **SMALL,
                    "table": {"name": "users", "attribute_prefix": ""},
                    "user_events": {"event_bus_arn": BUS, "stream_arn": STREAM},
                },
                {TABLE_ADDRESS: {**table(), "stream_arn": stream, "stream_view_type": view_type}},
            ),
            (f"user_events.stream_arn is {STREAM}, but the table users has {found}. It must be",),
        )
        for number, (stream, view_type, found) in enumerate(
            [
                ("", "", "no stream"),
                (f"{STREAM}1", "NEW_AND_OLD_IMAGES", f"the stream {STREAM}1 with the view type NEW_AND_OLD_IMAGES"),
                (STREAM, "NEW_IMAGE", f"the stream {STREAM} with the view type NEW_IMAGE"),
                (STREAM, "", f"the stream {STREAM} with the view type null"),
            ]
        )
    },
    "index_keys_of_other_types": (
        existing({TABLE_ADDRESS: table(("a", "enabled", "synced_at"), ("b", "expires_at", "name"), synced_at="N")}),
        (
            "The table users has index keys",
            (
                "enabled (enabled: BOOL from this module, S in the table), expires_at (ttl_attribute: N from this "
                "module, S in the table), synced_at (synced_at: S from this module, N in the table). DynamoDB would"
            ),
        ),
    ),
    "index_key_that_is_a_set": (
        existing({TABLE_ADDRESS: table(("a", "names", ""))}, attribute_names={"synced_attributes": "names"}),
        ("names (synced_attributes: SS from this module, S in the table).",),
    ),
    "index_keys_of_the_application": (
        existing(
            {TABLE_ADDRESS: table(("a", "status", "size"), ("b", "kind", "synced_at"), status="N", size="B")},
            prefix="c_",
        ),
        (),
    ),
    "unknown_fields": (
        Case({**SMALL, "table": {"attribute_names": {"nickname": "nick", "sub": "id2", "email": "mail"}}}),
        ("table.attribute_names has the keys nickname, sub: each must be one of name, email, phone_number, username,",),
    ),
    "names_clash": (
        Case(
            {
                **SMALL,
                "table": {
                    "sort_key": {"name": "status", "value": "PROFILE"},
                    "attribute_names": {"email": "mail", "name": "mail", "enabled": "expires_at", "shard": "id"},
                    "extra_attributes": {"username": "{username}", "email_lower": "User"},
                    "email_index": True,
                },
            }
        ),
        (
            (
                'table has the same name for several attributes: "email_lower" (extra_attributes, email_index); '
                '"expires_at" (ttl_attribute, enabled); "id" (partition_key, shard); "mail" (email, name); "status" '
                '(sort_key, status); "username" (username, extra_attributes).'
            ),
        ),
    ),
    "layout_is_too_large": (
        Case(
            {
                **SMALL,
                "attributes": [f"custom:{number:020}" for number in range(70)],
                "table": {"extra_attributes": {"é": "é" * 780}},
            }
        ),
        ("bytes of the functions' environment variables: they must use at most 3500",),
    ),
    "layout_is_just_small_enough": (
        Case(
            {
                **SMALL,
                "attributes": [f"custom:{number:020}" for number in range(70)],
                "table": {"extra_attributes": {"é": "é" * 500}},
            }
        ),
        (),
    ),
    # Items that a change of the table would lose.
    "identity_table": (
        Case({**SMALL, "table": {"name": "users", "attribute_prefix": ""}}, {TABLE_ADDRESS: table()}),
        (
            'table.name was null and is now "users". Terraform would delete the table cognito-user-sync-dev-users with',
            "-replace='<module.NAME.>module.user_table.terraform_data.identity'",
        ),
    ),
    "identity_key": (
        Case({**SMALL, "table": {"partition_key": {"name": "userId"}}}),
        (
            (
                'table.partition_key was {"name":"id","value":"{sub}"} and is now {"name":"userId","value":"{sub}"}.'
                " Terraform would delete the table"
            ),
        ),
    ),
    "identity_sort_key": (
        Case({**SMALL, "table": {"sort_key": {"name": "SK", "value": "PROFILE"}}}),
        ('table.sort_key was null and is now {"name":"SK","value":"PROFILE"}. Terraform would delete the table',),
    ),
    "identity_key_value": (
        Case({**SMALL, "table": {"partition_key": {"value": "USER#{sub}"}}}),
        ('"value":"USER#{sub}"}. This module would no longer update or delete',),
    ),
    "identity_names": (
        Case(
            {
                **SMALL,
                "table": {
                    "attribute_prefix": "cognito_",
                    "attribute_names": {"synced_at": "updatedAt"},
                    "ttl_attribute": "ttl",
                },
            }
        ),
        (
            (
                'table.attribute_names was {} and is now {"synced_at":"updatedAt"}, table.attribute_prefix was "" '
                'and is now "cognito_", table.ttl_attribute was "expires_at" and is now "ttl". This module would'
            ),
        ),
    ),
    "identity_of_another_existing_table": (
        existing({TABLE_ADDRESS: {**table(), "name": "others"}}, name="others"),
        ('table.name was "users" and is now "others". This module would no longer update or delete',),
    ),
    # Renamed attributes and all other changes are allowed.
    "identity_same": (
        Case(
            {
                **SMALL,
                "sync_groups": True,
                "attributes": ["email"],
                "table": {
                    "attribute_names": {"email": "mail", "groups": "cognito_groups"},
                    "extra_attributes": {"entity": "User"},
                    "attribute_prefix": "",
                    "deletion_protection": False,
                },
            }
        ),
        (),
    ),
}

# Other cases that fail the plan, separate because Terraform plans nothing that depends on a failed condition.
FOREIGN_TRIGGERS: Plan = {
    "trigger_of_another": (
        Case(ATTACHING, {POOL_ADDRESS: user_pool(THEIRS)}),
        (
            f"User pool {USER_POOL_ID} has the post-confirmation trigger {THEIRS}, which is not this module's.",
            "Set chained_function_arn to exactly this ARN, so that this module's function invokes it,",
        ),
    ),
    "chained_no_longer": (
        Case(ATTACHING, {POOL_ADDRESS: user_pool(f"{THEIRS}-2")}),
        (f"has the post-confirmation trigger {THEIRS}-2, which is not",),
    ),
}


# Attributes that the pool has or lacks. Terraform reports missing ones and applies.
ATTRIBUTES: Plan = {
    "attributes_of_the_pool": (
        Case({**SMALL, "attributes": ["email", "zoneinfo", "custom:plan", "dev:custom:team"]}),
        (),
    ),
    "attributes_that_the_pool_lacks": (
        Case({**SMALL, "attributes": ["custom:plan", "custom:paln", "custom:team"]}),
        (
            f"attributes has custom:paln, custom:team, but the schema of user pool {USER_POOL_ID} does not",
            'are ["custom:plan","dev:custom:team"].',
        ),
    ),
}

REPORTS = TRIGGERS | TABLES | WELCOMES | ATTRIBUTES


class Terraform(NamedTuple):
    made: dict[str, Made]
    reports: list[str]
    failures: list[str]


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    reports, failures = ({name: case for name, (case, _) in plan.items()} for plan in (REPORTS, FAILURES))
    # The conditions of the deployment and of the table fail the plan. A function has the table's name.
    conditions = (
        "terraform_data.deployment",
        "module.key_change.terraform_data.key",
        "module.user_table.terraform_data.identity",
        "module.user_sync.module.sync_user.aws_lambda_function.this",
    )
    deployed = {name: case for name, case in (APPLIED | KEYED | LOCATED).items() if name in failures}
    scenarios = {
        "reports": Scenario(APPLIED, reports),
        "failures": Scenario(deployed, failures, conditions),
        "foreign_triggers": Scenario(
            CHAINED,
            {name: case for name, (case, _) in FOREIGN_TRIGGERS.items()},
            ("module.pool_trigger[0].terraform_data.attached",),
        ),
    }
    results = mocked_terraform(tmp_path_factory.mktemp("mocked"), scenarios)
    made, found = results["reports"]
    return Terraform(made, found, results["failures"][1] + results["foreign_triggers"][1])
