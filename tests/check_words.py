"""Check that no tracked text file has a word of the vocabulary that [tool.words] in pyproject.toml replaces.

    python tests/check_words.py [FILE ...]    all tracked files without FILE

Prints each as `file:line: word -> use another`, and exits 1 if there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Between two words of a phrase: where a line ends, the next one can begin with the mark of a comment.
GAP = r"\s+(?:(?:#|//|\*)\s+)?"


class Words:
    """Regular expressions of words and phrases, each with what to use instead. Case does not matter."""

    def __init__(self, replacements: dict[str, str]) -> None:
        self.replacements = list(replacements.values())
        self.pattern = re.compile(
            "|".join(rf"\b({pattern.replace(' ', GAP)})\b" for pattern in replacements), re.IGNORECASE
        )

    def found_in(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Yield the line, the words, and the replacement of each hit."""
        for hit in self.pattern.finditer(text):
            line = text.count("\n", 0, hit.start()) + 1
            yield line, re.sub(GAP, " ", hit[0]), self.replacements[(hit.lastindex or 1) - 1]


def main(arguments: list[str], root: Path = ROOT) -> int:
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["words"]
    words, found = Words(settings["use"]), 0
    for file in arguments or tracked_files(root):
        if any(fnmatch(file, pattern) for pattern in settings["exclude"]):
            continue
        try:
            text = (root / file).read_text(encoding="utf-8")
        except UnicodeDecodeError:  # an image
            continue
        for line, hit, replacement in words.found_in(text):
            print(f"{file}:{line}: {hit} -> use {replacement}")
            found += 1
    return 1 if found else 0


def tracked_files(root: Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    return [file for file in listed.stdout.split("\0") if file and (root / file).is_file()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
