"""The user record: one answer of Cognito about a user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

HEX_DIGITS = "0123456789abcdef"
SUB = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

# The status of a user who has signed up but not confirmed. Such a user has no item.
UNCONFIRMED = "UNCONFIRMED"
# The status of a user with a temporary password from an administrator, before the first sign-in with it.
INVITED = "FORCE_CHANGE_PASSWORD"
# The status of a federated user.
EXTERNAL_PROVIDER = "EXTERNAL_PROVIDER"

# The members of every user in a response of ListUsers or AdminGetUser.
_MEMBERS = {
    "Username": str,
    "UserStatus": str,
    "Enabled": bool,
    "UserCreateDate": datetime,
    "UserLastModifiedDate": datetime,
}


class UnusableUserError(Exception):
    """Cognito's answer is not a valid user. `sub` is "" if the answer has none. The message holds no personal data."""

    def __init__(self, sub: str, why: str) -> None:
        super().__init__(f"user {sub or 'without a sub'}: {why}")
        self.sub = sub


def timestamp(moment: datetime) -> str:
    """Return a moment in the format of the table: UTC, ISO 8601, milliseconds. The fixed width lets strings compare."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """Return the current time as a `timestamp`."""
    return timestamp(datetime.now(UTC))


@dataclass(frozen=True)
class User:
    """A Cognito user, as in one answer of Cognito.

    Attributes:
        sub: The user's ID, which is never reused. Usernames and email addresses can be reassigned.
        observed_at: When the request to Cognito was sent, as a `timestamp`.
        attributes: Values by Cognito name (`email`, `custom:plan`).
        modified_at: Cognito's UserLastModifiedDate, as a `timestamp`: it orders two answers.
        groups: Names of the user's groups, or None if they were not read. A change of groups does not move
            `modified_at`.
        groups_observed_at: When the request for the groups was sent, as a `timestamp`: it orders two reads of them.
    """

    sub: str
    observed_at: str
    username: str
    attributes: Mapping[str, str]
    status: str
    enabled: bool
    created_at: str
    modified_at: str
    groups: frozenset[str] | None = None
    groups_observed_at: str = ""


def from_cognito(response: Mapping[str, Any], observed_at: str) -> User:
    """Return the user in a response of ListUsers or AdminGetUser.

    Args:
        response: The user, as boto3 returns it, with Attributes (ListUsers) or UserAttributes (AdminGetUser).
        observed_at: A `timestamp` from before the call.

    Raises:
        UnusableUserError: The sub is missing, or a member of every user is missing or has another type. boto3 does not
            validate responses.
    """
    listed = response.get("UserAttributes", response.get("Attributes", []))
    pairs = [(attribute.get("Name"), attribute.get("Value", "")) for attribute in listed]
    attributes = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}
    sub = attributes.pop("sub", "")
    if not SUB.fullmatch(sub):
        raise UnusableUserError("", "sub is not a lowercase UUID")
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise UnusableUserError(sub, "the name or value of an attribute is not a string")
    for name, kind in _MEMBERS.items():
        if not isinstance(response.get(name), kind):
            raise UnusableUserError(sub, f"{name} is {'not a ' + kind.__name__ if name in response else 'missing'}")
    return User(
        sub=sub,
        observed_at=observed_at,
        username=response["Username"],
        attributes=attributes,
        status=response["UserStatus"],
        enabled=response["Enabled"],
        created_at=timestamp(response["UserCreateDate"]),
        modified_at=timestamp(response["UserLastModifiedDate"]),
    )
