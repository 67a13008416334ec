"""Codes verify the address that they were sent to. If so configured, AdminGetUser shows confirmations with a delay.

On AWS, ConfirmSignUp verifies the attribute that the code was sent to, if the pool verifies it automatically.
ConfirmForgotPassword always does. ministack confirms the user and verifies nothing. https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
"""

from __future__ import annotations

import json
import time
from typing import Any

from ministack.services import cognito

from local_aws import cognito_settings
from local_aws.emulator_patches.patching import expect


def apply() -> None:
    for name in ("_confirm_sign_up", "_confirm_forgot_password"):
        original = getattr(cognito, name)
        expect(original, 'user["UserStatus"] = "CONFIRMED"', 'user["UserLastModifiedDate"] = _now_epoch()')
        setattr(cognito, name, _verifying(original, always=name == "_confirm_forgot_password"))
    _delay_confirmations()


def _delay_confirmations() -> None:
    confirm, get = cognito._confirm_sign_up, cognito._admin_get_user
    expect(get, "out = _user_out(user)", 'out["UserAttributes"] = out.pop("Attributes", [])')

    def confirm_remembering(data: dict[str, Any]) -> Any:
        pool, _ = cognito._pool_for_client(data.get("ClientId"))
        user, _ = cognito._resolve_user(pool, data.get("Username")) if pool else (None, None)
        before = json.loads(json.dumps(cognito._user_out(user))) if user else None
        answer = confirm(data)
        if answer[0] == 200 and user:
            user["_before_confirmation"] = (time.monotonic(), before)
        return answer

    def get_as_before(data: dict[str, Any]) -> Any:
        answer = get(data)
        pool, _ = cognito._resolve_pool(data.get("UserPoolId"))
        user, _ = cognito._resolve_user(pool, data.get("Username")) if pool else (None, None)
        confirmed_at, before = (user or {}).get("_before_confirmation", (0.0, None))
        if before and time.monotonic() - confirmed_at < cognito_settings.in_force.current.confirmation_delay_seconds:
            shown = dict(before)
            return cognito.json_response({**shown, "UserAttributes": shown.pop("Attributes")})
        return answer

    cognito._confirm_sign_up = confirm_remembering
    cognito._admin_get_user = get_as_before


def _verifying(confirm: Any, always: bool) -> Any:
    def patched(data: dict[str, Any]) -> Any:
        answer = confirm(data)
        if answer[0] == 200:
            pool, _ = cognito._pool_for_client(data.get("ClientId"))
            user, _ = cognito._resolve_user(pool, data.get("Username"))
            _verify(pool, user, always)
        return answer

    return patched


def _verify(pool: dict[str, Any], user: dict[str, Any], always: bool) -> None:
    attributes = {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}
    # ministack sends its codes by email only.
    if "email" in attributes and (always or "email" in (pool.get("AutoVerifiedAttributes") or [])):
        attributes["email_verified"] = "true"
        user["Attributes"] = [{"Name": name, "Value": value} for name, value in attributes.items()]
