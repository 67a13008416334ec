"""A Cognito user pool in memory, as strict as AWS documents it where emulators are lenient.

Pages may be short, or empty although more follow. A page token is valid for its filter only. An update resets the
settings that it does not name, and is rejected if it has a member that is not a setting. The pool keeps settings that
the installed boto3 does not know. fake_aws.py connects a pool to the code under test.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Protocol, TypeAlias

from cognito_user_sync.user import User, timestamp
from tests.fakes.answers import Answer, Response, error_response
from tests.fakes.calls import Calls
from tests.fakes.clock import EPOCH, Clock
from tests.samples import POOL_ID, SUB

Json: TypeAlias = dict[str, Any]

GROUPS_OF_USER, LIST_GROUPS, MEMBERS, GET_GROUP = "AdminListGroupsForUser", "ListGroups", "ListUsersInGroup", "GetGroup"
LIST, GET, DESCRIBE, UPDATE = "ListUsers", "AdminGetUser", "DescribeUserPool", "UpdateUserPool"
GET_MFA, SET_MFA = "GetUserPoolMfaConfig", "SetUserPoolMfaConfig"
MAX_LIMIT = 60

# Earlier than every time of a clock.
LONG_AGO = EPOCH - timedelta(days=1_000)

# Members of DescribeUserPool's response that UpdateUserPool does not accept.
FACTS: Final = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)
# The values to which an update resets settings. It removes a setting that is not here.
DEFAULTS: Final[Json] = {
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
    "DeletionProtection": "INACTIVE",
    "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
    "LambdaConfig": {},
    "MfaConfiguration": "OFF",
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "RequireUppercase": True,
            "TemporaryPasswordValidityDays": 7,
        }
    },
    "UserPoolTier": "ESSENTIALS",
}


class UserStore(Protocol):
    """The users of a pool, in an order in which no deletion moves another user.

    A position is a text by which page tokens name a place in this order.
    """

    def __len__(self) -> int: ...

    def positions(self, prefix: str, after: str) -> Iterator[str]:
        """Iterate over the users whose sub begins with `prefix`, after the position `after`; "" is the start."""
        ...

    def listed(self, position: str) -> Json:
        """Return the user as boto3 returns it from ListUsers."""
        ...

    def position_of(self, username: str) -> str | None: ...

    def groups_of(self, position: str) -> Iterable[str]:
        """Return the names of the user's groups."""
        ...

    def members(self, group: str) -> Sequence[str]:
        """Return the positions of the users in a group."""
        ...


class NoGroups:
    """A part of a UserStore whose users have no groups."""

    def groups_of(self, position: str) -> Iterable[str]:
        return ()

    def members(self, group: str) -> Sequence[str]:
        return ()


@dataclass
class CognitoUser:
    sub: str
    username: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    status: str = "CONFIRMED"
    enabled: bool = True
    modified_at: datetime = LONG_AGO
    created_at: datetime = LONG_AGO
    missing: frozenset[str] = frozenset()
    """Members that are missing in Cognito's response, which makes the user unusable."""
    groups: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.username = self.username or f"name-of-{self.sub}"

    def change(self, **changes: Any) -> None:
        """Change the user as an administrator does: Cognito moves the date."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.modified_at += timedelta(hours=1)

    def listed(self) -> Json:
        """Return the user as boto3 returns it from ListUsers."""
        attributes = {"sub": self.sub, **self.attributes}
        members = {
            "Username": self.username,
            "Attributes": [{"Name": n, "Value": v} for n, v in attributes.items() if n not in self.missing],
            "UserCreateDate": self.created_at,
            "UserLastModifiedDate": self.modified_at,
            "Enabled": self.enabled,
            "UserStatus": self.status,
        }
        return {name: value for name, value in members.items() if name not in self.missing}

    def seen(self, observed_at: datetime = LONG_AGO, with_groups: bool = False) -> User:
        """Return the user as a reconciliation at that time reads it, or as sync_change does, with the groups."""
        return User(
            sub=self.sub,
            observed_at=timestamp(observed_at),
            username=self.username,
            attributes=self.attributes,
            status=self.status,
            enabled=self.enabled,
            created_at=timestamp(self.created_at),
            modified_at=timestamp(self.modified_at),
            groups=frozenset(self.groups) if with_groups else None,
            groups_observed_at=timestamp(observed_at) if with_groups else "",
        )


class UsersInMemory(dict[str, CognitoUser]):
    """Users by sub, in the order of the reversed subs, so that users of a prefix are not next to each other."""

    def __init__(self, *users: CognitoUser) -> None:
        super().__init__()
        self.add(*users)
        self.unlisted: set[str] = set()
        """Subs of users that the eventually consistent list does not show yet."""

    def add(self, *users: CognitoUser) -> None:
        self.update({user.sub: user for user in users})

    def remove(self, *subs: str) -> None:
        for sub in subs:
            del self[sub]

    def positions(self, prefix: str, after: str) -> Iterator[str]:
        subs: Iterable[str] = self.keys() - self.unlisted
        return iter(sorted(sub[::-1] for sub in subs if sub.startswith(prefix) and sub[::-1] > after))

    def listed(self, position: str) -> Json:
        return self[position[::-1]].listed()

    def position_of(self, username: str) -> str | None:
        return next((user.sub[::-1] for user in self.values() if user.username == username), None)

    def groups_of(self, position: str) -> Iterable[str]:
        return sorted(self[position[::-1]].groups)

    def members(self, group: str) -> Sequence[str]:
        return [user.sub[::-1] for user in self.values() if group in user.groups]


class Quota:
    """A token bucket with the calls of one second."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        self._per_second = per_second
        self._clock = clock
        self._tokens = per_second
        self._filled_at = clock.seconds

    def take(self) -> bool:
        now = self._clock.seconds
        self._tokens = min(self._per_second, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        # Sums of floats may be a little below 1.
        if self._tokens < 1 - 1e-6:
            return False
        self._tokens -= 1
        return True


class CognitoPool:
    """A pool. `answer` takes its calls.

    UpdateUserPool sets `settings`, only SetUserPoolMfaConfig sets `mfa`, and `facts` is the rest of DescribeUserPool's
    response. Tests may change them, and each behavior, between two calls.

    Args:
        users: Its users. None means that it has none.
        settings: Settings that differ from DEFAULTS.
        facts: Facts other than its ID and name.
        mfa: MFA settings.
        calls: Counts the calls, and can fail them or lose their answers. Share it between fakes to record one order.
    """

    def __init__(
        self,
        users: UserStore | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        facts: Mapping[str, Any] | None = None,
        mfa: Mapping[str, Any] | None = None,
        calls: Calls | None = None,
    ) -> None:
        self.users: UserStore = UsersInMemory() if users is None else users
        self.settings: Json = copy.deepcopy({**DEFAULTS, **(settings or {})})
        self.facts: Json = copy.deepcopy({"Id": POOL_ID, "Name": "pool", **(facts or {})})
        self.mfa: Json = copy.deepcopy(dict(mfa or {}))
        self.calls = calls or Calls()
        self.exists = True
        self.groups: list[str] = []
        """The names of the groups."""
        self.page_sizes: Sequence[int] = (MAX_LIMIT,)
        """The maximum sizes of the pages, used in turn and repeated."""
        self.ends_with_an_empty_page = False
        self.rejects_prefixes = False
        self.ignores_filters = False
        self.quota: Quota | None = None
        """Of ListUsers and ListUsersInGroup together."""
        self.delay: Callable[[], object] = lambda: None
        """Called once for each call, to simulate its duration."""
        self.throttled = 0
        """The number of calls over the quota."""
        self.listings: Counter[str] = Counter()
        """The number of ListUsers calls that took effect, by the prefix or sub of their filter."""
        self.updates: list[Json] = []
        """The requests of UpdateUserPool, without those that the test failed."""
        self.unavailable: dict[str, str] = {}
        """Settings that the pool shows although its tier does not have them, with the name that Cognito gives to the
        feature. An update with one of them is rejected. An update without it leaves it unchanged."""
        self.rejects_two_messages = False
        """Whether an update with both email messages in its template is rejected. An update with one of them leaves
        the other unchanged."""
        self._pages = 0
        self.operations: dict[str, Callable[[Json], Answer]] = {
            LIST: self._list,
            GET: self._get,
            GROUPS_OF_USER: self._groups_of_user,
            LIST_GROUPS: self._list_groups,
            MEMBERS: self._list_members,
            GET_GROUP: self._get_group,
            DESCRIBE: lambda _: Response({"UserPool": self._pool()}),
            UPDATE: self._update,
            GET_MFA: lambda _: Response(self._mfa()),
            SET_MFA: self._set_mfa,
        }

    @property
    def trigger(self) -> str | None:
        """The ARN of the post-confirmation trigger."""
        trigger: str | None = self.settings.get("LambdaConfig", {}).get("PostConfirmation")
        return trigger

    def set_trigger(self, function_arn: str | None) -> None:
        """Set the trigger as another program does."""
        triggers = self.settings.setdefault("LambdaConfig", {})
        triggers.pop("PostConfirmation", None)
        if function_arn:
            triggers["PostConfirmation"] = function_arn

    def shown(self) -> Json:
        """Return copies of the answers of DescribeUserPool ("UserPool") and GetUserPoolMfaConfig ("Mfa")."""
        return copy.deepcopy({"UserPool": self._pool(), "Mfa": self._mfa()})

    def _pool(self) -> Json:
        pool = {"EstimatedNumberOfUsers": len(self.users), **self.facts, **self.settings}
        # Two names of one setting: Cognito shows both.
        days = pool.get("Policies", {}).get("PasswordPolicy", {}).get("TemporaryPasswordValidityDays")
        if days is not None:
            config = pool.get("AdminCreateUserConfig", {})
            pool["AdminCreateUserConfig"] = {**config, "UnusedAccountValidityDays": days}
        return pool

    def _mfa(self) -> Json:
        mfa = dict(self.mfa)
        if "MfaConfiguration" in self.settings:
            mfa["MfaConfiguration"] = self.settings["MfaConfiguration"]
        if self.settings.get("SmsConfiguration"):
            names = ("SmsConfiguration", "SmsAuthenticationMessage")
            mfa["SmsMfaConfiguration"] = {name: self.settings[name] for name in names if name in self.settings}
        return mfa

    def answer(self, operation: str, request: Json) -> Answer:
        """Return the answer to a call.

        Args:
            operation: The operation, as AWS names it.
            request: The request, as boto3 takes it.
        """
        assert operation in self.operations, f"unexpected call of {operation}"
        answer: Answer = self.calls.make(operation, partial(self._answer, operation, request))
        return answer

    def _answer(self, operation: str, request: Json) -> Answer:
        is_allowed = operation not in (LIST, MEMBERS) or self.quota is None or self.quota.take()
        self.delay()
        if not is_allowed:
            self.throttled += 1
            return error_response("TooManyRequestsException")
        if not self.exists or request["UserPoolId"] != self.facts["Id"]:
            return error_response("ResourceNotFoundException", message="User pool does not exist.")
        return self.operations[operation](request)

    def _list(self, request: Json) -> Answer:
        query, limit = request.get("Filter", ""), request.get("Limit", MAX_LIMIT)
        parsed = re.fullmatch(r'sub (\^?=) "([0-9a-f-]{1,36})"', query)
        prefix = parsed[2] if parsed else ""
        token = request.get("PaginationToken", f"{query}|")
        if (
            (query and not parsed)
            or (parsed and parsed[1] == "^=" and self.rejects_prefixes)
            or not token.startswith(f"{query}|")
            or not 1 <= limit <= MAX_LIMIT
        ):
            return error_response("InvalidParameterException")
        after = token.removeprefix(f"{query}|")
        size = min(limit, self.page_sizes[self._pages % len(self.page_sizes)])
        self._pages += 1
        self.listings[prefix] += 1
        positions = self.users.positions("" if self.ignores_filters else prefix, after)
        if query.startswith("sub =") and len(prefix) < len(SUB) and not self.ignores_filters:
            positions = iter(())  # no user has a part of a sub as its sub
        page = list(islice(positions, size))
        answer: Json = {"Users": [self.users.listed(position) for position in page]}
        if next(positions, None) is not None or (page and self.ends_with_an_empty_page):
            answer["PaginationToken"] = f"{query}|{page[-1] if page else after}"
        return Response(answer)

    def _get(self, request: Json) -> Answer:
        position = self.users.position_of(request["Username"])
        if position is None:
            return error_response("UserNotFoundException", message="User does not exist.")
        user = self.users.listed(position)
        return Response({"UserAttributes" if name == "Attributes" else name: value for name, value in user.items()})

    def _groups_of_user(self, request: Json) -> Answer:
        position = self.users.position_of(request["Username"])
        if position is None:
            return error_response("UserNotFoundException", message="User does not exist.")
        names = [name for name in self.users.groups_of(position) if name in self.groups]
        return self._page("Groups", [{"GroupName": name} for name in names], request)

    def _list_groups(self, request: Json) -> Answer:
        return self._page("Groups", [{"GroupName": name} for name in self.groups], request)

    def _get_group(self, request: Json) -> Answer:
        if request["GroupName"] not in self.groups:
            return error_response("ResourceNotFoundException", message="Group not found.")
        return Response({"Group": {"GroupName": request["GroupName"]}})

    def _list_members(self, request: Json) -> Answer:
        group = request["GroupName"]
        if group not in self.groups:
            return error_response("ResourceNotFoundException", message="Group not found.")
        return self._page("Users", self.users.members(group), request, self.users.listed)

    def _page(
        self, name: str, found: Sequence[Any], request: Json, shown: Callable[[Any], Any] = lambda x: x
    ) -> Answer:
        """Return a page of a list. Its token is an offset, and the list it is for."""
        kind = f"{name} {request.get('GroupName', '')}|"
        token = request.get("NextToken", f"{kind}0")
        if not token.startswith(kind) or not 1 <= request.get("Limit", MAX_LIMIT) <= MAX_LIMIT:
            return error_response("InvalidParameterException")
        start = int(token.removeprefix(kind))
        size = min(request.get("Limit", MAX_LIMIT), self.page_sizes[self._pages % len(self.page_sizes)])
        self._pages += 1
        answer: Json = {name: [shown(each) for each in found[start : start + size]]}
        if start + size < len(found):
            answer["NextToken"] = f"{kind}{start + size}"
        return Response(answer)

    def _update(self, request: Json) -> Answer:
        self.updates.append(request)
        settings = {name: value for name, value in request.items() if name not in {"UserPoolId", "PoolName"}}
        if not_settings := settings.keys() & FACTS:
            return error_response("InvalidParameterException", message=f"not settings: {sorted(not_settings)}")
        password_policy = settings.get("Policies", {}).get("PasswordPolicy", {})
        if (
            "UnusedAccountValidityDays" in settings.get("AdminCreateUserConfig", {})
            and "TemporaryPasswordValidityDays" in password_policy
        ):
            return error_response(
                "InvalidParameterException",
                message="Please use TemporaryPasswordValidityDays in PasswordPolicy instead of"
                " UnusedAccountValidityDays",
            )
        if features := [feature for name, feature in self.unavailable.items() if name in settings]:
            return error_response(
                "FeatureUnavailableInTierException",
                message="The following features need to be disabled for the"
                f" {self.settings['UserPoolTier']} pricing tier configured: {', '.join(features)}",
            )
        template = settings.get("VerificationMessageTemplate", {})
        if self.rejects_two_messages:
            if {"EmailMessage", "EmailMessageByLink"} <= template.keys():
                return error_response("InvalidParameterException", message="The message is invalid.")
            settings["VerificationMessageTemplate"] = self.settings["VerificationMessageTemplate"] | template
        settings |= {name: self.settings[name] for name in self.unavailable if name in self.settings}
        tags = settings.get("UserPoolTags", {})
        if any(name.lower().startswith("aws:") for name in tags):
            return error_response("InvalidParameterException", message="aws: prefixed tag key names are not allowed")
        if aws_tags := {n: v for n, v in self.settings.get("UserPoolTags", {}).items() if n.lower().startswith("aws:")}:
            settings["UserPoolTags"] = aws_tags | tags
        self.settings = {**copy.deepcopy(DEFAULTS), **settings}
        self.facts["Name"] = request.get("PoolName", self.facts["Name"])
        self.facts["LastModifiedDate"] = self.facts.get("LastModifiedDate", EPOCH.timestamp()) + 1
        return Response()

    def _set_mfa(self, request: Json) -> Answer:
        mfa = {name: value for name, value in request.items() if name != "UserPoolId"}
        sms = mfa.pop("SmsMfaConfiguration", {})
        configuration = mfa.pop("MfaConfiguration", DEFAULTS["MfaConfiguration"])
        if configuration == "OFF" and (sms or any(name.endswith("MfaConfiguration") for name in mfa)):
            return error_response(
                "InvalidParameterException",
                message="Invalid MFA configuration given, can't turn off MFA and configure an MFA together.",
            )
        self.settings["MfaConfiguration"] = configuration
        self.settings.update(copy.deepcopy(sms))
        self.mfa = mfa
        return Response(self._mfa())
