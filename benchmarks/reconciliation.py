"""python -m benchmarks.reconciliation: measures the reconciliation, beside the script that people write today.

Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.figures import Prices
from benchmarks.report import page, tables
from benchmarks.scenarios import Measurement, measure, sensitivity
from benchmarks.simulated_run import Assumptions

_SIZES = (1_000, 10_000, 100_000, 1_000_000)
_SENSITIVITY_USERS = 100_000


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    assumptions = Assumptions()
    began_at = time.monotonic()

    def told(what: str) -> None:
        print(f"{time.monotonic() - began_at:6.1f} s  {what}", file=sys.stderr, flush=True)

    measurements: list[Measurement] = [measure(users, assumptions, told) for users in options.sizes]
    users = min(max(options.sizes), _SENSITIVITY_USERS)
    told(f"{users:,} users: if AWS is otherwise")
    shown = tables(measurements, sensitivity(users, assumptions), Prices.load())
    told("done")

    console = Console(width=None if sys.stdout.isatty() else 200)
    for table in shown:
        console.print(table.for_terminal())
    if options.report:
        command = " ".join(
            ["PYTHONPATH=lambda_src:. python -m benchmarks.reconciliation", *(arguments or sys.argv[1:])]
        )
        options.report.write_text(page(shown, assumptions, command))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconciliation", description=(__doc__ or "").strip())
    parser.add_argument(
        "--sizes", type=_sizes, default=_SIZES, help="numbers of users, like 1000,10000 (1000,10000,100000,1000000)"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the figures to a Markdown page")
    return parser


def _sizes(given: str) -> tuple[int, ...]:
    sizes = tuple(int(size) for size in given.split(","))
    if any(size < 1 for size in sizes):
        raise argparse.ArgumentTypeError("each size is a number of users, at least 1")
    return sizes


if __name__ == "__main__":
    main()
