"""A cgroup that limits its processes to a share of one processor, as Lambda does by a function's memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CGROUPS: Final = Path("/sys/fs/cgroup")
_PERIOD_MICROSECONDS: Final = 20_000


class NoCpuQuotaError(Exception):
    """This user cannot create such a cgroup on this machine."""


@dataclass(frozen=True)
class CpuQuota:
    """`version` is the version of cgroups."""

    version: str
    group: Path

    def limit(self, pid: int) -> None:
        """Limit a process."""
        (self.group / "cgroup.procs").write_text(str(pid), encoding="ascii")


@contextmanager
def cpu_quota(processors: float, cgroups: Path = CGROUPS) -> Iterator[CpuQuota]:
    """Create a cgroup, and remove it. Its processes must end before. Raises NoCpuQuotaError."""
    quota = str(round(processors * _PERIOD_MICROSECONDS))
    v1 = cgroups / "cpu"
    if (v1 / "cpu.cfs_quota_us").exists():
        version, parent = "cgroup v1", v1
        files = {"cpu.cfs_period_us": str(_PERIOD_MICROSECONDS), "cpu.cfs_quota_us": quota}
    elif _gives_cpu(cgroups / "cgroup.subtree_control"):
        version, parent = "cgroup v2", cgroups
        files = {"cpu.max": f"{quota} {_PERIOD_MICROSECONDS}"}
    else:
        raise NoCpuQuotaError(f"{cgroups} has no CPU controller")
    group = parent / f"cognito-user-sync-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise NoCpuQuotaError(f"{group} cannot be created: {error.strerror}") from error
    try:
        for name, value in files.items():
            (group / name).write_text(value, encoding="ascii")
        yield CpuQuota(version, group)
    finally:
        group.rmdir()


def _gives_cpu(subtree_control: Path) -> bool:
    """Return whether the children of a cgroup can limit their CPU."""
    return subtree_control.exists() and "cpu" in subtree_control.read_text(encoding="ascii").split()
