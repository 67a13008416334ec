"""Cognito and DynamoDB as a reconciliation meets them, in the place of boto3's two clients.

The pool is in memory, and as unkind as AWS documents it where moto is kind: pages may be short, or empty although more
follow; a token belongs to its filter; the list may be behind; prefixes may be refused. The table is moto's own, since
its conditions are real there, behind a client that can fail. Every call of both is counted, and anything may happen
before or after it: an error, a sign-up, the end of the process.
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_ListUsers.html
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar

from botocore.exceptions import ClientError

from cognito_user_sync.user import User, timestamp, to_item
from cognito_user_sync.user_pool import UserPool
from cognito_user_sync.user_table import DeletionPolicy, UserTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

POOL = "eu-central-1_abcdefghi"
TABLE = "users"
ATTRIBUTES = ("name", "email")

# What UserPool and UserTable call: the operations that a test may count or break.
LIST = "ListUsers"
ASK = "AdminGetUser"
DESCRIBE = "DescribeUserPool"
READ = "BatchGetItem"
WRITE = "UpdateItem"
QUERY = "Query"

# Before any moment of a simulation.
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

Json: TypeAlias = dict[str, Any]
Act: TypeAlias = Callable[[], object]
Answer = TypeVar("Answer")


class Killed(BaseException):
    """The process ends here: what no code may catch."""


class UserNotFoundException(ClientError):
    pass


class InvalidParameterException(ClientError):
    pass


def client_error(code: str, status: int = 400, kind: type[ClientError] = ClientError) -> ClientError:
    """What boto3 raises for this answer."""
    metadata: Any = {"HTTPStatusCode": status}
    return kind({"Error": {"Code": code, "Message": "refused by the test"}, "ResponseMetadata": metadata}, "Operation")


def invalid_parameter() -> ClientError:
    return client_error("InvalidParameterException", kind=InvalidParameterException)


def kill() -> NoReturn:
    raise Killed


@dataclass
class FakeClock:
    """A clock on which nothing but sleep takes time."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.seconds += seconds


class Moments:
    """Takes the place of `now`: each moment a millisecond after the one before, all after LONG_AGO."""

    def __init__(self) -> None:
        self._moment = LONG_AGO + timedelta(days=1_000)

    def __call__(self) -> str:
        self._moment += timedelta(milliseconds=1)
        return timestamp(self._moment)


class Calls:
    """The calls of all clients of a test, in their order; and what is to happen at which."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self._before: dict[tuple[str | None, int | None], Act] = {}
        self._after: dict[tuple[str | None, int | None], Act] = {}
        self._lock = threading.Lock()

    def count(self, operation: str) -> int:
        return self.operations.count(operation)

    def before(self, operation: str | None, number: int | None, act: Act) -> None:
        """Do `act` before the number-th call of an operation, counted from 1; None is every one, or any operation."""
        self._before[operation, number] = act

    def after(self, operation: str | None, number: int | None, act: Act) -> None:
        """Do `act` after the call has taken effect: an error that it raises is an answer that was lost."""
        self._after[operation, number] = act

    def fail(self, operation: str, error: Exception, *numbers: int | None) -> None:
        """Fail these calls of an operation instead of making them; None is every one."""

        def raise_it() -> NoReturn:
            raise error

        for number in numbers:
            self.before(operation, number, raise_it)

    def forget(self) -> None:
        """Count from the beginning, and let nothing happen any more."""
        self.operations.clear()
        self._before.clear()
        self._after.clear()

    def make(self, operation: str, call: Callable[[], Answer]) -> Answer:
        with self._lock:
            self.operations.append(operation)
            of_all, of_its_own = len(self.operations), self.count(operation)
        these = ((None, of_all), (operation, of_its_own), (operation, None))
        for key in these:
            self._before.get(key, lambda: None)()
        try:
            return call()
        finally:
            for key in these:
                self._after.get(key, lambda: None)()


def plain_sub(source: random.Random, start: str = "") -> str:
    """A sub of an older pool: a random UUID."""
    digits = start + "".join(source.choices("0123456789abcdef", k=32 - len(start)))
    return _with_dashes(digits)


def regional_sub(source: random.Random, start: str = "") -> str:
    """A sub of a newer pool: every second digit at the start is that of its region, as in f4b8a408-40f1-..."""
    fixed = "484801"
    digits = start or "".join(source.choice("0123456789abcdef") + digit for digit in fixed)
    return plain_sub(source, digits)


def _with_dashes(digits: str) -> str:
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


@dataclass
class CognitoUser:
    sub: str
    username: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    status: str = "CONFIRMED"
    enabled: bool = True
    modified_at: datetime = LONG_AGO
    lacks: frozenset[str] = frozenset()
    """Members that Cognito's answer leaves out: the user is unusable then."""

    def __post_init__(self) -> None:
        self.username = self.username or f"name-of-{self.sub}"

    def change(self, **changes: Any) -> None:
        """As an administrator changes a user: Cognito moves the date."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.modified_at += timedelta(hours=1)

    def answer(self) -> Json:
        """As ListUsers gives it."""
        members = {
            "Username": self.username,
            "Attributes": self._attributes(),
            "UserCreateDate": LONG_AGO,
            "UserLastModifiedDate": self.modified_at,
            "Enabled": self.enabled,
            "UserStatus": self.status,
        }
        return {name: value for name, value in members.items() if name not in self.lacks}

    def answer_to_admin(self) -> Json:
        """As AdminGetUser gives it."""
        return {"Username": self.username, "UserAttributes": self._attributes(), "UserStatus": self.status}

    def seen(self, observed_at: datetime = LONG_AGO) -> User:
        """As a reconciliation of that moment saw it."""
        return User(
            sub=self.sub,
            observed_at=timestamp(observed_at),
            username=self.username,
            attributes=self.attributes,
            status=self.status,
            enabled=self.enabled,
            created_at=timestamp(LONG_AGO),
            modified_at=timestamp(self.modified_at),
        )

    def _attributes(self) -> list[Json]:
        attributes = {"sub": self.sub, **self.attributes}
        return [{"Name": name, "Value": value} for name, value in attributes.items() if name not in self.lacks]


class SimulatedPool:
    """Cognito's client, over users in memory. What it lists comes in an order of its own, not in that of the subs."""

    class exceptions:  # noqa: N801 - as boto3 names it
        UserNotFoundException = UserNotFoundException
        InvalidParameterException = InvalidParameterException

    def __init__(self, calls: Calls, users: Iterable[CognitoUser] = ()) -> None:
        self.calls = calls
        self.users: dict[str, CognitoUser] = {}
        self.add(*users)
        self.unlisted: set[str] = set()
        """The list is behind: it does not show these, though Cognito knows them."""
        self.page_sizes: Sequence[int] = (60,)
        """How many users the pages hold, in turn and then again."""
        self.ends_with_an_empty_page = False
        self.refuses_prefixes = False
        self.ignores_filters = False
        self.estimated_users: int | None = None
        self.listings: Counter[str] = Counter()
        """The calls of ListUsers that took effect, by the prefix that they asked for."""

    def add(self, *users: CognitoUser) -> None:
        self.users.update({user.sub: user for user in users})

    def remove(self, *subs: str) -> None:
        for sub in subs:
            del self.users[sub]

    def describe_user_pool(self, *, UserPoolId: str) -> Json:  # noqa: N803
        assert UserPoolId == POOL
        users = len(self.users) if self.estimated_users is None else self.estimated_users
        return self.calls.make(DESCRIBE, lambda: {"UserPool": {"Id": POOL, "EstimatedNumberOfUsers": users}})

    def admin_get_user(self, *, UserPoolId: str, Username: str) -> Json:  # noqa: N803
        assert UserPoolId == POOL

        def answer() -> Json:
            for user in self.users.values():
                if Username == user.username:
                    return user.answer_to_admin()
            raise client_error("UserNotFoundException", kind=UserNotFoundException)

        return self.calls.make(ASK, answer)

    def list_users(
        self,
        *,
        UserPoolId: str,  # noqa: N803
        Limit: int,  # noqa: N803
        Filter: str | None = None,  # noqa: N803
        PaginationToken: str | None = None,  # noqa: N803
    ) -> Json:
        assert UserPoolId == POOL
        assert 1 <= Limit <= 60
        return self.calls.make(LIST, lambda: self._list(Limit, Filter or "", PaginationToken))

    def reader(self) -> UserPool:
        client: Any = self
        return UserPool(client, POOL)

    def _list(self, limit: int, query: str, token: str | None) -> Json:
        prefix, whole = self._prefix(query)
        after = ""
        if token is not None:
            of_query, _, after = token.partition("|")
            if of_query != query:
                raise invalid_parameter()
        size = min(limit, self.page_sizes[self.listings.total() % len(self.page_sizes)])
        self.listings[prefix] += 1
        found = self._found(prefix, whole, after)
        shown, more = found[:size], len(found) > size
        answer: Json = {"Users": [self.users[sub].answer() for sub in shown]}
        if more or (shown and self.ends_with_an_empty_page):
            answer["PaginationToken"] = f"{query}|{shown[-1][::-1] if shown else after}"
        return answer

    def _found(self, prefix: str, whole: bool, after: str) -> list[str]:
        # By the subs backwards: an order that has nothing to do with prefixes, and in which a deletion moves no page.
        return sorted(
            (
                sub
                for sub in self.users.keys() - self.unlisted
                if (self.ignores_filters or (sub == prefix if whole else sub.startswith(prefix))) and sub[::-1] > after
            ),
            key=lambda sub: sub[::-1],
        )

    def _prefix(self, query: str) -> tuple[str, bool]:
        """What a filter asks for: a sub, or the beginning of one."""
        if not query:
            return "", False
        understood = re.fullmatch(r'sub (\^?=) "([0-9a-f-]{1,36})"', query)
        if not understood or (understood[1] == "^=" and self.refuses_prefixes):
            raise invalid_parameter()
        return understood[2], understood[1] == "="


class SimulatedTable:
    """DynamoDB's client over moto, with a table as modules/user_table makes it; every call can fail."""

    def __init__(self, calls: Calls, client: DynamoDBClient, name: str = TABLE) -> None:
        self.calls = calls
        self.client = client
        self.name = name
        self.exceptions = client.exceptions
        self.query_size: int | None = None
        """How many items a Query gives at once, as if more were over a megabyte."""
        self.reads_at_once: int | None = None
        """How many keys a BatchGetItem processes of those that it is asked for."""
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("id", "shard")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by_shard",
                    "KeySchema": [
                        {"AttributeName": "shard", "KeyType": "HASH"},
                        {"AttributeName": "id", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )

    def update_item(self, **arguments: Any) -> Any:
        return self.calls.make(WRITE, lambda: self.client.update_item(**arguments))

    def batch_get_item(self, *, RequestItems: Json) -> Any:  # noqa: N803
        [(name, asked)] = RequestItems.items()
        keys = asked["Keys"]
        at_once = self.reads_at_once or len(keys)
        request: Any = {name: {**asked, "Keys": keys[:at_once]}}
        answer: Json = dict(self.calls.make(READ, lambda: self.client.batch_get_item(RequestItems=request)))
        rest = keys[at_once:]
        return {**answer, "UnprocessedKeys": {name: {**asked, "Keys": rest}} if rest else {}}

    def query(self, **arguments: Any) -> Any:
        limit: Json = {"Limit": self.query_size} if self.query_size else {}
        return self.calls.make(QUERY, lambda: self.client.query(**arguments, **limit))

    def hold(self, *users: CognitoUser) -> None:
        """Put the items of these users as a reconciliation of LONG_AGO left them."""
        requests: list[Any] = []
        for user in users:
            item: Json = {"id": user.sub, "synced_at": timestamp(LONG_AGO), **to_item(user.seen(), ATTRIBUTES, set())}
            marshalled = {name: {"BOOL" if isinstance(value, bool) else "S": value} for name, value in item.items()}
            requests.append({"PutRequest": {"Item": marshalled}})
        for start in range(0, len(requests), 25):
            self.client.batch_write_item(RequestItems={self.name: requests[start : start + 25]})

    def items(self) -> dict[str, Json]:
        """All there is, by sub."""
        found: list[Any] = []
        for page in self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True):
            found += page["Items"]
        items = [{name: next(iter(value.values())) for name, value in item.items()} for item in found]
        return {item["id"]: item for item in items}

    def living(self) -> set[str]:
        return {sub for sub, item in self.items().items() if "deleted_at" not in item}

    def users(self, deletion: DeletionPolicy | None = None) -> UserTable:
        client: Any = self
        return UserTable(client, self.name, ATTRIBUTES, frozenset(), deletion or DeletionPolicy())
