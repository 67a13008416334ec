"""Creates roles and functions outside the module, for tests, benchmarks and the demo."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_aws.client import LocalAws

_VERSION = "2012-10-17"


def make_role(aws: LocalAws, name: str, *statements: dict[str, Any], service: str = "lambda.amazonaws.com") -> str:
    """Create a role that `service` may assume, with a policy of `statements`. Returns its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": _VERSION, "Statement": [trust]})
    )["Role"]
    if statements:
        policy = json.dumps({"Version": _VERSION, "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=policy)
    return str(role["Arn"])


def make_function(aws: LocalAws, name: str, code: str, *statements: dict[str, Any], **settings: Any) -> str:
    """Create a function of Python code with a `handler`, and its role with `statements`. Returns its ARN.

    `settings` are arguments of CreateFunction.
    """
    made = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=make_role(aws, name, *statements),
        Code={"ZipFile": zip_of(code)},
        **{"Handler": "function.handler", "Timeout": 10, **settings},
    )
    return str(made["FunctionArn"])


def zip_of(code: str) -> bytes:
    """Return the zip of a function."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("function.py", textwrap.dedent(code))
    return content.getvalue()


def let_pool_invoke(aws: LocalAws, function_arn: str, user_pool_arn: str) -> None:
    """Add the permission with which Cognito invokes a trigger of this pool."""
    aws.client("lambda").add_permission(
        FunctionName=function_arn,
        StatementId="UserPool",
        Action="lambda:InvokeFunction",
        Principal="cognito-idp.amazonaws.com",
        SourceArn=user_pool_arn,
    )
