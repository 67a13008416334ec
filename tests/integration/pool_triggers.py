"""Helpers that read and set the post-confirmation trigger of a pool as its owner does."""

from __future__ import annotations

import json
from typing import Any

from tests.deployed import Pool

# A function of the pool's owner, for triggers whose response no test reads.
ANY_TRIGGER = "def handler(event, context):\n    return event\n"


def trigger_of(pool: Pool) -> str | None:
    triggers = pool.configuration()["pool"].get("LambdaConfig", {})
    found: str | None = triggers.get("PostConfirmation")
    return found


def set_trigger(pool: Pool, function_arn: str | None, **changed: Any) -> None:
    """Set the trigger and other settings as the pool's owner does."""
    described = pool.cognito.describe_user_pool(UserPoolId=pool.id)["UserPool"]
    triggers = {**described["LambdaConfig"], "PostConfirmation": function_arn}
    settings = {
        name: described[name] for name in ("AutoVerifiedAttributes", "Policies", "MfaConfiguration", "UserPoolTags")
    }
    pool.cognito.update_user_pool(
        UserPoolId=pool.id,
        LambdaConfig={name: arn for name, arn in triggers.items() if arn},
        EmailVerificationSubject=described["EmailVerificationSubject"],
        EmailVerificationMessage=described["EmailVerificationMessage"],
        **settings | changed,
    )


def with_trigger(configuration: dict[str, Any], function_arn: str | None) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(configuration, default=str))
    changed["pool"]["LambdaConfig"].pop("PostConfirmation", None)
    if function_arn:
        changed["pool"]["LambdaConfig"]["PostConfirmation"] = function_arn
    return changed


def configuration_of(pool: Pool) -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(json.dumps(pool.configuration(), default=str))
    return configuration
