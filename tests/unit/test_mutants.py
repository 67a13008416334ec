"""Each mutant applies to the code, and its test exists. `make mutants` runs them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_mutant_applies_to_the_code(mutant: Mutant) -> None:
    content = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert mutant.applied_to(content) != content
    file, _, test = mutant.test.partition("::")
    name = test.partition("[")[0] or "test_"
    assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")


def test_mutant_names_are_unique() -> None:
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []
