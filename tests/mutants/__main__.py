"""Apply each mutant to a copy of the repository and show the test that fails.

Usage: python -m tests.mutants [name ...]

Exits 1 if a mutant survives, or if a test fails without one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

from tests.mutants import MUTANTS, ROOT, Mutant

COPIES = 2
SECONDS = 900
# pytest's exit codes. Anything else than these (a usage error, no test found) is no proof.
TESTS_PASSED, TESTS_FAILED = 0, 1


def copy_repository(target: Path) -> Path:
    """Copy the tracked and new files, and link the virtual environment."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    (target / ".venv").symlink_to((ROOT / ".venv").resolve())
    return target


def run(copy: Path, test: str) -> tuple[int, str]:
    """Return pytest's exit code and the first failure that it names; -1 if only a fixture failed, or at a timeout."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", test]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return -1, f"no result within {SECONDS} s"
    lines = done.stdout.splitlines()
    failures = [line for line in lines if line.startswith("FAILED tests")]
    if done.returncode == TESTS_FAILED and not failures:
        return -1, next((line for line in lines if line.startswith("ERROR tests")), lines[-1])
    return done.returncode, (failures or lines[-1:] or [done.stderr])[0]


def verdict(test: str, copies: Queue[Path], mutant: Mutant | None = None) -> tuple[int, str]:
    """Run a test in a copy that no other thread uses, with a mutant in it or without."""
    copy = copies.get()
    try:
        if mutant is None:
            return run(copy, test)
        file = copy / mutant.file
        content = file.read_text(encoding="utf-8")
        try:
            file.write_text(mutant.applied_to(content), encoding="utf-8")
            return run(copy, test)
        finally:
            file.write_text(content, encoding="utf-8")
    finally:
        copies.put(copy)


def main(names: list[str]) -> int:
    """Run the mutants of these names, or all."""
    if unknown := set(names) - {mutant.name for mutant in MUTANTS}:
        print(f"unknown mutants: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    survived, broken = 0, 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(COPIES) as threads:
        copies: Queue[Path] = Queue()
        for number in range(COPIES):
            copies.put(copy_repository(Path(folder, str(number))))
        tests = list(dict.fromkeys(mutant.test for mutant in chosen))
        for test, (code, line) in zip(tests, threads.map(lambda test: verdict(test, copies), tests), strict=True):
            if code != TESTS_PASSED:
                broken += 1
                print(f"FAILS WITHOUT A MUTANT  {test}  {line}", flush=True)
        for mutant, (code, line) in zip(
            chosen, threads.map(lambda mutant: verdict(mutant.test, copies, mutant), chosen), strict=True
        ):
            survived += code != TESTS_FAILED
            print(f"{'killed' if code == TESTS_FAILED else 'SURVIVED'}  {mutant.name}  {line}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants killed")
    return 1 if survived or broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
