"""python -m benchmarks.sign_up_cost: what a sign-up, a tracked change and a reconciled user cost, from measured calls.

The module is applied by the real Terraform to a laptop AWS, three times over: without the welcome, with it, and with
change tracking. Each time people sign up, or change, and what AWS would bill is counted. `sign_up_cost.json` keeps what
was counted; `--stored` prices it anew. Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.cost_report import placed, tables
from benchmarks.figures import Prices
from benchmarks.sign_up_measurement import measure
from benchmarks.sign_up_usage import Measurement
from demo.report import Report, Unexpected
from local_aws.client import LocalAwsError
from local_aws.terraform_providers import ProvidersError


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    told = Report(Console(stderr=True, highlight=False))
    measurement = Measurement.load() if options.stored else measure(options.people, told)
    shown = tables(measurement, Prices.load())
    print("\n\n".join(shown.values()))
    if options.report:
        page = placed(options.report.read_text(encoding="utf-8"), shown)
        measurement.store()
        options.report.write_text(page, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sign_up_cost", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--people", type=int, default=100, help="who sign up, in each of the two ways (100)")
    parser.add_argument("--stored", action="store_true", help="measure nothing: price what was measured last")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write the tables to a Markdown page, and keep what was measured"
    )
    return parser


if __name__ == "__main__":
    try:
        main()
    except (Unexpected, LocalAwsError, ProvidersError) as error:
        sys.exit(str(error))
