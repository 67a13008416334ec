"""Sends requests to Cognito, and returns its responses, as raw JSON.

boto3 drops members that its model does not know. Signing and errors are still botocore's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore import xform_name

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

Json: TypeAlias = dict[str, Any]


def send(client: CognitoIdentityProviderClient, operation: str, request: Json) -> Json:
    """Send a request of an operation on a user pool once. Raises botocore's errors."""
    exchange = _Exchange(request)
    events = client.meta.events
    replace, keep = (f"{event}.cognito-identity-provider.{operation}" for event in ("before-call", "before-parse"))
    events.register(replace, exchange.replace_body)
    events.register(keep, exchange.keep_body)
    try:
        getattr(client, xform_name(operation))(UserPoolId=request["UserPoolId"])
    finally:
        events.unregister(replace, exchange.replace_body)
        events.unregister(keep, exchange.keep_body)
    response: Json = json.loads(exchange.response_body)
    return response


@dataclass
class _Exchange:
    """Handlers of botocore's events for one call."""

    request: Json
    response_body: bytes = field(default=b"", init=False)

    def replace_body(self, params: Json, **_: Any) -> None:
        params["body"] = json.dumps(self.request).encode()

    def keep_body(self, response_dict: Json, **_: Any) -> None:
        self.response_body = response_dict["body"]
