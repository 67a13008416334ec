"""Section `executions`: executions of user_sync that failed or are retried."""

from __future__ import annotations

from datetime import UTC, datetime

from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import list_failed, list_retried
from cognito_user_sync_cli.failures import unacknowledged
from cognito_user_sync_cli.status_sections.findings import RECENT, Fact, Findings, Problem
from cognito_user_sync_cli.terminal import counted


def check_executions(deployment: Deployment) -> Findings:
    arn = deployment.user_sync_state_machine_arn
    executions = none_if_missing(lambda: list(list_failed(deployment.states, arn)))
    if executions is None:
        yield Problem(f"the state machine {arn} does not exist: apply again")
        return
    yield Fact("failed_in_14_days", len(executions))
    recent = unacknowledged(deployment, [each for each in executions if each["stopDate"] >= datetime.now(UTC) - RECENT])
    yield Fact("failed_in_one_day", len(recent), f"{len(recent):,} failed in 24 hours, {len(executions):,} in 14 days")
    if recent:
        yield Problem(f"{counted(len(recent), 'execution')} failed in 24 hours: cognito-user-sync failures")
    retried = sum(1 for _ in list_retried(deployment.states, arn))
    yield Fact("retried", retried, f"{retried:,} retried for more than 10 minutes")
    if retried:
        yield Problem(
            f"{counted(retried, 'execution')} retried for more than 10 minutes. To see the cause, read the logs of"
            " sync-user and send-welcome"
        )
