"""A pool that gets users of another one: by an import job, or by AdminCreateUser."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cognito_user_sync.user import EXTERNAL_PROVIDER, UNCONFIRMED
from cognito_user_sync_cli.user_records import UserRecord

CONTACTS: Final = ("email", "phone_number")
"""Attributes that Cognito verifies. <name>_verified has whether it has."""


def unknown_contacts(attributes: Collection[str]) -> tuple[str, ...]:
    """Return the contacts of which users with these attributes do not show whether they are verified."""
    return tuple(name for name in CONTACTS if name in attributes and f"{name}_verified" not in attributes)


class NotImportableError(Exception):
    """The pool would reject this user, or the user would not be the same. The message has the reason."""


class FederatedUserError(NotImportableError):
    """Only the identity provider can create the user."""


@dataclass(frozen=True)
class TargetPool:
    """The settings of a pool that decide which users it accepts.

    Attributes:
        required: Names of the attributes that each user must have.
        sign_in_by: email, phone_number, both or none: the username of a new user is one of these (UsernameAttributes).
        aliases: AliasAttributes.
        verifies: AutoVerifiedAttributes.
    """

    id: str
    schema: Mapping[str, Mapping[str, Any]]
    sign_in_by: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    verifies: tuple[str, ...] = ()
    mfa: str = "OFF"

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> TargetPool:
        """Return the settings in the UserPool of DescribeUserPool."""
        return cls(
            id=described["Id"],
            schema={each["Name"]: each for each in described.get("SchemaAttributes", [])},
            sign_in_by=tuple(described.get("UsernameAttributes", [])),
            aliases=tuple(described.get("AliasAttributes", [])),
            verifies=tuple(described.get("AutoVerifiedAttributes", [])),
            mfa=described.get("MfaConfiguration", "OFF"),
        )

    @property
    def required(self) -> list[str]:
        return [name for name, each in self.schema.items() if each.get("Required") and name != "sub"]

    def username(self, record: UserRecord) -> str:
        """Return the username for a new user. Raises NotImportableError."""
        if not self.sign_in_by:
            if not record.username:
                raise NotImportableError("the user has no username")
            if "email" in self.aliases and "@" in record.username:
                raise NotImportableError("the pool has the alias email, so a username must not be an email address")
            if "phone_number" in self.aliases and re.fullmatch(r"\+\d+", record.username):
                raise NotImportableError(
                    "the pool has the alias phone_number, so a username must not be a phone number"
                )
            return record.username
        for name in self.sign_in_by:
            if value := record.attributes.get(name):
                return value
        raise NotImportableError(f"users of the pool sign in by {' or '.join(self.sign_in_by)}: the user has none")

    def check(self, record: UserRecord) -> None:
        """Check what is the same for an import job and AdminCreateUser. Raises NotImportableError."""
        if record.status == EXTERNAL_PROVIDER:
            raise FederatedUserError("a federated user: the identity provider creates the user at the next sign-in")
        if record.status == UNCONFIRMED:
            raise NotImportableError("the sign-up is not confirmed")
        if missing := [name for name in self.required if name not in record.attributes]:
            raise NotImportableError(f"the pool requires {', '.join(missing)}: the user has none")
