"""The last measurement of `make bench`: results.json. Pages and README are written from it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from benchmarks.cold_start import Compared, Start
from benchmarks.figures import Figures
from benchmarks.first_invocation import FirstInvocations
from benchmarks.group_scenario import GroupMeasurement
from benchmarks.scenarios import MIDDLE_USERS
from benchmarks.scenarios import Measurement as ReconciliationMeasurement
from benchmarks.sign_up_path import SignUpPath
from benchmarks.sign_up_usage import Measurement as CostMeasurement
from benchmarks.simulated_run import Assumptions
from benchmarks.transfer_run import Transfer

STORED: Final = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class ColdStart:
    """`starts` by handler; `zip_bytes` is the size of a function's zip."""

    rounds: int
    import_boto3: Start
    zip_bytes: int
    starts: Mapping[str, Compared]


@dataclass(frozen=True)
class Reconciliation:
    """`sensitivity`: the first run of one pool size, under other assumptions about AWS."""

    assumptions: Assumptions
    measurements: Sequence[ReconciliationMeasurement]
    sensitivity: Mapping[str, Figures]

    def priced(self) -> ReconciliationMeasurement:
        """Return the pool size of costs and headlines: the largest up to MIDDLE_USERS."""
        return max((each for each in self.measurements if each.users <= MIDDLE_USERS), key=lambda each: each.users)


@dataclass(frozen=True)
class Transfers:
    """Exports and restores by kind."""

    measured_on: str
    runs: Mapping[str, Transfer]


@dataclass(frozen=True)
class Results:
    """`seconds` is the time of the measurement. `first_invocations` is None on a machine without a CPU quota."""

    measured_on: str
    machine: str
    seconds: float
    cold_start: ColdStart
    first_invocations: FirstInvocations | None
    sign_up_path: SignUpPath
    cost: CostMeasurement
    reconciliation: Reconciliation
    transfers: Transfers
    groups: GroupMeasurement

    def store(self, path: Path = STORED) -> None:
        path.write_bytes(_RESULTS.dump_json(self, indent=1) + b"\n")

    @classmethod
    def load(cls, path: Path = STORED) -> Results:
        return _RESULTS.validate_json(path.read_bytes())


_RESULTS: Final = TypeAdapter(Results)


def today() -> str:
    return str(datetime.now(UTC).date())


def this_machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
