"""Attaches the post-confirmation trigger to the user pool, and detaches it.

Terraform, a schedule, the reconciliation and operators invoke it. The environment variables name the pool and the
functions, so the permission to invoke it does not allow attaching another function.
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

# PoolTrigger retries calls itself: an update must be retried together with the read before it.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})
# A cold start, and 5 s of post_confirmation.
_POST_CONFIRMATION_CONFIG = Config(
    connect_timeout=3, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3}
)

# The schedule checks the trigger every 15 minutes. It can be missing for longer if checks failed, or during a pause.
_MISSING_AT_MOST = timedelta(days=1)

logger = logging.getLogger(__name__)


class TriggerMissingError(Exception):
    """`ensure` had to attach the trigger. The message has the command that sends the missing welcome emails."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Attach, detach or ensure the trigger. Terraform fails with the message of an error.

    `attach` first verifies that post_confirmation may invoke the chained function (chained_function.py). `ensure`
    attaches a trigger that should be attached. If it was missing, users got no welcome email. So the function then
    fails with TriggerMissingError, which an alarm counts and the reconciliation reports. While an operator has paused
    the trigger, both change nothing.

    Args:
        event: {"action": "attach" | "detach" | "ensure", "user_pool_id", "function_arn", "chained_function_arn"}, with
            the values of the environment variables. The chained function may be missing, and it is in the module's own
            events: Terraform's destroy sends the event of the last successful apply, which may be older than the
            environment variables. Terraform adds {"tf": {"action": "create" | "update" | "delete"}}. Its detach acts
            only on delete.
        context: Lambda's context.

    Returns:
        {"action", "result": what was done, in words}

    Raises:
        InvalidEventError, ChainedFunctionUnavailableError, TriggerMissingError, botocore's errors, and those of
        PoolTrigger.
    """
    action, terraform_action, deployed = _request(event)
    if action == "detach" and terraform_action != "delete":
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
    """Return the event's action, Terraform's action, and the pool and functions. Raises InvalidEventError."""
    if not isinstance(event, dict):
        raise InvalidEventError(f"the event is not an object but a {type(event).__name__}")
    action = event.get("action")
    if action not in ("attach", "detach", "ensure"):
        raise InvalidEventError(f"action is {action!r:.200}: it must be attach, detach or ensure")
    for name in ("user_pool_id", "function_arn"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidEventError(f"{name} is missing")
    terraform = event.get("tf", {})
    if not isinstance(terraform, dict):
        raise InvalidEventError("tf is not an object")
    deployed = settings.pool_trigger()
    for name, expected in asdict(deployed).items():
        requested = event.get(name, expected)
        if requested not in (expected, expected or ""):
            raise InvalidEventError(f"{name} is {requested!r:.200}: it must be {expected!r}, that of this deployment")
    return action, terraform.get("action", "delete"), deployed


def _missing(user_pool_id: str, result: str) -> TriggerMissingError:
    since = datetime.now(UTC) - _MISSING_AT_MOST
    logger.error(
        "trigger was missing", extra={"error": "TriggerMissingError", "user_pool_id": user_pool_id, "result": result}
    )
    return TriggerMissingError(
        f"the post-confirmation trigger of user pool {user_pool_id} was missing; now it is {result}. Users who signed"
        f" up without it got no welcome email. To send the emails of the last day: cognito-user-sync welcome --since"
        f" {since:%Y-%m-%dT%H:%M}"
    )
