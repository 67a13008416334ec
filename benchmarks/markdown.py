"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int] = (0,)) -> str:
    """The columns `texts` to the left, numbers to the right."""
    rule = "|".join("---" if column in texts else "--:" for column in range(len(header)))
    first, *others = (f"| {' | '.join(row)} |" for row in (header, *rows))
    return "\n".join([first, f"|{rule}|", *others])
