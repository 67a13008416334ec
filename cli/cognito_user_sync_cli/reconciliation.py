"""Runs of the reconciliation: start one, follow it to its end, and read its result."""

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
# A line may appear in CloudWatch this much later than others.
_LATE_MS = 60_000
_LATE_ATTEMPTS = 30
# The prefix of the names of runs that `start` starts.
_BY_HAND = "by-hand-"


@dataclass(frozen=True)
class Run:
    """A run of the reconciliation.

    Attributes:
        status: The status of the execution, or NOT_RUN if the run ended because an older one was still running.
        summary: The counts: see docs/reconciliation.md. None if the run has none, for the `reason`.
    """

    arn: str
    status: str
    started_at: datetime
    dry_run: bool
    summary: dict[str, Any] | None
    reason: str = ""
    only_groups: bool = False

    @property
    def took_place(self) -> bool:
        """Whether the run did not end because of an older run."""
        return self.status != "NOT_RUN"

    @property
    def is_by_hand(self) -> bool:
        """Whether an operator started the run, not an apply or the schedule."""
        return self.arn.rpartition(":")[2].startswith(_BY_HAND)

    @property
    def examples(self) -> list[dict[str, Any]]:
        """Items that a dry run would write: sub, outcome, and the attribute names in adds, replaces and removes."""
        return self.summary.get("examples", []) if self.summary else []

    @property
    def allow_deletes_needed(self) -> int:
        """The --allow-deletes with which the next run deletes the users over the limit. 0 if there are none."""
        return self.summary.get("allow_deletes_needed", 0) if self.summary else 0

    @property
    def missing(self) -> int:
        """The number of users that a dry run would delete without the limit."""
        return self.summary["deleted"] + self.over_limit if self.summary else 0

    @property
    def over_limit(self) -> int:
        """The number of missing users in shards over the deletion limit."""
        return self.summary.get("over_limit", 0) if self.summary else 0

    @property
    def problems(self) -> list[str]:
        """The problems that the run found and an operator has to solve."""
        return self.summary["problems"] if self.summary else []


def start(states: SFNClient, state_machine_arn: str, allow_deletes: int, dry_run: bool) -> str:
    """Start a run. Return the ARN of its execution."""
    given: dict[str, Any] = {"allow_deletes": allow_deletes} if allow_deletes else {}
    if dry_run:
        given["dry_run"] = True
    # With a name, a start that is sent again after a lost response starts no second run.
    return states.start_execution(
        stateMachineArn=state_machine_arn, name=f"{_BY_HAND}{secrets.token_hex(8)}", input=json.dumps(given)
    )["executionArn"]


def list_runs(states: SFNClient, state_machine_arn: str) -> Iterator[Run]:
    """Yield the runs, the newest first. Makes one request for each.

    Runs with the status NOT_RUN are left out, and those of groups alone, which start after a group was deleted.
    """
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=state_machine_arn):
        for execution in page["executions"]:
            run = read_run(states, execution["executionArn"])
            if run.took_place and not run.only_groups:
                yield run


def read_run(states: SFNClient, execution_arn: str) -> Run:
    """Return the current state of a run."""
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
    dry_run, only_groups = (isinstance(given, dict) and given.get(name) is True for name in ("dry_run", "only_groups"))
    return Run(execution["executionArn"], status, execution["startDate"], dry_run, summary, reason, only_groups)


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
    """Yield the number of listed users while the run continues, and at last the ended run.

    The number comes from the log of the workers. It stays 0 without permission to read the log.
    """
    progress: _Progress | None = None
    while (run := read_run(states, execution_arn)).status == "RUNNING":
        progress = progress or _Progress(logs, log_group, run.started_at)
        yield progress.listed()
        time.sleep(_POLL_SECONDS)
    yield run


def read_deletions(logs: CloudWatchLogsClient, log_group: str, run: Run) -> list[str]:
    """Return the subs of the users that a dry run would delete, also of those over the limit.

    The workers log them. If CloudWatch does not show all lines within a minute, the list is shorter than the count.
    Raises what botocore raises.
    """
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
    """The progress of a run: the counts in the log of all workers since the start of the run."""

    def __init__(self, logs: CloudWatchLogsClient, log_group: str, since: datetime) -> None:
        self._logs = logs
        self._log_group = log_group
        self._since = self._newest = int(since.timestamp() * 1000)
        self._by_request: dict[str, int] = {}

    def listed(self) -> int:
        # The log may not exist yet, or the operator may have no permission to read it. Follow the run without it.
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
