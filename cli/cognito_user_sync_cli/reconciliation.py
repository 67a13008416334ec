"""Runs of the reconciliation: started here, and followed to their end."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cognito_user_sync.aws_errors import message_of
from cognito_user_sync_cli.executions import describe
from cognito_user_sync_cli.log_lines import json_lines

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

_POLL_SECONDS = 2.0
# CloudWatch may show a line so much later than others.
_LATE_MS = 60_000
_LATE_ATTEMPTS = 30
# The names of runs that are started here begin with it.
_BY_HAND = "by-hand-"


@dataclass(frozen=True)
class Run:
    """A run: its counts (docs/reconciliation.md) where it has come to any; else `reason` says why not."""

    arn: str
    status: str
    started_at: datetime
    dry_run: bool
    summary: dict[str, Any] | None
    reason: str = ""

    @property
    def took_place(self) -> bool:
        """Whether it was not kept from running by an older run."""
        return self.status != "NOT_RUN"

    @property
    def is_by_hand(self) -> bool:
        """Whether it was started by `start`, and not by an apply or the schedule."""
        return self.arn.rpartition(":")[2].startswith(_BY_HAND)

    @property
    def examples(self) -> list[dict[str, Any]]:
        """Items that a dry run would write: sub, outcome, and names of attributes in adds, replaces and removes."""
        return self.summary.get("examples", []) if self.summary else []

    @property
    def allow_deletes_needed(self) -> int:
        """What --allow-deletes has to be, so that the next run deletes what this one left; 0 if it left nothing."""
        return self.summary.get("allow_deletes_needed", 0) if self.summary else 0

    @property
    def missing(self) -> int:
        """How many users a dry run would delete if the limit allowed it."""
        return self.summary["deleted"] + self.over_limit if self.summary else 0

    @property
    def over_limit(self) -> int:
        """How many missing users are in shards over the limit."""
        return self.summary.get("over_limit", 0) if self.summary else 0

    @property
    def problems(self) -> list[str]:
        """What an operator has to look at, of a run that came to its end."""
        return self.summary["problems"] if self.summary else []


def start(states: SFNClient, state_machine_arn: str, allow_deletes: int, dry_run: bool) -> str:
    """Start a run; returns the ARN of its execution."""
    given: dict[str, Any] = {"allow_deletes": allow_deletes} if allow_deletes else {}
    if dry_run:
        given["dry_run"] = True
    # Named, so that a start whose answer was lost and that is sent again starts no second run.
    return states.start_execution(
        stateMachineArn=state_machine_arn, name=f"{_BY_HAND}{secrets.token_hex(8)}", input=json.dumps(given)
    )["executionArn"]


def runs(states: SFNClient, state_machine_arn: str) -> Iterator[Run]:
    """The runs that took place, or are going on, newest first, at one call each."""
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn):
        for execution in page["executions"]:
            run = look(states, execution["executionArn"])
            if run.took_place:
                yield run


def look(states: SFNClient, execution_arn: str) -> Run:
    """How a run stands: RUNNING, SUCCEEDED, NOT_RUN beside an older one, or how it failed."""
    execution = describe(states, execution_arn)
    status, summary, reason = execution["status"], None, ""
    if status == "SUCCEEDED":
        summary = json.loads(execution["output"])
        if "result" in summary:
            why = summary["result"].removeprefix("not run: ")
            return _run(execution, "NOT_RUN", None, f"{why}: {summary['running_execution_arn']}")
    elif execution.get("error") == "EndedWithProblems":
        summary = json.loads(execution.get("cause", ""))
    elif status != "RUNNING":
        reason = ": ".join(filter(None, (execution.get("error", status), message_of(execution.get("cause", "")))))
    return _run(execution, status, summary, reason)


def _run(execution: DescribeExecutionOutputTypeDef, status: str, summary: dict[str, Any] | None, reason: str) -> Run:
    given = json.loads(execution.get("input", "{}"))
    dry_run = isinstance(given, dict) and given.get("dry_run") is True
    return Run(execution["executionArn"], status, execution["startDate"], dry_run, summary, reason)


def user_counts(summary: dict[str, Any] | None) -> dict[str, int]:
    """Return the numbers of users in a run's summary."""
    return {
        name: value
        for name, value in (summary or {}).items()
        if isinstance(value, int)
        and not isinstance(value, bool)
        and name not in ("allow_deletes_needed", "batches", "seconds")
    }


def follow(states: SFNClient, logs: CloudWatchLogsClient, log_group: str, execution_arn: str) -> Iterator[int | Run]:
    """How many users have been listed, again and again while the run goes on, and at last the run as it ended.

    The number is what the workers log; where the log may not be read, it stays 0.
    """
    progress: _Progress | None = None
    while (run := look(states, execution_arn)).status == "RUNNING":
        progress = progress or _Progress(logs, log_group, run.started_at)
        yield progress.listed()
        time.sleep(_POLL_SECONDS)
    yield run


def deletions(logs: CloudWatchLogsClient, log_group: str, run: Run) -> list[str]:
    """The subs of the users that a dry run would delete, also of those over the limit, as its workers have logged them:
    fewer than it counted if CloudWatch does not show all lines within a minute. Raises what botocore raises."""
    found: set[str] = set()
    for _ in range(_LATE_ATTEMPTS):
        if len(found) >= run.missing:
            break
        for line in json_lines(logs, log_group, '"users would be deleted"', run.started_at):
            found.update(line["subs"])
        if len(found) < run.missing:
            time.sleep(_POLL_SECONDS)
    return sorted(found)


class _Progress:
    """What the workers of a run, all that work since a moment, say in their log."""

    def __init__(self, logs: CloudWatchLogsClient, log_group: str, since: datetime) -> None:
        self._logs = logs
        self._log_group = log_group
        self._since = self._newest = int(since.timestamp() * 1000)
        self._by_request: dict[str, int] = {}

    def listed(self) -> int:
        # Nothing may be logged yet, or who asks may not read the log; the run is followed all the same.
        with contextlib.suppress(ClientError, BotoCoreError):
            self._read()
        return sum(self._by_request.values())

    def _read(self) -> None:
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=self._log_group,
            startTime=max(self._since, self._newest - _LATE_MS),
            filterPattern="{ $.listed >= 0 }",
        )
        for page in pages:
            for event in page["events"]:
                self._newest = max(self._newest, event["timestamp"])
                try:
                    line = json.loads(event["message"])
                    request, listed = line["requestId"], int(line["listed"])
                except (ValueError, KeyError, TypeError):
                    continue
                self._by_request[request] = max(self._by_request.get(request, 0), listed)
