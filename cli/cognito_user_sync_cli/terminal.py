"""Printing to the terminal, and the exit statuses of all commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from cognito_user_sync.email_values import is_invisible
from cognito_user_sync.user import SUB

EXIT_PROBLEM = 1
EXIT_UNKNOWN = 2
EXIT_INTERRUPTED = 130


def plain(text: str) -> str:
    """Replace control characters, including bidirectional ones, and invisible characters with their codes."""
    return "".join(each if each.isprintable() and not is_invisible(each) else f"\\u{ord(each):04x}" for each in text)


class PlainConsole(Console):
    """A console that prints strings as plain text: no markup, no control sequences of the terminal.

    Most of the text is from outside: users choose names, and outputs, state files and error messages of AWS hold any
    text. A string is printed as one line. `styled` makes text with a style.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, emoji=False, markup=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)


def styled(text: str, style: str = "red") -> Text:
    return Text(plain(text), style)


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the singular or plural: 1 execution, 1,200 executions."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def parse_time(text: str) -> datetime:
    """Parse a time in ISO 8601 (UTC without a zone), or how long ago, such as 90m, 12h or 3d.

    Raises:
        typer.BadParameter: It is neither.
    """
    if ago := re.fullmatch(r"(\d{1,6})([mhd])", text):
        unit = {"m": "minutes", "h": "hours", "d": "days"}[ago[2]]
        return datetime.now(UTC) - timedelta(**{unit: int(ago[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{plain(text)} is not a time: it must be like 2026-01-31T12:00 (UTC), 2026-01-31T12:00+01:00, 90m, 12h or"
            " 3d"
        ) from None
    return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)


def parse_sub(text: str) -> str:
    """Parse a sub. Raises typer.BadParameter."""
    sub = text.lower()
    if not SUB.fullmatch(sub):
        raise typer.BadParameter(f"{plain(sub)} is not a sub: it must be like d4386408-5001-70fa-9a3c-1a2b3c4d5e6f")
    return sub


def parse_pool_id(text: str) -> str:
    """Parse the ID of a user pool. Raises typer.BadParameter."""
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d_[0-9A-Za-z]+", text):
        raise typer.BadParameter(f"{plain(text)} is not a user pool ID: it must be like eu-west-1_AbCdEfGhI")
    return text


stdout, stderr = PlainConsole(), PlainConsole(stderr=True)


def print_error(title: str, message: str) -> None:
    """Print a message to stderr. Further lines are indented, so that none looks like a line of the command."""
    first, *others = message.split("\n")
    stderr.print(styled(f"{title}:"), first)
    for line in others:
        stderr.print(f"  {line}")


def exit_with_error(title: str, message: str) -> NoReturn:
    """Print a message, and exit because the command could not run."""
    print_error(title, message)
    raise typer.Exit(EXIT_UNKNOWN)
