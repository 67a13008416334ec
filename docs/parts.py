"""Generated parts of a page, each between `<!-- NAME: written by make TARGET -->` and `<!-- NAME: end -->`."""

from __future__ import annotations


class NoPlace(ValueError):
    """The page has no place for a part; the message names the two marks."""


def with_part(page: str, name: str, target: str, text: str) -> str:
    """The page with `text` as its part `name`, which `make <target>` writes. Raises NoPlace."""
    begin, end = f"<!-- {name}: written by make {target} -->", f"<!-- {name}: end -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise NoPlace(f"no place for the {name}: it must be between {begin} and {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"
