"""What the sections of `status` yield, and checks that several sections share."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment

# Older failures are no problem: the reconciliation has synced the user, or an operator has decided to leave them.
RECENT = timedelta(days=1)


@dataclass(frozen=True)
class Fact:
    """A fact about the deployment.

    Attributes:
        name: The key in JSON.
        value: The value in JSON.
        shown: The text for the operator. "" shows nothing.
    """

    name: str
    value: Any
    shown: str = ""


@dataclass(frozen=True)
class Problem:
    """A problem that certainly exists, with what to do."""

    text: str


Findings: TypeAlias = Iterator[Fact | Problem]


def function_exists(deployment: Deployment, name: str) -> bool:
    return none_if_missing(lambda: deployment.functions.get_function_configuration(FunctionName=name)) is not None


def check_log_group(deployment: Deployment, name: str) -> Generator[Fact | Problem, None, bool]:
    """Return whether CloudWatch can filter a log group, and yield the reason if it cannot."""
    found = deployment.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    classes = {each["logGroupName"]: each.get("logGroupClass", "STANDARD") for each in found}
    if name not in classes:
        yield Problem(f"the log group {name} does not exist: apply again")
        return False
    if classes[name] != "STANDARD":
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch_Logs_Log_Classes.html
        yield Fact("not_counted", classes[name], f"not counted: the log group has the class {classes[name]}")
        return False
    return True
