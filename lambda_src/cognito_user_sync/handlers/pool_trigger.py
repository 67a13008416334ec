"""Attaches the post-confirmation trigger to the user pool, and detaches it.

Terraform, a schedule and the reconciliation invoke it, and an operator can. The environment names the pool and the
functions: the permission to invoke it is not the permission to give the pool's sign-ups to another function.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config

from cognito_user_sync import chained_function, settings
from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.pool_trigger import ATTACHED_ALREADY, PoolTrigger

# PoolTrigger repeats calls itself, since an update may be repeated only together with the reading before it.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
# post_confirmation may take 5 s, and has to be started.
_POST_CONFIRMATION_CONFIG = Config(
    connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3}
)

# The schedule checks the trigger every 15 minutes. It is missing for longer only if checks failed, or during a pause.
_MISSING_AT_MOST = timedelta(days=1)

logger = logging.getLogger(__name__)


class TriggerMissingError(Exception):
    """`ensure` had to attach the trigger; the message says what to do about the users who signed up meanwhile."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """{"action": "attach" | "detach" | "ensure", "user_pool_id", "function_arn", "chained_function_arn": null | "" |
    arn} in, {"action", "result"} out, where result is a sentence for a person.

    The event must name the pool and the functions that the environment names. One without chained_function_arn is
    for the chained function of the environment: so are the module's own, since Terraform's destroy sends the event of
    the last apply, which may be older than the environment if a later apply failed half-way.
    Terraform adds {"tf": {"action": "create" | "update" | "delete"}}: a detach then acts on delete alone, so that a
    resource which exists only to detach on destroy does nothing until then.
    `ensure` attaches a trigger that should be attached already. If it was missing, users were not welcomed, so this is
    an error of the function after it was attached: TriggerMissingError. An alarm counts it, and the reconciliation
    reports it.
    While an operator has paused the trigger, attach and ensure change nothing, and the result says since when. Attach
    first has post_confirmation try to invoke the chained function (chained_function.py), if there is one.
    Raises InvalidEventError, ChainedFunctionUnavailableError, ForeignTriggerError, UpdateRejectedError,
    PoolChangedError, PoolUnverifiedError, or what botocore raises: Terraform then fails with the message.
    """
    action, of_terraform, deployed = _request(event)
    if action == "detach" and of_terraform != "delete":
        return {"action": action, "result": "will detach on destroy"}

    client = boto3.client("cognito-idp", config=_CONFIG)
    pool = PoolTrigger(client, deployed.user_pool_id, lambda: context.get_remaining_time_in_millis() / 1000)
    paused_since = settings.trigger_paused_since()
    if action == "detach":
        result = pool.detach(deployed.function_arn, deployed.chained_function_arn)
    elif paused_since:
        result = f"not attached: paused since {paused_since}"
    else:
        if action == "attach" and deployed.chained_function_arn:
            functions = boto3.client("lambda", config=_POST_CONFIRMATION_CONFIG)
            chained_function.verify(functions, deployed.function_arn, deployed.chained_function_arn, pool.seconds_left)
        result = pool.attach(deployed.function_arn, deployed.chained_function_arn)
    logger.info("pool trigger", extra={"action": action, "user_pool_id": pool.id, "result": result})
    if action == "ensure" and not paused_since and result != ATTACHED_ALREADY:
        raise _missing(pool.id, result)
    return {"action": action, "result": result}


def _request(event: Any) -> tuple[str, str, settings.PoolTriggerSettings]:
    """Return the event's action, Terraform's, and what both are for. Raises InvalidEventError."""
    if not isinstance(event, dict):
        raise InvalidEventError("the event is not an object")
    action = event.get("action")
    if action not in ("attach", "detach", "ensure"):
        raise InvalidEventError(f"action {action!r} is not attach, detach or ensure")
    for name in ("user_pool_id", "function_arn"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidEventError(f"{name} is missing")
    terraform = event.get("tf", {})
    if not isinstance(terraform, dict):
        raise InvalidEventError("tf is not an object")
    deployed = settings.pool_trigger()
    for name, expected in asdict(deployed).items():
        named = event.get(name, expected)
        if named not in (expected, expected or ""):
            raise InvalidEventError(f"{name} is not this deployment's: it is {named!r:.200}, and must be {expected!r}")
    return action, terraform.get("action", "delete"), deployed


def _missing(user_pool_id: str, result: str) -> TriggerMissingError:
    since = datetime.now(UTC) - _MISSING_AT_MOST
    logger.error(
        "trigger was missing", extra={"error": "TriggerMissingError", "user_pool_id": user_pool_id, "result": result}
    )
    return TriggerMissingError(
        f"the post-confirmation trigger of user pool {user_pool_id} was missing; now it is {result}. Users who signed"
        f" up meanwhile were not welcomed. For those of the last day: cognito-user-sync welcome --since"
        f" {since:%Y-%m-%dT%H:%M}"
    )
