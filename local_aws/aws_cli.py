"""A substitute for the AWS CLI, on machines without it: `python -m local_aws aws cognito-idp list-users ...`.

It supports the options and values that docs/ use: text, numbers, JSON, lists of words, and
Name=email,Value=ada@example.com.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import boto3
import jmespath
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from local_aws.client import LocalAwsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.model import OperationModel, Shape


def call(service: str, operation: str, words: Sequence[str]) -> str:
    """Return the output of the AWS CLI. Raises LocalAwsError if an option is invalid or the call fails."""
    client = boto3.client(service)  # type: ignore[call-overload]
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    if operation not in names:
        raise LocalAwsError(f"{service} has no operation {operation}")
    model: OperationModel = client.meta.service_model.operation_model(names[operation])
    shapes = model.input_shape.members if model.input_shape else {}
    members = {xform_name(name, "-"): name for name in shapes}
    options = _options(words)
    query, output = (" ".join(options.pop(name, [])) for name in ("query", "output"))
    if unknown := sorted(options.keys() - members.keys()):
        raise LocalAwsError(
            f"{operation} has no option --{unknown[0]}: it has {', '.join(map('--{}'.format, members))}"
        )
    given = {members[name]: _value(shapes[members[name]], each) for name, each in options.items()}
    try:
        answer = getattr(client, xform_name(names[operation]))(**given)
    except (BotoCoreError, ClientError) as error:
        raise LocalAwsError(str(error)) from error
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(query, answer) if query else answer
    if found == {}:
        return ""
    return str(found) + "\n" if output == "text" else json.dumps(found, indent=4, default=str) + "\n"


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the words after each --option."""
    found: dict[str, list[str]] = {}
    for is_option, group in itertools.groupby(words, lambda word: word.startswith("--")):
        if is_option:
            for word in group:
                name = word.removeprefix("--")
                found[name] = []
        elif found:
            found[name].extend(group)
        else:
            raise LocalAwsError(f"{next(group)} is not an option: the form is SERVICE OPERATION --option value")
    return found


def _value(shape: Shape, words: Sequence[str]) -> Any:
    first = words[0] if words else ""
    if shape.type_name != "string" and first.startswith(("{", "[")):
        return json.loads(first)
    match shape.type_name:
        case "list":
            return [_value(shape.member, [word]) for word in words]  # type: ignore[attr-defined]
        case "structure" | "map":
            return dict(pair.split("=", 1) for pair in first.split(","))
        case "integer" | "long":
            return int(first)
        case "boolean":
            return True
        case _:
            return " ".join(words)
