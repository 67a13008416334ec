"""The code that Terraform has deployed, release by release, and what the functions run.

Terraform deploys one zip to all functions, and publishes a version of each function that it changes. So a release is
the hash of a zip. A roll-back puts the zip of an older version on $LATEST, which is what everything invokes.
"""

from __future__ import annotations

import base64
import hashlib
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cognito_user_sync_cli.deployment import Deployment, NotDeployedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationTypeDef

_LATEST = "$LATEST"


class CodeError(Exception):
    """The code of a version is not what AWS says it is, or cannot be downloaded."""


@dataclass(frozen=True)
class Release:
    code_sha256: str
    """As Lambda has it: Base64."""
    published_at: datetime
    """When Terraform published the newest of its versions."""
    versions: Mapping[str, str]
    """A version with this code of each function that has one, by the function's name."""


@dataclass(frozen=True)
class Code:
    releases: Sequence[Release]
    """The newest first: it is the one that Terraform deployed last."""
    running: Mapping[str, FunctionConfigurationTypeDef]
    """Each function as it is invoked, by its name."""

    @property
    def rolled_back(self) -> list[str]:
        """Names of the functions that run other code than the newest of their own versions."""
        newest: dict[str, str] = {}
        for release in reversed(self.releases):
            newest |= dict.fromkeys(release.versions, release.code_sha256)
        return [name for name, code_sha256 in newest.items() if self.running[name]["CodeSha256"] != code_sha256]

    def previous(self, steps: int) -> Release:
        """The release that was published so many before the last one. Raises NotDeployedError."""
        if len(self.releases) <= steps:
            raise NotDeployedError(
                "there is no release to go back to: AWS keeps the releases that were applied since this module"
                " publishes versions. Apply an earlier version of the module instead"
            )
        return self.releases[steps]

    def release(self, code_sha256: str) -> Release:
        """The one whose hash begins so. Raises NotDeployedError."""
        found = [each for each in self.releases if each.code_sha256.startswith(code_sha256)]
        if len(found) != 1:
            raise NotDeployedError(
                f"{len(found)} releases have a code hash that begins with {code_sha256}: it must be one of"
                " cognito-user-sync rollback --list"
            )
        return found[0]


def code(deployment: Deployment) -> Code:
    """Raises what botocore raises."""
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
            sha256, at = function["CodeSha256"], _time(function["LastModified"])
            published[sha256] = max(at, published.get(sha256, at))
            versions.setdefault(sha256, {})[name] = function["Version"]
    releases = [Release(sha256, at, versions[sha256]) for sha256, at in published.items()]
    return Code(sorted(releases, key=lambda each: each.published_at, reverse=True), running)


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)


def download(functions: LambdaClient, release: Release) -> bytes:
    """The zip. Raises CodeError, or what botocore raises."""
    name, version = next(iter(release.versions.items()))
    location = functions.get_function(FunctionName=name, Qualifier=version)["Code"]["Location"]
    try:
        with urllib.request.urlopen(location, timeout=60) as answer:  # noqa: S310 - a signed address that AWS gave
            content: bytes = answer.read()
    except OSError as error:
        raise CodeError(f"the code of version {version} of {name} could not be downloaded: {error}") from error
    found = base64.b64encode(hashlib.sha256(content).digest()).decode()
    if found != release.code_sha256:
        raise CodeError(f"version {version} of {name} has code of the SHA-256 {found}, not {release.code_sha256}")
    return content


def run_code(functions: LambdaClient, running: FunctionConfigurationTypeDef, content: bytes) -> None:
    """Put the zip on what is invoked, and wait until it is. Raises what botocore raises."""
    name = running["FunctionName"]
    functions.update_function_code(FunctionName=name, ZipFile=content, Architectures=running["Architectures"])
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
