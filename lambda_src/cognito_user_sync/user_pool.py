"""Reads users from Cognito.

AdminGetUser can make a user count as monthly active, which costs money. So this module uses it only for users who have
just signed up or reset the password, and count anyway, and to verify deletions. All other reads use ListUsers, which is
eventually consistent.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cognito_user_sync.aws_errors import translate_errors
from cognito_user_sync.user import SUB, UnusableUserError, User, from_cognito, now

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

# The maximum of ListUsers.
PAGE_SIZE = 60

TRANSIENT = frozenset(
    {"InternalErrorException", "LimitExceededException", "ThrottlingException", "TooManyRequestsException"}
)


class CognitoUnavailableError(Exception):
    """Cognito is throttling, failing or not responding. A retry may succeed."""


class CognitoRejectedError(Exception):
    """Cognito rejects the request, and would reject a retry: for example, the pool does not exist."""


class PrefixRejectedError(CognitoRejectedError):
    """The pool cannot be listed by a prefix of `sub`, or the response has users without the prefix."""


class PagingTokenRejectedError(CognitoRejectedError):
    """Cognito rejects a pagination token: it is older than an hour, or "Paging marker ... is invalid for request".

    The list can be read again from its beginning. https://github.com/aws/aws-sdk-js/issues/3705
    """


@dataclass(frozen=True)
class Page:
    """A page of the list of users. It may be short or empty: only a missing `next_token` ends the list."""

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
        with _translate_errors():
            return self.client.describe_user_pool(UserPoolId=self.id)["UserPool"].get("EstimatedNumberOfUsers", 0)

    def page(self, prefix: str = "", token: str | None = None, size: int = PAGE_SIZE) -> Page:
        """Return at most `size` users whose sub begins with `prefix`, starting at `token`.

        Raises CognitoUnavailableError, CognitoRejectedError, PrefixRejectedError or PagingTokenRejectedError.
        """
        return self._list(f'sub ^= "{prefix}"' if prefix else "", prefix, token, size)

    def find(self, sub: str) -> User | None:
        """Return the user with this sub, or None if ListUsers, which is eventually consistent, does not show the user.

        Raises CognitoUnavailableError, CognitoRejectedError or UnusableUserError.
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
        """Return the user with this username, or None if there is none.

        Raises CognitoUnavailableError, CognitoRejectedError, or UnusableUserError, also if Cognito does not accept the
        username.
        """
        observed_at = now()
        try:
            with _translate_errors({"UserNotFoundException", "InvalidParameterException"}):
                response: Any = self.client.admin_get_user(UserPoolId=self.id, Username=username)
        except self.client.exceptions.UserNotFoundException:
            return None
        except self.client.exceptions.InvalidParameterException as error:
            raise UnusableUserError("", "Cognito does not accept its username") from error
        return from_cognito(response, observed_at)

    def with_groups(self, user: User) -> User:
        """Return the user with the names of the groups, without them if Cognito does not know the user any more.

        Raises CognitoUnavailableError or CognitoRejectedError.
        """
        observed_at = now()
        groups = self.groups(user.username)
        return user if groups is None else replace(user, groups=groups, groups_observed_at=observed_at)

    def groups(self, username: str) -> frozenset[str] | None:
        """Return the names of a user's groups, or None if there is no such user.

        Raises CognitoUnavailableError or CognitoRejectedError.
        """
        names: set[str] = set()
        token = None
        while True:
            try:
                with _translate_errors({"UserNotFoundException"}):
                    response: Any = self.client.admin_list_groups_for_user(
                        UserPoolId=self.id, Username=username, Limit=PAGE_SIZE, **_from(token)
                    )
            except self.client.exceptions.UserNotFoundException:
                return None
            names.update(_group_names(response, "AdminListGroupsForUser"))
            token = response.get("NextToken")
            if not token:
                return frozenset(names)

    def group_names(self, token: str | None = None) -> tuple[list[str], str | None]:
        """Return a page of the names of all groups, and the token of the next page, None after the last.

        Raises CognitoUnavailableError or CognitoRejectedError.
        """
        with _translate_errors():
            response: Any = self.client.list_groups(UserPoolId=self.id, Limit=PAGE_SIZE, **_from(token))
        return _group_names(response, "ListGroups"), response.get("NextToken") or None

    def has_group(self, name: str) -> bool:
        """Return whether the group exists. Raises CognitoUnavailableError or CognitoRejectedError."""
        try:
            # The latter if no group can have this name, which an application may have written to an item.
            with _translate_errors({"ResourceNotFoundException", "InvalidParameterException"}):
                self.client.get_group(UserPoolId=self.id, GroupName=name)
        except (self.client.exceptions.ResourceNotFoundException, self.client.exceptions.InvalidParameterException):
            # The same errors if the pool does not exist: then the next call raises one.
            self.group_names()
            return False
        return True

    def members(self, group: str, token: str | None = None) -> tuple[list[str], str | None] | None:
        """Return a page of the subs of a group's users, and the token of the next page, None after the last.

        Returns None if the group does not exist, for example because it was deleted while it was listed.

        Raises CognitoUnavailableError, CognitoRejectedError or PagingTokenRejectedError.
        """
        try:
            with _translate_errors({"ResourceNotFoundException", "InvalidParameterException"}):
                response: Any = self.client.list_users_in_group(
                    UserPoolId=self.id, GroupName=group, Limit=PAGE_SIZE, **_from(token)
                )
        except self.client.exceptions.ResourceNotFoundException:
            return None
        except self.client.exceptions.InvalidParameterException as error:
            raise (PagingTokenRejectedError if token else CognitoRejectedError)(str(error)) from error
        if response.get("Users") is None:
            raise CognitoUnavailableError("the response of ListUsersInGroup has no Users")
        subs = [
            attribute.get("Value", "")
            for user in response["Users"]
            for attribute in user.get("Attributes", [])
            if attribute.get("Name") == "sub"
        ]
        return [sub for sub in subs if SUB.fullmatch(sub)], response.get("NextToken") or None

    def is_deleted(self, sub: str, username: str) -> bool:
        """Return whether the user does not exist any more. False if Cognito's answer is not clear.

        If another user has the username now, the list must also not show the user.

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
            with _translate_errors({"InvalidParameterException"}):
                response = self.client.list_users(UserPoolId=self.id, Limit=size, **arguments)
        except self.client.exceptions.InvalidParameterException as error:
            if token is not None:
                raise PagingTokenRejectedError(str(error)) from error
            raise (PrefixRejectedError if query else CognitoRejectedError)(str(error)) from error
        if response.get("Users") is None:
            # Not an empty page: users who are not on it would be checked for deletion.
            raise CognitoUnavailableError("the response of ListUsers has no Users")
        users: list[User] = []
        unusable: list[UnusableUserError] = []
        for listed in response["Users"]:
            try:
                users.append(from_cognito(listed, observed_at))
            except UnusableUserError as error:
                unusable.append(error)
        if any(not user.sub.startswith(prefix) for user in users):
            raise PrefixRejectedError(f"ListUsers returned users whose sub does not begin with {prefix!r}")
        # boto3 rejects an empty token.
        return Page(tuple(users), tuple(unusable), response.get("PaginationToken") or None)


def _group_names(response: Mapping[str, Any], operation: str) -> list[str]:
    if response.get("Groups") is None:
        # Not an empty list: the user's groups would be removed from the item.
        raise CognitoUnavailableError(f"the response of {operation} has no Groups")
    return [group["GroupName"] for group in response["Groups"]]


def _from(token: str | None) -> dict[str, Any]:
    # boto3 rejects an empty token.
    return {"NextToken": token} if token else {}


def _translate_errors(passed_through: Set[str] = frozenset()) -> AbstractContextManager[None]:
    """Translate errors into CognitoUnavailableError, AccessDeniedError and CognitoRejectedError."""
    return translate_errors(TRANSIENT, CognitoUnavailableError, CognitoRejectedError, passed_through)
