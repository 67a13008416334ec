"""SyncRequest: the input of one user_sync execution, and how a Cognito trigger event becomes one."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cognito_user_sync.user import SUB, User

# The trigger sources that mean "this user is confirmed", and the reason that each gives.
# https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
REASON_OF_TRIGGER_SOURCE = {
    "PostConfirmation_ConfirmSignUp": "sign_up",
    "PostConfirmation_ConfirmForgotPassword": "password_reset",
}
CHANGED = "changed"
REASONS = frozenset({*REASON_OF_TRIGGER_SOURCE.values(), CHANGED})

# Of CloudTrail's event names: after these the user is gone.
DELETIONS = frozenset({"AdminDeleteUser", "DeleteUser"})
# After these Cognito shows a later UserLastModifiedDate, so that a read from before can be told.
MOVES_MODIFIED_DATE = frozenset(
    {
        "AdminDeleteUserAttributes",
        "AdminDisableUser",
        "AdminEnableUser",
        "AdminUpdateUserAttributes",
        "DeleteUserAttributes",
        "UpdateUserAttributes",
        "VerifyUserAttribute",
    }
)

# CloudTrail's times have whole seconds.
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{3})?Z", re.ASCII)


class InvalidSyncRequest(Exception):
    """The event or execution input is not what Cognito or this module sends; the message names the field, and
    repeats nothing of it."""


@dataclass(frozen=True)
class SyncRequest:
    """Why and as of when a user is to be synced, as JSON between the Lambda functions and Step Functions.

    `occurred_at` is a `user.timestamp`; `attributes` are under their Cognito names. Of a change, nothing but its name
    in CloudTrail is known, `event_name`: the user is read anew.
    """

    sub: str
    reason: str
    occurred_at: str
    username: str = ""
    client_id: str = ""
    event_name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def execution_name(self) -> str:
        """A name for the execution, by which the user's executions are found. A sign-up has a fixed one: Step Functions
        refuses to start a second of that name for 90 days, and that is what makes one welcome. Others may happen again:
        each call gives another name."""
        name = f"{self.reason.replace('_', '-')}-{self.sub}"
        return name if self.reason == "sign_up" else f"{name}-{secrets.token_hex(8)}"

    def to_json(self) -> str:
        """Compact JSON; fields without a value are left out."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))

    def confirmed_user(self) -> User:
        """The user as the trigger event showed it. Cognito calls the trigger after it has confirmed the user."""
        return User(
            sub=self.sub,
            observed_at=self.occurred_at,
            username=self.username,
            attributes=self.attributes,
            status="CONFIRMED",
        )


def from_trigger_event(event: Any, attributes: tuple[str, ...], occurred_at: str) -> SyncRequest:
    """The request for a post-confirmation event, with those of `attributes` that the user has.

    Raises InvalidSyncRequest for anything else than a post-confirmation event of a user with a sub.
    """
    reason = REASON_OF_TRIGGER_SOURCE.get(_field(event, "triggerSource", str))
    if reason is None:
        raise InvalidSyncRequest(f"triggerSource is none of {', '.join(REASON_OF_TRIGGER_SOURCE)}")
    user_attributes = _field(_field(event, "request", dict), "userAttributes", dict)
    caller = event.get("callerContext")
    client_id = caller.get("clientId") if isinstance(caller, dict) else None
    return parse(
        {
            "sub": _field(user_attributes, "sub", str),
            "reason": reason,
            "occurred_at": occurred_at,
            "username": _field(event, "userName", str),
            "client_id": client_id if isinstance(client_id, str) else "",
            "attributes": {
                name: user_attributes[name] for name in attributes if isinstance(user_attributes.get(name), str)
            },
        }
    )


def parse(execution_input: Any) -> SyncRequest:
    """The request in an execution's input (or a queued message); raises InvalidSyncRequest."""
    sub = _field(execution_input, "sub", str)
    if not SUB.fullmatch(sub):
        raise InvalidSyncRequest("sub is not a UUID in lower case")
    reason = _field(execution_input, "reason", str)
    if reason not in REASONS:
        raise InvalidSyncRequest(f"reason is none of {', '.join(sorted(REASONS))}")
    occurred_at = _field(execution_input, "occurred_at", str)
    moment = _TIMESTAMP.fullmatch(occurred_at)
    if not moment:
        raise InvalidSyncRequest("occurred_at is not of the form 2026-01-31T12:00:00.000Z")
    attributes = execution_input.get("attributes", {})
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise InvalidSyncRequest("attributes is not an object of strings")
    return SyncRequest(
        sub=sub,
        reason=reason,
        occurred_at=f"{moment[1]}{moment[2] or '.000'}Z",
        username=_field(execution_input, "username", str, default=""),
        client_id=_field(execution_input, "client_id", str, default=""),
        event_name=_field(execution_input, "event_name", str, default=""),
        attributes=attributes,
    )


def _field(mapping: Any, name: str, kind: type, default: Any = None) -> Any:
    if not isinstance(mapping, dict):
        raise InvalidSyncRequest(f"expected an object with {name}, got {type(mapping).__name__}")
    value = mapping.get(name, default)
    if not isinstance(value, kind):
        raise InvalidSyncRequest(f"{name} is {'missing' if value is None else 'not a ' + kind.__name__}")
    return value
