"""Prints every policy that Terraform renders for the module and its examples, as JSON for tests/check_policies.py.

The real provider plans the module with every option that adds a statement. A plan does not know the ARN of a resource
that does not exist yet, so this plan starts from a state with the resources that policies name. Exits 1 if a policy is
unknown nevertheless, or if the sources have a policy or a statement that was not rendered.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from local_aws.client import LocalAws
from local_aws.offline.provider_processes import RARELY_COLLECTED, pinned_versions, running_providers
from local_aws.offline.terraform_providers import terraform_environment
from tests.mocked_terraform import (
    FUNCTIONS,
    QUEUES,
    ROOT,
    STATE_MACHINES,
    as_json_configuration,
    environment,
    terraform_init,
)

Json: TypeAlias = dict[str, Any]

SOURCES = ("*.tf", "modules/*/*.tf", "examples/*/*.tf")
NAME, STAGE = "user-sync", "policies"
PREFIX = f"{NAME}-{STAGE}"
ACCOUNT, TABLE = "000000000000", "people"
# The policies of an example, planned together with the module.
KEY = ROOT / "examples" / "complete" / "key.tf"
APPLICATION = KEY.with_name("application.tf")
# An example that is planned as a module.
CONSUMER = ROOT / "examples" / "user_events"
KMS_KEY = "key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


class IncompleteError(Exception):
    """Terraform did not render every policy."""


@dataclass(frozen=True)
class Policy:
    """A policy document. `attached_to` is the ARN of its resource, or None for the permissions of a role."""

    address: str
    document: Json
    attached_to: str | None


def arn(service: str, resource: str) -> str:
    region = "" if service == "iam" else LocalAws.region
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


# --- the plans


def everything(user_pool_id: str, stream_arn: str) -> Json:
    """Return all arguments of the module that add a statement."""
    return {
        "user_pool_id": user_pool_id,
        "name": NAME,
        "stage": STAGE,
        "chained_function_arn": arn("lambda", "function:theirs"),
        "deleted_users": {"action": "delete_item"},
        "kms_key_arn": arn("kms", KMS_KEY),
        "previous_kms_key_arns": [arn("kms", "key/2a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")],
        "lambda": {"vpc_config": {"subnet_ids": ["subnet-0a1b2c3d"], "security_group_ids": ["sg-0a1b2c3d"]}},
        "reconciliation": {"run_on_apply": "dry_run"},
        # An existing table, because only its key has a statement. A table of the module adds none.
        "table": {"name": TABLE, "attribute_prefix": "cognito_"},
        "track_changes": True,
        "user_events": {"event_bus_arn": arn("events", "event-bus/users"), "stream_arn": stream_arn},
        "sync_groups": True,
        "tracing": True,
        "welcome_email": {"from": "welcome@example.com", "configuration_set": "welcome", "on_first_sign_in": True},
    }


def make_pool_and_table(aws: LocalAws) -> tuple[str, str]:
    """Create the pool and the table that the module reads, both with a key.

    Return the pool's ID, and the ARN of the table's stream.
    """
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    pool = aws.client("cognito-idp").create_user_pool(PoolName="theirs", LambdaConfig={"KMSKeyID": key})["UserPool"]
    table = aws.client("dynamodb").create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    return pool["Id"], table["LatestStreamArn"]


def plan_everything(folder: Path) -> Json:
    """Plan the module and the policies of the example in an empty folder. Return `terraform show -json`."""
    with LocalAws.started() as aws:
        module = {"source": str(ROOT), **everything(*make_pool_and_table(aws))}
        consumer = {"source": str(CONSUMER), "user_table_arn": arn("dynamodb", f"table/{TABLE}")}
        modules = {"user_sync": module, "consumer": consumer}
        configuration = {"locals": {"name": NAME, "stage": STAGE}, "module": modules}
        (folder / "main.tf.json").write_text(as_json_configuration(configuration), encoding="utf-8")
        (folder / "versions.tf").write_text(pinned_versions(), encoding="utf-8")
        (folder / "terraform.tfstate").write_text(json.dumps(state()), encoding="utf-8")
        shutil.copy(KEY, folder)
        # The plan does not know the ARN of the key, which does not exist yet.
        application = APPLICATION.read_text(encoding="utf-8")
        known = application.replace("aws_kms_key.user_sync.arn", json.dumps(arn("kms", KMS_KEY)))
        (folder / APPLICATION.name).write_text(known, encoding="utf-8")
        variables = environment(folder, **terraform_environment(), **aws.environment(), **RARELY_COLLECTED)
        with running_providers(variables, folder) as running:
            variables |= running
            terraform_init(folder, variables)
            # Without a refresh: the local AWS does not have the resources of the state.
            _terraform(folder, variables, "plan", "-input=false", "-lock=false", "-refresh=false", "-out=plan")
            planned: Json = json.loads(_terraform(folder, variables, "show", "-json", "plan"))
    return planned


def _terraform(folder: Path, variables: Mapping[str, str], command: str, *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", command, "-no-color", *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise IncompleteError(f"terraform {command} failed:\n{done.stderr}")
    return done.stdout


def existing() -> Iterator[tuple[str, Json]]:
    """Yield the resources that policies name, by address: their ARN, and attributes that cannot change in place."""
    for name, module in FUNCTIONS.items():
        function, group = f"{PREFIX}-{name}", f"/aws/lambda/{PREFIX}-{name}"
        yield (
            f"{module}.aws_lambda_function.this",
            {
                "arn": arn("lambda", f"function:{function}"),
                "function_name": function,
                "package_type": "Zip",
                "code_sha256": "",
            },
        )
        # Without changes: Terraform defers a data source that names a changed resource of the same module.
        yield (
            f"{module}.aws_cloudwatch_log_group.this",
            {
                "arn": arn("logs", f"log-group:{group}"),
                "name": group,
                "log_group_class": "STANDARD",
                "kms_key_id": arn("kms", KMS_KEY),
                "retention_in_days": 30,
                "skip_destroy": False,
                "tags_all": {},
            },
        )
    for name, module in STATE_MACHINES.items():
        machine = f"{PREFIX}-{name}"
        attributes = {"arn": arn("states", f"stateMachine:{machine}"), "name": machine, "type": "STANDARD"}
        yield f"{module}.aws_sfn_state_machine.this", attributes
    for name, address in QUEUES.items():
        queue = f"{PREFIX}-{name}"
        yield address, {"arn": arn("sqs", queue), "name": queue, "fifo_queue": False}
    rule = f"{PREFIX}-changes"
    yield (
        "module.change_tracking[0].aws_cloudwatch_event_rule.changes",
        {"arn": arn("events", f"rule/{rule}"), "name": rule, "event_bus_name": "default", "is_enabled": True},
    )


def state() -> Json:
    """Return a Terraform state of the existing resources."""
    resources = []
    for address, attributes in existing():
        module, kind, name = address.rsplit(".", 2)
        instance = {"schema_version": 0, "attributes": {"id": attributes.get("name", attributes["arn"]), **attributes}}
        resources.append(
            {
                "module": f"module.user_sync.{module}",
                "mode": "managed",
                "type": kind,
                "name": name,
                "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
                "instances": [instance],
            }
        )
    return {"version": 4, "serial": 1, "lineage": STAGE, "resources": resources}


# --- their policies


@dataclass(frozen=True)
class Block:
    """A resource or data source in the sources of a module, and what the plan has of it.

    Attributes:
        folder: The module's folder.
        module: How the addresses of the module start, without indexes.
        address: The address in the module.
        body: The source between the braces.
        instances: What the plan has.
    """

    folder: Path
    module: str
    address: str
    body: str
    instances: list[Json]

    @property
    def is_document(self) -> bool:
        return self.address.startswith("data.aws_iam_policy_document.")

    @property
    def is_permission(self) -> bool:
        return self.address.startswith("aws_lambda_permission.")

    @property
    def policy_arguments(self) -> list[str]:
        """The arguments of a resource that are policies."""
        found = re.findall(r"^  (assume_role_policy|policy) += ", self.body, re.MULTILINE)
        return [] if self.address.startswith("data.") else found

    @property
    def source(self) -> str:
        return self.folder.relative_to(ROOT).as_posix()


def policies(planned: Json) -> list[Policy]:
    """Return every policy of a plan of everything.

    Raises:
        IncompleteError: The sources have a policy or a statement that the plan does not have, or does not know.
    """
    blocks = list(_blocks(planned))
    problems = list(_missing_statements([block for block in blocks if block.is_document]))
    found = []
    for block in blocks:
        if not block.instances and (block.is_permission or block.policy_arguments):
            problems.append(f"{block.source}: {block.module}{block.address} was not planned")
        for each in block.instances:
            address, values = each["address"], each["values"]
            if block.is_permission:
                found.append(Policy(address, _of_permission(values), values["function_name"]))
            for argument in block.policy_arguments:
                if values.get(argument) is None:
                    problems.append(f"{address}: {argument} is not known at plan")
                else:
                    found.append(Policy(address, json.loads(values[argument]), _arn_of(block, values)))
    if problems:
        raise IncompleteError("\n".join(problems))
    return found


def _resources(values: Json) -> list[Json]:
    """Return the resources and data sources in the values of a plan, with those of all modules."""

    def of(module: Json) -> Iterator[Json]:
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from of(child)

    return list(of(values["root_module"]))


def _blocks(planned: Json) -> Iterator[Block]:
    """Yield all blocks of each module of a plan, and those of modules that are not in the plan."""
    instances: dict[str, list[Json]] = {}
    # A data source that was read at plan is in the prior state.
    for mode, values in (("managed", planned["planned_values"]), ("data", planned["prior_state"]["values"])):
        for each in _resources(values):
            if each["mode"] == mode:
                instances.setdefault(re.sub(r"\[[^]]*\]", "", each["address"]), []).append(each)

    modules = list(_modules(planned["configuration"]["root_module"], KEY.parent))
    folders = {path.parent for pattern in SOURCES for path in ROOT.glob(pattern)}
    others = [("", folder) for folder in sorted(folders - {folder for _, folder in modules})]
    for module, folder in [*modules, *others]:
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.tf")))
        # `terraform fmt` ends a block by the first brace that is not indented.
        block = re.compile(r'^(resource|data) "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
        for mode, kind, name, body in block.findall(text):
            address = f"{'data.' if mode == 'data' else ''}{kind}.{name}"
            found = [] if (module, folder) in others else instances.get(module + address, [])
            yield Block(folder, module, address, body, found)


def _modules(configuration: Json, folder: Path, module: str = "") -> Iterator[tuple[str, Path]]:
    """Yield each module of a plan: how its addresses start, and its folder."""
    yield module, folder
    for name, call in configuration.get("module_calls", {}).items():
        source = Path(os.path.normpath(folder / call["source"]))
        yield from _modules(call["module"], source, f"{module}module.{name}.")


def _missing_statements(documents: list[Block]) -> Iterator[str]:
    """Yield each statement of a document in the sources that no instance of the document has."""
    declared, rendered = set(), set()
    for block in documents:
        where = f"{block.source}: {block.address}"
        sids = re.findall(r'^ +sid += "(\w+)"$', block.body, re.MULTILINE)
        if len(sids) != len(re.findall(r'^ +(?:dynamic "statement"|statement) \{$', block.body, re.MULTILINE)):
            yield f"{where} has a statement without a sid"
        declared |= {f"{where}, statement {sid}" for sid in sids}
        for each in block.instances:
            statements = json.loads(each["values"]["json"])["Statement"]
            rendered |= {f"{where}, statement {statement['Sid']}" for statement in statements}
    yield from (f"{statement} was not rendered" for statement in sorted(declared - rendered))


def _arn_of(block: Block, values: Json) -> str | None:
    """Return the ARN of a resource that has a policy, None if it has no ARN."""
    match block.address.partition(".")[0]:
        case "aws_iam_role":
            return arn("iam", f"role{values['path']}{values['name']}")
        case "aws_kms_key":
            return arn("kms", KMS_KEY)
    return values.get("arn")


def _of_permission(values: Json) -> Json:
    """Return the policy that Lambda makes of a permission.

    https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html
    """
    statement = {
        "Sid": values["statement_id"],
        "Effect": "Allow",
        "Principal": {"Service": values["principal"]},
        "Action": values["action"],
        "Resource": values["function_name"],
        "Condition": {
            "ArnLike": {"AWS:SourceArn": values["source_arn"]},
            "StringEquals": {"AWS:SourceAccount": values["source_account"]},
        },
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def main() -> int:
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = policies(plan_everything(Path(folder)))
    except IncompleteError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump([asdict(policy) for policy in found], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
