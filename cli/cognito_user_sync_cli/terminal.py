"""What the commands share: how they print, and the status that each ends with."""

from __future__ import annotations

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


out, problems = PlainConsole(), PlainConsole(stderr=True)


def end(what: str, why: str) -> NoReturn:
    first, *others = why.split("\n")
    problems.print(styled(f"{what}:"), first)
    for line in others:
        problems.print(f"  {line}")
    raise typer.Exit(CANNOT_TELL)
