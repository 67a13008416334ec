"""A first sign-in through an identity provider: Cognito makes the user and fires the triggers.

ministack makes such users in its own sign-in pages, which need a provider. This control endpoint needs none.
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
from local_aws.validation import InvalidSettingError, known_keys, shown

Json = dict[str, Any]
PATH: Final = "/_local/federated-sign-in"
_REQUIRED: Final = ("user_pool_id", "provider", "subject")
_ALLOWED: Final = (*_REQUIRED, "client_id", "attributes")


def sign_in(value: object) -> Response:
    """Make the user, and return username and sub; or the error that Cognito shows if a trigger fails.

    Raises:
        InvalidSettingError: The value is not a sign-in, or the user exists.
    """
    data = _checked(value)
    pool = trigger_relay.find_pool({"UserPoolId": data["user_pool_id"]})
    if pool is None:
        raise InvalidSettingError(f"user_pool_id {shown(data['user_pool_id'])} is no user pool here")
    clients = pool.settings["_clients"]
    client_id = data.get("client_id") or next(iter(clients), "")
    if client_id not in clients:
        raise InvalidSettingError(f"client_id {shown(client_id)} is no app client of {pool.id}")
    username = f"{data['provider']}_{data['subject']}"
    with request_scope(pool.account, pool.region):
        if username in pool.settings["_users"]:
            raise InvalidSettingError(f"{shown(username)} exists already: this is for first sign-ins")
        try:
            user = _make(pool, client_id, username, data)
        except cognito._PreSignUpRejected as rejected:
            return json_error("UserLambdaValidationException", str(rejected))
    names = {"UserPoolId": pool.id, "ClientId": client_id, "Username": username}
    if failed := trigger_relay.fire(trigger_relay.FEDERATED_SIGN_IN, names):
        return failed
    sub = cognito._attr_list_to_dict(user["Attributes"])["sub"]
    return 200, {"Content-Type": "application/json"}, json.dumps({"username": username, "sub": sub}).encode()


def _make(pool: Pool, client_id: str, username: str, data: Json) -> Json:
    attributes = {**data.get("attributes", {}), "sub": cognito.new_uuid()}
    for name in ("email", "phone_number"):
        if name in attributes:
            # Whatever the provider says, unless its claim is mapped to this attribute.
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
    cognito._start_federated_profile(pool.settings, pool.id, user, data["provider"], data["subject"])
    return user


def _checked(value: object) -> Json:
    if not isinstance(value, dict):
        raise InvalidSettingError(f"the sign-in {shown(value)} is not an object with {', '.join(_REQUIRED)}")
    known_keys("the sign-in", value, _ALLOWED)
    for name in (*_REQUIRED, *({"client_id"} & value.keys())):
        if not isinstance(value.get(name), str) or not value[name]:
            raise InvalidSettingError(f"{name} {shown(value.get(name))} is not a text of at least one character")
    attributes = value.get("attributes", {})
    if not isinstance(attributes, dict) or not all(isinstance(each, str) for each in attributes.values()):
        raise InvalidSettingError(
            f'attributes {shown(attributes)} is not an object of texts such as {{"email": "a@example.com"}}'
        )
    return value
