"""python -m docs.demo_picture [--check]: docs/img/demo.svg, drawn by rich from demo/output.txt.

demo/output.txt is the output of a real run: `make -s demo > demo/output.txt`. The picture shows its steps and checks.
If they differ from those of demo/steps.py, `make docs` and `make check` fail until the run is recorded again.
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from docs.parts import main

ROOT = Path(__file__).resolve().parents[1]
PICTURE = "docs/img/demo.svg"
COLUMNS = 108
RENEW = "run: make -s demo > demo/output.txt && make docs"


class StaleRunError(ValueError):
    """demo/output.txt is not a successful run of the steps in demo/steps.py."""


def recorded(output: str) -> list[tuple[str, list[str]]]:
    """Return the steps of a run, each with its checks."""
    steps: list[tuple[str, list[str]]] = []
    for line in output.splitlines():
        if step := re.fullmatch(r"\d+\. (.+)", line):
            steps.append((step[1], []))
        elif check := re.fullmatch(r"   ok  (.+)", line):
            steps[-1][1].append(check[1])
    return steps


def patterns(source: str) -> Iterator[str]:
    """Yield a pattern for the text of each step and check in demo/steps.py, except for the step of --keep."""
    for function in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)):
        if function.name == "keep":
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                position = {"step": 0, "check": 1}.get(node.func.attr)
                if position is not None:
                    yield _pattern(node.args[position])


def _pattern(text: ast.expr) -> str:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)


def check_run(output: str, source: str) -> None:
    """Raises StaleRunError."""
    if not re.search(r"^\| all +\| +[\d.]+ \| ok", output, re.MULTILINE):
        raise StaleRunError(f"demo/output.txt is not the output of a run that succeeded; {RENEW}")
    texts = [text for name, checks in recorded(output) for text in (name, *checks)]
    known = set(patterns(source))
    missing = [pattern for pattern in known if not any(re.fullmatch(pattern, text) for text in texts)]
    unknown = [text for text in texts if not any(re.fullmatch(pattern, text) for pattern in known)]
    if missing or unknown:
        raise StaleRunError(f"the steps of the demo have changed: {', '.join([*missing, *unknown])}; {RENEW}")


def picture(output: str) -> str:
    """Return the steps and checks of a run as SVG."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, checks in recorded(output):
        table.add_row(escape(name), "\n".join(f"[green]ok[/green] {escape(check)}" for check in checks))
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)
    console.print(table)
    drawn = console.export_svg(title="make demo", unique_id="demo")
    # Browsers load no fonts for a picture.
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


def pages(root: Path) -> dict[str, str]:
    """Return the text of the picture. Raises StaleRunError."""
    output = (root / "demo/output.txt").read_text(encoding="utf-8")
    check_run(output, (root / "demo/steps.py").read_text(encoding="utf-8"))
    return {PICTURE: picture(output)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ROOT, pages))
