"""The values that each variable accepts and rejects, and the complete message of each validation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.mocked_terraform import ROOT, validation_errors
from tests.samples import SENDERS
from tests.terraform.conftest import ALARM_NAMES


class Rule(NamedTuple):
    """One validation of a variable. Each rejected value breaks one clause of its condition only."""

    path: str  # a variable, or an attribute of one
    message: str  # with {} for the rejected value, which is JSON unless {} is in quotes
    accepted: list[Any]
    rejected: list[Any]
    shown: Callable[[Any], Any] = lambda value: value  # what the message shows of a rejected value

    def message_of(self, value: Any) -> str:
        """Return the complete message for a rejected value."""
        given = self.shown(value)
        text = given or "" if '"{}"' in self.message else json.dumps(given, ensure_ascii=False, separators=(",", ":"))
        return self.message.replace("{}", text)


GLOBAL_TABLE = {"replica_regions": ["eu-central-1"], "stream_view_type": "NEW_AND_OLD_IMAGES"}

STANDARD_ATTRIBUTES = [
    *["address", "birthdate", "email", "email_verified", "family_name", "gender", "given_name", "locale"],
    *["middle_name", "name", "nickname", "phone_number", "phone_number_verified", "picture", "preferred_username"],
    *["profile", "updated_at", "website", "zoneinfo"],
]
CUSTOM_ATTRIBUTES = [f"custom:{number}" for number in range(60)]

ADDRESSES = (
    'each must be address@example.com, Name <address@example.com> or "Name" <address@example.com>, with at most 320 '
    'characters, quotes around a name with < > @ or ", ASCII before the @, and a domain with ß or ς in Punycode '
    "(xn--fa-hia.de for faß.de)."
)
ARN = "arn:aws:{}:eu-west-1:123456789012:"
FUNCTION, TOPIC, KEY = (ARN.format(service) for service in ("lambda", "sns", "kms"))
IDENTITY = f"{ARN.format('ses')}identity"
POLICY, ROLE = "arn:aws:iam::123456789012:policy/", "arn:aws:iam::123456789012:role/"

BUS = f"{ARN.format('events')}event-bus/users"
TABLE = f"{ARN.format('dynamodb')}table"
STREAM = f"{TABLE}/users/stream/2026-01-31T12:00:00.000"
EXISTING = {"name": "users", "attribute_prefix": ""}

GERMAN = {"subject": "Willkommen", "text": "Hallo", "html": "<p>Hallo</p>"}

AT_MOST = "at most 86400 (one day), or 604800 (seven days) if period_seconds is at least 3600."


def _json(value: Any) -> str:
    """Encode a value as Terraform's jsonencode does."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def alarm_rules(field: str, allowed: str, accepted: list[Any], rejected: list[Any]) -> list[Rule]:
    """Return the rule of an alarm's field. The message names the alarm, and no alarm without the field."""
    return [
        Rule(
            "alarms",
            f'alarms has {field} {{"trigger-errors":{json.dumps(value)}}}: each must be {allowed}.',
            accepted=[{"trigger-errors": {field: value}} for value in (accepted if number == 0 else [])],
            rejected=[{"trigger-errors": {field: value}, "changes-lost": {}}],
        )
        for number, value in enumerate(rejected)
    ]


RULES = [
    Rule(
        "user_pool_id",
        'user_pool_id is "{}": it must be a user pool ID, <region>_<1 to 45 letters or digits>, like '
        "eu-west-1_AbCdEfGhI.",
        accepted=["eu-west-1_A", "us-gov-east-12_" + "aZ9" * 15, "eusc-de-east-1_AbCdEfGhI"],
        rejected=[
            "",
            "AbCdEfGhI",
            "eu-west-1-AbCdEfGhI",
            "eu-west-1_",
            "eu-west-1_" + "a" * 46,
            "eu-west-1_Ab-C",
            "eu-west-1_AbC\n",
            "e-west-1_AbC",
            "euscs-west-1_AbC",
            "EU-west-1_AbC",
            "eu-1_AbC",
            "eu-West-1_AbC",
            "eu-west-_AbC",
            "eu-west-one_AbC",
            " eu-west-1_AbC",
        ],
    ),
    Rule(
        "stage",
        'stage is "{}": it must be 1 to 12 lowercase letters, digits or hyphens, start with a letter, and not end '
        "with a hyphen.",
        accepted=["a", "abcdefghijkl", "a-1", "z9"],
        rejected=["", "abcdefghijklm", "1dev", "-dev", "dev-", "Dev", "dEv", "deV", "de_v", "dev1\n", "a-"],
    ),
    Rule(
        "name",
        'name is "{}": it must be lowercase letters, digits or hyphens, start with a letter, and not end with a '
        "hyphen.",
        accepted=["a", "a" * 18, "a-1", "z9"],
        rejected=["", "1sync", "-sync", "sync-", "Sync", "sYnc", "synC", "user_sync", "sync\n", "a-"],
    ),
    Rule(
        "attributes",
        "attributes are {}: each must be a standard Cognito attribute, like email or given_name, or custom:<name>, "
        "with a name of 1 to 20 characters without spaces. sub is always synced, as the table's key.",
        accepted=[
            [],
            STANDARD_ATTRIBUTES,
            ["custom:a", "custom:abcdefghijklmnopqrst", "dev:custom:plan"],
            ["custom:é", "custom:x\u0301", "custom:€", "custom:9", "custom:a-b_c"],  # each class of characters
        ],
        rejected=[
            ["emial"],
            ["email", "sub"],
            ["Email"],
            ["custom:"],
            ["custom:abcdefghijklmnopqrstu"],
            ["custom:a b"],
            ["xcustom:plan"],
            ["xdev:custom:plan"],
            ["plan"],
        ],
    ),
    Rule(
        "attributes",
        "attributes are {}: each must occur once, and there must be at most 70.",
        accepted=[[*CUSTOM_ATTRIBUTES, *STANDARD_ATTRIBUTES[:10]]],
        rejected=[["email", "email"], [*CUSTOM_ATTRIBUTES, *STANDARD_ATTRIBUTES[:11]]],
    ),
    Rule(
        "welcome_email.from",
        f'welcome_email.from is "{{}}" and reply_to is "": {ADDRESSES}',
        accepted=list(SENDERS),
        rejected=[
            "",
            "welcome",
            "welcome@example",
            "@example.com",
            "a@.com",
            "a@example.",
            "a@example.com, b@example.com",
            "a b@example.com",
            "a@exam ple.com",
            "a@b@example.com",
            "<a@example.com>",
            " <a@example.com>",
            "Name<a@example.com>",
            "Name <a@example>",
            "Name <@example.com>",
            "Name <a b@example.com>",
            "Name <a@example.com",
            "Name <a@example.com> x",
            "hello@faß.de",
            "Faß <hello@shop.FAẞ.de>",
            "hello@σοφός.gr",
            "hello@mü ller.de",
            "hello@-müller.de",
            "hello@müller.d\u200d",
            "höllo@example.com",
            "a@-example.com",
            "a@exa_mple.com",
            "a@example.c1_",
            "a@127.0.0.1",
            "a..b@example.com",
            "a" * 65 + "@example.com",
            "a@" + ".".join(["a" * 60] * 4) + ".example.com",
            "N" * 301 + " <hello@example.com>",
            "Name@home <a@example.com>",
            "a@example.com, Name <a@example.com>",
            'A "Name" <a@example.com>',
            '"Name <a@example.com>',
            '"A "B" C" <a@example.com>',
            '"A\\n" <a@example.com>',
            '"" <a@example.com>',
            '"Name\u2028" <a@example.com>',
            '"Name\r\nBcc: x" <a@example.com>',
            "Name\u2028x <a@example.com>",
            "Name\r\nBcc: x <a@example.com>",
            "Name\nx <a@example.com>",
            "Name\rx <a@example.com>",
            "a@example.com\n",
            None,
        ],
    ),
    Rule(
        "welcome_email.reply_to",
        f'welcome_email.from is "a@example.com" and reply_to is "{{}}": {ADDRESSES}',
        accepted=[None, "", "support@example.com", "Support <support@example.com>"],
        rejected=["support", "Support <support@example>"],
    ),
    Rule(
        "welcome_email.subject",
        "welcome_email.subject is {}: it must be one line of text, without control characters.",
        accepted=[None, "W", "Welcome, {{username}} – ¡hola!"],
        rejected=["", "one\ntwo", "one\r", "\x01", "tab\there", "\x1f"],
    ),
    Rule(
        "welcome_email.identity_arn",
        'welcome_email.identity_arn is "{}": it must be the ARN of an SES identity, like '
        "arn:aws:ses:eu-west-1:123456789012:identity/example.com, or null.",
        accepted=[None, f"{IDENTITY}/example.com", f"{IDENTITY}/com", f"{IDENTITY}/A@example.com"],
        rejected=[
            "",
            "example.com",
            f"{IDENTITY}/",
            f"{IDENTITY}/example.com/x",
            f"{IDENTITY}/example.com\n",
            f"{ARN.format('ses')}configuration-set/example.com",
            "arn:aws:ses::123456789012:identity/example.com",
            "arn:aws:ses:eu-west-1:12345:identity/example.com",
            "arn:aws:iam:eu-west-1:123456789012:identity/example.com",
        ],
    ),
    Rule(
        "welcome_email.identity_arn",
        'welcome_email.identity_arn is "{}", and from is "a@example.com": the identity must be the address in from, '
        "its domain, or a parent domain.",
        accepted=[],
        rejected=[f"{IDENTITY}/{name}" for name in ("example.org", "ample.com", "b@example.com", "mail.example.com")],
    ),
    Rule(
        "welcome_email",
        'welcome_email.identity_arn is "{}", and from is "Müller <a@post.müller.de>": the identity must be the address '
        "in from, its domain, or a parent domain.",
        accepted=[
            {"from": "Müller <a@post.müller.de>", "identity_arn": f"{IDENTITY}/{name}"}
            for name in ("a@post.xn--mller-kva.de", "post.xn--mller-kva.de", "xn--mller-kva.de", "de")
        ],
        rejected=[
            {"from": "Müller <a@post.müller.de>", "identity_arn": f"{IDENTITY}/{name}"}
            for name in ("example.de", "xn--mller-kva.com", "b@post.xn--mller-kva.de", "a.post.xn--mller-kva.de")
        ],
        shown=lambda welcome: welcome["identity_arn"],
    ),
    Rule(
        "welcome_email",
        'welcome_email.region is "us-east-1", and identity_arn is in the region "eu-west-1": they must be the same, or '
        "region must be null.",
        accepted=[{"from": "a@example.com", "region": "eu-west-1", "identity_arn": f"{IDENTITY}/example.com"}],
        rejected=[{"from": "a@example.com", "region": "us-east-1", "identity_arn": f"{IDENTITY}/example.com"}],
    ),
    Rule(
        "welcome_email.translations",
        "welcome_email.translations has the keys {}: each must be a language tag, like de, pt-BR or zh-Hant-TW.",
        accepted=[None, {}, {"de": GERMAN, "pt-BR": GERMAN, "zh-Hant-TW": GERMAN, "es-419": GERMAN, "kab": GERMAN}],
        rejected=[{tag: GERMAN} for tag in ["", "d", "german", "de_AT", "pt-", "de-AT\n", "de-123456789"]],
        shown=list,
    ),
    Rule(
        "welcome_email.translations",
        "welcome_email.translations has the keys {}: each language must occur once, and case is ignored.",
        accepted=[],
        rejected=[{"pt-BR": GERMAN, "pt-br": GERMAN}],
        shown=list,
    ),
    Rule(
        "welcome_email.translations",
        "welcome_email.translations has an empty part or an invalid subject: {}. Each translation "
        "must have a subject of one line without control characters, text or text_file, and html or html_file.",
        accepted=[{"de": {"subject": "Willkommen", "text_file": "de.txt", "html_file": "de.html"}}],
        rejected=[
            {"de": {**GERMAN, part: value}}
            for part, value in [
                *[("subject", ""), ("subject", None), ("subject", "a\nb"), ("text", ""), ("html", ""), ("html", None)]
            ]
        ],
        shown=lambda given: {tag: each["subject"] for tag, each in given.items()},
    ),
    Rule(
        "welcome_email.configuration_set",
        'welcome_email.configuration_set is "{}": it must be 1 to 64 letters, digits, hyphens or underscores, or null.',
        accepted=[None, "a", "aZ09-_" + "a" * 58],
        rejected=["", "my set", "a" * 65, "a.b", "set\n"],
    ),
    Rule(
        "welcome_email.region",
        'welcome_email.region is "{}": it must be an AWS region, like eu-west-1, or null for the pool\'s region.',
        accepted=[None, "eu-west-1", "us-gov-east-12", "eusc-de-east-1"],
        rejected=["", "Ireland", "eu-west", "eu-west-1a", "EU-west-1", "eu-west-1\n", "e-west-1", "eu-1"],
    ),
    Rule(
        "chained_function_arn",
        'chained_function_arn is "{}": it must be the ARN of a Lambda function, with or without an alias or version, '
        "like arn:aws:lambda:eu-west-1:123456789012:function:name, or null.",
        accepted=[
            None,
            f"{FUNCTION}function:their-Function_1",
            f"{FUNCTION}function:theirs:live",
            f"{FUNCTION}function:theirs:$LATEST",
            f"{FUNCTION}function:theirs:12",
            f"{FUNCTION}function:theirs".replace("aws", "aws-us-gov"),
        ],
        rejected=[
            "",
            "my-function",
            f"{FUNCTION}function:",
            f"{FUNCTION}function:a:b:c",
            f"{FUNCTION}function:a:",
            f"{FUNCTION}function:a.b",
            f"{FUNCTION}layer:a",
            f"{TOPIC}function:a",
            "arn:aws:lambda:eu-west-1:12345678901:function:a",
            "arn:aws:lambda:eu-west-1:1234567890123:function:a",
            "arn:aws:lambda::123456789012:function:a",
            "arn::lambda:eu-west-1:123456789012:function:a",
            f"x{FUNCTION}function:a",
            f"{FUNCTION}function:a\n",
        ],
    ),
    *[
        Rule(
            "table",
            f'table.name is "{name}": it must be 3 to 255 letters, digits, underscores, hyphens or dots, or null.',
            accepted=[{"name": accepted, "attribute_prefix": ""} for accepted in ("abc", "aZ9_.-" + "a" * 249)],
            rejected=[{"name": name, "attribute_prefix": ""}],
        )
        for name in ["", "ab", "a" * 256, "a/b", "my table"]
    ],
    Rule(
        "table",
        'table.name is "users\n": it must be 3 to 255 letters, digits, underscores, hyphens or dots, or null.',
        accepted=[],
        rejected=[{"name": "users\n", "attribute_prefix": ""}],
    ),
    *[
        Rule(
            "table",
            f'table.partition_key.value is "{value}": it must be text of at most 255 characters with {{sub}} exactly '
            "once, and with no other braces except {user_pool_id}, like {sub} or USER#{sub}.",
            accepted=[
                {"partition_key": {"value": accepted}}
                for accepted in (None, "{sub}", "U#{sub}#x", "{user_pool_id}{sub}{user_pool_id}", "{sub}" + "é" * 250)
            ],
            rejected=[{"partition_key": {"value": value}}],
        )
        for value in [
            *["", "id", "{sub}{sub}", "{Sub}", "{username}#{sub}", "{sub}{", "}{sub}", "{sub|lower}", "{user_pool_id}"],
            *["{su{user_pool_id}b}", "{sub}" + "a" * 251],
        ]
    ],
    *[
        Rule(
            "table",
            f'table.sort_key.value is "{value or ""}": it must be text of 1 to 255 characters, with no braces '
            "except {sub} and {user_pool_id}, like PROFILE or USER#{sub}.",
            accepted=[
                {"sort_key": {"name": "SK", "value": accepted}}
                for accepted in ("P", "{sub}{sub}", "A#{user_pool_id}#{sub}", "é" * 255)
            ],
            rejected=[{"sort_key": {"name": "SK", "value": value}}],
        )
        for value in ["", "{", "}", "{email}", "{sub|lower}", "{sub}{x}", "a" * 256, None]
    ],
    Rule(
        "table",
        'table.name is "users", but table.attribute_prefix is null: for an existing table, it must be set, for example '
        'to "cognito_", or to "" to overwrite existing values of attributes such as email, username or status.',
        accepted=[{"name": "users", "attribute_prefix": prefix} for prefix in ("", "cognito_")],
        rejected=[{"name": "users"}],
    ),
    Rule(
        "table.attribute_prefix",
        'table.attribute_prefix is "{}": it must have at most 64 characters.',
        accepted=[None, "", "cognito_", "é" * 64],
        rejected=["a" * 65],
    ),
    *[
        Rule(
            "table",
            f"table names the attributes {names}: each name must have 1 to 255 characters.",
            accepted=[
                {
                    "partition_key": {"name": "a" * 255},
                    "sort_key": {"name": "b" * 255, "value": "P"},
                    "ttl_attribute": "é" * 255,
                    "attribute_names": {"email": "c" * 255},
                    "extra_attributes": {"d" * 255: "x"},
                }
            ],
            rejected=[given],
        )
        for names, given in [
            ('["","expires_at"]', {"partition_key": {"name": ""}}),
            (f'["{"a" * 256}","expires_at"]', {"partition_key": {"name": "a" * 256}}),
            ('["id","","expires_at"]', {"sort_key": {"name": "", "value": "P"}}),
            ('["id",""]', {"ttl_attribute": ""}),
            ('["id","expires_at",""]', {"attribute_names": {"email": ""}}),
            ('["id","expires_at",null]', {"attribute_names": {"email": None}}),
            (f'["id","expires_at","{"a" * 256}"]', {"extra_attributes": {"a" * 256: "x"}}),
        ]
    ],
    Rule(
        "table.extra_attributes",
        "table.extra_attributes are {}: each must be text, with names in braces, each alone or with |lower or |upper, "
        "like EMAIL#{email|lower}.",
        accepted=[
            {},
            {"__typename": "User", "b": "{sub}", "c": "{username|lower}{email|upper}x{name}", "d": "|"},
        ],
        rejected=[
            {"a": template}
            for template in [
                *["", "{", "}", "{}", "{email|title}", "{email|}", "{email|lower|upper}", "{|lower}", "{{email}}"],
                *["{email}}", "{sub", None],
            ]
        ],
    ),
    *[
        Rule(
            "table",
            f"table.replica_regions are {json.dumps(regions, separators=(',', ':'))}: each must be an AWS region, like "
            "eu-central-1, and occur once.",
            accepted=[GLOBAL_TABLE | {"replica_regions": ["eu-central-1", "us-gov-east-12"]}],
            rejected=[GLOBAL_TABLE | {"replica_regions": regions}],
        )
        for regions in [["Frankfurt"], ["eu-central-1", "eu-central-1"], [""], ["eu-central-1x"], ["xx"]]
    ],
    Rule(
        "table",
        'table.replica_regions are ["eu-central-1"], but table.name is "users": it must be [] for an existing table, '
        "because this module does not change it.",
        accepted=[],
        rejected=[GLOBAL_TABLE | {"name": "users", "attribute_prefix": ""}],
    ),
    *[
        Rule(
            "table",
            f'table.replica_regions are ["eu-central-1"], table.billing_mode is {mode} and table.stream_view_type is '
            f"{stream or 'null'}: a table with replicas must have PAY_PER_REQUEST and NEW_AND_OLD_IMAGES.",
            accepted=[],
            rejected=[GLOBAL_TABLE | given | {"stream_view_type": stream, "billing_mode": mode}],
        )
        for mode, stream, given in [
            ("PAY_PER_REQUEST", None, {}),
            ("PAY_PER_REQUEST", "NEW_IMAGE", {}),
            ("PROVISIONED", "NEW_AND_OLD_IMAGES", {"read_capacity": 1, "write_capacity": 1}),
        ]
    ],
    Rule(
        "table.billing_mode",
        'table.billing_mode is "{}": it must be PAY_PER_REQUEST or PROVISIONED.',
        accepted=[None, "PAY_PER_REQUEST"],
        rejected=["", "provisioned", "ON_DEMAND"],
    ),
    *[
        Rule(
            "table",
            f"table.read_capacity is {read}, table.write_capacity is {write} and table.billing_mode is {mode}: with "
            "PROVISIONED, both must be whole numbers of at least 1, and with PAY_PER_REQUEST both must be null.",
            accepted=[{"billing_mode": "PROVISIONED", "read_capacity": 1, "write_capacity": 40000}],
            rejected=[
                {
                    "billing_mode": mode,
                    "read_capacity": None if read == "null" else read,
                    "write_capacity": None if write == "null" else write,
                }
            ],
        )
        for mode, read, write in [
            ("PROVISIONED", "null", "null"),
            ("PROVISIONED", 5, "null"),
            ("PROVISIONED", 0, 5),
            ("PROVISIONED", 5, 0.5),
            ("PROVISIONED", 5, 1.5),
            ("PROVISIONED", -5, 5),
            ("PAY_PER_REQUEST", 5, "null"),
            ("PAY_PER_REQUEST", "null", 5),
        ]
    ],
    Rule(
        "table.stream_view_type",
        'table.stream_view_type is "{}": it must be NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY or null.',
        accepted=[None, "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"],
        rejected=["", "ALL", "keys_only", "NEW_IMAGES"],
    ),
    Rule(
        "table",
        'table.email_index is true, but table.name is "users": it must be false for an existing table, because '
        "this module does not change its indexes.",
        accepted=[{"name": "users", "attribute_prefix": "", "email_index": False}],
        rejected=[{"name": "users", "attribute_prefix": "", "email_index": True}],
    ),
    Rule(
        "user_events.event_bus_arn",
        'user_events.event_bus_arn is "{}": it must be the ARN of an EventBridge event bus, like '
        "arn:aws:events:eu-west-1:123456789012:event-bus/users.",
        accepted=[],
        rejected=["", "users", BUS.replace("event-bus", "rule"), f"{BUS}*", None],
    ),
    Rule(
        "deleted_users.action",
        'deleted_users.action is "{}": it must be mark, delete, delete_item or keep.',
        accepted=["mark", "delete", "delete_item", "keep", None],
        rejected=["", "forget", "Mark"],
    ),
    Rule(
        "deleted_users.retention_days",
        "deleted_users.retention_days is {}: it must be a whole number from 1 to 36500, or null.",
        accepted=[None, 1, 36500],
        rejected=[0, 1.5, -1, 36501],
    ),
    *[
        Rule(
            "deleted_users",
            f"deleted_users.retention_days is 90, but deleted_users.action is {action}: it must be null, or "
            "action must be mark, because only marked items expire.",
            accepted=[{"action": action}, {"action": "mark", "retention_days": 90}],
            rejected=[{"action": action, "retention_days": 90}],
        )
        for action in ("keep", "delete", "delete_item")
    ],
    Rule(
        "reconciliation.run_on_apply",
        'reconciliation.run_on_apply is "{}": it must be sync, dry_run, none or null.',
        accepted=[None, "sync", "dry_run", "none"],
        rejected=["", "true", "Sync", "dry run"],
    ),
    Rule(
        "reconciliation.schedule",
        'reconciliation.schedule is "{}": it must be rate(...), like rate(12 hours), or none, or cron(...) with six '
        "fields, like cron(15 3 * * ? *): minutes, hours, day of month, month, day of week and year, where day "
        "of month or day of week must be ?.",
        accepted=[
            "none",
            "cron(15 3 * * ? *)",
            "cron(0/30 8-18 ? JAN-JUN MON-FRI 2030)",
            "cron(0 3,15 L * ? *)",
            "cron(0 3 ? * 2#1 *)",
            "rate(1 minute)",
            "rate(30 minutes)",
            "rate(1 hour)",
            "rate(12 hours)",
            "rate(1 day)",
            "rate(10 days)",
            None,
        ],
        rejected=[
            "",
            "every night",
            "cron()",
            "cron(15 3 * * ? *",
            "cron(15 3 * * ?)",
            "cron(15 3 * * * *)",
            "cron(15 3 ? * ? *)",
            "cron(15 3 * * ? * *)",
            "rate(0 hours)",
            "rate(1.5 hours)",
            "rate(2 weeks)",
            "rate(hours)",
            "rate(12 hours) ",
            "xnone",
            "nonex",
            "at(2030-01-01T00:00:00)",
        ],
    ),
    Rule(
        "reconciliation.list_users_per_second",
        "reconciliation.list_users_per_second is {}: it must be from 1 to 30, the quota of an account in a region.",
        accepted=[1, 1.5, 30],
        rejected=[0, 0.9, -1, 30.1, 31],
    ),
    Rule(
        "reconciliation.max_concurrency",
        "reconciliation.max_concurrency is {}: it must be a whole number from 1 to 40.",
        accepted=[1, 40],
        rejected=[0, -1, 1.5, 41],
    ),
    Rule(
        "reconciliation.max_delete_percent",
        "reconciliation.max_delete_percent is {}: it must be from 0 to 100.",
        accepted=[0, 0.5, 100],
        rejected=[-0.5, -1, 100.5, 101],
    ),
    Rule(
        "reconciliation.overdue_hours",
        "reconciliation.overdue_hours is {}: it must be a whole number from 1 to 168, or 0 for no alarm.",
        accepted=[0, 1, 168],
        rejected=[-1, 0.5, 1.5, 169],
    ),
    Rule(
        "alarm_topic_arns",
        "alarm_topic_arns are {}: each must be the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name.",
        accepted=[[], [f"{TOPIC}My-alarms_1"], [f"{TOPIC}a", f"{TOPIC}b".replace("aws", "aws-cn")]],
        rejected=[
            ["alarms"],
            [""],
            [TOPIC],
            [f"{TOPIC}a", "b"],
            [f"{TOPIC}a:b"],
            [f"{FUNCTION}a"],
            ["arn:aws:sns:eu-west-1:12345678901:a"],
            ["arn:aws:sns:eu-west-1:1234567890123:a"],
            ["arn:aws:sns::123456789012:a"],
            ["arn::sns:eu-west-1:123456789012:a"],
            [f"x{TOPIC}a"],
            [f"{TOPIC}a\n"],
        ],
    ),
    Rule(
        "alarms",
        f'alarms has the keys ["changes-lost","trigger-error"]: each must be one of {", ".join(sorted(ALARM_NAMES))}.',
        accepted=[
            {},
            *(dict.fromkeys(ALARM_NAMES, given) for given in (None, {}, {"enabled": False})),
        ],
        rejected=[{"trigger-error": {}, "changes-lost": {}}],
    ),
    Rule(
        "alarm_warn_topic_arns",
        "alarm_warn_topic_arns are {}: each must be the ARN of an SNS topic, like "
        "arn:aws:sns:eu-west-1:123456789012:name.",
        accepted=[None, [], [f"{TOPIC}My-alarms_1"]],
        rejected=[["alarms"], [f"{FUNCTION}a"]],
    ),
    Rule(
        "runbook_url",
        'runbook_url is "{}": it must be a URL or path of 1 to 200 characters without spaces and #, like '
        "https://wiki.example.com/cognito-user-sync.",
        accepted=["docs/operations.md", "https://example.com/" + "a" * 180],
        rejected=["", "https://example.com/a b", "https://example.com/#top", "a" * 201],
    ),
    *alarm_rules("threshold", "at least 0", accepted=[None, 0, 0.5, 1000000], rejected=[-1, -0.5]),
    Rule(
        "alarms",
        'alarms has threshold {"trigger-duration":5000}: it must be below 5000 milliseconds, the timeout of the '
        "trigger.",
        accepted=[{"trigger-duration": {"threshold": 4999}}],
        rejected=[{"trigger-duration": {"threshold": 5000}}],
    ),
    *[
        Rule(
            "alarms",
            f'alarms has threshold {{"{alarm}":1}}: it must be below 1, like 0.05 for 5 percent.',
            accepted=[{alarm: {"threshold": 0.99}}],
            rejected=[{alarm: {"threshold": 1}}],
        )
        for alarm in ("ses-bounce-rate", "ses-complaint-rate")
    ],
    *alarm_rules(
        *("period_seconds", "a multiple of 60"),
        accepted=[None, 60, 3540, 3600, 86400, 604800],
        rejected=[0, -60, 10, 30, 90, 60.5],
    ),
    *alarm_rules(
        *("evaluation_periods", "a whole number of at least 1"),
        accepted=[None, 1, 1440],
        rejected=[0, -1, 0.5, 1.5],
    ),
    *alarm_rules(
        *("datapoints_to_alarm", "a whole number from 1 to evaluation_periods of the same alarm"),
        accepted=[None, 1],
        rejected=[0, -1, 0.5, 2],
    ),
    *[
        Rule(
            "alarms",
            f"alarms has datapoints_to_alarm {json.dumps({alarm: periods + 1}, separators=(',', ':'))}: each must be a"
            " whole number from 1 to evaluation_periods of the same alarm.",
            accepted=[{alarm: {"datapoints_to_alarm": periods}}],
            rejected=[{alarm: {"datapoints_to_alarm": periods + 1}}],
        )
        for alarm, periods in (("trigger-throttles", 3), ("trigger-duration", 3), ("retry-age", 15))
    ],
    *[
        Rule(
            "alarms",
            f"alarms evaluates {_json({'changes-lost': 60, alarm: seconds})} seconds (period_seconds times "
            f"evaluation_periods): each must be {AT_MOST}",
            accepted=[{alarm: accepted}],
            rejected=[{alarm: rejected, "changes-lost": {}}],
        )
        for alarm, accepted, rejected, seconds in (
            ("trigger-errors", {"evaluation_periods": 1440}, {"evaluation_periods": 1441}, 86460),
            (
                *("trigger-errors", {"period_seconds": 3600, "evaluation_periods": 168}),
                *({"period_seconds": 3600, "evaluation_periods": 169}, 608400),
            ),
            (
                *("trigger-errors", {"period_seconds": 3540, "evaluation_periods": 24}),
                *({"period_seconds": 3540, "evaluation_periods": 25}, 88500),
            ),
            # 15 periods.
            ("retry-age", {"period_seconds": 40320}, {"period_seconds": 40380}, 605700),
            # Two checks.
            ("trigger-missing", {"evaluation_periods": 48}, {"evaluation_periods": 49}, 88200),
            # 30 periods.
            ("changes-age", {"period_seconds": 2880}, {"period_seconds": 2940}, 88200),
            # Two periods of 10 minutes.
            ("sync-user-failing", {"evaluation_periods": 144}, {"evaluation_periods": 145}, 87000),
            # One hour.
            ("ses-bounce-rate", {"evaluation_periods": 168}, {"evaluation_periods": 169}, 608400),
        )
    ],
    *[
        Rule(
            "alarms",
            "alarms changes threshold, period_seconds, evaluation_periods or datapoints_to_alarm of "
            "reconciliation-overdue: it must have none of them, because reconciliation.overdue_hours sets when it "
            "fires.",
            accepted=[{"reconciliation-overdue": {"topic_arns": [f"{TOPIC}a"]}}],
            rejected=[{"reconciliation-overdue": {field: value}}],
        )
        for field, value in (
            ("threshold", 60),
            ("period_seconds", 60),
            ("evaluation_periods", 60),
            ("datapoints_to_alarm", 1),
        )
    ],
    *alarm_rules(
        *("topic_arns", "the ARN of an SNS topic, like arn:aws:sns:eu-west-1:123456789012:name"),
        accepted=[None, [], [f"{TOPIC}My-alarms_1"], [f"{TOPIC}a", f"{TOPIC}b".replace("aws", "aws-cn")]],
        rejected=[["alarms"], [""], [f"{FUNCTION}a"], [f"{TOPIC}a:b"], [f"{TOPIC}a\n"]],
    ),
    Rule(
        "kms_key_arn",
        'kms_key_arn is "{}": it must be the ARN of a KMS key and not of an alias, like '
        "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9, or null.",
        accepted=[None, f"{KEY}key/0a1b2c3d-E", f"{KEY}key/mrk-1".replace("aws", "aws-cn")],
        rejected=[
            "",
            "alias/key",
            "0a1b2c3d",
            f"{KEY}alias/key",
            f"{KEY}key/",
            f"{KEY}key/a/b",
            f"{FUNCTION}key/a",
            "arn:aws:kms:eu-west-1:12345678901:key/a",
            "arn:aws:kms:eu-west-1:1234567890123:key/a",
            "arn:aws:kms::123456789012:key/a",
            "arn::kms:eu-west-1:123456789012:key/a",
            f"x{KEY}key/a",
            f"{KEY}key/a\n",
        ],
    ),
    Rule(
        "previous_kms_key_arns",
        "previous_kms_key_arns are {}: each must be the ARN of a KMS key and not of an alias, like "
        "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9.",
        accepted=[[], [f"{KEY}key/0a1b2c3d-E", f"{KEY}key/mrk-1".replace("aws", "aws-cn")]],
        rejected=[
            [""],
            ["0a1b2c3d"],
            [f"{KEY}key/a", f"{KEY}alias/key"],
            [f"{KEY}key/"],
            [f"{KEY}key/a/b"],
            [f"{FUNCTION}key/a"],
            ["arn:aws:kms:eu-west-1:12345678901:key/a"],
            ["arn:aws:kms:eu-west-1:1234567890123:key/a"],
            ["arn:aws:kms::123456789012:key/a"],
            ["arn::kms:eu-west-1:123456789012:key/a"],
            [f"x{KEY}key/a"],
            [f"{KEY}key/a\n"],
        ],
    ),
    Rule(
        "log_retention_days",
        "log_retention_days is {}: it must be 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, "
        "1827, 2192, 2557, 2922, 3288 or 3653.",
        accepted=[
            *[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731],
            *[1096, 1827, 2192, 2557, 2922, 3288, 3653],
        ],
        rejected=[0, 2, 31, 3654],
    ),
    Rule(
        "permissions_boundary_arn",
        'permissions_boundary_arn is "{}": it must be the ARN of an IAM policy, like '
        "arn:aws:iam::123456789012:policy/name, or null.",
        accepted=[
            None,
            f"{POLICY}a",
            f"{POLICY}team/a".replace("aws", "aws-us-gov"),
            "arn:aws:iam::aws:policy/Boundary",
        ],
        rejected=[
            "",
            "boundary",
            POLICY,
            POLICY.replace("policy", "role") + "a",
            "arn:aws:iam::12345678901:policy/a",
            "arn:aws:iam::1234567890123:policy/a",
            "arn:aws:iam:eu-west-1:123456789012:policy/a",
            "arn::iam::123456789012:policy/a",
            f"x{POLICY}a",
        ],
    ),
    Rule(
        "sms_role_arn",
        'sms_role_arn is "{}": it must be the ARN of an IAM role, like '
        "arn:aws:iam::123456789012:role/service-role/name, or null.",
        accepted=[None, f"{ROLE}a", f"{ROLE}service-role/a+=,.@_-B9".replace("aws", "aws-us-gov")],
        rejected=[
            "",
            "role",
            ROLE,
            f"{ROLE}*",
            f"{ROLE}a b",
            ROLE.replace("role", "policy") + "a",
            "arn:aws:iam::12345678901:role/a",
            "arn:aws:iam::1234567890123:role/a",
            "arn:aws:iam::aws:role/a",
            "arn:aws:iam:eu-west-1:123456789012:role/a",
            "arn::iam::123456789012:role/a",
            f"x{ROLE}a",
            f"{ROLE}a\n",
        ],
    ),
    Rule(
        "log_group_class",
        'log_group_class is "{}": it must be STANDARD or INFREQUENT_ACCESS.',
        accepted=["STANDARD", "INFREQUENT_ACCESS", None],
        rejected=["", "standard", "DELIVERY"],
    ),
    Rule(
        "role_path",
        'role_path is "{}": it must begin and end with a slash, like /service/, and have at most 512 characters '
        "without spaces.",
        accepted=["/", "/service/", "/a/b-c_d/", "/" + "a" * 510 + "/", None],
        rejected=["", "service", "/service", "service/", "/a b/", "/é/", "/" + "a" * 511 + "/", "/a/\n"],
    ),
    Rule(
        "lambda.runtime",
        'lambda.runtime is "{}": it must be a Python runtime of Lambda, python3.11 or later, like python3.13.',
        accepted=["python3.11", "python3.19", "python3.20", None],
        rejected=["", "python3.10", "python3.9", "python3", "nodejs22.x", "xpython3.13", "python3.13x", "python3x13"],
    ),
    Rule(
        "lambda.code_bucket",
        'lambda.code_bucket is "{}": it must be the name of an S3 bucket, 3 to 63 lowercase letters, digits, dots or '
        "hyphens, or null.",
        accepted=[None, "abc", "a.b-9" + "c" * 58],
        rejected=["", "ab", "a" * 64, "My-bucket", "my_bucket", "-bucket", "bucket-", ".bucket", "bucket.", "a/b"],
    ),
    Rule(
        "lambda.vpc_config",
        "lambda.vpc_config is {}: it must have at least one subnet ID, like subnet-0a1b2c3d, and at least one security "
        "group ID, like sg-0a1b2c3d, or be null.",
        accepted=[None, {"subnet_ids": ["subnet-0a1b", "subnet-0c2d"], "security_group_ids": ["sg-0a1b"]}],
        rejected=[
            {"security_group_ids": security_groups, "subnet_ids": subnets}
            for security_groups, subnets in (
                (["sg-0a1b"], []),
                ([], ["subnet-0a1b"]),
                (["sg-0a1b"], ["sg-0a1b", "subnet-0a1b"]),
                (["sg-0a1b", "subnet-0a1b"], ["subnet-0a1b"]),
                (["sg-0a1b"], ["subnet-0a1bx"]),
                (["sg-0a1bx"], ["subnet-0a1b"]),
                (["sg-0a1b"], ["xsubnet-0a1b"]),
                (["xsg-0a1b"], ["subnet-0a1b"]),
            )
        ],
    ),
    Rule(
        "lambda.memory_mb",
        "lambda.memory_mb is {}: it must be a whole number from 256 to 10240.",
        accepted=[256, 10240],
        rejected=[255, 256.5, 10241, -256],
    ),
    Rule(
        "lambda.architecture",
        'lambda.architecture is "{}": it must be arm64 or x86_64.',
        accepted=["arm64", "x86_64"],
        rejected=["", "arm", "ARM64"],
    ),
    Rule(
        "lambda.trigger_reserved_concurrency",
        "lambda.trigger_reserved_concurrency is {}: it must be a whole number of at least 1 (0 would stop every "
        "sign-up), or null.",
        accepted=[None, 1, 1000],
        rejected=[0, -1, 0.5, 1.5],
    ),
]

# The other arguments of a valid configuration.
REQUIRED: dict[str, Any] = {"user_pool_id": "eu-west-1_AbCdEfGhI", "stage": "dev"}
BESIDES = {"welcome_email": {"from": "a@example.com"}, "user_events": {"event_bus_arn": BUS}}


def arguments(path: str, value: Any) -> dict[str, Any]:
    variable, _, attribute = path.partition(".")
    return {variable: {**BESIDES.get(variable, {}), attribute: value} if attribute else value}


def name(given: dict[str, Any]) -> str:
    return json.dumps(given, ensure_ascii=False)


@pytest.fixture(scope="module")
def rejections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The messages of all rejected values, by `name`, from one run of Terraform."""
    cases = [arguments(rule.path, value) for rule in RULES for value in rule.rejected]
    messages = validation_errors(tmp_path_factory.mktemp("rejected"), [REQUIRED | given for given in cases])
    return dict(zip(map(name, cases), messages, strict=True))


every_rule = pytest.mark.parametrize("rule", RULES, ids=[f"{number}-{rule.path}" for number, rule in enumerate(RULES)])


def without_position(message: str) -> str:
    return message.partition("\n\nThis was checked by the validation rule at ")[0]


@every_rule
def test_variable_rejects_with_value_and_allowed_form(rule: Rule, rejections: dict[str, list[str]]) -> None:
    """There is one message only: the value violates no other rule."""
    for value in rule.rejected:
        found = [without_position(message) for message in rejections[name(arguments(rule.path, value))]]
        assert found == [rule.message_of(value)], value


def test_every_validation_rejects_a_value(rejections: dict[str, list[str]]) -> None:
    """Without the eleven validations that compare two variables, which the next test has."""
    validations = {
        (folder, str(number))
        for folder, path in (("variables", "variables.tf"), ("inputs", "modules/inputs/variables.tf"))
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if line.strip() == "validation {"
    }
    used = set(re.findall(r"(\w+)/variables\.tf:(\d+)", str(rejections)))
    assert used <= validations
    assert len(validations - used) == 11


def accepted_arguments() -> list[dict[str, Any]]:
    """Test all accepted values in the smallest number of modules. A module takes one value of each variable."""
    by_variable: dict[str, list[dict[str, Any]]] = {}
    for rule in RULES:
        given = [arguments(rule.path, value) for value in rule.accepted]
        by_variable.setdefault(rule.path.partition(".")[0], []).extend(given)
    modules = zip_longest(*by_variable.values(), fillvalue={})
    return [{variable: value for given in module for variable, value in given.items()} for module in modules]


# Rejected values of validations that compare two variables, and the messages.
LONG = "a" * 28
MANY_TAGS = {str(number): "" for number in range(11)}
TWO_VARIABLES: list[tuple[dict[str, Any], str]] = [
    (
        {"stage": "dev", "name": LONG},
        (
            f'<name>-<stage> is "{LONG}-dev", which has 32 characters: it must have at most 31, because role names '
            "start with it and have at most 64."
        ),
    ),
    (
        {"table": {"email_index": True}, "attributes": ["name"]},
        'table.email_index is true, but attributes are ["name"]: they must include email.',
    ),
    (
        {"table": {"extra_attributes": {f"extra_{number}": "x" for number in range(98)}}},
        "attributes has 3 entries and table.extra_attributes has 98: they must have at most 100 together.",
    ),
    (
        {"lambda": {"code_bucket": "code"}, "tags": MANY_TAGS},
        ('lambda.code_bucket is "code", but tags has 11 tags: it must have at most 10, the maximum of an S3 object.'),
    ),
    *[
        (
            {"table": {"extra_attributes": {"a": template}}},
            (
                f'table.extra_attributes are {{"a":"{template}"}}: the names in braces must be sub, username or one of '
                'attributes, which are ["name","email","phone_number"].'
            ),
        )
        for template in [
            *["{nickname}", "{user_pool_id}", "{email} {birthdate|lower}", "{ email }", "{Email}", "{custom:plan}"]
        ]
    ],
    (
        {"table": GLOBAL_TABLE | {"replica_regions": ["eu-central-1", "eu-west-1"]}},
        (
            'table.replica_regions are ["eu-central-1","eu-west-1"]: the pool\'s region must not be among them, '
            "because the table itself is in it."
        ),
    ),
    (
        {"user_events": {"event_bus_arn": BUS.replace("eu-west-1", "us-east-1")}},
        (
            'user_events.event_bus_arn is "arn:aws:events:us-east-1:123456789012:event-bus/users": the event bus must '
            "be in the pool's region, eu-west-1."
        ),
    ),
    (
        {"user_events": {"event_bus_arn": BUS, "stream_arn": STREAM}},
        (
            f'user_events.stream_arn is "{STREAM}", but table.name is null: it must be null for a table that this '
            "module creates."
        ),
    ),
    *[
        (
            {"user_events": {"event_bus_arn": BUS, "stream_arn": stream}, "table": EXISTING},
            (
                f'user_events.stream_arn is "{stream or ""}", and table.name is "users": for an existing table, it '
                "must be the ARN of this table's stream, like "
                "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-31T12:00:00.000."
            ),
        )
        for stream in [None, f"{TABLE}/users", f"{TABLE}/users2/stream/2026-01-31T12:00:00.000", f"{STREAM}/x"]
    ],
    *[
        (
            {"user_events": {"event_bus_arn": BUS}, "table": {"stream_view_type": view_type}},
            (
                f'table.stream_view_type is "{view_type}", but user_events is set: it must be NEW_AND_OLD_IMAGES or '
                "null, because events are made of both images."
            ),
        )
        for view_type in ["NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"]
    ],
    (
        {"table": GLOBAL_TABLE, "kms_key_arn": f"{KEY}key/0a1b"},
        (
            f'table.replica_regions are ["eu-central-1"], but kms_key_arn is "{KEY}key/0a1b": it must be a '
            "multi-Region key, like arn:aws:kms:eu-west-1:123456789012:key/mrk-0a1b2c3d4e5f60718293a4b5c6d7e8f9, with "
            "a replica key in each of these regions, or null."
        ),
    ),
]


def test_variables_accept_boundaries(tmp_path: Path) -> None:
    """Also the comparisons of variables, which Terraform makes only if each variable is valid."""
    two_variables: list[dict[str, Any]] = [
        {"table": {"email_index": True}, "attributes": ["name", "email"]},
        {"table": {"email_index": False}, "attributes": ["name"]},
        {"table": GLOBAL_TABLE, "kms_key_arn": f"{KEY}key/mrk-0a1b"},
        {"table": {}, "kms_key_arn": f"{KEY}key/0a1b"},
        {"table": {"extra_attributes": {"plan": "{custom:plan|lower}"}}, "attributes": ["custom:plan"]},
        {"table": {"extra_attributes": {f"extra_{number}": "x" for number in range(97)}}},
        {"lambda": {"code_bucket": "code"}, "tags": dict(list(MANY_TAGS.items())[:10])},
        {"tags": MANY_TAGS},
        *(
            {"user_events": {"event_bus_arn": bus}}
            for bus in (BUS, BUS.replace("users", "default"), BUS.replace("aws:", "aws-us-gov:") + "/a.b-c_d")
        ),
        {"user_events": {"event_bus_arn": BUS}, "table": {"stream_view_type": "NEW_AND_OLD_IMAGES"}},
        {
            "user_events": {"event_bus_arn": BUS, "stream_arn": STREAM},
            "table": EXISTING | {"stream_view_type": "KEYS_ONLY"},
        },
        {"stage": "dev", "name": LONG[:-1]},
    ]
    accepted = accepted_arguments() + two_variables
    messages = validation_errors(
        tmp_path, [REQUIRED | given for given in accepted + [given for given, _ in TWO_VARIABLES]]
    )
    assert messages[: len(accepted)] == [[] for _ in accepted]
    found = [[without_position(message) for message in each] for each in messages[len(accepted) :]]
    assert found == [[message] for _, message in TWO_VARIABLES]
