"""A code that came by mail proves the address.

On AWS, ConfirmSignUp verifies the attribute that the code was sent to, which the pool must verify
automatically, and ConfirmForgotPassword verifies the one that it was sent to. ministack confirms the user and
verifies nothing. https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import cognito

from local_aws.emulator_mends.patching import expect


def apply() -> None:
    for name in ("_confirm_sign_up", "_confirm_forgot_password"):
        original = getattr(cognito, name)
        expect(original, 'user["UserStatus"] = "CONFIRMED"', 'user["UserLastModifiedDate"] = _now_epoch()')
        setattr(cognito, name, _verifying(original, always=name == "_confirm_forgot_password"))


def _verifying(confirm: Any, always: bool) -> Any:
    def mended(data: dict[str, Any]) -> Any:
        answer = confirm(data)
        if answer[0] == 200:
            pool, _ = cognito._pool_for_client(data.get("ClientId"))
            user, _ = cognito._resolve_user(pool, data.get("Username"))
            _verify(pool, user, always)
        return answer

    return mended


def _verify(pool: dict[str, Any], user: dict[str, Any], always: bool) -> None:
    attributes = {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}
    # ministack sends its codes by mail alone.
    if "email" in attributes and (always or "email" in (pool.get("AutoVerifiedAttributes") or [])):
        attributes["email_verified"] = "true"
        user["Attributes"] = [{"Name": name, "Value": value} for name, value in attributes.items()]
