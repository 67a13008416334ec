"""Measure everything, and write results.json and the pages: `python -m benchmarks`.

Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console

import docs.parts
from benchmarks import (
    cold_start,
    first_invocation,
    group_scenario,
    pages,
    scenarios,
    sign_up_measurement,
    transfer_run,
)
from benchmarks.results import ColdStart, Reconciliation, Results, Transfers, this_machine, today
from benchmarks.simulated_run import Assumptions
from demo.report import Report, Unexpected
from local_aws.client import LocalAwsError
from local_aws.offline.terraform_providers import ProvidersError

SIZES = (1_000, 10_000, scenarios.MIDDLE_USERS, 1_000_000)


def main() -> int:
    measure(Report(Console(stderr=True, highlight=False))).store()
    return docs.parts.main([], pages.ROOT, pages.documents)


def measure(
    report: Report,
    rounds: int = 9,
    users: int = 20,
    sign_ups: int = 500,
    burst: int = 2_000,
    sizes: Sequence[int] = SIZES,
    one_provider: bool = False,
) -> Results:
    """Measure everything, in half an hour on two cores. Raises Unexpected if a step has another result."""
    began_at = time.monotonic()

    def say(what: str) -> None:
        report.say(f"{time.monotonic() - began_at:6.1f} s  {what}")

    say(f"{rounds} cold starts of each function")
    import_boto3, starts = cold_start.import_boto3(rounds), cold_start.measure(rounds)
    say(f"{rounds} first invocations of each shape")
    first_invocations = first_invocation.measure(rounds)
    say("the local AWS")
    cost, sign_up_path = sign_up_measurement.measure(users, sign_ups, burst, report, one_provider)
    say("the reconciliation")
    assumptions = Assumptions()
    with scenarios.processes() as processes:
        groups = processes.submit(group_scenario.measure, max(sizes), assumptions)
        measurements = scenarios.measure(sizes, assumptions, say)
        say("the groups")
        grouped = groups.result()
    sensitivity = scenarios.sensitivity(min(max(sizes), scenarios.MIDDLE_USERS), assumptions)
    say("exports and restores")
    transfers = Transfers(today(), transfer_run.measure(max(sizes)))
    say("done")
    return Results(
        measured_on=today(),
        machine=this_machine(),
        seconds=time.monotonic() - began_at,
        cold_start=ColdStart(rounds, import_boto3, cold_start.zip_bytes(), starts),
        first_invocations=first_invocations,
        sign_up_path=sign_up_path,
        cost=cost,
        reconciliation=Reconciliation(assumptions, measurements, sensitivity),
        transfers=transfers,
        groups=grouped,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Unexpected, LocalAwsError, ProvidersError) as error:
        sys.exit(str(error))
