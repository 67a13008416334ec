"""The output of the demo: each step with its checks, and a table of all steps at the end."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table


class Unexpected(Exception):
    """A check failed. The message has what was expected and what was found."""


class Interrupted(BaseException):
    """Ctrl-C, a closed terminal or `kill`."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Report:
    """Prints in color to a terminal, and plain text if the output is piped."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._steps: list[tuple[str, float, bool]] = []

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print and time one step. An exception in it ends the demo."""
        self.console.print(f"\n[bold]{len(self._steps) + 1}. {escape(name)}[/bold]")
        began, went_well = time.monotonic(), False
        try:
            yield
            went_well = True
        finally:
            self._steps.append((name, time.monotonic() - began, went_well))

    def say(self, text: str) -> None:
        self.console.print(f"   {escape(text)}")

    def check(self, holds: bool, expectation: str, otherwise: object = "") -> None:
        """Print the expectation if it holds; raise Unexpected with what was found if not."""
        if not holds:
            raise Unexpected(f"expected: {expectation}" + (f"\nfound: {otherwise}" if otherwise != "" else ""))
        self.console.print(f"   [green]ok[/green]  {escape(expectation)}")

    def fields(self, values: Mapping[str, object]) -> None:
        width = max(map(len, values), default=0)
        for name, value in values.items():
            self.console.print(f"       [cyan]{escape(name.ljust(width))}[/cyan]  {escape(str(value))}".rstrip())

    def letter(self, title: str, text: str) -> None:
        if self.console.is_terminal:
            self.console.print(Panel(escape(text.strip()), title=escape(title), width=72, padding=(1, 2)))
        else:
            self.console.print(
                "\n".join(f"       | {escape(line)}" for line in [title, "", *text.strip().splitlines()])
            )

    def summary(self, error: str | None) -> None:
        """Print the table of all steps that ran, and the error."""
        table = Table(box=box.SIMPLE_HEAD if self.console.is_terminal else box.ASCII2, title="Summary")
        table.add_column("step")
        table.add_column("seconds", justify="right")
        table.add_column("result")
        for name, seconds, went_well in self._steps:
            table.add_row(escape(name), f"{seconds:.1f}", "[green]ok[/green]" if went_well else "[red]FAILED[/red]")
        total = sum(seconds for _, seconds, _ in self._steps)
        table.add_row("all", f"{total:.1f}", "[red]FAILED[/red]" if error else "[green]ok[/green]")
        self.console.print()
        self.console.print(table)
        if error is None:
            self.console.print(
                "Next: docs/try-it.md has the same steps for you to type. For your own pool: docs/deploying.md."
            )
        else:
            failed = [f"Step {number}, {name}" for number, (name, _, well) in enumerate(self._steps, 1) if not well]
            self.console.print(f"[red]{escape(failed[-1] if failed else 'The demo')} failed:[/red]\n{escape(error)}")
