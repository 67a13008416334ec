"""A first sign-in through an identity provider: Cognito creates the user and invokes the triggers.

ministack creates such users in its own sign-in pages, which need a provider. This control endpoint needs none.
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-identity-federation.html
"""

from __future__ import annotations

import json
from typing import Any, Final

from ministack.core.responses import request_scope
from ministack.services import cognito

from local_aws import trigger_relay
from local_aws.service_errors import Response, json_error
from local_aws.trigger_relay import Pool

Json = dict[str, Any]
PATH: Final = "/_local/federated-sign-in"


def sign_in(
    user_pool_id: str,
    provider: str,
    subject: str,
    attributes: dict[str, str] | None = None,
    client_id: str | None = None,
) -> Response:
    """Create the user. Returns username and sub, or Cognito's error if a trigger fails.

    Raises:
        ValueError: The pool or the client does not exist, or the user does.
    """
    pool = trigger_relay.find_pool({"UserPoolId": user_pool_id})
    if pool is None:
        raise ValueError(f'user_pool_id "{user_pool_id}" is not a user pool here')
    clients = pool.settings["_clients"]
    client_id = client_id or next(iter(clients), "")
    if client_id not in clients:
        raise ValueError(f'client_id "{client_id}" is not an app client of {pool.id}')
    username = f"{provider}_{subject}"
    with request_scope(pool.account, pool.region):
        if username in pool.settings["_users"]:
            raise ValueError(f'the user "{username}" exists: this is for first sign-ins')
        try:
            user = _make(pool, client_id, username, dict(attributes or {}))
        except cognito._PreSignUpRejected as rejected:
            return json_error("UserLambdaValidationException", str(rejected))
        cognito._start_federated_profile(pool.settings, pool.id, user, provider, subject)
    names = {"UserPoolId": pool.id, "ClientId": client_id, "Username": username}
    if failed := trigger_relay.fire(trigger_relay.FEDERATED_SIGN_IN, names):
        return failed
    sub = cognito._attr_list_to_dict(user["Attributes"])["sub"]
    return 200, {"Content-Type": "application/json"}, json.dumps({"username": username, "sub": sub}).encode()


def _make(pool: Pool, client_id: str, username: str, attributes: dict[str, str]) -> Json:
    attributes = {**attributes, "sub": cognito.new_uuid()}
    for name in ("email", "phone_number"):
        if name in attributes:
            # Unless a claim of the provider is mapped to this attribute.
            attributes.setdefault(f"{name}_verified", "false")
    answer = cognito._apply_presignup_trigger(pool.id, client_id, username, dict(attributes))
    for name, verified in (("email", answer["autoVerifyEmail"]), ("phone_number", answer["autoVerifyPhone"])):
        if verified and name in attributes:
            attributes[f"{name}_verified"] = "true"
    now = cognito._now_epoch()
    user: Json = {
        "Username": username,
        "Attributes": cognito._dict_to_attr_list(attributes),
        "UserCreateDate": now,
        "UserLastModifiedDate": now,
        "Enabled": True,
        "UserStatus": "EXTERNAL_PROVIDER",
        "MFAOptions": [],
        "_password": "",
        "_groups": [],
        "_tokens": [],
    }
    pool.settings["_users"][username] = user
    return user
