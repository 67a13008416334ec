"""The command `rollback`: which release it selects, and which functions get the code."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.rollback import read_code
from tests.fakes.command_line import invoke
from tests.samples import OURS, outputs

FUNCTION_PREFIX = OURS.rpartition(":")[0]


def zip_of(release: str) -> bytes:
    return f"the code of {release}".encode()


def hash_of(release: str) -> str:
    return base64.b64encode(hashlib.sha256(zip_of(release)).digest()).decode()


class Functions:
    """Lambda functions by name, each with the releases of its versions, and the release that runs.

    "ab:a" has the versions 1, of release a, and 2, of release b, which was published an hour later. It runs a.
    """

    def __init__(self, **functions: str) -> None:
        self.published = {name: given.partition(":")[0] for name, given in functions.items()}
        self.running = {name: given.partition(":")[2] for name, given in functions.items()}
        self.updates: list[dict[str, Any]] = []
        self.downloads = 0
        self.is_damaged = False

    def get_paginator(self, _: str) -> Functions:
        return self

    def paginate(self, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803 - as boto3 has it
        releases = [("$LATEST", self.running[FunctionName]), *enumerate(self.published[FunctionName], 1)]
        return [
            {
                "Versions": [
                    {
                        "FunctionName": FunctionName,
                        "Version": str(version),
                        "CodeSha256": hash_of(release),
                        "LastModified": f"2026-01-01T{hour:02}:00:00.000+0000",
                        "Architectures": ["arm64"],
                    }
                ]
            }
            for hour, (version, release) in enumerate(releases)
        ]

    def get_function(self, FunctionName: str, Qualifier: str) -> Any:  # noqa: N803
        return {"Code": {"Location": f"https://x/{self.published[FunctionName][int(Qualifier) - 1]}"}}

    def download(self, address: str, timeout: float) -> io.BytesIO:
        assert timeout > 0
        self.downloads += 1
        return io.BytesIO(zip_of("damaged" if self.is_damaged else address.rpartition("/")[2]))

    def update_function_code(self, **request: Any) -> None:
        self.updates.append(request)

    def get_waiter(self, _: str) -> Functions:
        return self

    def wait(self, FunctionName: str) -> None:  # noqa: N803
        assert FunctionName == self.updates[-1]["FunctionName"]

    @property
    def updated(self) -> dict[str, bytes]:
        return {update["FunctionName"]: update["ZipFile"] for update in self.updates}


def arns(functions: Functions) -> dict[str, str]:
    return {name: f"{FUNCTION_PREFIX}:{name}" for name in functions.running}


def command(folder: Path, functions: Functions, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Deployment, "functions", functions)
        patch.setattr(urllib.request, "urlopen", functions.download)
        return invoke(folder, outputs(function_arns=arns(functions)), "rollback", *arguments)


@pytest.mark.parametrize(
    ("functions", "arguments", "updated"),
    [
        # The release before the one that was deployed last, for any running release.
        ({"x": "ab:b", "y": "ab:b"}, (), {"x": "a", "y": "a"}),
        ({"x": "ab:a", "y": "ab:b"}, (), {"y": "a"}),
        ({"x": "ab:a", "y": "ab:a"}, (), {}),
        # A change of the configuration publishes a version, too.
        ({"x": "abbb:b", "y": "ab:b"}, (), {"x": "a", "y": "a"}),
        # An apply that failed half-way.
        ({"x": "ab:b", "y": "a:a"}, (), {"x": "a"}),
        # A function that was created after the release.
        ({"x": "ab:b", "y": "b:b"}, (), {"x": "a"}),
        # The code of a release that was deployed again.
        ({"x": "aba:a"}, (), {"x": "b"}),
        ({"x": "abc:c"}, ("--to", hash_of("a")[:6]), {"x": "a"}),
        ({"x": "abc:a", "y": "abc:c"}, ("--undo",), {"x": "c"}),
        ({"x": "ab:b"}, ("--list",), {}),
    ],
)
def test_rollback_deploys_code_to_functions_that_had_it(
    tmp_path: Path, functions: dict[str, str], arguments: tuple[str, ...], updated: dict[str, str]
) -> None:
    fake = Functions(**functions)
    result = command(tmp_path, fake, *arguments)
    assert result.exit_code == 0, result.output
    assert fake.updated == {name: zip_of(release) for name, release in updated.items()}
    assert fake.downloads == bool(updated)
    assert all(update["Architectures"] == ["arm64"] for update in fake.updates)


@pytest.mark.parametrize(
    ("functions", "arguments", "why"),
    [
        ("b:b", (), "there is no earlier release"),
        ("ab:b", ("--to", "xyz"), "0 releases have a code hash that starts with xyz"),
        ("ab:b", ("--to", ""), "2 releases have a code hash that starts with"),
        ("ab:b", ("--undo", "--list"), "more than one of them is set"),
    ],
)
def test_rollback_rejects_arguments_without_one_release(
    tmp_path: Path, functions: str, arguments: tuple[str, ...], why: str
) -> None:
    fake = Functions(x=functions)
    result = command(tmp_path, fake, *arguments)
    assert (result.exit_code, why in result.output) == (2, True), result.output
    assert fake.updates == []


def test_rollback_rejects_code_with_another_hash(tmp_path: Path) -> None:
    fake = Functions(x="ab:b")
    fake.is_damaged = True
    result = command(tmp_path, fake)
    assert (result.exit_code, "the code of version 1 of x has the SHA-256" in result.output) == (2, True), result.output
    assert fake.updates == []


@pytest.mark.parametrize(
    ("functions", "rolled_back"),
    [
        ({"x": "ab:b", "y": "ab:b"}, []),
        ({"x": "ab:a", "y": "ab:a"}, ["x", "y"]),
        # An apply that failed half-way: the plan shows this.
        ({"x": "ab:b", "y": "a:a"}, []),
        ({"x": "aba:a"}, []),
        # Deployed before versions were published.
        ({"x": ":a"}, []),
    ],
)
def test_code_lists_functions_not_running_newest_version(
    functions: dict[str, str], rolled_back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = Functions(**functions)
    monkeypatch.setattr(Deployment, "functions", fake)
    given = {"user_sync": {"value": outputs(function_arns=arns(fake))}}
    deployment = Deployment.from_outputs(json.loads(json.dumps(given)), "a test")
    assert read_code(deployment).rolled_back == rolled_back
