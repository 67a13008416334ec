"""Generated parts of a page, each between two markers."""

from __future__ import annotations


class MissingMarkerError(ValueError):
    """The page has no place for a generated part; the message names the two markers."""


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
