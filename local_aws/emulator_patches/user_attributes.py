"""The calls on a user's attributes that ministack lacks: deleting them, and proving an address by a code.

On AWS, GetUserAttributeVerificationCode sends a code and VerifyUserAttribute takes it. ministack answers
these with InvalidAction. As with its other codes, the one of the laptop is always the same.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_VerifyUserAttribute.html
"""

from __future__ import annotations

import inspect
from typing import Any, Final

from ministack.core.concurrency import run_reentrant
from ministack.services import cognito

from local_aws.emulator_patches.patching import EmulatorChangedError, expect

Json = dict[str, Any]
CODE: Final = "123456"
_VERIFIABLE: Final = ("email", "phone_number")


def apply() -> None:
    dispatch = cognito._dispatch_idp
    expect(dispatch, "return await run_reentrant(_run_idp_handler, handler, action, data,")
    for action in _HANDLERS:
        if f'"{action}"' in inspect.getsource(dispatch):
            raise EmulatorChangedError(f"it answers {action} itself")

    async def mended_dispatch(action: str, data: Json) -> Any:
        handler = _HANDLERS.get(action)
        if handler is None:
            return await dispatch(action, data)
        return await run_reentrant(cognito._run_idp_handler, handler, action, data, thread_name="local-aws-cognito")

    cognito._dispatch_idp = mended_dispatch
    cognito._UNSIGNED_IDP_ACTIONS.update(action for action in _HANDLERS if not action.startswith("Admin"))


def _admin_delete_user_attributes(data: Json) -> Any:
    pool, error = cognito._resolve_pool(data.get("UserPoolId"))
    user = None
    if not error:
        user, error = cognito._resolve_user(pool, data.get("Username"))
    return error or _delete(user, data)


def _delete_user_attributes(data: Json) -> Any:
    user, error = _signed_in(data)
    return error or _delete(user, data)


def _delete(user: Any, data: Json) -> Any:
    names = data.get("UserAttributeNames", [])
    user["Attributes"] = [attribute for attribute in user["Attributes"] if attribute["Name"] not in names]
    user["UserLastModifiedDate"] = cognito._now_epoch()
    return cognito.json_response({})


def _get_user_attribute_verification_code(data: Json) -> Any:
    user, error = _signed_in(data)
    if error:
        return error
    name = data.get("AttributeName")
    address = _values(user).get(name or "")
    if name not in _VERIFIABLE or address is None:
        return _invalid(f"User does not have the attribute {name} to verify.")
    user.setdefault("_attribute_codes", {})[name] = CODE
    medium = "EMAIL" if name == "email" else "SMS"
    return cognito.json_response(
        {
            "CodeDeliveryDetails": {
                "AttributeName": name,
                "DeliveryMedium": medium,
                "Destination": cognito._masked_destination(address),
            }
        }
    )


def _verify_user_attribute(data: Json) -> Any:
    user, error = _signed_in(data)
    if error:
        return error
    name = data.get("AttributeName")
    refused = cognito._code_error(user.get("_attribute_codes", {}).get(name), data.get("Code"))
    if refused:
        return refused
    del user["_attribute_codes"][name]
    values = {**_values(user), f"{name}_verified": "true"}
    user["Attributes"] = [{"Name": key, "Value": value} for key, value in values.items()]
    user["UserLastModifiedDate"] = cognito._now_epoch()
    return cognito.json_response({})


def _signed_in(data: Json) -> tuple[Any, Any]:
    user, _ = cognito._user_pool_for_access_token(data.get("AccessToken", ""))
    refused = cognito.error_response_json("NotAuthorizedException", "Invalid Access Token", 400)
    return (user, None) if user else (None, refused)


def _values(user: Json) -> dict[str, str]:
    return {attribute["Name"]: attribute["Value"] for attribute in user["Attributes"]}


def _invalid(message: str) -> Any:
    return cognito.error_response_json("InvalidParameterException", message, 400)


_HANDLERS: Final = {
    "AdminDeleteUserAttributes": _admin_delete_user_attributes,
    "DeleteUserAttributes": _delete_user_attributes,
    "GetUserAttributeVerificationCode": _get_user_attribute_verification_code,
    "VerifyUserAttribute": _verify_user_attribute,
}
