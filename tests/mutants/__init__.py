"""Deliberate faults in the product, each with the test that must find it: `make mutants`.

mutants.toml lists the faults. tests/unit/test_mutants.py checks in every run that each still applies to the code.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: What is wrong, in kebab case.
        file: Path of the mutated file, from the root of the repository.
        old: Text that occurs exactly once in the file.
        new: Text that replaces it.
        test: pytest node ID, or path, of the test that must fail.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    def applied_to(self, content: str) -> str:
        """Return the content of the file with the fault in it.

        Raises:
            ValueError: `old` does not occur exactly once.
        """
        if (occurrences := content.count(self.old)) != 1:
            raise ValueError(f"{self.name}: {self.old!r} occurs {occurrences} times in {self.file}, expected 1")
        return content.replace(self.old, self.new)


MUTANTS = [
    Mutant(**fields)
    for fields in tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
]
