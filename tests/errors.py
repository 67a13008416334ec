"""Error situations: the command, the part of the message with the problem, and the part with the fix.

    python -m tests.errors    writes docs/errors.md

Tests provoke each: tests/unit/test_errors.py, and for plans tests/terraform.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from benchmarks.markdown import table
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.fake_aws import COGNITO
from tests.mocked_terraform import ROOT
from tests.samples import POOL_ID, SUB, TABLE, USER_SYNC, environment, outputs
from tests.terraform.test_validations import RULES, TWO_VARIABLES

PAGE = ROOT / "docs" / "errors.md"


class Situation(NamedTuple):
    """A command that fails, with the message `wrong`, a space, and `to_do`."""

    command: str
    wrong: str
    to_do: str
    given: Mapping[str, Any] = {}


# --- make, in a clone; given are files


def prints_version(text: str) -> str:
    return f"#!/bin/sh\necho '{text}'\n"


OLD_PYTHON = "#!/bin/sh\n[ $1 != -c ] && echo 'Python 3.10.4'\n"
TERRAFORM = {"bin/terraform": prints_version("Terraform v1.9.0")}
OF_LOCAL_AWS = ".local/terraform/terraform.rc"

MAKE = [
    Situation(
        "make setup",
        "Python >= 3.11 is required (python3 is Python 3.10.4):",
        "name another one, as in PYTHON=python3.12 make setup, or see https://www.python.org/downloads/",
        {"bin/python3": OLD_PYTHON},
    ),
    Situation(
        "PYTHON=python3.99 make setup",
        "Python >= 3.11 is required (python3.99 is not installed):",
        "name another one, as in PYTHON=python3.12 make setup, or see https://www.python.org/downloads/",
    ),
    Situation(
        "make plan ENV=dev",
        "terraform >= 1.9 is required (found 1.8.5):",
        "install it from https://developer.hashicorp.com/terraform/install",
        {"bin/terraform": prints_version("Terraform v1.8.5")},
    ),
    Situation(
        "make plan ENV=prod",
        'ENV is "prod":',
        "it must be one of dev production staging, as in: make plan ENV=dev",
    ),
    Situation(
        "make destroy",
        'ENV is "":',
        "it must be one of dev production staging, as in: make plan ENV=dev",
    ),
    Situation(
        "make plan ENV=qa",
        'environments/qa.tfvars has stage = "production":',
        'it must be "qa", the name of the file',
        {**TERRAFORM, "environments/qa.tfvars": 'stage = "production"\n'},
    ),
    Situation(
        "make apply ENV=qa",
        "environments/qa.tfvars has no user_pool_id with a region:",
        'it must have a line like user_pool_id = "eu-west-1_AbCdEfGhI"',
        {**TERRAFORM, "environments/qa.tfvars": 'stage = "qa"\n'},
    ),
    Situation(
        f"TF_CLI_CONFIG_FILE=$PWD/{OF_LOCAL_AWS} make plan ENV=dev",
        f'TF_CLI_CONFIG_FILE is <clone>/{OF_LOCAL_AWS}, of the local AWS, and AWS_ENDPOINT_URL is "":',
        "unset TF_CLI_CONFIG_FILE and TF_DATA_DIR to deploy to AWS, or set both as local-aws-env prints them",
        TERRAFORM,
    ),
]

# Port 4566 is in use by another process.
LOCAL_AWS = [
    Situation(
        "make local-aws-up PORT=4566",
        "local_aws: http://127.0.0.1:4566 is in use by another process;",
        "choose another port with PORT=...",
    ),
    Situation(
        "make local-aws-env PORT=4566",
        "local_aws: no local AWS that was started here answers at http://127.0.0.1:4566;",
        "start one with: make local-aws-up",
    ),
    Situation("make local-aws-down PORT=0", "'0' is not a port:", "it must be from 1 to 65535"),
    Situation(
        "make local-aws-up ALLOW_ORIGIN=localhost",
        "'localhost' is not an origin:",
        "it must be like http://localhost:5173",
    ),
]


# --- cognito-user-sync; given are answers of AWS

PREFIX = "cognito-user-sync-dev"
ACCOUNT = USER_SYNC.split(":")[4]
OUTPUTS = outputs(user_sync_state_machine_arn=USER_SYNC.replace(":user-sync", f":{PREFIX}-user-sync"))
OLDER = {name: value for name, value in OUTPUTS.items() if name != "alarm_names"}

# Files in the folder of the command. A command without a deployment uses outputs.json.
FILES = {
    "outputs.json": {"user_sync": {"value": OUTPUTS}},
    "two.json": {name: {"value": OUTPUTS} for name in ("one", "two")},
    "older.json": {"user_sync": {"value": OLDER}},
    "without-reconciliation.json": {"user_sync": {"value": OUTPUTS | {"reconciliation_state_machine_arn": None}}},
    "list.json": [],
    "unfinished.csv.progress": {
        "settings": {"--format": "csv"},
        "created": [],
        "cursor": None,
        "sizes": {},
        "part": 1,
        "rows": 0,
        "exported": 0,
        "rejected": {},
    },
    "broken.csv.progress": {},
    "unfinished.jsonl": "",
    "unfinished.jsonl.progress": {},
    "users.jsonl": f'{{"sub": "{SUB}", "enabled": true, "email": "ada@example.com", "custom:plan": "gold"}}\n',
    "welcome.txt": "{{plan}}",
}
EXAMPLE_SUB = "d4386408-5001-70fa-9a3c-1a2b3c4d5e6f"
USER = {"Username": "ada", "UserCreateDate": 1, "UserLastModifiedDate": 1, "Enabled": True, "UserStatus": "CONFIRMED"}


def identity(account: str) -> Response:
    result = f"<GetCallerIdentityResult><Account>{account}</Account></GetCallerIdentityResult>"
    return Response(f"<GetCallerIdentityResponse>{result}</GetCallerIdentityResponse>".encode())


HEALTHY: dict[str, Answer] = {"sts.GetCallerIdentity": identity(ACCOUNT), "sfn.DescribeStateMachine": Response({})}
CONFIGURED: dict[str, Answer] = {
    "lambda.GetFunctionConfiguration": Response({"Environment": {"Variables": environment()}})
}
NO_USER: dict[str, Answer] = {
    **CONFIGURED,
    f"{COGNITO}.ListUsers": Response({"Users": []}),
    "dynamodb.BatchGetItem": Response({"Responses": {TABLE: []}, "UnprocessedKeys": {}}),
}
INDEXED: dict[str, Answer] = {
    **CONFIGURED,
    "dynamodb.DescribeTable": Response({"Table": {"GlobalSecondaryIndexes": [{"IndexName": "by_shard"}]}}),
}
TARGET = "eu-west-1_AbCdEfGhI"


def pool_with(*attributes: str, **required: bool) -> dict[str, Answer]:
    schema = [{"Name": name, "Required": required.get(name, False)} for name in [*attributes, *required]]
    return {f"{COGNITO}.DescribeUserPool": Response({"UserPool": {"Id": TARGET, "SchemaAttributes": schema}})}


VERIFIES_EMAIL = {"UserPool": {"Id": POOL_ID, "AutoVerifiedAttributes": ["email"]}}
MARK = "user_sync_state_machine_arn"
EXACTLY_ONE = (
    'it must have exactly one, directly or in an output such as output "user_sync" { value = module.user_sync }, '
    "and be applied in this workspace. terraform workspace list shows all"
)
A_TIME = "it must be like 2026-01-31T12:00 (UTC), 2026-01-31T12:00+01:00, 90m, 12h or 3d"
NO_WELCOME = (
    "this deployment sends no welcome email, since welcome_email is null:",
    "set it, and apply",
    {"lambda.GetFunctionConfiguration": error_response("ResourceNotFoundException", 404)},
)

COMMAND_LINE = [
    Situation(
        "cognito-user-sync status --chdir missing",
        "Error: missing is not a folder:",
        "it must be the Terraform folder of the deployment",
    ),
    Situation(
        "cognito-user-sync status --chdir .",
        f"Error: terraform output in . has 0 outputs named {MARK}:",
        EXACTLY_ONE,
    ),
    Situation(
        "cognito-user-sync status --outputs two.json",
        f"Error: two.json has 2 outputs named {MARK}:",
        EXACTLY_ONE,
    ),
    Situation(
        "cognito-user-sync status --outputs list.json",
        "Error: list.json is not the output of `terraform output -json`.",
        "Write the file again, in the Terraform folder of the deployment",
    ),
    Situation(
        "cognito-user-sync status --outputs older.json",
        "Error: older.json has no alarm_names: it is from another version of the module than this command.",
        "Apply the version of the module that this command is from",
    ),
    Situation(
        "cognito-user-sync status --prefix dev --region eu-west-1",
        "Error: the SSM parameter /cognito-user-sync/dev does not exist in the account of your AWS credentials and "
        "region eu-west-1: there is no deployment of this name.",
        "The prefix must be <name>-<stage>",
        {"ssm.GetParameter": error_response("ParameterNotFound")},
    ),
    Situation(
        "cognito-user-sync status --region eu-west-1",
        "Invalid value for --region: only allowed with --prefix:",
        "remove it, since the outputs have the region",
    ),
    Situation(
        "cognito-user-sync types --language python --sync-groups",
        "Invalid value for --sync-groups: only allowed with --attribute:",
        "remove it, since the deployment has the setting",
    ),
    Situation(
        "cognito-user-sync failures",
        "No AWS credentials:",
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in",
        {"sts.GetCallerIdentity": NoCredentialsError()},
    ),
    Situation(
        "cognito-user-sync failures",
        f"Error: your AWS credentials are for account 999988887777, but this deployment is in account {ACCOUNT}:",
        "set AWS_PROFILE, or log in to that account",
        {"sts.GetCallerIdentity": identity("999988887777")},
    ),
    Situation(
        "cognito-user-sync failures",
        f"Error: the state machine {PREFIX}-user-sync does not exist in account {ACCOUNT} and region eu-central-1: the "
        "deployment was destroyed, or these outputs are from another one.",
        "Use the outputs of a deployment in this account",
        {
            "sfn.DescribeStateMachine": error_response("StateMachineDoesNotExist"),
            "ssm.GetParameter": error_response("ParameterNotFound"),
        },
    ),
    Situation(
        "cognito-user-sync failures",
        "AWS error: An error occurred (AccessDeniedException) when calling the ListExecutions operation: no "
        "states:ListExecutions",
        "These credentials need more permissions: docs/operations.md#what-each-command-reads-and-changes",
        {"sfn.ListExecutions": error_response("AccessDeniedException", message="no states:ListExecutions")},
    ),
    Situation(
        "cognito-user-sync failures",
        "AWS error: An error occurred (ExpiredTokenException) when calling the ListExecutions operation: the "
        "security token has expired",
        "Log in again, or set other AWS credentials",
        {"sfn.ListExecutions": error_response("ExpiredTokenException", message="the security token has expired")},
    ),
    Situation(
        "cognito-user-sync failures",
        'AWS did not respond: Could not connect to the endpoint URL: "https://states.eu-central-1.amazonaws.com"',
        "See https://health.aws.amazon.com/health/status, and try again",
        {"sfn.ListExecutions": EndpointConnectionError(endpoint_url="https://states.eu-central-1.amazonaws.com")},
    ),
    Situation(
        "cognito-user-sync failures redrive --since monday",
        "Invalid value for '--since': monday is not a time:",
        A_TIME,
    ),
    Situation(
        "cognito-user-sync user ada",
        f"Not in the user pool: {POOL_ID} has no user with the username or email address ada.",
        "If the user was deleted, use the sub: the table has no index on the username or email address.",
        NO_USER,
    ),
    Situation(
        f"cognito-user-sync user {SUB}",
        f"No such user: neither the pool {POOL_ID} nor the table {TABLE} has {SUB}.",
        "Check the sub, and that the user belongs to this pool",
        NO_USER,
    ),
    Situation(
        "cognito-user-sync erase ada",
        "Invalid value for 'SUB': ada is not a sub:",
        f"it must be like {EXAMPLE_SUB}",
    ),
    Situation(
        f"cognito-user-sync erase {SUB}",
        f"Not erased: the user is in the pool {POOL_ID}, and the next sync would write the item again.",
        "Delete the user in Cognito first, then run this command again",
        {
            **NO_USER,
            f"{COGNITO}.ListUsers": Response({"Users": [{**USER, "Attributes": [{"Name": "sub", "Value": SUB}]}]}),
            f"{COGNITO}.AdminGetUser": Response({**USER, "UserAttributes": [{"Name": "sub", "Value": SUB}]}),
        },
    ),
    Situation(
        "cognito-user-sync export --format csv --output list.json",
        "Error: list.json exists already, and an export does not replace a file:",
        "delete it, or use another file",
        INDEXED,
    ),
    Situation(
        "cognito-user-sync export --format csv --output backups/users.csv",
        "Error: backups/users.csv cannot be written (No such file or directory):",
        "use another file",
        INDEXED,
    ),
    Situation(
        "cognito-user-sync export --format jsonl --output unfinished.csv",
        "Error: unfinished.csv is an unfinished export with another attributes, --format, --from, --include-deleted, "
        "user pool, table:",
        "use the same options to finish it, or delete it and unfinished.csv.progress",
        INDEXED,
    ),
    Situation(
        "cognito-user-sync export --format jsonl --output broken.csv",
        "Error: broken.csv.progress is not the progress of an export:",
        "delete it and broken.csv, and export again",
        INDEXED,
    ),
    Situation(
        "cognito-user-sync export --format jsonl --output users.jsonl",
        f"Error: the table {TABLE} has no index by_shard, with which this command finds the users of a pool:",
        "add it as docs/existing-table.md shows, or use --from pool",
        {**CONFIGURED, "dynamodb.DescribeTable": Response({"Table": {}})},
    ),
    Situation(
        "cognito-user-sync export --format csv --output users.csv --pool eu-west-1_AbCdEfGhI",
        "Invalid value for --pool: only allowed with --format cognito-import:",
        "remove it",
    ),
    Situation(
        "cognito-user-sync export --format cognito-import --output users.csv --pool users",
        "Invalid value for '--pool': users is not a user pool ID:",
        "it must be like eu-west-1_AbCdEfGhI",
    ),
    Situation(
        "cognito-user-sync export --format csv --output users.csv --assume-verified",
        "Invalid value for --assume-verified: only allowed with --from table and --format cognito-import:",
        "remove it",
    ),
    Situation(
        "cognito-user-sync export --format csv --output users.csv --from pool --include-deleted",
        "Invalid value for --include-deleted: only allowed with --from table and --format jsonl or csv:",
        "remove it",
    ),
    Situation(
        "cognito-user-sync export --format cognito-import --output users.csv",
        f"Error: the pool {POOL_ID} verifies neither email addresses nor phone numbers, so Cognito does not start an "
        "import job:",
        "set auto_verified_attributes of the pool, or create the users in another way",
        {**CONFIGURED, f"{COGNITO}.DescribeUserPool": Response({"UserPool": {"Id": POOL_ID}})},
    ),
    Situation(
        "cognito-user-sync export --format cognito-import --output users.csv",
        "Error: the table does not have email_verified, and an import job rejects users without a verified address:",
        "add it to the variable attributes, apply and reconcile, or use --from pool or --assume-verified",
        {**CONFIGURED, f"{COGNITO}.DescribeUserPool": Response(VERIFIES_EMAIL)},
    ),
    Situation(
        f"cognito-user-sync restore --into {POOL_ID}",
        f"Error: {POOL_ID} is the pool of this deployment:",
        "--into must be another pool",
        CONFIGURED,
    ),
    Situation(
        "cognito-user-sync restore --into pool",
        "Invalid value for '--into': pool is not a user pool ID:",
        "it must be like eu-west-1_AbCdEfGhI",
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users unfinished.jsonl",
        "Error: unfinished.jsonl is an unfinished export:",
        "finish it first, with the same export command",
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users list.json",
        "Error: line 1 of list.json is no user:",
        "use a file of cognito-user-sync export --format jsonl that is finished",
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users users.jsonl",
        f"Error: the schema of the pool {TARGET} has no custom:plan:",
        f"add each (aws cognito-idp add-custom-attributes --user-pool-id {TARGET} --custom-attributes "
        "Name=plan,AttributeDataType=String,Mutable=true), or leave it out with --skip-attribute",
        pool_with("email"),
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users users.jsonl --skip-attribute plan",
        "Error: the users to restore have no attribute plan:",
        "--skip-attribute must be one of custom:plan, email",
        pool_with("email", "custom:plan"),
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users users.jsonl",
        f"Error: the pool {TARGET} requires birthdate, which the users to restore do not have:",
        "use a pool that does not require it, or sync it (variable attributes)",
        pool_with("email", "custom:plan", birthdate=True),
    ),
    Situation(
        f"cognito-user-sync restore --into {TARGET} --users users.jsonl --map outputs.json",
        f"Error: line 1 of outputs.json is not of a restore into {TARGET}:",
        "use the map of this restore, or another file in --map",
        pool_with("email", "custom:plan"),
    ),
    Situation(
        "cognito-user-sync reconcile --outputs without-reconciliation.json",
        "Error: this deployment has no reconciliation, since reconciliation.enabled is false:",
        "set it to true, and apply",
    ),
    Situation(
        "cognito-user-sync reconcile --follow",
        "Error: no reconciliation has run yet.",
        "To start one: cognito-user-sync reconcile",
        {"sfn.ListExecutions": Response({"executions": []})},
    ),
    Situation(
        "cognito-user-sync reconcile --follow --dry-run",
        "Invalid value for --follow: starts no run:",
        "remove --dry-run and --allow-deletes",
    ),
    Situation(
        "cognito-user-sync welcome",
        "Invalid value: both or none of SUB and --since are set:",
        "use exactly one",
    ),
    Situation(
        "cognito-user-sync welcome ada",
        "Invalid value for 'SUB': ada is not a sub:",
        f"it must be like {EXAMPLE_SUB}",
    ),
    Situation(
        "cognito-user-sync welcome --since 1d --until 2d",
        "Invalid value for --until: not later than --since:",
        "it must be a later time",
    ),
    Situation(f"cognito-user-sync welcome {SUB}", f"No welcome email: {NO_WELCOME[0]}", *NO_WELCOME[1:]),
    Situation("cognito-user-sync preview-email --username ada", f"No preview: {NO_WELCOME[0]}", *NO_WELCOME[1:]),
    Situation(
        "cognito-user-sync preview-email",
        "Invalid value: both or none of --username and --samples are set:",
        "use exactly one",
    ),
    Situation(
        "cognito-user-sync preview-email --username ada --attribute plan",
        "Invalid value for --attribute: 'plan' is not an attribute:",
        "it must be NAME=VALUE, such as custom:plan=gold",
    ),
    Situation(
        "cognito-user-sync preview-email --username ada --subject Hello --text welcome.txt --html welcome.txt",
        "No preview: the placeholder {{plan}} has no value:",
        "it must be a synced attribute, or, for templates that are not deployed, be set with --attribute",
    ),
    Situation(
        "cognito-user-sync pause welcomes",
        "Error: welcome_email is null, so this deployment sends no welcome email:",
        "there is nothing to pause or resume",
    ),
    Situation(
        "cognito-user-sync pause changes",
        "Error: track_changes is false, so this deployment tracks no changes:",
        "there is nothing to pause or resume",
    ),
    Situation(
        "cognito-user-sync pause user-events",
        "Error: user_events is null, so this deployment publishes no events about users:",
        "there is nothing to pause or resume",
    ),
    Situation(
        "cognito-user-sync pause trigger",
        "Error: attach_trigger is false, so this module does not manage the trigger:",
        "remove it in the configuration of the user pool",
    ),
    Situation(
        "cognito-user-sync pause reconciliation",
        f"Error: the schedule {PREFIX}-reconciliation does not exist, since reconciliation.enabled is false or "
        'reconciliation.schedule is "none":',
        "there is nothing to pause or resume",
        {"scheduler.GetSchedule": error_response("ResourceNotFoundException", 404)},
    ),
    Situation(
        "cognito-user-sync rollback",
        "Error: there is no earlier release: this is the first one that was applied with published versions.",
        "Apply an earlier version of the module instead",
    ),
    Situation(
        "cognito-user-sync rollback --to 0abc",
        "Error: 0 releases have a code hash that starts with 0abc:",
        "it must be exactly one of those that cognito-user-sync rollback --list prints",
    ),
    Situation(
        "cognito-user-sync rollback --undo --list",
        "Invalid value for --to, --undo, --list: more than one of them is set:",
        "use only one",
    ),
]


# --- make plan, or terraform plan


# The fix begins after the first of these.
_TO_DO = re.compile(r"(?::|\.) (?=(?:it|each|Each|they|the|there|with|upper|for|a table with) )")


def _of_message(command: str, message: str) -> Situation:
    """Split a message. Raises ValueError if it has no fix."""
    found = _TO_DO.search(message)
    if found is None:
        raise ValueError(f'no part of this message begins as a fix does, for example "it must be": {message}')
    return Situation(command, message[: found.start() + 1], message[found.end() :])


def variables() -> list[Situation]:
    """Return one rejected value of each validation in tests/terraform/test_validations.py."""
    by_advice: dict[str, Situation] = {}
    for rule in RULES:
        value = min(filter(None, rule.rejected), key=lambda each: len(str(each)), default=rule.rejected[0])
        situation = _of_message(f"{rule.path} = {json.dumps(value, ensure_ascii=False)}", rule.message_of(value))
        by_advice.setdefault(situation.to_do, situation)
    for given, message in TWO_VARIABLES:
        command = ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in given.items())
        situation = _of_message(command if len(command) < 300 else f"{command[:300]} ...", message)
        by_advice.setdefault(situation.to_do, situation)
    return list(by_advice.values())


# Errors that need the pool and the table: tests/terraform/test_plan_messages.py provokes them.
KEY = "arn:aws:kms:eu-west-1:123456789012:key/"
FUNCTION = "arn:aws:lambda:{}:123456789012:function:"
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-31T12:00:00.000"
IDENTITY_CHANGED = (
    "Undo the change, or accept this and apply with "
    "-replace='<module.NAME.>module.user_table.terraform_data.identity': a reconciliation then writes all users with "
    "the new settings, and you delete the items and attributes that remain from the previous settings."
)
PLANS = [
    Situation(
        'stage = "production", with the state of dev',
        "This state has the deployment cognito-user-sync-dev of user pool eu-west-1_AbCdEfGhI, but the variables are "
        "those of cognito-user-sync-production of user pool eu-west-1_AbCdEfGhI.",
        "Use the workspace or backend key of that environment (make plan ENV=... selects it), or destroy this "
        "deployment first.",
    ),
    Situation(
        'user_pool_id = "us-east-1_AbCdEfGhI"',
        "User pool us-east-1_AbCdEfGhI is in the region us-east-1, but the region of the AWS provider is eu-west-1.",
        "Set AWS_REGION=us-east-1, or pass a provider of that region to this module.",
    ),
    Situation(
        "deleted_users = { retention_day = 7 }",
        "deleted_users has the unknown key retention_day:",
        "each must be one of action, retention_days.",
    ),
    Situation(
        'welcome_email = { from = "a@example.com" }, in ap-east-1',
        "welcome_email is set, but Amazon SES was not available in the pool's region, ap-east-1, when this module was "
        "released.",
        "Set welcome_email.region to the region in which the sender is verified, or to ap-east-1 if SES is available "
        "there now.",
    ),
    Situation(
        "welcome_email.on_first_sign_in = true, track_changes = false",
        "welcome_email.on_first_sign_in is true and track_changes is false: the first sign-in of an invited user is a "
        "tracked change.",
        "Set track_changes to true, or on_first_sign_in to false.",
    ),
    Situation(
        'welcome_email.html = "emails/welcome.html"',
        'welcome_email has html = "emails/welcome.html", which is a path and not the content of an email:',
        'use html_file = "emails/welcome.html".',
    ),
    Situation(
        'welcome_email.text = "Hello", welcome_email.text_file = "main.tf.json"',
        'welcome_email has both text and text_file = "main.tf.json":',
        "remove one of them.",
    ),
    Situation(
        'welcome_email.subject = "{{nickname}}"',
        "welcome_email has the unknown placeholder {{custom:team}}, {{nickname}}, {{zoneinfo}}:",
        "each must be one of {{display_name}}, {{username}}, {{name}}, {{email}}, {{custom:plan}}.",
    ),
    Situation(
        f'chained_function_arn = "{FUNCTION.format("us-east-1")}theirs"',
        f"chained_function_arn is {FUNCTION.format('us-east-1')}theirs:",
        "it must be a function in the pool's region, eu-west-1.",
    ),
    Situation(
        "chained_function_arn = null, a pool with the trigger of another",
        f"User pool eu-west-1_AbCdEfGhI has the post-confirmation trigger {FUNCTION.format('eu-west-1')}theirs, which "
        "is not this module's.",
        "Set chained_function_arn to exactly this ARN, so that this module's function invokes it, or remove it from "
        "the pool (by a destroy, if it belongs to another deployment of this module).",
    ),
    Situation(
        "chained_function_arn = (the module's own function)",
        f"chained_function_arn is {FUNCTION.format('eu-west-1')}cognito-user-sync-own-post-confirmation, this module's "
        "own function, which would invoke itself endlessly:",
        "it must be the function that the pool had before.",
    ),
    Situation(
        'table.name = "users", a table with another key',
        "The table users has the partition key pk (S) and no sort key, but table.partition_key and table.sort_key "
        "require the partition key id (S) and no sort key.",
        "Set these two to the keys of the table, which must be of type S, use another table in table.name, or set it "
        "to null to create a table.",
    ),
    Situation(
        'table.name = "users", after an apply without it',
        'table.name was null and is now "users". Terraform would delete the table cognito-user-sync-dev-users with all '
        "its items.",
        IDENTITY_CHANGED,
    ),
    Situation(
        'table.partition_key.value = "USER#{sub}", after an apply without it',
        'table.partition_key was {"name":"id","value":"{sub}"} and is now {"name":"id","value":"USER#{sub}"}. This '
        "module would no longer update or delete the items and attributes that it wrote with the previous settings.",
        IDENTITY_CHANGED,
    ),
    Situation(
        'table.name = "users", a table whose index has the key names',
        "The table users has index keys that this module would write with another type: names (synced_attributes: SS "
        "from this module, S in the table). DynamoDB would reject these writes.",
        "Set other names with table.attribute_prefix or table.attribute_names.",
    ),
    Situation(
        "user_events.stream_arn, a table whose stream has only new images",
        f"user_events.stream_arn is {STREAM}, but the table users has the stream {STREAM} with the view type "
        "NEW_IMAGE.",
        "It must be the ARN of this table's enabled stream, with the view type NEW_AND_OLD_IMAGES.",
    ),
    Situation(
        "kms_key_arn = null, after an apply with a key",
        f"kms_key_arn was {KEY}before and is now null. Messages in the queues and running executions are still "
        "encrypted with the previous key.",
        "Add it to previous_kms_key_arns, and remove it 14 days after the apply.",
    ),
]


# --- the page


def rows(situations: Iterable[Situation]) -> str:
    def cell(text: str) -> str:
        plain = re.sub(r"[\\`*<\[\]|]|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))
        return re.sub(r"(?<!\.)[.:;]$", "", plain)

    lines = [("`" + each.command.replace("|", "\\|") + "`", cell(each.wrong), cell(each.to_do)) for each in situations]
    return table(("command or value", "what is wrong", "what to do"), lines, texts=(0, 1, 2))


def page() -> str:
    parts = [
        "# Errors",
        "Error messages by command, each with its repair. A test causes each error and checks its message.",
        "For alarms and symptoms of a running deployment, see [operations.md](operations.md).",
        "## make",
        rows(MAKE),
        "## The local AWS",
        rows(LOCAL_AWS),
        "## Variables",
        "`make plan` or `terraform plan` with these values fails before anything is read from AWS.",
        rows(variables()),
        "## Plans",
        "`make plan` or `terraform plan`, after the pool, the table and the state were read.",
        rows(PLANS),
        "## cognito-user-sync",
        "The account, the pool and the user are examples. The files are in the current folder.",
        rows(COMMAND_LINE),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":  # make docs
    PAGE.write_text(page(), encoding="utf-8")
