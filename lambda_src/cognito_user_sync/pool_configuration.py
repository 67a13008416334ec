"""The configuration of a user pool, as the requests that would leave the pool unchanged.

A configuration has a request for each operation: {"UpdateUserPool": {...}, "SetUserPoolMfaConfig": {...}}.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]
"""Path of a setting: ("UpdateUserPool", "Policies", "PasswordPolicy", "MinimumLength")."""

TRIGGER: Path = ("UpdateUserPool", "LambdaConfig", "PostConfirmation")

# Members in the response of DescribeUserPool that UpdateUserPool does not take: facts about the pool, not settings.
NOT_SETTINGS = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",  # sent as PoolName
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)


def from_responses(user_pool_id: str, pool: Json, mfa: Json) -> Json:
    """Return the configuration in responses of DescribeUserPool and GetUserPoolMfaConfig."""
    return {
        "UpdateUserPool": _update_request(user_pool_id, pool),
        "SetUserPoolMfaConfig": {"UserPoolId": user_pool_id, **mfa},
    }


def _update_request(user_pool_id: str, pool: Json) -> Json:
    request = {name: value for name, value in pool.items() if name not in NOT_SETTINGS}
    request["UserPoolId"] = user_pool_id
    request["PoolName"] = pool["Name"]
    # Two names of one setting. Cognito rejects both together, and the old one if the new one exists:
    # "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays".
    unused_days = request.get("AdminCreateUserConfig", {}).pop("UnusedAccountValidityDays", None)
    if unused_days is not None:
        policy = request.setdefault("Policies", {}).setdefault("PasswordPolicy", {})
        policy.setdefault("TemporaryPasswordValidityDays", unused_days)
    # Tags of AWS, such as CloudFormation's: a request must not have them, and they stay without it.
    if "UserPoolTags" in request:
        request["UserPoolTags"] = {
            name: value for name, value in request["UserPoolTags"].items() if not name.lower().startswith("aws:")
        }
    return request


def trigger_of(configuration: Json) -> str | None:
    """Return the ARN of the post-confirmation trigger."""
    trigger: str | None = configuration["UpdateUserPool"].get("LambdaConfig", {}).get("PostConfirmation")
    return trigger


def with_trigger(configuration: Json, trigger: str | None) -> Json:
    """Return the configuration with another post-confirmation trigger, or with none."""
    changed = copy.deepcopy(configuration)
    triggers = changed["UpdateUserPool"].setdefault("LambdaConfig", {})
    triggers.pop("PostConfirmation", None)
    if trigger is not None:
        triggers["PostConfirmation"] = trigger
    return changed


def settings_by_path(configuration: Json) -> dict[Path, Any]:
    """Return all settings. A list is one setting. Null, an empty object and an empty list are none."""
    return _flat(configuration, ())


def _flat(value: Any, path: Path) -> dict[Path, Any]:
    if not isinstance(value, dict):
        return {} if value in (None, []) else {path: value}
    return {inner: found for name in value for inner, found in _flat(value[name], (*path, name)).items()}


def with_missing(configuration: Json, settings: Mapping[Path, Any]) -> Json:
    """Return the configuration with those of `settings` that it lacks."""
    changed = copy.deepcopy(configuration)
    for path in settings.keys() - settings_by_path(configuration).keys():
        _add(changed, path, settings[path])
    return changed


def _add(target: Any, path: Path, value: Any) -> None:
    """Add a setting, unless a parent of it is not an object any more."""
    for name in path[:-1]:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            return
    target[path[-1]] = value


def without(request: Any, path: Path) -> Any:
    """Return a request without a setting, or the same request if it lacks the setting."""
    name, *inner = path
    if not isinstance(request, dict) or name not in request:
        return request
    if not inner:
        return {other: value for other, value in request.items() if other != name}
    return {**request, name: without(request[name], tuple(inner))}


def without_mfa_factors(request: Json) -> Json:
    """Return a request of SetUserPoolMfaConfig without factors such as SmsMfaConfiguration."""
    return {
        name: value
        for name, value in request.items()
        if name == "MfaConfiguration" or not name.endswith("MfaConfiguration")
    }
