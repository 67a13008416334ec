"""Releases of the code, the code that the functions run, and the rollback to an earlier release.

Terraform deploys one zip to all functions, and publishes a version of each function that it changes. So the hash of
the zip identifies a release. A rollback deploys the zip of an older version to $LATEST, which AWS invokes.
"""

from __future__ import annotations

import base64
import hashlib
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cognito_user_sync_cli.deployment import Deployment, DeploymentError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef

_LATEST = "$LATEST"


class CodeError(Exception):
    """The code of a version cannot be downloaded, or has another hash than Lambda reports."""


@dataclass(frozen=True)
class Release:
    """Code that Terraform deployed.

    Attributes:
        code_sha256: The hash of the zip, in Base64, as Lambda reports it.
        published_at: When Terraform published the newest version with this code.
        versions: A version with this code for each function that has one, by the function's name.
    """

    code_sha256: str
    published_at: datetime
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Code:
    """The code of all functions.

    Attributes:
        releases: The newest first. Terraform deployed this one last.
        running: The configuration of each function's $LATEST, by the function's name.
    """

    releases: Sequence[Release]
    running: Mapping[str, FunctionConfigurationTypeDef]

    @property
    def rolled_back(self) -> list[str]:
        """Names of the functions whose code is not that of their newest version."""
        newest: dict[str, str] = {}
        for release in reversed(self.releases):
            newest |= dict.fromkeys(release.versions, release.code_sha256)
        return [name for name, code_sha256 in newest.items() if self.running[name]["CodeSha256"] != code_sha256]

    def previous(self, steps: int) -> Release:
        """Return the release that is `steps` before the last one. Raises DeploymentError."""
        if len(self.releases) <= steps:
            raise DeploymentError(
                "there is no earlier release: this is the first one that was applied with published versions. Apply an"
                " earlier version of the module instead"
            )
        return self.releases[steps]

    def release(self, code_sha256: str) -> Release:
        """Return the release whose hash starts with `code_sha256`. Raises DeploymentError."""
        found = [each for each in self.releases if each.code_sha256.startswith(code_sha256)]
        if len(found) != 1:
            raise DeploymentError(
                f"{len(found)} releases have a code hash that starts with {code_sha256}: it must be exactly one of"
                " those that cognito-user-sync rollback --list prints"
            )
        return found[0]


def read_code(deployment: Deployment) -> Code:
    """Return the releases and the running code. Raises what botocore raises."""
    running: dict[str, FunctionConfigurationTypeDef] = {}
    versions: dict[str, dict[str, str]] = {}
    published: dict[str, datetime] = {}
    for arn in deployment.function_arns.values():
        name = arn.rpartition(":")[2]
        pages = deployment.functions.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        for function in (each for page in pages for each in page["Versions"]):
            if function["Version"] == _LATEST:
                running[name] = function
                continue
            sha256, at = function["CodeSha256"], _parsed(function["LastModified"])
            published[sha256] = max(at, published.get(sha256, at))
            versions.setdefault(sha256, {})[name] = function["Version"]
    releases = [Release(sha256, at, versions[sha256]) for sha256, at in published.items()]
    return Code(sorted(releases, key=lambda each: each.published_at, reverse=True), running)


def _parsed(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)


def download(functions: LambdaClient, release: Release) -> bytes:
    """Download the zip of a release. Raises CodeError, or what botocore raises."""
    name, version = next(iter(release.versions.items()))
    location = functions.get_function(FunctionName=name, Qualifier=version)["Code"]["Location"]
    try:
        with urllib.request.urlopen(location, timeout=60) as answer:  # noqa: S310 - a signed address from AWS
            content: bytes = answer.read()
    except OSError as error:
        raise CodeError(f"the code of version {version} of {name} could not be downloaded: {error}") from error
    found = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if found != release.code_sha256:
        raise CodeError(f"the code of version {version} of {name} has the SHA-256 {found}, not {release.code_sha256}")
    return content


def deploy_code(functions: LambdaClient, running: FunctionConfigurationTypeDef, content: bytes) -> None:
    """Deploy the zip to a function, and wait until it runs. Raises what botocore raises."""
    name = running["FunctionName"]
    functions.update_function_code(FunctionName=name, ZipFile=content, Architectures=running["Architectures"])
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
