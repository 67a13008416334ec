"""Requests that name a user: the input of a user_sync execution, and a message of the change queue.

They hold no attributes of the user: the functions read these from Cognito.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cognito_user_sync.errors import InvalidEventError
from cognito_user_sync.user import SUB, timestamp

# The trigger sources after which a user is confirmed, and the reason that each gives.
# https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
REASON_OF_TRIGGER_SOURCE = {
    "PostConfirmation_ConfirmSignUp": "sign_up",
    "PostConfirmation_ConfirmForgotPassword": "password_reset",
}
REASONS = frozenset(REASON_OF_TRIGGER_SOURCE.values())

# The client ID in Cognito's event after AdminConfirmSignUp, which has no app client.
NO_APP_CLIENT = "CLIENT_ID_NOT_APPLICABLE"

# CloudTrail's timestamps have whole seconds.
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{3})?Z", re.ASCII)


class NotConsistentYetError(Exception):
    """Cognito, which is eventually consistent, does not show the sign-up or the change yet. A retry may succeed."""


@dataclass(frozen=True)
class SyncRequest:
    """A user who signed up or reset the password, as JSON between the Lambda functions and Step Functions.

    Attributes:
        occurred_at: When the trigger was invoked, as a `user.timestamp`; "" in the input of SendWelcome.
        client_id: App client of the sign-up; "" if it is unknown.
    """

    sub: str
    username: str
    reason: str
    occurred_at: str = ""
    client_id: str = ""

    def execution_name(self) -> str:
        """Return a name for the execution that contains the sub.

        The name of a sign-up is fixed: Step Functions rejects a second execution with the same name for 90 days, so
        the welcome email is sent once. Password resets can be repeated, so each call returns another name.
        """
        name = f"{self.reason.replace('_', '-')}-{self.sub}"
        return name if self.reason == "sign_up" else f"{name}-{secrets.token_hex(8)}"

    def to_json(self) -> str:
        """Return compact JSON, without fields that have no value."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))


@dataclass(frozen=True)
class Change:
    """A CloudTrail event of a user, as a message of the change queue.

    Attributes:
        event_name: CloudTrail's event name, for example "AdminUpdateUserAttributes"; "" for a sync on demand.
        occurred_at: When CloudTrail recorded it, as a `user.timestamp`.
    """

    sub: str
    event_name: str
    occurred_at: str


def happened_within(age: timedelta, occurred_at: str) -> bool:
    """Return whether a request happened within the last `age`. A forged one of the future did not."""
    moment = datetime.now(UTC)
    # The clocks of two functions may differ.
    return timestamp(moment - age) < occurred_at <= timestamp(moment + timedelta(minutes=1))


def from_trigger_event(event: Any, occurred_at: str) -> SyncRequest:
    """Return the request for a post-confirmation event. Raises InvalidEventError."""
    reason = REASON_OF_TRIGGER_SOURCE.get(_field(event, "triggerSource", str))
    if reason is None:
        raise InvalidEventError(f"triggerSource is not one of {', '.join(REASON_OF_TRIGGER_SOURCE)}")
    user_attributes = _field(_field(event, "request", dict), "userAttributes", dict)
    caller = event.get("callerContext")
    client_id = caller.get("clientId") if isinstance(caller, dict) else None
    return parse(
        {
            "sub": _field(user_attributes, "sub", str),
            "username": _field(event, "userName", str),
            "reason": reason,
            "occurred_at": occurred_at,
            "client_id": client_id if isinstance(client_id, str) else "",
        }
    )


def parse(execution_input: Any) -> SyncRequest:
    """Return the request in the input of a state of user_sync or in a message of the retry queue.

    Raises InvalidEventError.
    """
    reason = _field(execution_input, "reason", str)
    if reason not in REASONS:
        raise InvalidEventError(f"reason is not one of {', '.join(sorted(REASONS))}")
    username = _field(execution_input, "username", str)
    if not username:
        raise InvalidEventError("username is empty")
    return SyncRequest(
        sub=_sub(execution_input),
        username=username,
        reason=reason,
        occurred_at=_occurred_at(execution_input) if "occurred_at" in execution_input else "",
        client_id=_field(execution_input, "client_id", str, default=""),
    )


def parse_change(message: Any) -> Change:
    """Return the change in a message of the change queue. Raises InvalidEventError."""
    return Change(
        sub=_sub(message),
        event_name=_field(message, "event_name", str, default=""),
        occurred_at=_occurred_at(message),
    )


def sub_in(message: Any) -> str | None:
    """Return the sub in a message, which may be invalid otherwise, or None."""
    try:
        return _sub(message)
    except InvalidEventError:
        return None


def _sub(mapping: Any) -> str:
    sub: str = _field(mapping, "sub", str)
    if not SUB.fullmatch(sub):
        raise InvalidEventError("sub is not a lowercase UUID")
    return sub


def _occurred_at(mapping: Any) -> str:
    moment = _TIMESTAMP.fullmatch(_field(mapping, "occurred_at", str))
    if not moment:
        raise InvalidEventError("occurred_at is not of the form 2026-01-31T12:00:00.000Z")
    return f"{moment[1]}{moment[2] or '.000'}Z"


def _field(mapping: Any, name: str, kind: type, default: Any = None) -> Any:
    if not isinstance(mapping, dict):
        raise InvalidEventError(f"expected an object with {name}, got {type(mapping).__name__}")
    value = mapping.get(name, default)
    if not isinstance(value, kind):
        raise InvalidEventError(f"{name} is {'missing' if value is None else 'not a ' + kind.__name__}")
    return value
