"""Sections `reconciliation` and `schedule`: the last run, and the schedules of the reconciliation and trigger check."""

from __future__ import annotations

from typing import Any

from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.reconciliation import Run, list_runs, user_counts
from cognito_user_sync_cli.status_sections.findings import Fact, Findings, Problem


def check_last_run(deployment: Deployment) -> Findings:
    arn = deployment.reconciliation_state_machine_arn
    if arn is None:
        yield Fact("enabled", False, "not enabled")
        return
    found = none_if_missing(lambda: _last_run(deployment, arn))
    if found is None:
        yield Problem(f"the state machine {arn} does not exist: apply again")
        return
    run, running = found
    yield Fact("last_run", run, f"last run: {_in_words(run)}")
    yield Fact("running", running, "running now: cognito-user-sync reconcile --follow" if running else "")
    if run and run.status != "SUCCEEDED":
        for problem in run.problems:
            yield Problem(f"the last reconciliation: {problem}")
        # The problem of deletions over the limit has its own command.
        if not run.allow_deletes_needed:
            again = "reconcile --dry-run" if run.dry_run else "reconcile"
            yield Problem(
                f"the last reconciliation ended with status {run.status}. Fix the cause above, then: cognito-user-sync"
                f" {again}"
            )
    elif run and run.dry_run:
        yield Problem(
            "the last reconciliation was a dry run and wrote nothing. Review its counts and examples, run"
            ' cognito-user-sync reconcile, then set reconciliation.run_on_apply = "sync" and apply, so that'
            " scheduled runs write, too"
        )


def _last_run(deployment: Deployment, arn: str) -> tuple[Run | None, str | None]:
    """Return the last run that ended, and the ARN of the running one.

    A dry run that an operator started after runs that write is not the last run: the operator saw its counts. If apply
    and the schedule start dry runs, a dry run is the last run.
    """
    newest = running = None
    for run in list_runs(deployment.states, arn):
        if run.status == "RUNNING":
            running = run.arn
            continue
        newest = newest or run
        if not run.dry_run:
            return run, running
        if not run.is_by_hand:
            break
    return newest, running


def _in_words(run: Run | None) -> str:
    if run is None:
        return "none has ended yet"
    counts = ", ".join(
        f"{value:,} {name.replace('_', ' ')}" for name, value in user_counts(run.summary).items() if value
    )
    ended = f"{run.status}, a dry run" if run.dry_run else run.status
    return f"{ended}, started {run.started_at:%Y-%m-%d %H:%M} UTC: {counts or run.reason or 'no user listed'}"


def check_schedules(deployment: Deployment) -> Findings:
    name = f"{deployment.prefix}-reconciliation"
    if deployment.reconciliation_schedule_arn is None:
        yield Fact("expression", None, "none")
    elif (schedule := _schedule(deployment, name)) is None:
        yield Problem(f"the schedule {name} does not exist, so no reconciliation starts automatically: apply again")
    else:
        # A disabled schedule is a pause, which is another section.
        yield Fact("expression", schedule["ScheduleExpression"], schedule["ScheduleExpression"])
    if "pool-trigger" not in deployment.function_arns:
        return
    name = f"{deployment.prefix}-trigger-check"
    check = _schedule(deployment, name)
    if check and check["State"] == "ENABLED":
        yield Fact("trigger_check", check["ScheduleExpression"], f"trigger check {check['ScheduleExpression']}")
    else:
        state = "is disabled" if check else "does not exist"
        yield Problem(f"the schedule {name} {state}, so a removed trigger is not attached again: apply again")


def _schedule(deployment: Deployment, name: str) -> dict[str, Any] | None:
    return none_if_missing(lambda: deployment.scheduler.get_schedule(Name=name))
