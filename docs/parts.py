"""Generated pages, and generated parts of pages between two markers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class MissingMarkerError(ValueError):
    """The page has no place for a generated part. The message names the two markers."""


def with_part(page: str, name: str, target: str, text: str) -> str:
    """Return the page with `text` as its part `name`, which `make <target>` writes. Raises MissingMarkerError."""
    return between(page, f"<!-- {name}: written by make {target} -->", f"<!-- {name}: end -->", f"\n{text}\n")


def between(page: str, begin: str, end: str, text: str) -> str:
    """Return the page with `text` in the lines between two markers. Raises MissingMarkerError."""
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise MissingMarkerError(f"the page has no place for a generated part: it must be between {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main(arguments: Sequence[str], root: Path, pages: Callable[[Path], Mapping[str, str]]) -> int:
    """Write the stale ones of some generated pages. With --check, print their names instead, and return 1.

    Args:
        arguments: Of the command line.
        root: Folder of the pages.
        pages: Returns the text of each page by its path from the root. May raise ValueError.
    """
    try:
        new = pages(root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    stale = {path: text for path, text in new.items() if (root / path).read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path} is stale; run: make docs", file=sys.stderr)
        else:
            (root / path).write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0
