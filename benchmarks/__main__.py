"""python -m benchmarks: measures everything, and keeps it in results.json, from which the pages are written.

Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from benchmarks import cold_start, first_invocation, pages, scenarios, sign_up_measurement
from benchmarks.results import ColdStart, Reconciliation, Results, this_machine, today
from benchmarks.simulated_run import Assumptions
from demo.report import Report, Unexpected
from docs.parts import MissingMarkerError
from local_aws.client import LocalAwsError
from local_aws.terraform_providers import ProvidersError

SIZES = (1_000, 10_000, scenarios.MIDDLE_USERS, 1_000_000)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.parse_args(arguments)
    told = Report(Console(stderr=True, highlight=False))
    measure(told).store()
    pages.write()


def measure(
    told: Report,
    rounds: int = 9,
    people: int = 20,
    sign_ups: int = 500,
    burst: int = 2_000,
    sizes: Sequence[int] = SIZES,
    one_provider: bool = False,
) -> Results:
    """Takes fifteen minutes on two cores. Raises Unexpected where something does not go as it should."""
    began_at = time.monotonic()

    def said(what: str) -> None:
        told.say(f"{time.monotonic() - began_at:6.1f} s  {what}")

    said(f"{rounds} cold starts of each function")
    import_boto3, starts = cold_start.import_boto3(rounds), cold_start.measure(rounds)
    said(f"{rounds} first invocations of each shape")
    first_invocations = first_invocation.measure(rounds)
    said("the laptop AWS")
    cost, sign_up_path = sign_up_measurement.measure(people, sign_ups, burst, told, one_provider)
    said("the reconciliation")
    assumptions = Assumptions()
    measurements = scenarios.measure(sizes, assumptions, said)
    sensitivity = scenarios.sensitivity(min(max(sizes), scenarios.MIDDLE_USERS), assumptions)
    said("done")
    return Results(
        measured_on=today(),
        machine=this_machine(),
        seconds=time.monotonic() - began_at,
        cold_start=ColdStart(rounds, import_boto3, cold_start.zip_bytes(), starts),
        first_invocations=first_invocations,
        sign_up_path=sign_up_path,
        cost=cost,
        reconciliation=Reconciliation(assumptions, measurements, sensitivity),
    )


if __name__ == "__main__":
    try:
        main()
    except (MissingMarkerError, Unexpected, LocalAwsError, ProvidersError) as error:
        sys.exit(str(error))
