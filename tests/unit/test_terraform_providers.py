"""Where Terraform gets its providers from, with a terraform on PATH that does as the test says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local_aws.offline import terraform_providers
from local_aws.offline.terraform_providers import AWS, CONFIG_VARIABLE, ProvidersError, terraform_environment

PLATFORM = "linux_amd64"


@pytest.fixture(autouse=True)
def closed_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the folders above a test's own count as closed: pytest's are below /tmp, which all users can change."""
    only_ours = terraform_providers.only_ours
    parents = tmp_path.resolve().parents
    monkeypatch.setattr(terraform_providers, "only_ours", lambda path: path in parents or only_ours(path))


def put_terraform_on_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, init_exits: int, version: str = "1.11.4"
) -> Path:
    """A terraform whose `init` exits so; each call is a line of the file that is returned."""
    program, calls = folder / "bin" / "terraform", folder / "calls"
    program.parent.mkdir(exist_ok=True)
    program.write_text(
        f"""#!/bin/sh
echo "$1 ${{{CONFIG_VARIABLE}-unset}}" >> '{calls}'
case "$1" in
  version) echo '{{"terraform_version": "{version}", "platform": "{PLATFORM}"}}' ;;
  init) echo 'Error: no such host'; exit {init_exits} ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return calls


def put_aws_provider(folder: Path, version: str = "5.100.0") -> Path:
    unpacked = folder / AWS / version / PLATFORM
    unpacked.mkdir(parents=True)
    (unpacked / f"terraform-provider-aws_v{version}_x5").touch()
    return folder


def inits(calls: Path) -> list[str]:
    return [line for line in calls.read_text().splitlines() if line.startswith("init")]


def test_environment_is_empty_when_terraform_can_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = put_terraform_on_path(tmp_path, monkeypatch, init_exits=0)
    monkeypatch.setenv(CONFIG_VARIABLE, "/the/users/own.rc")
    put_aws_provider(tmp_path / "plugins")
    for _ in range(2):
        assert terraform_environment(home=tmp_path / "home", start=tmp_path, places=[]) == {}
    assert inits(calls) == ["init /the/users/own.rc"], "asked once, under the user's own configuration"
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["decision.json"]


def test_environment_has_the_mirror_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    mirror = put_aws_provider(tmp_path / "somewhere" / "plugins")
    environment = terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])
    configuration = tmp_path / "home" / "terraform.rc"
    assert environment == {CONFIG_VARIABLE: str(configuration)}
    assert f'path    = "{mirror}"' in configuration.read_text()
    (substitute,) = (tmp_path / "home").rglob("terraform-provider-archive_*")
    assert substitute.stat().st_mode & 0o111


@pytest.mark.parametrize("version", ["5.99.0", "7.0.0"])
def test_environment_ignores_other_provider_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    put_aws_provider(tmp_path / "plugins", version)
    with pytest.raises(ProvidersError, match=r"neither download its providers nor is hashicorp/aws .* on this machine"):
        terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])
    assert not (tmp_path / "home").exists()


def test_environment_searches_again_when_provider_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    first = put_aws_provider(tmp_path / "first")
    terraform_environment(home=tmp_path / "home", start=tmp_path, places=[first])
    first.rename(tmp_path / "second")
    terraform_environment(home=tmp_path / "home", start=tmp_path, places=[tmp_path / "second"])
    assert str(tmp_path / "second") in (tmp_path / "home" / "terraform.rc").read_text()
    assert len(inits(calls)) == 2


@pytest.mark.parametrize(
    ("version", "message"),
    [(None, r"terraform >= 1\.9 is required \(found none\): https://"), ("1.8.5", r"is required \(found 1\.8\.5\)")],
)
def test_environment_names_a_missing_or_old_terraform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, message: str
) -> None:
    if version is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        put_terraform_on_path(tmp_path, monkeypatch, init_exits=0, version=version)
    with pytest.raises(ProvidersError, match=message):
        terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])


@pytest.mark.parametrize(
    ("below", "mode"),
    [
        *((below, mode) for below in ("", "plugins", f"plugins/{AWS}") for mode in (0o777, 0o775, 0o1777)),
        (f"plugins/{AWS}/5.100.0/{PLATFORM}/terraform-provider-aws_v5.100.0_x5", 0o777),
    ],
)
def test_provider_that_others_can_change_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], below: str, mode: int
) -> None:
    put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    shared = tmp_path / "shared"
    mirror = put_aws_provider(shared / "plugins")
    (shared / below).chmod(mode)
    for places in ([], [mirror]):
        with pytest.raises(ProvidersError):
            terraform_environment(home=tmp_path / "home", start=shared, places=places)
    assert f"Not used, since other users may change it: {mirror / AWS}" in capsys.readouterr().err


def test_provider_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    mirror = put_aws_provider(tmp_path / "plugins")
    if os.getuid() == 0:
        os.chown(mirror, 12345, -1)
    else:
        monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(ProvidersError):
        terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])


def test_remembered_provider_is_not_used_once_others_can_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_terraform_on_path(tmp_path, monkeypatch, init_exits=1)
    mirror = put_aws_provider(tmp_path / "plugins")
    terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])
    mirror.chmod(0o777)
    with pytest.raises(ProvidersError):
        terraform_environment(home=tmp_path / "home", start=tmp_path, places=[])
