"""Users of the table, the pool or an exported file, as records: what `export` writes and `restore` reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from cognito_user_sync.aws_errors import translate_errors
from cognito_user_sync.item_layout import Item, ItemLayout
from cognito_user_sync.rate_limit import OutOfTimeError, RateLimiter, RetryUntilDeadline
from cognito_user_sync.user import HEX_DIGITS, SUB, UnusableUserError, User
from cognito_user_sync.user_pool import Page, PagingTokenRejectedError, PrefixRejectedError, UserPool
from cognito_user_sync.user_table import (
    BY_SHARD,
    READ_SIZE,
    TRANSIENT,
    TableRejectedError,
    TableUnavailableError,
    UserTable,
)
from cognito_user_sync_cli.deployment import DeploymentError

# A call is repeated for this long while AWS throttles or does not respond.
_PATIENCE_SECONDS: Final = 300.0

FIELDS: Final = (
    *("sub", "username", "status", "enabled"),
    *("cognito_created_at", "cognito_modified_at", "observed_at", "synced_at", "deleted_at", "groups"),
)
"""Names of a record's members that are no attributes of the user, as in a file."""

Answer = TypeVar("Answer")
Cursor: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class UserRecord:
    """A user. Times are those of the table; "" is unknown.

    Attributes:
        attributes: Synced attributes by Cognito name, without those that have no value.
        groups: None if the source has no groups.
        deleted_at: "" for an active user.
    """

    sub: str
    username: str
    status: str
    enabled: bool
    attributes: Mapping[str, str]
    groups: tuple[str, ...] | None = None
    cognito_created_at: str = ""
    cognito_modified_at: str = ""
    observed_at: str = ""
    synced_at: str = ""
    deleted_at: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the members and attributes that have a value, in the order of FIELDS."""
        members: dict[str, Any] = {name: getattr(self, name) for name in FIELDS}
        members["groups"] = sorted(self.groups) if self.groups else ""
        return {name: value for name, value in members.items() if value != ""} | dict(self.attributes)


@dataclass(frozen=True)
class Batch:
    """Users of a source.

    Attributes:
        cursor: Where the source continues after these users. None: it cannot continue here.
        unusable: Users without what every user has.
    """

    records: list[UserRecord]
    cursor: Cursor | None
    unusable: tuple[UnusableUserError, ...] = ()


class Source(Protocol):
    """Users in an order that is the same in each run."""

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        """Yield the users after a cursor, or all.

        Raises:
            ListAgainError: The users since the last cursor must be read again.
        """
        ...

    def estimated_users(self) -> int: ...


class ListAgainError(Exception):
    """Cognito does not continue a listing. The users since the last cursor must be read again."""


def patiently(call: Callable[..., Answer], *arguments: Any) -> Answer:
    """Return the result of a call, which is repeated for five minutes while AWS throttles or does not respond.

    Raises the errors of the call.
    """
    ends_at = time.monotonic() + _PATIENCE_SECONDS
    retry = RetryUntilDeadline(lambda: ends_at - time.monotonic(), time.sleep)
    try:
        return retry.call(call, *arguments)
    except OutOfTimeError as error:
        last = error.__cause__ or error
        raise last from last.__cause__


@dataclass(frozen=True)
class TableSource:
    """The users of the table: this pool's active users in the order of their subs, and then the deleted users.

    Active users are found in the index by_shard. Only a scan of the whole table finds deleted users.
    """

    table: UserTable
    includes_deleted: bool = False

    def estimated_users(self) -> int:
        """Return DynamoDB's count of the index, which is up to six hours old and includes other pools.

        Raises:
            DeploymentError: The table has no index by_shard.
        """
        table = self.table.client.describe_table(TableName=self.table.name)["Table"]
        for index in table.get("GlobalSecondaryIndexes", []):
            if index.get("IndexName") == BY_SHARD:
                return int(index.get("ItemCount", 0))
        raise DeploymentError(
            f"the table {self.table.name} has no index {BY_SHARD}, with which this command finds the users of a pool:"
            " add it as docs/existing-table.md shows, or use --from pool"
        )

    def count(self) -> int:
        """Return the number of active users, with requests to the index only."""
        return sum(len(subs) for subs in self.table.all_active_subs("", patiently))

    def records(self) -> Iterator[UserRecord]:
        return (record for batch in self.batches(None) for record in batch.records)

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        cursor = cursor or {"after": ""}
        if "after" in cursor:
            yield from self._active(cursor["after"])
            cursor = {"scan": None}
        if self.includes_deleted:
            yield from self._deleted(cursor["scan"])

    def _active(self, after: str) -> Iterator[Batch]:
        layout = self.table.layout
        for subs in self.table.all_active_subs(after, patiently):
            for first in range(0, len(subs), READ_SIZE):
                chunk = subs[first : first + READ_SIZE]
                found = patiently(self.table.read, chunk)
                items = [(sub, found[sub]) for sub in chunk if sub in found]
                records = [_of_item(layout, *each) for each in items if layout.is_ours(each[1])]
                yield Batch([each for each in records if not each.deleted_at], {"after": chunk[-1]})

    def _deleted(self, start: Item | None) -> Iterator[Batch]:
        layout = self.table.layout
        aliases = {f"#n{index}": name for index, name in enumerate(layout.names())}
        names = {"#pool": layout.name("user_pool_id"), "#deleted": layout.name("deleted_at")}
        arguments: dict[str, Any] = {
            "TableName": self.table.name,
            "FilterExpression": "#pool = :pool AND attribute_exists(#deleted)",
            "ProjectionExpression": ", ".join(aliases),
            "ExpressionAttributeNames": aliases | names,
            "ExpressionAttributeValues": {":pool": {"S": layout.user_pool_id}},
        }

        def scan() -> Any:
            with translate_errors(TRANSIENT, TableUnavailableError, TableRejectedError):
                return self.table.client.scan(**arguments)

        while True:
            if start:
                arguments["ExclusiveStartKey"] = start
            page = patiently(scan)
            found = [(sub, item) for item in page["Items"] if (sub := layout.sub_of(item))]
            start = page.get("LastEvaluatedKey")
            # There is no cursor for the end: the exporter ends there.
            yield Batch([_of_item(layout, *each) for each in found], {"scan": start} if start else None)
            if start is None:
                return


def _of_item(layout: ItemLayout, sub: str, item: Item) -> UserRecord:
    def text(field: str) -> str:
        return layout.text(item, field)

    synced = layout.synced(item)
    attributes = {name: text(name) for name in layout.attributes if layout.name(name) in synced}
    return UserRecord(
        sub=sub,
        username=text("username"),
        status=text("status"),
        enabled=item.get(layout.name("enabled"), {}).get("BOOL") is True,
        attributes={name: value for name, value in attributes.items() if value},
        groups=tuple(sorted(layout.groups(item))) if layout.sync_groups else None,
        cognito_created_at=text("cognito_created_at"),
        cognito_modified_at=text("cognito_modified_at"),
        observed_at=text("observed_at"),
        synced_at=text("synced_at"),
        deleted_at=text("deleted_at"),
    )


@dataclass(frozen=True)
class FileSource:
    """The users of a file that `export --format jsonl` has written."""

    path: Path

    def records(self) -> Iterator[UserRecord]:
        """Yield the users. Raises DeploymentError if the file has something else."""
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield _of_fields(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise DeploymentError(
                        f"line {number} of {self.path} is no user: use a file of cognito-user-sync export --format"
                        " jsonl that is finished"
                    ) from error


def _of_fields(fields: dict[str, Any]) -> UserRecord:
    """Return the record with these fields. Raises ValueError, KeyError, TypeError or AttributeError."""
    members: dict[str, Any] = {name: fields[name] for name in FIELDS if name in fields}
    attributes = {name: value for name, value in fields.items() if name not in FIELDS}
    texts = [*attributes.values(), *(value for name, value in members.items() if name not in {"enabled", "groups"})]
    groups = members.pop("groups", [])
    if not SUB.fullmatch(members["sub"]) or not isinstance(members["enabled"], bool) or not isinstance(groups, list):
        raise ValueError
    if not all(isinstance(text, str) for text in [*texts, *groups]):
        raise ValueError
    members = {"username": "", "status": "", **members}
    return UserRecord(**members, attributes=attributes, groups=tuple(groups) if groups else None)


@dataclass(frozen=True)
class PoolSource:
    """The users of the pool, by the first digit of their subs, at a rate of ListUsers.

    Cognito does not document the order of a listing, so it can only continue after a whole digit.
    """

    pool: UserPool
    limiter: RateLimiter

    def estimated_users(self) -> int:
        return patiently(self.pool.estimated_users)

    def batches(self, cursor: Cursor | None) -> Iterator[Batch]:
        if cursor is None:
            try:
                first = self._page(HEX_DIGITS[0], None)
            except PrefixRejectedError:
                # A pool that cannot be listed by prefix.
                yield from self._listed("", self._page("", None), is_last=True)
                return
            yield from self._listed(HEX_DIGITS[0], first, is_last=False)
        done = cursor["done"] if cursor else HEX_DIGITS[0]
        for digit in HEX_DIGITS:
            if digit > done:
                yield from self._listed(digit, self._page(digit, None), is_last=digit == HEX_DIGITS[-1])

    def _listed(self, prefix: str, page: Page, is_last: bool) -> Iterator[Batch]:
        while True:
            ends = page.next_token is None
            cursor = {"done": prefix} if ends and not is_last else None
            yield Batch([_of_user(user) for user in page.users], cursor, page.unusable)
            if ends:
                return
            try:
                page = self._page(prefix, page.next_token)
            except PagingTokenRejectedError as error:
                raise ListAgainError(str(error)) from error

    def _page(self, prefix: str, token: str | None) -> Page:
        page: Page = patiently(self.limiter.call, self.pool.page, prefix, token)
        return page


def _of_user(user: User) -> UserRecord:
    return UserRecord(
        sub=user.sub,
        username=user.username,
        status=user.status,
        enabled=user.enabled,
        attributes={name: value for name, value in user.attributes.items() if value},
        cognito_created_at=user.created_at,
        cognito_modified_at=user.modified_at,
        observed_at=user.observed_at,
    )
