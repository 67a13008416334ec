"""Write docs/benchmarks.md, docs/cost.md, and figures in other pages, from results.json.

    python -m benchmarks.pages            writes them
    python -m benchmarks.pages --check    writes nothing; names each stale file, and exits 1 if there is one

Needs lambda_src and the root of the repository on PYTHONPATH.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from benchmarks import cost_report, first_invocation, group_report, reconciliation_report, scenarios
from benchmarks.figures import Prices
from benchmarks.markdown import table
from benchmarks.results import Results, Transfers
from benchmarks.sign_up_path import MAIL_AND_START, MODULE_SHAPE, NO_TRIGGER, PUT_ITEM, SignUpPath, Spread
from benchmarks.sign_up_usage import DEFAULT, NO_WELCOME, WELCOME
from benchmarks.simulated_run import Assumptions
from docs.parts import main, with_part

ROOT: Final = Path(__file__).resolve().parents[1]

# The project's own targets.
HANDLER_TARGET: Final = 0.5
COLD_START_TARGET: Final = 0.8
FIRST_CALL_TARGET: Final = 0.35
FIRST_INVOCATION_TARGET: Final = 0.75


def documents(root: Path) -> dict[str, str]:
    """Return the text of each page by its path from the root. Raises MissingMarkerError."""
    results, prices = Results.load(), Prices.load()
    found = {}
    for path, parts in (
        ("docs/benchmarks.md", benchmark_parts(results, prices)),
        ("docs/cost.md", _costs(results, prices)),
        ("README.md", {"figures": headlines(results, prices)}),
        ("docs/using-the-table.md", {"delay": _delay(results)}),
    ):
        found[path] = (root / path).read_text(encoding="utf-8")
        for name, text in parts.items():
            found[path] = with_part(found[path], name, "bench", text)
    return found


def benchmark_parts(results: Results, prices: Prices) -> dict[str, str]:
    """Return the parts of docs/benchmarks.md, by the names of their markers."""
    return {
        "measured": f"Measured on {results.measured_on} by `make bench`, in {results.seconds / 60:.1f} minutes, on"
        f" {results.machine}.",
        "sign-up path": _sign_up_path(results),
        "end to end": _end_to_end(results),
        "cold start": _cold_start(results),
        "first invocation": _first_invocation(results),
        "terraform": _terraform(results),
        "reconciliation": reconciliation_report.reconciliation(results.reconciliation, prices),
        "export": _transfers(results.transfers, results.reconciliation.assumptions, prices),
        "groups": group_report.times(results.groups),
    }


def _costs(results: Results, prices: Prices) -> dict[str, str]:
    reconciled = results.reconciliation.priced().figures
    return {
        **cost_report.tables(results.cost, reconciled, results.transfers.runs, results.measured_on, prices),
        "groups": group_report.costs(results.groups, results.cost.memory_mb, prices),
    }


def headlines(results: Results, prices: Prices) -> str:
    """Return the README's figures, one line each."""
    path, reconciled = results.sign_up_path, results.reconciliation.priced().figures
    calls = sum(results.cost.usage[WELCOME].calls["post-confirmation"].values())
    costs = {
        name: sum(results.cost.usage[name].dollars_per_million(results.cost.memory_mb, prices).values())
        for name in (WELCOME, NO_WELCOME)
    }
    fixed = sum(results.cost.standing[DEFAULT].dollars(prices).values())
    burst, first = path.burst, reconciled[scenarios.FIRST_DEFAULT]
    ours, theirs = _added(path, MODULE_SHAPE), _added(path, MAIL_AND_START)
    return (
        f"- **Sign-up**: the trigger makes {calls:g} API call. A trigger that sends the email itself takes"
        f" {theirs / ours:.1f} times as long ({theirs:.1f} ms and {ours:.1f} ms).\n"
        f"- **Load**: of {burst.users:,} sign-ups, eight at a time, {burst.lost} are lost.\n"
        f"- **First reconciliation**: {first.seconds:.0f} s for {first.users:,} users (simulated).\n"
        f"- **Cost**, at list prices of us-east-1: ${fixed:.0f} a month, and per million sign-ups"
        f" ${costs[WELCOME]:.0f}, or ${costs[NO_WELCOME]:.0f} without the welcome email."
    )


def _delay(results: Results) -> str:
    """Return how long after the confirmation the item can be read."""
    readable, burst = results.sign_up_path.readable[MODULE_SHAPE], results.sign_up_path.burst
    return (
        f"Measured on the local AWS on {results.measured_on} ([benchmarks.md](benchmarks.md#end-to-end)):\n\n"
        f"- The item can be read {readable.p50:.0f} ms after ConfirmSignUp returns (p95: {readable.p95:.0f} ms)."
        " 150 ms of this are a pause of the local AWS.\n"
        f"- When {burst.users:,} users confirm, eight at a time, the last item can be read"
        f" {burst.readable_seconds - burst.confirmed_seconds:.1f} s after the last confirmation."
    )


def _added(path: SignUpPath, shape: str) -> float:
    """Return the median milliseconds that the trigger adds to ConfirmSignUp."""
    return path.confirm[shape].p50 - path.confirm[NO_TRIGGER].p50


def _sign_up_path(results: Results) -> str:
    path = results.sign_up_path
    none, mail = path.confirm[NO_TRIGGER], path.handler[MAIL_AND_START]
    alone, waited = [], [[NO_TRIGGER, *_milliseconds(none), "0.0", "0.0", ""]]
    for shape in (MODULE_SHAPE, MAIL_AND_START, PUT_ITEM):
        handler, confirm = path.handler[shape], path.confirm[shape]
        alone.append([shape, *_milliseconds(handler), f"{handler.p50 / mail.p50:.2f}"])
        added = [f"{_added(path, shape):.1f}", f"{confirm.p95 - none.p95:.1f}"]
        share = f"{_added(path, shape) / _added(path, MAIL_AND_START):.2f}"
        waited.append([shape, *_milliseconds(confirm), *added, share])
    header = ("ConfirmSignUp with", "ms p50", "p95", "added by the trigger, p50", "p95", "of mail, start")
    ratio = path.handler[MODULE_SHAPE].p50 / mail.p50
    return (
        f"{path.users} sign-ups in each shape:\n\n"
        f"{table(('handler alone', 'ms p50', 'p95', 'of mail, start'), alone)}\n\n{table(header, waited)}\n\n"
        f"Target: at most {HANDLER_TARGET} of the handler that sends the email and starts."
        f" {_verdict(ratio, HANDLER_TARGET)}"
    )


def _end_to_end(results: Results) -> str:
    path, burst = results.sign_up_path, results.sign_up_path.burst
    waits = [[shape, *_milliseconds(spread)] for shape, spread in path.readable.items()]
    rows = [
        ["until the last is confirmed", f"{burst.confirmed_seconds:.1f} s"],
        ["until the last can be read", f"{burst.readable_seconds:.1f} s"],
        ["saw an error", f"{burst.failed_for_the_user}"],
        ["are not in the table afterwards", f"{burst.lost}"],
        ["got one welcome email", f"{burst.one_welcome_email:,}"],
    ]
    return (
        f"From the answer to ConfirmSignUp to the readable item:\n\n{table(('trigger', 'ms p50', 'p95'), waits)}\n\n"
        f"{burst.users:,} users confirm, eight at a time:\n\n{table(('', ''), rows)}"
    )


def _cold_start(results: Results) -> str:
    cold = results.cold_start
    rows = [
        [
            f"`{handler}`",
            ", ".join(compared.clients),
            f"{compared.ours.cpu_ms:.0f}",
            f"{compared.boto3.cpu_ms:.0f}",
            f"{compared.ratio:.2f}",
            f"{compared.pythons_gc.cpu_ms / compared.boto3.cpu_ms:.2f}",
            f"{compared.ours.wall_ms:.0f}",
            f"{compared.boto3.wall_ms:.0f}",
            f"{compared.ours.peak_mb:.0f}",
            f"{compared.boto3.peak_mb:.0f}",
        ]
        for handler, compared in cold.starts.items()
    ]
    header = (
        *("handler", "clients", "CPU, ms", "boto3 alone", "ratio", "ratio with Python's own gc"),
        *("wall, ms", "boto3 alone", "peak MB", "boto3 alone"),
    )
    first = cold.starts["post_confirmation"]
    return (
        f"The medians of {cold.rounds} processes each:\n\n{table(header, rows, texts=(0, 1))}\n\n"
        f"`import boto3` alone is {cold.import_boto3.cpu_ms / first.ours.cpu_ms:.0%} of `post_confirmation`'s start.\n"
        f"A function's zip has {cold.zip_bytes:,} bytes (target: under 90,000); the welcome email is in a layer.\n"
        f"Target for `post_confirmation`: at most {COLD_START_TARGET} of boto3 alone."
        f" {_verdict(first.ratio, COLD_START_TARGET)}"
    )


def _first_invocation(results: Results) -> str:
    first = results.first_invocations
    if first is None:
        return "Not measured: this machine has no CPU quota for the user who ran `make bench`. Linux has one for root."
    rows = [
        [
            f"{memory_mb} MB, {first_invocation.processors(memory_mb):.3f} vCPU",
            shape,
            f"{times.initialization:.0f}",
            f"{times.call:.0f}",
            f"{times.slowest_call:.0f}",
            f"{times.call / shapes[MAIL_AND_START].call:.2f}",
            f"{times.together:.0f}",
            f"{times.together / shapes[MAIL_AND_START].together:.2f}",
            f"{times.limited_together:.0f}",
            f"{times.limited_together / shapes[MAIL_AND_START].limited_together:.2f}",
        ]
        for memory_mb, shapes in first.by_memory.items()
        for shape, times in shapes.items()
    ]
    header = (
        *("function", "trigger", "import, ms", "first call, ms", "slowest", "of mail, start"),
        *("together, ms", "of mail, start", "together, import limited, ms", "of mail, start"),
    )
    pairs = [(shapes[MODULE_SHAPE], shapes[MAIL_AND_START]) for shapes in first.by_memory.values()]
    call = max(ours.call / theirs.call for ours, theirs in pairs)
    together = max(ours.limited_together / theirs.limited_together for ours, theirs in pairs)
    return (
        f"The medians of {first.rounds} processes each, under a quota of {first.quota}:\n\n"
        f"{table(header, rows, texts=(0, 1))}\n\n"
        f"Target for the first call: at most {FIRST_CALL_TARGET} of the trigger that sends the email and starts."
        f" {_verdict(call, FIRST_CALL_TARGET)}\n"
        f"Target for import and first call together, both limited: at most {FIRST_INVOCATION_TARGET}."
        f" {_verdict(together, FIRST_INVOCATION_TARGET)}"
    )


def _terraform(results: Results) -> str:
    times = results.sign_up_path.terraform
    rows = [
        ["resources", f"{times.resources}"],
        ["plan, and showing it", f"{times.first_plan_seconds:.0f} s"],
        ["init and apply, which plans again", f"{times.apply_seconds:.0f} s"],
        ["second plan, with nothing to do, and showing it", f"{times.second_plan_seconds:.0f} s"],
    ]
    return table(("", ""), rows)


# The default rate of Cognito calls of both commands. A restore has a second one, of the same size, for all other calls.
_CALLS_PER_SECOND: Final = 10


def _transfers(transfers: Transfers, assumptions: Assumptions, prices: Prices) -> str:
    rows = []
    for kind, run in transfers.runs.items():
        of_dynamodb = run.calls.get("Query", 0) + run.calls.get("BatchGetItem", 0)
        creations = run.calls.get("AdminCreateUser", 0)
        others = sum(run.calls.values()) - of_dynamodb - creations
        seconds = max(
            max(creations, others) / _CALLS_PER_SECOND,
            of_dynamodb * assumptions.dynamodb_seconds + run.processor_seconds,
        )
        rows.append(
            [
                kind,
                f"{run.users:,}",
                f"{seconds / 60:,.1f}",
                f"{run.processor_seconds:.0f}",
                f"{run.peak_bytes / 1e6:.0f}",
                f"{run.file_bytes / 1e6:,.1f}",
                f"{run.read_units * prices['dynamodb_read_units'] / run.users:.3f}",
            ]
        )
    header = ("", "users", "minutes", "CPU, s", "peak MB", "file, MB", "$ per million users")
    return f"Measured on {transfers.measured_on}:\n\n{table(header, rows)}"


def _verdict(ratio: float, target: float) -> str:
    return f"Measured: {ratio:.2f}, " + ("reached." if ratio <= target else "**missed**.")


def _milliseconds(spread: Spread) -> list[str]:
    return [f"{spread.p50:.1f}", f"{spread.p95:.1f}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, documents))
