"""AdminDeleteUserAttributes, which ministack does not have.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminDeleteUserAttributes.html
"""

from __future__ import annotations

import inspect
from typing import Any, Final

from ministack.core.concurrency import run_reentrant
from ministack.services import cognito

from local_aws.emulator_patches.patching import EmulatorChangedError, expect

Json = dict[str, Any]
_ACTION: Final = "AdminDeleteUserAttributes"


def apply() -> None:
    dispatch = cognito._dispatch_idp
    expect(dispatch, "return await run_reentrant(_run_idp_handler, handler, action, data,")
    if f'"{_ACTION}"' in inspect.getsource(dispatch):
        raise EmulatorChangedError(f"it supports {_ACTION}")

    async def patched_dispatch(action: str, data: Json) -> Any:
        if action != _ACTION:
            return await dispatch(action, data)
        return await run_reentrant(cognito._run_idp_handler, _delete, action, data, thread_name="local-aws-cognito")

    cognito._dispatch_idp = patched_dispatch


def _delete(data: Json) -> Any:
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
