"""The commands of docs/try-it.md, run one by one in a shell, in a clone and on a separate local AWS."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from demo.deployment import clean_environment
from local_aws.offline.provider_processes import RARELY_COLLECTED, running_providers
from tests.deployed import ROOT

PAGE = (ROOT / "docs" / "try-it.md").read_text(encoding="utf-8")
MADE = shutil.ignore_patterns(
    ".git", ".venv*", ".local", ".terraform*", "terraform.tfstate*", "*.tfplan", "*_cache", "__pycache__", "build"
)
# Variables that make exports to the tests.
OF_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ENV", "PLAN", "ARGS", "ALLOW_ORIGIN"}
STATUS = "status of the line:"
USES_LOCAL_AWS = 'eval "$(make -s local-aws-env)"'


class Shell:
    """A shell that runs one line after the other."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._providers = ExitStack()
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, line: str) -> tuple[str, int]:
        """Return what the line printed, and its exit status."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{line}\nprintf '\\n{STATUS} %s\\n' $?\n")
        self._bash.stdin.flush()
        printed = ""
        for read in self._bash.stdout:
            if read.startswith(STATUS):
                return printed, int(read.removeprefix(STATUS))
            printed += read
        raise AssertionError(f"the shell ended: {printed}")

    def share_provider(self) -> None:
        """Let all Terraform commands use the same providers. Otherwise each command starts them several times."""
        printed, _ = self.type("env -0")
        environment = dict(each.split("=", 1) for each in printed.rstrip("\n").split("\0") if each)
        for name, value in self._providers.enter_context(running_providers(environment, self._folder)).items():
            self.type(f"export {name}={shlex.quote(value)}")

    def close(self) -> None:
        self._bash.communicate()
        self._providers.close()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=MADE)
    (clone / ".venv").symlink_to(ROOT / ".venv")
    environment = clean_environment(os.environ, {"PORT": str(free_port()), **RARELY_COLLECTED})
    shell = Shell(clone, {name: value for name, value in environment.items() if name not in OF_MAKE})
    try:
        yield shell
    finally:
        shell.type("make local-aws-down")
        shell.close()


def steps(page: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the commands of each block, and lines that they print: those of the text block after it."""
    fences = [token for token in MarkdownIt("commonmark").parse(page) if token.type == "fence"]
    for fence, following in pairwise([*fences, fences[0]]):
        if fence.info == "sh":
            commands = re.findall(r"^(.*<<EOF\n(?:.*\n)*?EOF|.+)$", fence.content, re.MULTILINE)
            yield commands, following.content.splitlines() if following.info == "text" else []


def is_expected(line: str, status: int) -> bool:
    return status == (1 if line.endswith("# exits 1") else 0)


def only_reads(line: str) -> bool:
    return bool(re.search(r"cognito-user-sync (user \w+$|failures$|status)|local_aws emails", line))


def in_order(expected: list[str], printed: str) -> bool:
    pattern = ".*".join(re.escape(" ".join(line.split())) for line in expected)
    return re.search(pattern, " ".join(printed.split())) is not None


def holds(commands: list[str], results: list[tuple[str, int]], expected: list[str]) -> bool:
    statuses_hold = all(map(is_expected, commands, (status for _, status in results)))
    return statuses_hold and in_order(expected, "".join(printed for printed, _ in results))


def test_commands_of_the_page_print_what_it_shows(shell: Shell) -> None:
    for commands, expected in steps(PAGE):
        results = [shell.type(command) for command in commands]
        if USES_LOCAL_AWS in commands:
            shell.share_provider()
        # A reader also has to wait for executions and reconciliations.
        deadline = time.monotonic() + 30
        while not holds(commands, results, expected) and any(map(only_reads, commands)) and time.monotonic() < deadline:
            results = [
                shell.type(command) if only_reads(command) else result
                for command, result in zip(commands, results, strict=True)
            ]
        shown = "\n".join(
            f"$ {command}\n{printed}[{status}]" for command, (printed, status) in zip(commands, results, strict=True)
        )
        assert holds(commands, results, expected), f"expected {expected} of\n{shown}"
