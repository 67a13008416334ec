"""All reads of Cognito's users.

AdminGetUser can make a user count as monthly active, which costs money. It reads users who have just signed up or reset
the password, and count already, and verifies deletions. All other reads use ListUsers, which is eventually consistent.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
"""

from __future__ import annotations

from collections.abc import Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_user_sync.aws_errors import translated_errors
from cognito_user_sync.user import UnusableUserError, User, from_cognito, now

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

# The most users that ListUsers gives at once.
PAGE_SIZE = 60

_TRANSIENT = frozenset(
    {"InternalErrorException", "LimitExceededException", "ThrottlingException", "TooManyRequestsException"}
)


class CognitoUnavailableError(Exception):
    """Cognito did not answer now, but may later."""


class CognitoRejectedError(Exception):
    """Cognito refuses this call, and will again: a pool that is gone."""


class PrefixRejectedError(CognitoRejectedError):
    """The pool cannot be listed by the beginning of `sub`, or the answer holds users that were not asked for."""


class PagingTokenRejectedError(CognitoRejectedError):
    """Cognito rejects the token of a list: it is older than an hour, or "Paging marker ... is invalid for request".

    The same list may be read from its beginning. https://github.com/aws/aws-sdk-js/issues/3705
    """


@dataclass(frozen=True)
class Page:
    """A part of the list of users. Only a missing `next_token` ends a list: a page may be short, or empty."""

    users: tuple[User, ...]
    unusable: tuple[UnusableUserError, ...]
    next_token: str | None


@dataclass(frozen=True)
class UserPool:
    """The pool `id`."""

    client: CognitoIdentityProviderClient
    id: str

    def estimated_users(self) -> int:
        """Return Cognito's estimate of the number of users.

        Raises CognitoUnavailableError or CognitoRejectedError.
        """
        with _answering():
            return self.client.describe_user_pool(UserPoolId=self.id)["UserPool"].get("EstimatedNumberOfUsers", 0)

    def page(self, prefix: str = "", token: str | None = None, size: int = PAGE_SIZE) -> Page:
        """At most `size` users whose sub begins with `prefix`, from where `token` says.

        Raises CognitoUnavailableError, CognitoRejectedError, PrefixRejectedError or PagingTokenRejectedError.
        """
        return self._list(f'sub ^= "{prefix}"' if prefix else "", prefix, token, size)

    def find(self, sub: str) -> User | None:
        """The user of a sub, or None where the list does not show it (yet, or any more).

        Raises CognitoUnavailableError, CognitoRejectedError, or UnusableUserError.
        """
        token = None
        while True:
            try:
                page = self._list(f'sub = "{sub}"', sub, token, 1)
            except PrefixRejectedError as error:
                raise CognitoRejectedError(str(error)) from error
            except PagingTokenRejectedError as error:
                # The caller's next attempt lists from the beginning.
                raise CognitoUnavailableError(str(error)) from error
            if page.unusable:
                raise page.unusable[0]
            if page.users or page.next_token is None:
                return page.users[0] if page.users else None
            token = page.next_token

    def get(self, username: str) -> User | None:
        """Return the user of a username, or None if Cognito knows none.

        Raises CognitoUnavailableError, CognitoRejectedError, or UnusableUserError, also for what Cognito does not
        accept as a username.
        """
        observed_at = now()
        try:
            with _answering(but={"UserNotFoundException", "InvalidParameterException"}):
                found: Any = self.client.admin_get_user(UserPoolId=self.id, Username=username)
        except self.client.exceptions.UserNotFoundException:
            return None
        except self.client.exceptions.InvalidParameterException as error:
            raise UnusableUserError("", "its username is not valid") from error
        return from_cognito(found, observed_at)

    def is_deleted(self, sub: str, username: str) -> bool:
        """Whether Cognito knows this user no more: False where it does not say so clearly. A username that another
        user has taken over proves nothing alone, so the list has to agree then.

        Raises CognitoUnavailableError or CognitoRejectedError.
        """
        try:
            user = self.get(username)
            return user is None or (user.sub != sub and self.find(sub) is None)
        except UnusableUserError:
            return False

    def _list(self, query: str, prefix: str, token: str | None, size: int) -> Page:
        arguments: dict[str, Any] = {"Filter": query} if query else {}
        if token is not None:
            arguments["PaginationToken"] = token
        observed_at = now()
        try:
            with _answering(but={"InvalidParameterException"}):
                answer = self.client.list_users(UserPoolId=self.id, Limit=size, **arguments)
        except self.client.exceptions.InvalidParameterException as error:
            if token is not None:
                raise PagingTokenRejectedError(str(error)) from error
            raise (PrefixRejectedError if query else CognitoRejectedError)(str(error)) from error
        if answer.get("Users") is None:
            # No empty page: who is not on it would be looked at as gone.
            raise CognitoUnavailableError("ListUsers gave no list")
        users: list[User] = []
        unusable: list[UnusableUserError] = []
        for found in answer["Users"]:
            try:
                users.append(from_cognito(found, observed_at))
            except UnusableUserError as error:
                unusable.append(error)
        if any(not user.sub.startswith(prefix) for user in users):
            raise PrefixRejectedError(f"ListUsers gave users whose sub does not begin with {prefix!r}")
        # boto3 sends no empty token back.
        return Page(tuple(users), tuple(unusable), answer.get("PaginationToken") or None)


def _answering(but: Set[str] = frozenset()) -> AbstractContextManager[None]:
    """Translate errors into CognitoUnavailableError, AccessDeniedError and CognitoRejectedError, except the codes in
    `but`."""
    return translated_errors(_TRANSIENT, CognitoUnavailableError, CognitoRejectedError, but)
