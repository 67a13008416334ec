"""What an operator can pause, and whether it is paused: AWS's own settings, and no record beside them.

Each setting is one that Terraform manages, so a plan shows a pause as a change, and its apply ends the pause.
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
from cognito_user_sync_cli.aws_errors import unless_gone
from cognito_user_sync_cli.deployment import Deployment, NotDeployedError

_LOOKS, _PAUSE_SECONDS = 60, 1.0

# What the dashboard's line about pauses begins with.
_NOTE = "**PAUSED:"


class PartName(StrEnum):
    WELCOMES = "welcomes"
    CHANGES = "changes"
    RECONCILIATION = "reconciliation"
    TRIGGER = "trigger"


class SwitchError(Exception):
    """A part could not be paused or resumed; the message says why, and what to do."""


class Part(Protocol):
    effect: str
    """What happens while it is paused."""

    def is_paused(self) -> bool: ...

    def pause(self) -> None:
        """Raises SwitchError, or what botocore raises. Repeating it changes nothing."""

    def resume(self) -> str:
        """Returns what to do about what happened meanwhile. Raises SwitchError, or what botocore raises."""


class _Welcomes:
    """Reserved concurrency 0: Step Functions gets Lambda.TooManyRequestsException, which it retries."""

    effect = (
        "users are synced and get no welcome email. Executions retry SendWelcome for 12 hours and then fail. No email"
        " is lost if they are redriven within 14 days"
    )

    def __init__(self, deployment: Deployment) -> None:
        self._functions = deployment.functions
        self._name = _function(
            deployment,
            "send-welcome",
            "welcome_email is null, so no welcome email is sent: there is nothing to pause or resume",
        )

    def is_paused(self) -> bool:
        reserved = self._functions.get_function_concurrency(FunctionName=self._name)
        return reserved.get("ReservedConcurrentExecutions") == 0

    def pause(self) -> None:
        self._functions.put_function_concurrency(FunctionName=self._name, ReservedConcurrentExecutions=0)

    def resume(self) -> str:
        self._functions.delete_function_concurrency(FunctionName=self._name)
        return "Executions that wait go on within 8 minutes. For those that failed: cognito-user-sync failures redrive"


class _Changes:
    """The event source mapping disabled."""

    effect = (
        "changes of users wait in their queue, each for at most 14 days. The reconciliation still syncs these users"
    )

    def __init__(self, deployment: Deployment) -> None:
        self._functions = deployment.functions
        self._name = _function(
            deployment,
            "sync-changes",
            "track_changes is false, so no changes are tracked: there is nothing to pause or resume",
        )

    def is_paused(self) -> bool:
        found = self._functions.list_event_source_mappings(FunctionName=self._name)["EventSourceMappings"]
        return any(mapping["State"] in ("Disabling", "Disabled") for mapping in found)

    def pause(self) -> None:
        self._become("Disabled")

    def resume(self) -> str:
        self._become("Enabled")
        return "Changes that waited are synced now. If some waited for more than 14 days: cognito-user-sync reconcile"

    def _mapping(self) -> Mapping[str, Any]:
        found = self._functions.list_event_source_mappings(FunctionName=self._name)["EventSourceMappings"]
        if not found:
            raise NotDeployedError(f"the function {self._name} has no event source mapping: apply the module again")
        return found[0]

    def _become(self, state: str) -> None:
        mapping = self._mapping()
        for _ in range(_LOOKS):
            # One that changes takes no update.
            if mapping["State"] in {"Enabled", "Disabled"} - {state}:
                mapping = self._functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=state == "Enabled")
            if mapping["State"] == state:
                return
            time.sleep(_PAUSE_SECONDS)
            mapping = self._mapping()
        raise SwitchError(f"the event source mapping of {self._name} is still {mapping['State']}: repeat this command")


class _Reconciliation:
    """The schedule disabled."""

    effect = (
        "the schedule starts no run. A run that goes on is not stopped, cognito-user-sync reconcile still starts one,"
        " and the alarm reconciliation-overdue may fire"
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
        return "The next run is at its time in the schedule. To start one now: cognito-user-sync reconcile"

    def _set(self, state: str) -> None:
        try:
            schedule: dict[str, Any] = dict(self._scheduler.get_schedule(Name=self._name))
        except self._scheduler.exceptions.ResourceNotFoundException:
            raise NotDeployedError(
                f"there is no schedule {self._name}, since reconciliation.enabled is false, or"
                ' reconciliation.schedule is "none": there is nothing to pause or resume'
            ) from None
        # UpdateSchedule resets each setting that it is not given.
        for fact in ("Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"):
            schedule.pop(fact, None)
        self._scheduler.update_schedule(**{**schedule, "State": state})


class _Trigger:
    """Detached, and an environment variable of pool-trigger, with which the function does not attach it again."""

    effect = (
        "the user pool does not invoke this module. Users who sign up are synced by the reconciliation, and get no"
        " welcome email"
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
            "attach_trigger is false, so this module does not attach the trigger: remove it in the pool's"
            " configuration",
        )

    def is_paused(self) -> bool:
        return self._since(self._environment()) is not None

    def pause(self) -> None:
        configuration = self._environment()
        # First of all, so that no reconciliation attaches it again.
        if not self._since(configuration):
            self._change(configuration, {TRIGGER_PAUSED_SINCE: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"})
        self._invoke("detach")

    def resume(self) -> str:
        configuration = self._environment()
        since = self._since(configuration)
        if since:
            self._change(configuration, {})
        missed = (
            f"Users who have signed up since {since} were not welcomed: cognito-user-sync welcome --since {since}"
            if since
            else ""
        )
        try:
            self._invoke("attach")
        except SwitchError as error:
            raise SwitchError(f"{error}. Then: cognito-user-sync reconcile. {missed}") from error
        return missed

    def _environment(self) -> Mapping[str, Any]:
        configuration = self._functions.get_function_configuration(FunctionName=self._name)
        if error := configuration.get("Environment", {}).get("Error"):
            # Lambda leaves the variables out if the caller may not decrypt them.
            raise NotDeployedError(
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
            # Rejected if an apply has changed the function since it was read.
            RevisionId=configuration["RevisionId"],
        )
        self._functions.get_waiter("function_updated_v2").wait(FunctionName=self._name)

    def _invoke(self, action: str) -> None:
        answer = self._functions.invoke(
            FunctionName=self._name, Payload=json.dumps({**self._request, "action": action}).encode()
        )
        if "FunctionError" in answer:
            error = json.load(answer["Payload"])
            raise SwitchError(f"{action} failed: {error.get('errorMessage')}")


def _function(deployment: Deployment, short_name: str, why_none: str) -> str:
    """The name of a function. Raises NotDeployedError."""
    arn = deployment.function_arns.get(short_name)
    if arn is None:
        raise NotDeployedError(why_none)
    return arn.rpartition(":")[2]


_PARTS: Mapping[PartName, Callable[[Deployment], Part]] = {
    PartName.WELCOMES: _Welcomes,
    PartName.CHANGES: _Changes,
    PartName.RECONCILIATION: _Reconciliation,
    PartName.TRIGGER: _Trigger,
}


def part(deployment: Deployment, name: PartName) -> Part:
    """Raises NotDeployedError where the deployment has no such part."""
    return _PARTS[name](deployment)


@dataclass(frozen=True)
class Pause:
    part: str
    effect: str

    @property
    def problem(self) -> str:
        """What it means, and what to type."""
        return f"{self.part} paused: {self.effect}. To end it: cognito-user-sync resume {self.part}"


def pauses(deployment: Deployment) -> list[Pause]:
    """What is paused. Raises what botocore raises."""
    found = []
    for name in PartName:
        try:
            each = part(deployment, name)
        except NotDeployedError:
            continue
        # What does not exist is not paused: `status` names it.
        if unless_gone(each.is_paused):
            found.append(Pause(name, each.effect))
    return found


def _encoded(body: Any) -> str:
    """As Terraform's jsonencode does it: without pauses, the dashboard is the one that Terraform made."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def show_on_dashboard(deployment: Deployment) -> list[Pause]:
    """Say on the dashboard what is paused, in its first text. Raises what botocore raises. Returns what is paused."""
    found = pauses(deployment)
    name = deployment.dashboard_url.rpartition("/")[2]
    body = json.loads(deployment.alarms.get_dashboard(DashboardName=name)["DashboardBody"])
    text = next(widget["properties"] for widget in body["widgets"] if widget["type"] == "text")
    lines = [line for line in text["markdown"].split("\n") if not line.startswith(_NOTE)]
    if found:
        names = ", ".join(each.part for each in found)
        said_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        lines.insert(0, f"{_NOTE} {names}** (as of {said_at}; for the present state, `cognito-user-sync status`)  ")
    text["markdown"] = "\n".join(lines)
    deployment.alarms.put_dashboard(DashboardName=name, DashboardBody=_encoded(body))
    return found
