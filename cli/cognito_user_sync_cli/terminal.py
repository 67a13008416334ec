"""What the commands share: how they print, and the status that each ends with."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from cognito_user_sync.email_values import is_invisible

# What a command ends with.
NOT_WELL = 1
CANNOT_TELL = 2
INTERRUPTED = 130


def plain(text: str) -> str:
    """Show each character that steers the terminal, or is invisible, as its code: controls, also bidirectional ones."""
    return "".join(each if each.isprintable() and not is_invisible(each) else f"\\u{ord(each):04x}" for each in text)


class PlainConsole(Console):
    """A console that takes no string as markup, and no character of one as a command to the terminal.

    Most of what is printed was not written here: users choose names, and outputs, state files and the messages of AWS
    are somebody else's, too. A string is one line. What has a style is made by `styled`.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, highlight=False, emoji=False, markup=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(plain(text), **options)


def styled(text: str, style: str = "red") -> Text:
    return Text(plain(text), style)


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the singular or the plural: 1 execution, 1,200 executions."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def moment(text: str) -> datetime:
    """A time that an operator gives: in ISO 8601, UTC if it names no zone, or how long ago, such as 90m, 12h or 3d."""
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


out, problems = PlainConsole(), PlainConsole(stderr=True)


def end(what: str, why: str) -> NoReturn:
    first, *others = why.split("\n")
    problems.print(styled(f"{what}:"), first)
    for line in others:
        problems.print(f"  {line}")
    raise typer.Exit(CANNOT_TELL)
