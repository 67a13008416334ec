"""Restore users into another pool: AdminCreateUser without a message, groups, and the status disabled.

Each call can be repeated: a user who was created before the restore was killed is adopted. So a restore can end at any
moment, and continue.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from cognito_user_sync.aws_errors import translate_errors
from cognito_user_sync.rate_limit import RateLimiter
from cognito_user_sync.user import INVITED, UnusableUserError, User, from_cognito, now
from cognito_user_sync.user_pool import TRANSIENT, CognitoRejectedError, CognitoUnavailableError
from cognito_user_sync_cli.deployment import DeploymentError
from cognito_user_sync_cli.restore_map import RestoreMap, State
from cognito_user_sync_cli.target_pool import CONTACTS, FederatedUserError, NotImportableError, TargetPool
from cognito_user_sync_cli.user_records import UserRecord, patiently

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

_THREADS: Final = 4
_BATCH: Final = 20

# Errors of one user. Others, such as a missing permission or an expired session, end the restore.
_OF_ONE_USER: Final = frozenset(
    {
        "AliasExistsException",
        "InvalidLambdaResponseException",
        "InvalidParameterException",
        "InvalidPasswordException",
        "UnexpectedLambdaException",
        "UnsupportedUserStateException",
        "UserLambdaValidationException",
        "UserNotFoundException",
        "UsernameExistsException",
    }
)


class Outcome(StrEnum):
    """What the restore did for a user."""

    RESTORED = "restored"
    ADOPTED = "adopted"
    """The user existed already, as this restore creates it."""
    DONE_BEFORE = "done before"
    FEDERATED = "federated"
    DELETED = "deleted"
    PROBLEM = "problem"


class UserProblemError(Exception):
    """This user cannot be restored. The message has the reason."""


@dataclass(frozen=True)
class Options:
    """The options of a restore.

    Attributes:
        skipped: Attributes that are not restored.
        assumed: Which of email and phone_number are restored as verified, because the users do not show whether they
            are.
        sets_passwords: Whether each user gets a random password, which is not stored, and the status CONFIRMED.
    """

    skipped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    sets_passwords: bool = False


@dataclass
class Counts:
    """What a restore has done, or would do.

    Attributes:
        outcomes: Users by outcome.
        problems: Users by reason.
        disabled: Users who are disabled.
        memberships: Memberships in groups.
        new_groups: Groups that the pool does not have.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    disabled: int = 0
    memberships: int = 0
    new_groups: set[str] = field(default_factory=set)


def check_target(target: TargetPool, attributes: Iterable[str], skipped: Iterable[str]) -> None:
    """Check that the pool accepts users with these attributes. Raises DeploymentError."""
    if unknown := sorted(set(skipped) - set(attributes)):
        raise DeploymentError(
            f"the users to restore have no attribute {', '.join(unknown)}: --skip-attribute must be one of"
            f" {', '.join(attributes)}"
        )
    names = set(attributes) - set(skipped)
    if missing := sorted(names - target.schema.keys()):
        custom = [name.removeprefix("custom:") for name in missing if name.startswith("custom:")]
        add = " ".join(f"Name={name},AttributeDataType=String,Mutable=true" for name in custom)
        raise DeploymentError(
            f"the schema of the pool {target.id} has no {', '.join(missing)}: add each (aws cognito-idp"
            f" add-custom-attributes --user-pool-id {target.id} --custom-attributes {add or 'Name=...'}), or leave it"
            " out with --skip-attribute"
        )
    if lacking := [name for name in target.required if name not in names]:
        raise DeploymentError(
            f"the pool {target.id} requires {', '.join(lacking)}, which the users to restore do not have: use a pool"
            " that does not require it, or sync it (variable attributes)"
        )


@dataclass
class Restoration:
    """A restore into one pool.

    Attributes:
        rate: AdminCreateUser calls per second, and other calls per second.
        dry_run: Make no call that changes the pool, and write nothing to the map.
    """

    client: CognitoIdentityProviderClient
    target: TargetPool
    map: RestoreMap
    options: Options
    rate: float
    dry_run: bool = False
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        self._creations, self._others = RateLimiter(self.rate), RateLimiter(self.rate)
        self._existing_groups: frozenset[str] = frozenset()
        self._groups: set[str] = set()
        self._lock = threading.Lock()
        self._username_locks: dict[str, threading.Lock] = {}
        _ = self.client.exceptions  # made at first use, which is not thread-safe

    def run(self, records: Iterable[UserRecord], report: Callable[[UserRecord, Outcome, str], None]) -> None:
        """Restore users. Calls `report` in this thread after each, with the reason of a problem.

        After an error, the restore can continue. Raises CognitoUnavailableError, CognitoRejectedError,
        AccessDeniedError or OSError.
        """
        self._existing_groups = frozenset(self._list_groups())
        self._groups = set(self._existing_groups)
        remaining = iter(records)
        # After an error, `map` cancels the other users of the batch.
        with ThreadPoolExecutor(_THREADS) as threads:
            while batch := list(islice(remaining, _BATCH)):
                self._username_locks.clear()
                for record, (outcome, reason) in zip(batch, threads.map(self._try, batch), strict=True):
                    self.counts.outcomes[outcome] += 1
                    if reason:
                        # The rest of a message of AWS or of a trigger may have personal data.
                        self.counts.problems[reason.partition(": ")[0]] += 1
                    report(record, outcome, reason)

    def _try(self, record: UserRecord) -> tuple[Outcome, str]:
        try:
            return self._restore(record), ""
        except FederatedUserError:
            return Outcome.FEDERATED, ""
        except (NotImportableError, UserProblemError) as problem:
            return Outcome.PROBLEM, str(problem)
        except UnusableUserError:
            return Outcome.PROBLEM, "a user with this username exists, and lacks what every user has"
        except ClientError as error:
            return Outcome.PROBLEM, f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"

    def _restore(self, record: UserRecord) -> Outcome:
        if record.deleted_at:
            return Outcome.DELETED
        if self.map.is_restored(record.sub):
            return Outcome.DONE_BEFORE
        self.target.check(record)
        username = self.target.username(record)
        outcome = Outcome.RESTORED
        if not self.dry_run:
            # Two users of one name: the second finds the first one in the map.
            with self._lock_of(username):
                outcome = self._write(record, username)
        with self._lock:
            self.counts.disabled += not record.enabled
            self.counts.memberships += len(record.groups or ())
            self.counts.new_groups.update(set(record.groups or ()) - self._existing_groups)
        return outcome

    def _lock_of(self, username: str) -> threading.Lock:
        with self._lock:
            return self._username_locks.setdefault(username.casefold(), threading.Lock())

    def _write(self, record: UserRecord, username: str) -> Outcome:
        groups = record.groups or ()
        outcome, sub = Outcome.RESTORED, self.map.new_sub(record.sub)
        if sub is None:
            outcome, sub = self._create(username, self._attributes(record))
            if sub == record.sub:
                raise UserProblemError("the pool has this user already")
            if groups or not record.enabled or self.options.sets_passwords:
                self.map.add(record.sub, sub, State.CREATED)
        for group in groups:
            self._add_to_group(sub, group)
        pool_and_user: dict[str, Any] = {"UserPoolId": self.target.id, "Username": sub}
        if self.options.sets_passwords:
            # Long, and with each kind of character, for any password policy.
            password = f"{secrets.token_urlsafe(70)}aA1!"
            self._call(self.client.admin_set_user_password, **pool_and_user, Password=password, Permanent=True)
        if not record.enabled:
            self._call(self.client.admin_disable_user, **pool_and_user)
        self.map.add(record.sub, sub, State.RESTORED)
        return outcome

    def _attributes(self, record: UserRecord) -> dict[str, str]:
        attributes = {
            name: value
            for name, value in record.attributes.items()
            if name in self.target.schema and name not in {"sub", "identities", *self.options.skipped}
        }
        for contact in CONTACTS:
            if contact not in attributes:
                # Cognito rejects it without the address.
                attributes.pop(f"{contact}_verified", None)
            elif contact in self.options.assumed:
                attributes[f"{contact}_verified"] = "true"
        return attributes

    def _create(self, username: str, attributes: Mapping[str, str]) -> tuple[Outcome, str]:
        """Return the outcome and the new sub."""
        try:
            answer = self._call(
                self.client.admin_create_user,
                self._creations,
                UserPoolId=self.target.id,
                Username=username,
                UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
                MessageAction="SUPPRESS",
            )
        except self.client.exceptions.UsernameExistsException:
            return Outcome.ADOPTED, self._adopted(username, attributes)
        return Outcome.RESTORED, from_cognito(answer["User"], now()).sub

    def _adopted(self, username: str, attributes: Mapping[str, str]) -> str:
        """Return the sub of an existing user who is as this restore creates it. Raises UserProblemError.

        Only an administrator can create a user with the status INVITED. A user who signed up under this name with the
        same attributes is another one.
        """
        found = self._find(username)
        if found is None:
            raise UserProblemError("a user with this username, or with its email address or phone number, exists")
        names = (set(attributes) | set(found.attributes)) - {"identities"}
        differing = [name for name in sorted(names) if _compared(attributes, name) != _compared(found.attributes, name)]
        if found.status != INVITED:
            differing.insert(0, f"status {found.status}")
        if differing:
            raise UserProblemError(f"a user with this username exists, with another {', '.join(differing)}")
        if self.map.is_taken(found.sub):
            raise UserProblemError("another user was restored with this username")
        return found.sub

    def _find(self, username: str) -> User | None:
        """Return the user with this username, and not one who has it as an alias.

        ListUsers first, because AdminGetUser can make a user count as monthly active. But ListUsers is eventually
        consistent, and may compare the case.
        """
        names = self.target.sign_in_by or ("username",)
        name = names[0] if len(names) == 1 else ("email" if "@" in username else "phone_number")
        escaped = username.replace("\\", "\\\\").replace('"', '\\"')
        query: dict[str, Any] = {"UserPoolId": self.target.id, "Filter": f'{name} = "{escaped}"'}
        users = [from_cognito(each, now()) for each in self._call(self.client.list_users, **query)["Users"]]
        if not users:
            with contextlib.suppress(self.client.exceptions.UserNotFoundException):
                query = {"UserPoolId": self.target.id, "Username": username}
                users = [from_cognito(self._call(self.client.admin_get_user, **query), now())]
        for user in users:
            value = user.username if name == "username" else user.attributes.get(name, "")
            if value.casefold() == username.casefold():
                return user
        return None

    def _list_groups(self) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            page = self._call(self.client.list_groups, UserPoolId=self.target.id, **token)
            yield from (each["GroupName"] for each in page["Groups"])
            if not page.get("NextToken"):
                return
            token = {"NextToken": page["NextToken"]}

    def _add_to_group(self, sub: str, group: str) -> None:
        with self._lock:
            if group not in self._groups:
                with contextlib.suppress(self.client.exceptions.GroupExistsException):
                    self._call(self.client.create_group, UserPoolId=self.target.id, GroupName=group)
                self._groups.add(group)
        self._call(self.client.admin_add_user_to_group, UserPoolId=self.target.id, Username=sub, GroupName=group)

    def _call(self, operation: Callable[..., Any], limiter: RateLimiter | None = None, **arguments: Any) -> Any:
        """Make a call at the rate. Raises ClientError for errors of one user."""

        def once() -> Any:
            passed = _OF_ONE_USER | {"GroupExistsException"}
            with translate_errors(TRANSIENT, CognitoUnavailableError, CognitoRejectedError, passed):
                return operation(**arguments)

        return patiently((limiter or self._others).call, once)


def _compared(attributes: Mapping[str, str], name: str) -> str:
    """Return a value for a comparison. Cognito may show an address that is not verified as false, or not at all."""
    value = attributes.get(name, "")
    return "" if name.endswith("_verified") and value == "false" else value
