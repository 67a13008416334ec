"""Operations of Cognito that ministack does not have: AdminDeleteUserAttributes and GetCSVHeader.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminDeleteUserAttributes.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetCSVHeader.html
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

from ministack.core.concurrency import run_reentrant
from ministack.services import cognito

from local_aws.emulator_patches.patching import EmulatorChangedError, expect

Json = dict[str, Any]


def apply() -> None:
    dispatch = cognito._dispatch_idp
    expect(dispatch, "return await run_reentrant(_run_idp_handler, handler, action, data,")
    for action in _HANDLERS:
        if f'"{action}"' in inspect.getsource(dispatch):
            raise EmulatorChangedError(f"it supports {action}")

    async def patched_dispatch(action: str, data: Json) -> Any:
        if action not in _HANDLERS:
            return await dispatch(action, data)
        handler = _HANDLERS[action]
        return await run_reentrant(cognito._run_idp_handler, handler, action, data, thread_name="local-aws-cognito")

    cognito._dispatch_idp = patched_dispatch


def _delete_user_attributes(data: Json) -> Any:
    pool, error = cognito._resolve_pool(data.get("UserPoolId"))
    user: Any = None
    if not error:
        user, error = cognito._resolve_user(pool, data.get("Username"))
    if error:
        return error
    names = data.get("UserAttributeNames", [])
    user["Attributes"] = [attribute for attribute in user["Attributes"] if attribute["Name"] not in names]
    user["UserLastModifiedDate"] = cognito._now_epoch()
    return cognito.json_response({})


def _get_csv_header(data: Json) -> Any:
    """Return the attributes of the schema, and the two columns that are no attributes."""
    pool, error = cognito._resolve_pool(data.get("UserPoolId"))
    if error:
        return error
    schema = cognito._ensure_schema_attributes(pool)["SchemaAttributes"]
    names = [each["Name"] for each in schema if each["Name"] not in {"sub", "identities"}]
    header = [*names, "cognito:mfa_enabled", "cognito:username"]
    return cognito.json_response({"UserPoolId": pool["Id"], "CSVHeader": header})


_HANDLERS: Final[dict[str, Callable[[Json], Any]]] = {
    "AdminDeleteUserAttributes": _delete_user_attributes,
    "GetCSVHeader": _get_csv_header,
}
