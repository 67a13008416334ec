"""The benchmarks' CPU quota, on machines with and without one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from benchmarks.cpu_quota import NoCpuQuotaError, cpu_quota


def files_of(group: Path) -> dict[str, str]:
    """Return what was written into a cgroup, and remove it, as the kernel would with the cgroup."""
    found = {file.name: file.read_text() for file in group.iterdir()}
    for name in found:
        (group / name).unlink()
    return found


def test_quota_of_cgroup_v1_is_a_share_of_one_processor(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1")
    with cpu_quota(0.25, tmp_path) as quota:
        quota.limit(7)
        assert quota.version == "cgroup v1"
        assert quota.group.parent == tmp_path / "cpu"
        expected = {"cpu.cfs_period_us": "20000", "cpu.cfs_quota_us": "5000", "cgroup.procs": "7"}
        assert files_of(quota.group) == expected
    assert not quota.group.exists()


def test_quota_of_cgroup_v2_is_a_share_of_one_processor(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpuset cpu memory\n")
    with cpu_quota(0.25, tmp_path) as quota:
        quota.limit(7)
        assert quota.version == "cgroup v2"
        assert quota.group.parent == tmp_path
        assert files_of(quota.group) == {"cpu.max": "5000 20000", "cgroup.procs": "7"}
    assert not quota.group.exists()


@pytest.mark.parametrize("controllers", [None, "cpuset memory\n"], ids=["no-cgroups", "no-cpu-controller"])
def test_machine_without_a_quota_is_reported(tmp_path: Path, controllers: str | None) -> None:
    if controllers:
        (tmp_path / "cgroup.subtree_control").write_text(controllers)
    with pytest.raises(NoCpuQuotaError, match="no CPU controller"), cpu_quota(0.25, tmp_path):
        pass


def test_cgroup_that_cannot_be_made_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu")

    def fail(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(NoCpuQuotaError, match="cannot be created: Permission denied"), cpu_quota(0.25, tmp_path):
        pass
