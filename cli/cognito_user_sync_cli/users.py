"""One user: find the sub, compare Cognito with the table, list the user's executions, and sync the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from cognito_user_sync.changes import sync_change
from cognito_user_sync.item_layout import BOOKKEEPING, Item, ItemLayout, filled, has, placeholders
from cognito_user_sync.sync_request import Change
from cognito_user_sync.user import SUB, UNCONFIRMED, User, now
from cognito_user_sync.user_table import DeletedUsers, Outcome
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.execution_outcomes import Execution, read_execution
from cognito_user_sync_cli.executions import describe, describe_sign_up, find_by_name, sign_up_arn

# The number of executions that are searched for those of a user, the newest first: 20 requests.
SEARCHED = 20_000
# The number of a user's executions that are shown.
SHOWN = 10

# The value of an attribute in the item that is not in `attributes` any more.
_NO_LONGER_SYNCED = "(no longer synced)"


@dataclass(frozen=True)
class Comparison:
    """A user in Cognito, and the user's item.

    Attributes:
        found: The item, as UserTable.read returns it. None if there is none.
        is_kept: Whether the items of deleted users are left unchanged.
    """

    sub: str
    layout: ItemLayout
    user: User | None
    found: Item | None
    is_kept: bool

    @property
    def cognito(self) -> dict[str, Any]:
        """The values in Cognito, by their names in the item."""
        item = self.layout.to_item(self.user) if self.user else {}
        return {name: value for name, value in item.items() if name not in self._bookkeeping}

    @property
    def _bookkeeping(self) -> set[str]:
        """The names of attributes that are not values in Cognito."""
        return {self.layout.name(field) for field in (*BOOKKEEPING, "groups_observed_at")}

    @property
    def item(self) -> dict[str, Any]:
        """The values in the item, its key first."""
        if self.found is None:
            return {}
        read = TypeDeserializer().deserialize
        values = {name: read(value) for name, value in {**self.layout.key(self.sub), **self.found}.items()}
        values.pop(self.layout.name("synced_attributes"), None)
        no_longer = self.layout.synced(self.found) - {*self.layout.names()}
        return values | dict.fromkeys(sorted(no_longer), _NO_LONGER_SYNCED)

    @property
    def differing(self) -> list[str]:
        """The names of the attributes that a sync would add, replace or remove."""
        if self.user is None or self.found is None:
            return []
        wanted = self.cognito
        replaced = [name for name, value in wanted.items() if not has(self.found, name, value)]
        return [*replaced, *sorted(self.layout.synced(self.found) - wanted.keys() - self._bookkeeping)]

    @property
    def is_of_pool(self) -> bool:
        """Whether there is an item that was synced from this pool."""
        return self.found is not None and self.layout.is_ours(self.found)

    @property
    def other_pool(self) -> str:
        """The ID of another pool that the item belongs to, or ""."""
        return "" if self.found is None or self.is_of_pool else self.layout.text(self.found, "user_pool_id")

    @property
    def is_deleted(self) -> bool:
        """Whether the item is that of a deleted user."""
        return self.is_of_pool and self.layout.name("deleted_at") in (self.found or {})

    @property
    def is_in_sync(self) -> bool:
        """Whether a sync would change nothing."""
        if self.other_pool:
            return False
        if self.user is None:
            return not self.is_of_pool or self.is_deleted or self.is_kept
        if self.user.status == UNCONFIRMED:
            return not self.is_of_pool
        return self.is_of_pool and not self.is_deleted and not self.differing


def find_subs(deployment: Deployment, text: str) -> list[str]:
    """Return the subs of the users with this sub, username or email address. Several users can share an address."""
    found = _search_pool(deployment, "username", text)
    if "@" in text:
        found += _search_pool(deployment, "email", text)
        found = found or _search_email_indexes(deployment, text)
    # Last: a username may look like a sub, for example in a pool with users from another pool.
    return list(dict.fromkeys(found)) or ([text.lower()] if SUB.fullmatch(text.lower()) else [])


def compare(deployment: Deployment, sub: str) -> Comparison:
    """Read a user from Cognito and the table. Raises what UserPool.find and UserTable.read raise."""
    table = deployment.user_table
    user = deployment.user_pool.find(sub)
    if user and table.layout.sync_groups:
        user = deployment.user_pool.with_groups(user)
    found = table.read([sub], consistent=True).get(sub)
    return Comparison(sub, table.layout, user, found, table.deletion.action is DeletedUsers.KEEP)


def list_executions(deployment: Deployment, sub: str, limit: int = SHOWN) -> tuple[Sequence[Execution], bool]:
    """Return the newest executions of a user, at most `limit`, and whether there may be more."""
    states, arn = deployment.states, deployment.user_sync_state_machine_arn
    found, more = find_by_name(states, arn, sub, SEARCHED)
    if more:
        # The execution of the sign-up matters most. Its name is known, so it is found at any age.
        sign_up = sign_up_arn(arn, sub)
        if sign_up not in found[: limit - 1] and describe_sign_up(states, arn, sub):
            found = [*found[: limit - 1], sign_up]
    return [read_execution(states, describe(states, each)) for each in found[:limit]], more or len(found) > limit


def export(deployment: Deployment, compared: Comparison) -> dict[str, Any]:
    """Return all data about a user, for JSON.

    The data are the values in Cognito, the attributes of this module in the item, also those that are no longer
    synced, and the executions. `more_executions` shows whether there may be older ones.
    """
    layout, item = compared.layout, None
    if compared.is_of_pool:
        key = layout.key(compared.sub)
        found = deployment.dynamodb.get_item(TableName=deployment.user_table.name, Key=key, ConsistentRead=True)
        names = {*layout.names(), *layout.synced(found.get("Item", {}))}
        read = TypeDeserializer().deserialize
        item = {name: read(value) for name, value in found.get("Item", {}).items() if name in names}
    executions, more = list_executions(deployment, compared.sub, SEARCHED)
    return {
        "sub": compared.sub,
        "in_sync": compared.is_in_sync,
        "cognito": compared.cognito if compared.user else None,
        "item": item,
        "executions": [vars(each) for each in executions],
        "more_executions": more,
    }


def sync(deployment: Deployment, sub: str) -> Outcome:
    """Sync a user now, with the operator's credentials. Raises what sync_change raises."""
    return sync_change(deployment.user_pool, deployment.user_table, Change(sub, "", now()))


def _search_pool(deployment: Deployment, attribute: str, value: str) -> list[str]:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    pages = deployment.cognito.get_paginator("list_users").paginate(
        UserPoolId=deployment.user_pool_id, Filter=f'{attribute} = "{escaped}"'
    )
    subs = []
    for page in pages:
        for user in page["Users"]:
            values = {each["Name"]: each.get("Value", "") for each in user.get("Attributes", [])}
            values["username"] = user.get("Username", "")
            if values.get(attribute, "").casefold() == value.casefold():
                subs.append(values["sub"])
    return subs


def _search_email_indexes(deployment: Deployment, email: str) -> list[str]:
    """Return the subs of items with an email address, also of deleted users.

    Only indexes whose partition key is the address, or is made of the address alone, are searched.
    """
    table = deployment.user_table
    templates = {**table.layout.extra_attributes, table.layout.name("email"): "{email}"}
    described = deployment.dynamodb.describe_table(TableName=table.name)["Table"]
    subs = []
    for index in described.get("GlobalSecondaryIndexes", []):
        key = next(key["AttributeName"] for key in index["KeySchema"] if key["KeyType"] == "HASH")
        template = templates.get(key, "")
        if placeholders(template) != {"email"}:
            continue
        pages = deployment.dynamodb.get_paginator("query").paginate(
            TableName=table.name,
            IndexName=index["IndexName"],
            KeyConditionExpression="#key = :key",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":key": {"S": filled(template, {"email": email})}},
        )
        # An existing table may have items that are not users.
        subs += [sub for page in pages for item in page["Items"] if (sub := table.layout.sub_of(item))]
    return subs
