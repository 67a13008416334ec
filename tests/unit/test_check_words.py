"""The check of the vocabulary."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests import check_words

ROOT = Path(__file__).parents[2]
SETTINGS = """
[tool.words]
exclude = ["old/*"]
[tool.words.use]
'greet\\w*' = "send the welcome email"
'so many|too many' = "the number"
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.md").write_text("greet\n", encoding="utf-8")
    (tmp_path / "a.py").write_text("# One\n# Greets so\n    # many users.\n# not_greeted regreet\n", encoding="utf-8")
    (tmp_path / "a.png").write_bytes(b"\xffgreet")
    return tmp_path


def test_check_words_names_file_line_and_replacement(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_words.main(["a.py", "a.png", "old/a.md"], repository) == 1
    assert capsys.readouterr().out.splitlines() == [
        "a.py:2: Greets -> use send the welcome email",
        "a.py:2: so many -> use the number",
    ]


def test_check_words_reads_the_tracked_files(repository: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    assert check_words.main([], repository) == 0
    subprocess.run(["git", "add", "a.py"], cwd=repository, check=True)
    assert check_words.main([], repository) == 1


def test_pattern_of_a_word_has_no_capturing_group() -> None:
    """The number of the group that matched selects the replacement."""
    words = check_words.Words(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["words"]["use"]
    )
    assert words.pattern.groups == len(words.replacements)
