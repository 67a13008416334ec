"""UpdateUserPool resets omitted settings, and needs the pool's SMS role. DescribeUserPool may have a delay.

On AWS, a setting that is not in the request is reset to its default. ministack keeps it, which would hide that an
existing pool is reset. The tier, the tags and deletion protection are kept here, too: AWS does not document them. AWS
rejects an update with an SMS role that does not exist.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import copy
import functools
import time
from typing import Any, Final

from ministack.services import cognito, iam

from local_aws import cognito_settings
from local_aws.emulator_patches.patching import expect

Json = dict[str, Any]
# The defaults of a new pool. None: a new pool does not have this setting.
_DEFAULTS: Final[Json] = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "TemporaryPasswordValidityDays": 7,
        }
    },
    "AutoVerifiedAttributes": [],
    "SmsVerificationMessage": "",
    "EmailVerificationMessage": "",
    "EmailVerificationSubject": "",
    "SmsAuthenticationMessage": "",
    "MfaConfiguration": "OFF",
    "EmailConfiguration": {},
    "SmsConfiguration": {},
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False, "UnusedAccountValidityDays": 7},
    "AccountRecoverySetting": {},
    "LambdaConfig": {},
    "DeviceConfiguration": None,
    "UserPoolAddOns": None,
    "VerificationMessageTemplate": None,
    "UserAttributeUpdateSettings": None,
}


def apply() -> None:
    update, describe = cognito._update_user_pool, cognito._describe_user_pool
    expect(describe, 'json_response({"UserPool": _pool_out(pool)})')
    expect(update, '"AccountRecoverySetting", "LambdaConfig",', "for k in updatable:\n        if k in data:")

    def patched_update(data: Json) -> Any:
        if _names_both_validities(data):
            return cognito.error_response_json(
                "InvalidParameterException",
                "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays",
                400,
            )
        if _sms_role_is_missing(data):
            return cognito.error_response_json(
                "InvalidSmsRoleTrustRelationshipException",
                "Role does not have a trust relationship allowing Cognito to assume the role",
                400,
            )
        before = describe(data)
        answer = update(data)
        if answer[0] == 200:
            pool = cognito._user_pools[data["UserPoolId"]]
            if cognito_settings.in_force.current.description_delay_seconds:
                pool["_before_update"] = (time.monotonic(), before)
            for name, default in _DEFAULTS.items():
                if name not in data:
                    _reset(pool, name, default)
            pool["Name"] = data.get("PoolName", pool["Name"])
        return answer

    @functools.wraps(describe)  # for `expect` in user_listing.py, which also patches it
    def describe_as_before(data: Json) -> Any:
        updated_at, before = cognito._user_pools.get(data.get("UserPoolId"), {}).get("_before_update", (0.0, None))
        if before and time.monotonic() - updated_at < cognito_settings.in_force.current.description_delay_seconds:
            return before
        return describe(data)

    cognito._update_user_pool = patched_update
    cognito._describe_user_pool = describe_as_before


def _sms_role_is_missing(data: Json) -> bool:
    role: str = (data.get("SmsConfiguration") or {}).get("SnsCallerArn", "")
    return bool(role) and role.rpartition("/")[2] not in iam._roles


def _names_both_validities(data: Json) -> bool:
    password = (data.get("Policies") or {}).get("PasswordPolicy") or {}
    unused = (data.get("AdminCreateUserConfig") or {}).get("UnusedAccountValidityDays")
    return "TemporaryPasswordValidityDays" in password and unused is not None


def _reset(pool: Json, name: str, default: Any) -> None:
    if default is None:
        pool.pop(name, None)
    elif name == "EmailConfiguration":
        pool[name] = cognito._email_configuration_out({})
    else:
        pool[name] = copy.deepcopy(default)
