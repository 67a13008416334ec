"""Attaches the post-confirmation trigger to the user pool, and detaches it. Terraform calls it; a person can, too."""

from __future__ import annotations

import logging
from typing import Any

import boto3
from botocore.config import Config

from cognito_user_sync.lambda_config import PoolTrigger

# PoolTrigger repeats calls itself, since an update may be repeated only together with the reading before it.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})

logger = logging.getLogger(__name__)


class InvalidRequest(Exception):
    """The event is not what this function takes; the message says why."""


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """{"action": "attach" | "detach", "user_pool_id", "function_arn", "chained_function_arn": null | "" | arn} in,
    {"action", "result"} out, where result is a sentence for a person.

    Terraform adds {"tf": {"action": "create" | "update" | "delete"}}: a detach then acts on delete alone, so that a
    resource which exists only to detach on destroy does nothing until then.
    Raises InvalidRequest, ForeignTrigger, PoolChanged, PoolUnproved, or what botocore raises: Terraform then fails,
    with the message.
    """
    if not isinstance(event, dict):
        raise InvalidRequest("the event is not an object")
    action = event.get("action")
    if action not in ("attach", "detach"):
        raise InvalidRequest(f"action {action!r} is neither attach nor detach")
    for name in ("user_pool_id", "function_arn"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidRequest(f"{name} is missing")
    chained = event.get("chained_function_arn") or None
    if chained is not None and not isinstance(chained, str):
        raise InvalidRequest("chained_function_arn is not text")
    terraform = event.get("tf", {})
    if not isinstance(terraform, dict):
        raise InvalidRequest("tf is not an object")
    if action == "detach" and terraform.get("action", "delete") != "delete":
        return {"action": action, "result": "will detach on destroy"}

    client = boto3.client("cognito-idp", config=_CONFIG)
    pool = PoolTrigger(client, event["user_pool_id"], lambda: context.get_remaining_time_in_millis() / 1000)
    act = pool.attach if action == "attach" else pool.detach
    result = act(event["function_arn"], chained)
    logger.info("pool trigger", extra={"action": action, "user_pool_id": pool.id, "result": result})
    return {"action": action, "result": result}
