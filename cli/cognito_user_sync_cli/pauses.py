"""Pause and resume parts of the sync.

A pause is a setting of an AWS resource, and is stored nowhere else. Terraform manages this setting, so a plan shows a
pause as a change, and its apply ends the pause.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from cognito_user_sync.settings import TRIGGER_PAUSED_SINCE
from cognito_user_sync_cli.aws_errors import none_if_missing
from cognito_user_sync_cli.deployment import Deployment, DeploymentError

_ATTEMPTS, _PAUSE_SECONDS = 60, 1.0

# The prefix of the dashboard's line about pauses.
_NOTE = "**PAUSED:"


class PartName(StrEnum):
    """A part of the sync that can be paused."""

    WELCOMES = "welcomes"
    CHANGES = "changes"
    USER_EVENTS = "user-events"
    RECONCILIATION = "reconciliation"
    TRIGGER = "trigger"


class PauseError(Exception):
    """A part could not be paused or resumed. The message has the reason and what to do."""


class Part(Protocol):
    """A part of the sync in a deployment. `effect` describes what a pause causes."""

    effect: str

    def is_paused(self) -> bool: ...

    def pause(self) -> None:
        """Pause the part. This is idempotent. Raises PauseError, or what botocore raises."""

    def resume(self) -> str:
        """Resume the part, and return what to do next. Raises PauseError, or what botocore raises."""


class _Welcomes:
    """Set the reserved concurrency to 0: Step Functions gets Lambda.TooManyRequestsException, and retries."""

    effect = (
        "users are synced, but get no welcome email. Executions retry SendWelcome for 12 hours and then fail. No email"
        " is lost if they are redriven within 14 days"
    )

    def __init__(self, deployment: Deployment) -> None:
        self._functions = deployment.functions
        self._name = _function(
            deployment,
            "send-welcome",
            "welcome_email is null, so this deployment sends no welcome email: there is nothing to pause or resume",
        )

    def is_paused(self) -> bool:
        reserved = self._functions.get_function_concurrency(FunctionName=self._name)
        return reserved.get("ReservedConcurrentExecutions") == 0

    def pause(self) -> None:
        self._functions.put_function_concurrency(FunctionName=self._name, ReservedConcurrentExecutions=0)

    def resume(self) -> str:
        self._functions.delete_function_concurrency(FunctionName=self._name)
        return "Waiting executions continue within 8 minutes. For those that failed: cognito-user-sync failures redrive"


class _EventSource:
    """Disable the event source mapping of a function."""

    effect: str
    function: str
    reason_if_missing: str
    next_step: str

    def __init__(self, deployment: Deployment) -> None:
        self._functions = deployment.functions
        self._name = _function(deployment, self.function, self.reason_if_missing)

    def is_paused(self) -> bool:
        found = self._functions.list_event_source_mappings(FunctionName=self._name)["EventSourceMappings"]
        return any(mapping["State"] in ("Disabling", "Disabled") for mapping in found)

    def pause(self) -> None:
        self._set_state("Disabled")

    def resume(self) -> str:
        self._set_state("Enabled")
        return self.next_step

    def _mapping(self) -> Mapping[str, Any]:
        found = self._functions.list_event_source_mappings(FunctionName=self._name)["EventSourceMappings"]
        if not found:
            raise DeploymentError(f"the function {self._name} has no event source mapping: apply the module again")
        return found[0]

    def _set_state(self, state: str) -> None:
        mapping = self._mapping()
        for _ in range(_ATTEMPTS):
            # Lambda rejects an update while the mapping changes its state.
            if mapping["State"] in {"Enabled", "Disabled"} - {state}:
                mapping = self._functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=state == "Enabled")
            if mapping["State"] == state:
                return
            time.sleep(_PAUSE_SECONDS)
            mapping = self._mapping()
        raise PauseError(f"the event source mapping of {self._name} is {mapping['State']}. Run this command again")


class _Changes(_EventSource):
    effect = (
        "changes of users wait in the change queue, for at most 14 days. The reconciliation still syncs these users"
    )
    function = "sync-changes"
    reason_if_missing = (
        "track_changes is false, so this deployment tracks no changes: there is nothing to pause or resume"
    )
    next_step = "Waiting changes are synced now. After a pause of more than 14 days: cognito-user-sync reconcile"


class _UserEvents(_EventSource):
    effect = "events about users wait in the stream of the table, and are lost after 23 hours"
    function = "publish-user-events"
    reason_if_missing = (
        "user_events is null, so this deployment publishes no events about users: there is nothing to pause or resume"
    )
    next_step = (
        "Waiting events are published now. After a pause of more than 23 hours:"
        " docs/operations.md#events-about-users-are-late-or-lost"
    )


class _Reconciliation:
    """Disable the schedule."""

    effect = (
        "the schedule starts no run. A running reconciliation is not stopped, cognito-user-sync reconcile still starts"
        " one, and the alarm reconciliation-overdue may fire"
    )

    def __init__(self, deployment: Deployment) -> None:
        self._scheduler = deployment.scheduler
        self._name = f"{deployment.prefix}-reconciliation"

    def is_paused(self) -> bool:
        try:
            return bool(self._scheduler.get_schedule(Name=self._name)["State"] == "DISABLED")
        except self._scheduler.exceptions.ResourceNotFoundException:
            return False

    def pause(self) -> None:
        self._set("DISABLED")

    def resume(self) -> str:
        self._set("ENABLED")
        return "The schedule starts the next run at its usual time. To start one now: cognito-user-sync reconcile"

    def _set(self, state: str) -> None:
        try:
            schedule: dict[str, Any] = dict(self._scheduler.get_schedule(Name=self._name))
        except self._scheduler.exceptions.ResourceNotFoundException:
            raise DeploymentError(
                f"the schedule {self._name} does not exist, since reconciliation.enabled is false or"
                ' reconciliation.schedule is "none": there is nothing to pause or resume'
            ) from None
        # UpdateSchedule resets each setting that is not in the request.
        for read_only in ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"):
            schedule.pop(read_only, None)
        self._scheduler.update_schedule(**{**schedule, "State": state})


class _Trigger:
    """Detach the trigger, and set an environment variable of pool-trigger so that it does not attach it again."""

    effect = (
        "the user pool does not invoke this module. The reconciliation syncs new users, and they get no welcome email"
    )

    def __init__(self, deployment: Deployment) -> None:
        self._functions = deployment.functions
        self._request = {
            "user_pool_id": deployment.user_pool_id,
            "function_arn": deployment.post_confirmation_function_arn,
        }
        self._name = _function(
            deployment,
            "pool-trigger",
            "attach_trigger is false, so this module does not manage the trigger: remove it in the configuration of the"
            " user pool",
        )

    def is_paused(self) -> bool:
        return self._since(self._environment()) is not None

    def pause(self) -> None:
        configuration = self._environment()
        # First of all, so that no reconciliation attaches the trigger again.
        if not self._since(configuration):
            self._change(configuration, {TRIGGER_PAUSED_SINCE: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        self._invoke("detach")

    def resume(self) -> str:
        configuration = self._environment()
        since = self._since(configuration)
        if since:
            self._change(configuration, {})
        next_step = (
            f"Users who signed up since {since} got no welcome email. To send it: cognito-user-sync welcome --since"
            f" {since}"
            if since
            else ""
        )
        try:
            self._invoke("attach")
        except PauseError as error:
            raise PauseError(f"{error}. Fix the cause, then: cognito-user-sync reconcile. {next_step}") from error
        return next_step

    def _environment(self) -> Mapping[str, Any]:
        configuration = self._functions.get_function_configuration(FunctionName=self._name)
        if error := configuration.get("Environment", {}).get("Error"):
            # Without permission to decrypt the variables, Lambda returns an error in place of them.
            raise DeploymentError(
                f"the environment of the function {self._name} cannot be read: {error.get('Message')}"
            )
        return configuration

    @staticmethod
    def _since(configuration: Mapping[str, Any]) -> str | None:
        since: str | None = configuration["Environment"]["Variables"].get(TRIGGER_PAUSED_SINCE)
        return since

    def _change(self, configuration: Mapping[str, Any], pause: Mapping[str, str]) -> None:
        deployed = {
            name: value
            for name, value in configuration["Environment"]["Variables"].items()
            if name != TRIGGER_PAUSED_SINCE
        }
        self._functions.update_function_configuration(
            FunctionName=self._name,
            Environment={"Variables": {**deployed, **pause}},
            # Lambda rejects the update if an apply has changed the function in the meantime.
            RevisionId=configuration["RevisionId"],
        )
        self._functions.get_waiter("function_updated_v2").wait(FunctionName=self._name)

    def _invoke(self, action: str) -> None:
        answer = self._functions.invoke(
            FunctionName=self._name, Payload=json.dumps({**self._request, "action": action}).encode()
        )
        if "FunctionError" in answer:
            error = json.load(answer["Payload"])
            raise PauseError(f"{action} failed: {error.get('errorMessage')}")


def _function(deployment: Deployment, short_name: str, reason_if_missing: str) -> str:
    """Return the name of a function. Raises DeploymentError."""
    arn = deployment.function_arns.get(short_name)
    if arn is None:
        raise DeploymentError(reason_if_missing)
    return arn.rpartition(":")[2]


_PARTS: Mapping[PartName, Callable[[Deployment], Part]] = {
    PartName.WELCOMES: _Welcomes,
    PartName.CHANGES: _Changes,
    PartName.USER_EVENTS: _UserEvents,
    PartName.RECONCILIATION: _Reconciliation,
    PartName.TRIGGER: _Trigger,
}


def part(deployment: Deployment, name: PartName) -> Part:
    """Return a part of the deployment. Raises DeploymentError if the deployment does not have it."""
    return _PARTS[name](deployment)


@dataclass(frozen=True)
class Pause:
    """A part that is paused, and what this causes."""

    part: str
    effect: str

    @property
    def problem(self) -> str:
        """What the pause causes, and the command that ends it."""
        return f"{self.part} paused: {self.effect}. To end the pause: cognito-user-sync resume {self.part}"


def list_pauses(deployment: Deployment) -> list[Pause]:
    """Return the parts that are paused. Raises what botocore raises."""
    found = []
    for name in PartName:
        try:
            each = part(deployment, name)
        except DeploymentError:
            continue
        # A missing resource is not paused. Another section of `status` reports it.
        if none_if_missing(each.is_paused):
            found.append(Pause(name, each.effect))
    return found


def _encoded(body: Any) -> str:
    """Encode as Terraform's jsonencode: without pauses, the dashboard is the one that Terraform created."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def show_on_dashboard(deployment: Deployment) -> list[Pause]:
    """Show the pauses on the dashboard, in its first text, and return them. Raises what botocore raises."""
    found = list_pauses(deployment)
    name = deployment.dashboard_url.rpartition("/")[2]
    body = json.loads(deployment.alarms.get_dashboard(DashboardName=name)["DashboardBody"])
    text = next(widget["properties"] for widget in body["widgets"] if widget["type"] == "text")
    lines = [line for line in text["markdown"].split("\n") if not line.startswith(_NOTE)]
    if found:
        names = ", ".join(each.part for each in found)
        shown_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        lines.insert(0, f"{_NOTE} {names}** (as of {shown_at}; current state: `cognito-user-sync status`)  ")
    text["markdown"] = "\n".join(lines)
    deployment.alarms.put_dashboard(DashboardName=name, DashboardBody=_encoded(body))
    return found
