"""Where schemas.json comes from: Terraform, for the oldest version; npm packages, for a current one.

Terraform prints the schema of an installed provider. The newest provider is a download of 150 MB from a registry that
not every machine reaches, so its schema is read from @cdktn/provider-aws, which is generated from it. That package does
not say what is deprecated; @pulumi/aws, which is generated from the same provider, does.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.provider_schema import Block, Entry

CDKTN = "@cdktn/provider-aws@25.7.0"
PULUMI = "@pulumi/aws@7.48.0"

# The types in schemas.json, with their file and interface in @pulumi/aws, whose names are not Terraform's.
IN_PULUMI = {
    "aws_cloudwatch_dashboard": "cloudwatch/dashboard:Dashboard",
    "aws_cloudwatch_event_rule": "cloudwatch/eventRule:EventRule",
    "aws_cloudwatch_event_target": "cloudwatch/eventTarget:EventTarget",
    "aws_cloudwatch_log_group": "cloudwatch/logGroup:LogGroup",
    "aws_cloudwatch_log_metric_filter": "cloudwatch/logMetricFilter:LogMetricFilter",
    "aws_cloudwatch_metric_alarm": "cloudwatch/metricAlarm:MetricAlarm",
    "aws_cloudwatch_query_definition": "cloudwatch/queryDefinition:QueryDefinition",
    "aws_cognito_user_pool": "cognito/userPool:UserPool",
    "aws_dynamodb_table": "dynamodb/table:Table",
    "aws_iam_policy": "iam/policy:Policy",
    "aws_iam_role": "iam/role:Role",
    "aws_iam_role_policy": "iam/rolePolicy:RolePolicy",
    "aws_kms_key": "kms/key:Key",
    "aws_lambda_event_source_mapping": "lambda/eventSourceMapping:EventSourceMapping",
    "aws_lambda_function": "lambda/function:Function",
    "aws_lambda_invocation": "lambda/invocation:Invocation",
    "aws_lambda_layer_version": "lambda/layerVersion:LayerVersion",
    "aws_lambda_permission": "lambda/permission:Permission",
    "aws_s3_object": "s3/bucketObjectv2:BucketObjectv2",
    "aws_scheduler_schedule": "scheduler/schedule:Schedule",
    "aws_sfn_state_machine": "sfn/stateMachine:StateMachine",
    "aws_sns_topic": "sns/topic:Topic",
    "aws_sqs_queue": "sqs/queue:Queue",
    "aws_ssm_parameter": "ssm/parameter:Parameter",
    "data.aws_arn": "getArn:GetArn",
    "data.aws_caller_identity": "getCallerIdentity:GetCallerIdentity",
    "data.aws_cognito_user_pool": "cognito/getUserPool:GetUserPool",
    "data.aws_dynamodb_table": "dynamodb/getTable:GetTable",
    "data.aws_iam_policy_document": "iam/getPolicyDocument:GetPolicyDocument",
    "data.aws_kms_key": "kms/getKey:GetKey",
    "data.aws_lambda_function": "lambda/getFunction:GetFunction",
    "data.aws_s3_bucket": "s3/getBucket:GetBucket",
    "data.aws_service": "getService:GetService",
}

# Attributes that have another name there.
RENAMED = {
    "aws_cloudwatch_metric_alarm.alarm_name": "name",
    "aws_lambda_function.filename": "code",
    "aws_lambda_function.function_name": "name",
    "aws_lambda_layer_version.filename": "code",
    "aws_lambda_permission.function_name": "function",
}
# Terraform's own, which the package has for some types only.
NOT_EVERYWHERE = frozenset({"id", "tags_all", "timeouts"})


class PackageError(Exception):
    """A package is not what this module expects."""


# --- terraform providers schema -json


def from_terraform(printed: dict[str, Any], types: Iterable[str]) -> dict[str, Block]:
    """Return the schema of these types from what `terraform providers schema -json` prints."""
    [provider] = [content for name, content in printed["provider_schemas"].items() if name.endswith("/hashicorp/aws")]
    found = {}
    for kind in types:
        name = kind.removeprefix("data.")
        group = "resource_schemas" if name == kind else "data_source_schemas"
        if name not in provider[group]:
            raise PackageError(f"this version of hashicorp/aws has no {kind}")
        found[kind] = _block(provider[group][name]["block"])
    return found


def _block(block: dict[str, Any]) -> Block:
    entries: Block = {}
    for name, attribute in block.get("attributes", {}).items():
        entries[name] = _typed(attribute["type"], _flags(**attribute))
    for name, nested in block.get("block_types", {}).items():
        flags = _flags(required=nested.get("min_items", 0) > 0, optional=True, **nested["block"])
        entries[name] = {"": flags, **_block(nested["block"])}
    return entries


def _typed(of_type: Any, flags: str) -> Entry:
    """Return the entry of an attribute: its flags, or its keys if it holds objects."""
    while isinstance(of_type, list) and of_type[0] in {"list", "set"}:
        of_type = of_type[1]
    if isinstance(of_type, list) and of_type[0] == "object":
        return {"": flags, **{name: _typed(inner, flags) for name, inner in of_type[1].items()}}
    return flags


def _flags(
    *, required: bool = False, optional: bool = False, computed: bool = False, deprecated: bool = False, **_: Any
) -> str:
    words = {
        "required": required,
        "optional": optional and not required,
        "computed": computed,
        "deprecated": deprecated,
    }
    return ", ".join(word for word, holds in words.items() if holds)


# --- @cdktn/provider-aws


def version_in_cdktn(package: Path) -> str:
    """Return the version of the AWS provider that the package is generated from."""
    script = (package / "lib/sqs-queue/index.js").read_text(encoding="utf-8")
    if found := re.search(r"providerVersion: '(\d+\.\d+\.\d+)'", script):
        return found[1]
    raise PackageError(f"{CDKTN} names no version of the provider")


def from_cdktn(package: Path, kind: str) -> Block:
    """Return the schema of a type, without what is deprecated."""
    name = kind.removeprefix("data.").removeprefix("aws_").replace("_", "-")
    script = package / "lib" / (name if not kind.startswith("data.") else f"data-aws-{name}") / "index.js"
    if not script.is_file():
        raise PackageError(f"{CDKTN} has no {kind}")
    parts = re.split(r"^class (\w+) ", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    classes = dict(zip(parts[1::2], parts[2::2], strict=True))
    [main] = [name for name, body in classes.items() if "static tfResourceType" in body]
    return _class(classes, main)


def _class(classes: dict[str, str], name: str) -> Block:
    body, entries = classes[name], Block()
    for attribute, *flags in re.findall(
        r"^    // (\w+) - computed: (\w+), optional: (\w+), required: (\w+)$", body, flags=re.MULTILINE
    ):
        computed, optional, required = (flag == "true" for flag in flags)
        entries[attribute] = _flags(required=required, optional=optional, computed=computed)
    for child, attribute in re.findall(r"= new (\w+)\(this, \"(\w+)\"", body):
        inner = re.sub(r"(List|Map)$", "OutputReference", child)
        if inner in classes:  # not cdktn.StringMap
            entries[attribute] = {"": entries[attribute], **_class(classes, inner)}
    return entries


# --- @pulumi/aws


def mark_deprecated(package: Path, schemas: dict[str, Block]) -> None:
    """Add "deprecated" to the entries that @pulumi/aws marks so.

    Raises:
        PackageError: An entry has no counterpart, or IN_PULUMI has none for a type.
    """
    types = {
        name: _interfaces((package / f"types/{name}.d.ts").read_text(encoding="utf-8")) for name in ("input", "output")
    }
    nested = types["output"] | {name: body + types["output"].get(name, "") for name, body in types["input"].items()}
    missing: list[str] = []
    for kind, schema in schemas.items():
        if kind not in IN_PULUMI:
            raise PackageError(f"IN_PULUMI in {Path(__file__).name} does not say where {kind} is")
        file, name = IN_PULUMI[kind].split(":")
        text = (package / f"{file}.d.ts").read_text(encoding="utf-8")
        found = {name.split(".")[-1]: body for name, body in _interfaces(text).items()}
        suffixes = ("Args", "Result") if kind.startswith("data.") else ("Args", "State")
        body = "".join(found.get(name + suffix, "") for suffix in suffixes)
        missing += _mark(schema, body, nested, kind)
    if missing:
        raise PackageError(f"{PULUMI} has no counterpart of {', '.join(missing)}")


def _interfaces(text: str) -> dict[str, str]:
    """Return the body of each interface by its name, with the namespaces before it: "dynamodb.TableTtl"."""
    found, namespace = {}, ""
    for match in re.finditer(
        r"export declare namespace (?P<namespace>\w+) \{|"
        r"^(?P<indent> *)(?:export )?interface (?P<name>\w+) \{\n(?P<body>.*?)^(?P=indent)\}",
        text,
        flags=re.MULTILINE | re.DOTALL,
    ):
        if match["namespace"]:
            namespace = match["namespace"] + "."
        else:
            found[namespace + match["name"]] = match["body"]
    return found


def _mark(schema: Block, body: str, nested: dict[str, str], path: str) -> Iterator[str]:
    """Mark the deprecated entries of a block; yields the entries that are not in `body`."""
    properties: dict[str, list[tuple[str, str]]] = {}
    for comment, name, of_type in re.findall(
        r"(/\*\*(?:(?!\*/).)*\*/\s*)?^ *(?:readonly )?(\w+)\??: ([^;]*)", body, flags=re.MULTILINE | re.DOTALL
    ):
        properties.setdefault(name, []).append((comment, of_type))
    for name, entry in schema.items():
        if not name:  # the block's own flags
            continue
        found = [each for spelled in _spellings(name, path) for each in properties.get(spelled, [])]
        if not found:
            if name not in NOT_EVERYWHERE:
                yield f"{path}.{name}"
            continue
        deprecated = any("@deprecated" in comment for comment, _ in found)
        if isinstance(entry, dict):
            if deprecated:
                entry[""] = f"{entry['']}, deprecated"
            inner = "".join(
                nested.get(name, "") for _, of_type in found for name in re.findall(r"puts\.(\w+\.\w+)", of_type)
            )
            yield from _mark(entry, inner, nested, f"{path}.{name}")
        elif deprecated:
            schema[name] = f"{entry}, deprecated"


def _spellings(name: str, path: str) -> tuple[str, str]:
    """Return how @pulumi/aws may spell an attribute: in camel case, or in the plural of it."""
    camel = RENAMED.get(f"{path}.{name}") or re.sub(r"_(\w)", lambda match: match[1].upper(), name)
    if re.search(r"[^aeiou]y$", camel):
        return camel, camel[:-1] + "ies"
    return camel, camel + ("es" if camel.endswith(("s", "x")) else "s")


def unpack(package: str, folder: Path) -> Path:
    """Download a package from npm into a folder. Returns the unpacked package."""
    folder.mkdir()
    packed = subprocess.run(
        ["npm", "pack", "--json", package], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    subprocess.run(["tar", "xzf", json.loads(packed)[0]["filename"]], cwd=folder, check=True)
    return folder / "package"
