"""A progress bar of users, or a line every ten seconds if there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from cognito_user_sync_cli.terminal import stderr

_LINE_SECONDS: Final = 10.0


class _UsersPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} users/s" if task.speed else "")


@contextmanager
def users_done(estimate: int, done: int, verb: str) -> Iterator[Callable[[int], None]]:
    """Show the progress in the context. Yields a function that takes the number of users that are done.

    Args:
        estimate: The expected number of users.
        done: The number at the start.
        verb: What is done with them, such as "exported".
    """
    text = f"{{task.completed:,.0f}} of about {{task.total:,.0f}} users {verb}"
    columns = (TextColumn(text), BarColumn(), _UsersPerSecond(), TimeRemainingColumn())
    printed_at = time.monotonic()
    with Progress(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task("", completed=done, total=max(estimate, done, 1))

        def report(number: int) -> None:
            nonlocal printed_at
            total = max(estimate, number, 1)
            bar.update(task, completed=number, total=total)
            if not stderr.is_terminal and time.monotonic() - printed_at >= _LINE_SECONDS:
                printed_at = time.monotonic()
                stderr.print(f"{number:,} of about {total:,} users {verb}")

        yield report
