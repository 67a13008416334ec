"""Runs the commands of docs/operations.md without changes, so that they stay correct."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from local_aws import aws_cli
from local_aws.client import LocalAws
from tests.deployed import ROOT, Operator, Terraform
from tests.incidents.operating import PREFIX

_TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LABELS = ("Alarm", "First command", "Decide", "Repair", "Proof")


def incidents() -> dict[str, str]:
    """Return the sections to which "Find the incident" links, by heading."""
    parts = re.split(r"^##+ (.+)\n", _TEXT, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    linked = set(re.findall(r"\]\(#(.+?)\)", sections["Find the incident"]))
    return {heading: text for heading, text in sections.items() if _anchor(heading) in linked}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def labelled(text: str) -> dict[str, list[str]]:
    """Return the commands of a section by the label above them."""
    parts = re.split(r"^\*\*([\w ]+):\*\*", text, flags=re.MULTILINE)
    return {label: _commands(part) for label, part in zip(parts[1::2], parts[2::2], strict=True)}


def _commands(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [" ".join(re.sub(r"\s+# .*", "", line).split()) for line in lines]


@dataclass
class Section:
    """A section of an incident. `type` runs one of its commands, and `left` are the others."""

    commands: dict[str, list[str]]
    aws: LocalAws
    operator: Operator
    terraform: Terraform
    variables: Mapping[str, str]
    values: dict[str, str]
    left: set[tuple[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self.left = {(label, command) for label, commands in self.commands.items() for command in commands}

    def type(self, label: str, part: str = "", expect: int = 0, options: tuple[str, ...] = ()) -> str:
        """Run a command and return its output.

        Args:
            label: The label above the command.
            part: A regular expression that only this command of the label matches.
            expect: The expected exit code.
            options: More options, for example for a shorter wait.
        """
        (command,) = [each for each in self.commands[label] if re.search(part, each)]
        self.left -= {(label, command)}
        return self.run([*(self._filled(word) for word in shlex.split(command)), *options], expect)

    def run(self, words: list[str], expect: int = 0) -> str:
        match words:
            case ["cognito-user-sync", *arguments]:
                return self.operator(*arguments, expect=expect)
            case ["aws", "logs", "tail", group, "--since", since]:
                return self._tail(group, since)
            case ["aws", "dynamodb", "wait", "table-exists", "--table-name", table]:
                self.aws.client("dynamodb").get_waiter("table_exists").wait(TableName=table)
                return ""
            case ["aws", service, operation, *options]:
                return aws_cli.call(service, operation, options)
            case ["terraform", verb] | ["make", verb, "ENV=dev"]:
                approved = ["-auto-approve"] if verb in ("apply", "destroy") else []
                return self.terraform(verb, *approved, variables=self.variables).stdout
            case _:
                raise AssertionError(f"no test can type {words}")

    def _filled(self, word: str) -> str:
        placeholders = set(re.findall(r"\b[A-Z][A-Z_]+(?:-[A-Z]+)*\b", word)) - {"ALL", "ENV"}
        assert placeholders <= self.values.keys(), f"no value for {placeholders}"
        for placeholder, value in self.values.items():
            word = word.replace(placeholder, value)
        return word

    def _tail(self, group: str, since: str) -> str:
        hours = timedelta(hours=int(since[:-1])) if since[-1] == "h" else timedelta(days=int(since[:-1]))
        began = int((datetime.now(UTC) - hours).timestamp() * 1000)
        pages = self.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group, startTime=began)
        return "\n".join(event["message"] for page in pages for event in page["events"])


@dataclass(frozen=True)
class Runbook:
    aws: LocalAws
    operator: Operator
    terraform: Terraform
    variables: Mapping[str, str]

    @contextmanager
    def section(self, heading: str, **values: str) -> Iterator[Section]:
        """Fail the test unless it runs each command of the section."""
        commands = labelled(incidents()[heading])
        filled = {"NAME-STAGE": PREFIX, **values}
        section = Section(commands, self.aws, self.operator, self.terraform, self.variables, filled)
        yield section
        assert section.left == set(), f"not typed: {section.left}"
