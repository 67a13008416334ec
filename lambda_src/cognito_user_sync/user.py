"""The user record: what Cognito says of a user."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SUB = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

# The status of a user who has signed up and not confirmed yet, and has no item.
UNCONFIRMED = "UNCONFIRMED"
# The status of a user whom an administrator created, or gave a temporary password, and who has not signed in with it.
INVITED = "FORCE_CHANGE_PASSWORD"
# The status of a federated user.
EXTERNAL_PROVIDER = "EXTERNAL_PROVIDER"

# What every user has in an answer of ListUsers or AdminGetUser.
_MEMBERS = {
    "Username": str,
    "UserStatus": str,
    "Enabled": bool,
    "UserCreateDate": datetime,
    "UserLastModifiedDate": datetime,
}


class UnusableUserError(Exception):
    """Cognito's answer does not make a user. `sub` is "" where it says none; the message holds no personal data."""

    def __init__(self, sub: str, why: str) -> None:
        super().__init__(f"user {sub or 'without a sub'}: {why}")
        self.sub = sub


def timestamp(moment: datetime) -> str:
    """A moment as the table writes it: UTC, ISO 8601, milliseconds, fixed width, so that strings compare."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """This moment as a `timestamp`."""
    return timestamp(datetime.now(UTC))


@dataclass(frozen=True)
class User:
    """A Cognito user, as one answer of Cognito describes it.

    Attributes:
        sub: The user's ID, which no other user ever gets. Usernames and email addresses can change hands.
        observed_at: When Cognito was asked, as a `timestamp`.
        attributes: Values by Cognito name (`email`, `custom:plan`).
        modified_at: Cognito's date of the last change, as a `timestamp`: it orders two answers.
    """

    sub: str
    observed_at: str
    username: str
    attributes: Mapping[str, str]
    status: str
    enabled: bool
    created_at: str
    modified_at: str


def from_cognito(found: Mapping[str, Any], observed_at: str) -> User:
    """Return the user in an answer of ListUsers or AdminGetUser, as boto3 gives it.

    Args:
        found: The answer; its attributes are under Attributes (ListUsers) or UserAttributes (AdminGetUser).
        observed_at: A `timestamp` from before the call.

    Raises:
        UnusableUserError: There is no sub, or a member that every user has is missing or of another type. boto3 does
            not check responses.
    """
    given = found.get("UserAttributes", found.get("Attributes", []))
    pairs = [(attribute.get("Name"), attribute.get("Value", "")) for attribute in given]
    attributes = {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)}
    sub = attributes.pop("sub", "")
    if not SUB.fullmatch(sub):
        raise UnusableUserError("", "its sub is not a UUID in lower case")
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise UnusableUserError(sub, "an attribute is not text")
    for name, kind in _MEMBERS.items():
        if not isinstance(found.get(name), kind):
            raise UnusableUserError(sub, f"{name} is {'not a ' + kind.__name__ if name in found else 'missing'}")
    return User(
        sub=sub,
        observed_at=observed_at,
        username=found["Username"],
        attributes=attributes,
        status=found["UserStatus"],
        enabled=found["Enabled"],
        created_at=timestamp(found["UserCreateDate"]),
        modified_at=timestamp(found["UserLastModifiedDate"]),
    )
