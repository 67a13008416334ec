"""The health check: reads all sections, each with its facts, its problems, and why something could not be checked.

A new section is a function in status_sections/ that yields facts and problems, and an entry of SECTIONS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from cognito_user_sync_cli.aws_errors import TRANSLATED_ERRORS, why_unreadable
from cognito_user_sync_cli.deployment import Deployment, DeploymentError
from cognito_user_sync_cli.reconciliation import Run
from cognito_user_sync_cli.status_sections import (
    code,
    executions,
    pauses,
    queues,
    reconciliation,
    resources,
    sign_ups,
    user_table,
    welcome_emails,
)
from cognito_user_sync_cli.status_sections.findings import Fact, Findings

SECTIONS: dict[str, Callable[[Deployment], Findings]] = {
    "paused": pauses.check_pauses,
    "code": code.check_code,
    "user_pool": sign_ups.check_user_pool,
    "lost_sign_ups": sign_ups.check_lost_sign_ups,
    "trigger_policy": sign_ups.check_trigger_policy,
    "executions": executions.check_executions,
    "retry": queues.check_retry_queue,
    "changes": queues.check_changes,
    "user_events": queues.check_user_events,
    "reconciliation": reconciliation.check_last_run,
    "schedule": reconciliation.check_schedules,
    "user_table": user_table.check_user_table,
    "users": user_table.check_users,
    "welcome_sender": welcome_emails.check_sender,
    "welcome_emails": welcome_emails.count_skipped,
    "functions": resources.check_functions,
    "alarms": resources.check_alarms,
}


@dataclass(frozen=True)
class Section:
    """The result of one section.

    Attributes:
        not_checked: Why the section could not be read completely, and what to do. None if it was read completely.
    """

    name: str
    facts: Sequence[Fact]
    problems: Sequence[str]
    not_checked: str | None

    def to_json(self) -> dict[str, Any]:
        facts = {fact.name: fact.value for fact in self.facts}
        return {"facts": facts, "problems": self.problems, "not_checked": self.not_checked}


@dataclass(frozen=True)
class Status:
    """The result of all sections."""

    deployment: Deployment
    sections: Sequence[Section]

    @property
    def is_healthy(self) -> bool:
        """Whether everything could be read, and there is no problem."""
        return not self.problems and not self.not_checked

    @property
    def problems(self) -> list[str]:
        """All problems, each with what to do."""
        return [problem for section in self.sections for problem in section.problems]

    @property
    def not_checked(self) -> list[str]:
        """The names of the sections that could not be read completely, each with the reason and what to do."""
        return [f"{section.name}: {section.not_checked}" for section in self.sections if section.not_checked]

    @property
    def last_run(self) -> Run | None:
        return next(
            (fact.value for section in self.sections for fact in section.facts if fact.name == "last_run"), None
        )

    def to_json(self) -> str:
        """Return the document that docs/operations.md describes."""
        deployment = self.deployment
        document = {
            "healthy": self.is_healthy,
            "problems": self.problems,
            "not_checked": self.not_checked,
            "deployment": {name: getattr(deployment, name) for name in ("prefix", "account", "region", "version")},
            "dashboard_url": deployment.dashboard_url,
            "sections": {section.name: section.to_json() for section in self.sections},
        }
        return json.dumps(document, indent=2, default=_jsonable)


def _jsonable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def read_status(deployment: Deployment) -> Status:
    """Read all sections at the same time, so that an unavailable service delays only its sections."""
    # boto3 makes clients in one thread at a time, so make them before. The client of SES needs a region that is read
    # first.
    _ = (deployment.cognito, deployment.dynamodb, deployment.functions, deployment.logs, deployment.states)
    _ = (deployment.queues, deployment.events, deployment.scheduler, deployment.alarms, deployment.iam)
    with ThreadPoolExecutor(len(SECTIONS)) as threads:
        read = partial(_read_section, deployment)
        return Status(deployment, list(threads.map(read, SECTIONS, SECTIONS.values())))


def _read_section(deployment: Deployment, name: str, check: Callable[[Deployment], Findings]) -> Section:
    """Return the facts and problems that a section yields until it ends or fails."""
    facts: list[Fact] = []
    problems: list[str] = []
    not_checked = None
    try:
        for found in check(deployment):
            if isinstance(found, Fact):
                facts.append(found)
            else:
                problems.append(found.text)
    except NoCredentialsError:
        raise
    except (BotoCoreError, ClientError) as error:
        not_checked = why_unreadable(error)
    except DeploymentError as error:
        not_checked = str(error)
    except TRANSLATED_ERRORS as error:
        cause = error.__cause__
        not_checked = why_unreadable(cause) if isinstance(cause, BotoCoreError | ClientError) else str(error)
    return Section(name, facts, problems, not_checked)
