"""UpdateUserPool resets what a request leaves out.

On AWS, a setting that the request does not name goes back to its default; ministack keeps it, and so would hide that
somebody else's pool is being reset. Left alone here: the tier, the tags and deletion protection, whose behaviour AWS
does not document.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import copy
from typing import Any, Final

from ministack.services import cognito

from local_aws.emulator_mends.patching import expect

Json = dict[str, Any]
# The defaults of a new pool; None: a setting that a new pool does not have.
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
    update = cognito._update_user_pool
    expect(update, '"AccountRecoverySetting", "LambdaConfig",', "for k in updatable:\n        if k in data:")

    def mended_update(data: Json) -> Any:
        if _names_both_validities(data):
            return cognito.error_response_json(
                "InvalidParameterException",
                "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of UnusedAccountValidityDays",
                400,
            )
        answer = update(data)
        if answer[0] == 200:
            pool = cognito._user_pools[data["UserPoolId"]]
            for name, default in _DEFAULTS.items():
                if name not in data:
                    _reset(pool, name, default)
            pool["Name"] = data.get("PoolName", pool["Name"])
        return answer

    cognito._update_user_pool = mended_update


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
