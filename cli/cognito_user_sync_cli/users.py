"""One user: in Cognito, in the table, and the executions of the user's sign-up and password resets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from cognito_user_sync.changes import sync_change
from cognito_user_sync.item_layout import BOOKKEEPING, Item, ItemLayout, filled, marshal, placeholders
from cognito_user_sync.sync_request import Change
from cognito_user_sync.user import INVITED, SUB, UNCONFIRMED, User, now
from cognito_user_sync.user_table import DeletedUsers, Outcome
from cognito_user_sync.welcome_outcome import SENT, WhyNot
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import FAILED, describe, end_of, named, of_sign_up, sign_up_arn

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

# Of the newest executions, so many are looked through for those of a user: 20 calls.
LOOKED_AT = 20_000
# ... of which so many are described.
SHOWN = 10

# The value of an attribute that an item got from Cognito, and that `attributes` does not have anymore.
_NO_LONGER_SYNCED = "(no longer synced)"

# `Execution.welcome_email["result"]`, besides SENT.
_SKIPPED, _NOT_SENT, _UNKNOWN = "skipped", "not_sent", "unknown"
# The reasons why a welcome email was not sent, in words.
WHY_NOT: dict[str, str] = {
    WhyNot.NOT_A_SIGN_UP: "not a sign-up",
    WhyNot.OTHER_APP_CLIENT: "signed up through another app client than those of welcome_email.app_client_ids",
    WhyNot.USER_DELETED: "the user is deleted",
    WhyNot.USER_DISABLED: "the user is disabled",
    WhyNot.USER_UNCONFIRMED: "the user has not confirmed the sign-up",
    WhyNot.NO_DELIVERABLE_ADDRESS: "no deliverable email address",
    WhyNot.ADDRESS_NOT_VERIFIED: "the email address is not verified",
}


@dataclass(frozen=True)
class Comparison:
    """A user in Cognito, and the user's item, as UserTable.read returns it: None if there is none.

    `is_kept`: whether the item of a deleted user stays as it is.
    """

    sub: str
    layout: ItemLayout
    user: User | None
    found: Item | None
    is_kept: bool

    @property
    def cognito(self) -> dict[str, Any]:
        """What Cognito says, under the item's names."""
        item = self.layout.to_item(self.user) if self.user else {}
        bookkeeping = {self.layout.name(field) for field in BOOKKEEPING}
        return {name: value for name, value in item.items() if name not in bookkeeping}

    @property
    def item(self) -> dict[str, Any]:
        """What the item says, its key first."""
        if self.found is None:
            return {}
        read = TypeDeserializer().deserialize
        values = {name: read(value) for name, value in {**self.layout.key(self.sub), **self.found}.items()}
        values.pop(self.layout.name("synced_attributes"), None)
        no_longer = self.layout.synced(self.found) - {*self.layout.names()}
        return values | dict.fromkeys(sorted(no_longer), _NO_LONGER_SYNCED)

    @property
    def differing(self) -> list[str]:
        """The names of the attributes that a sync adds, replaces, or removes."""
        if self.user is None or self.found is None:
            return []
        wanted = self.cognito
        replaced = [name for name, value in wanted.items() if self.found.get(name) != marshal(value)]
        return [*replaced, *sorted(self.layout.synced(self.found) - wanted.keys())]

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
    def is_in_step(self) -> bool:
        if self.other_pool:
            return False
        if self.user is None:
            return not self.is_of_pool or self.is_deleted or self.is_kept
        if self.user.status == UNCONFIRMED:
            return not self.is_of_pool
        return self.is_of_pool and not self.is_deleted and not self.differing


@dataclass(frozen=True)
class Execution:
    """An execution of user_sync, and what it came to in words.

    `welcome_email` is what came of the welcome email: `result` is "sent", with `message_id`; "skipped", with `why_not`;
    "not_sent" or "unknown", of an execution that failed. None if the execution has none to decide about, or goes on.
    """

    name: str
    started_at: datetime
    status: str
    outcome: str
    welcome_email: dict[str, str] | None
    input: Any
    output: Any


def subs_of(deployment: Deployment, who: str) -> list[str]:
    """The subs of those whom `who` may mean: a sub, a username or an email address, which several may share."""
    found = _listed(deployment, "username", who)
    if "@" in who:
        found += _listed(deployment, "email", who)
        found = found or _by_email_index(deployment, who)
    # Last: a username may look like a sub, as in a pool whose users were those of another one.
    return list(dict.fromkeys(found)) or ([who.lower()] if SUB.fullmatch(who.lower()) else [])


def compare(deployment: Deployment, sub: str) -> Comparison:
    """Raises what UserPool.find and UserTable.read raise."""
    table = deployment.user_table
    user = deployment.user_pool.find(sub)
    found = table.read([sub], consistent=True).get(sub)
    return Comparison(sub, table.layout, user, found, table.deletion.action is DeletedUsers.KEEP)


def executions(deployment: Deployment, sub: str, most: int = SHOWN) -> tuple[Sequence[Execution], bool]:
    """The newest executions of a user, `most` of them, and whether there may be more than were looked at."""
    states, arn = deployment.states, deployment.user_sync_state_machine_arn
    found, more = named(states, arn, sub, LOOKED_AT)
    if more:
        # The one that matters most is found by its name at any age.
        sign_up = sign_up_arn(arn, sub)
        if sign_up not in found[: most - 1] and of_sign_up(states, arn, sub):
            found = [*found[: most - 1], sign_up]
    return [look(states, describe(states, each)) for each in found[:most]], more or len(found) > most


def held(deployment: Deployment, compared: Comparison) -> dict[str, Any]:
    """Everything that is held about a user, for JSON: what Cognito says, what the item has of this module, also of
    attributes that are no longer synced, and the executions; `more_executions` if there may be older ones."""
    layout, item = compared.layout, None
    if compared.is_of_pool:
        key = layout.key(compared.sub)
        found = deployment.dynamodb.get_item(TableName=deployment.user_table.name, Key=key, ConsistentRead=True)
        names = {*layout.names(), *layout.synced(found.get("Item", {}))}
        read = TypeDeserializer().deserialize
        item = {name: read(value) for name, value in found.get("Item", {}).items() if name in names}
    of_user, more = executions(deployment, compared.sub, LOOKED_AT)
    return {
        "sub": compared.sub,
        "in_sync": compared.is_in_step,
        "cognito": compared.cognito if compared.user else None,
        "item": item,
        "executions": [vars(each) for each in of_user],
        "more_executions": more,
    }


def sync(deployment: Deployment, sub: str) -> Outcome:
    """Sync a user now, with the operator's credentials. Raises what sync_change raises."""
    return sync_change(deployment.user_pool, deployment.user_table, Change(sub, "", now()))


def look(states: SFNClient, described: DescribeExecutionOutputTypeDef) -> Execution:
    """How an execution stands, by what DescribeExecution says; at one call more if it has failed."""
    arn, status, outcome, welcome_email = described["executionArn"], described["status"], "", None
    given, output = json.loads(described.get("input") or "null"), json.loads(described.get("output") or "null")
    if status == "SUCCEEDED":
        outcome, welcome_email = str((output or {}).get("outcome", "")), _welcome_email(output or {})
    elif status in FAILED:
        end = end_of(states, arn, status)
        outcome = f"{end.error} in {end.state}" if end.state else end.error
        if isinstance(given, dict) and given.get("reason") == "sign_up":
            welcome_email = {"result": _UNKNOWN if end.may_have_sent else _NOT_SENT}
    name = described.get("name", arn.rpartition(":")[2])
    return Execution(name, described["startDate"], status, outcome, welcome_email, given, output)


def _welcome_email(output: Mapping[str, Any]) -> dict[str, str] | None:
    """`Execution.welcome_email`, of an execution's output; without `sent` the deployment sent no welcome email."""
    if "sent" not in output:
        return None
    if output["sent"]:
        return {"result": SENT, "message_id": str(output.get("message_id", ""))}
    return {"result": _SKIPPED, "why_not": str(output.get("why_not", ""))}


def welcome_in_words(welcome_email: Mapping[str, str] | None) -> str:
    """Say what `Execution.welcome_email` says."""
    match welcome_email or {}:
        case {"message_id": message_id}:
            return f"sent, message ID {message_id}"
        case {"why_not": why_not}:
            # Executions of earlier versions have words.
            return f"skipped: {WHY_NOT.get(why_not, why_not)}"
        case {"result": "unknown"}:
            return "unknown: it may have been sent"
        case {"result": _}:
            return "not sent: the execution failed"
    return ""


def welcome_verdict(user: User | None, executions: Sequence[Execution]) -> str:
    """Say what came of a user's welcome email, and if no execution tells, why there may be none."""
    sign_up = next((each for each in executions if each.name.startswith("sign-up-")), None)
    if sign_up is not None:
        return welcome_in_words(sign_up.welcome_email) or (
            "not decided yet" if sign_up.status == "RUNNING" else "none: the deployment had no welcome_email"
        )
    if user is not None and user.status == UNCONFIRMED:
        return "none: the user has not confirmed the sign-up"
    if user is not None and user.status == INVITED:
        return "none: an administrator created the user, who has not signed in yet"
    return (
        "unknown: no execution of a sign-up is known. An administrator created or imported the user, or the sign-up was"
        " more than 90 days ago or not seen by the trigger (to send it: cognito-user-sync welcome SUB)"
    )


def _listed(deployment: Deployment, attribute: str, value: str) -> list[str]:
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


def _by_email_index(deployment: Deployment, email: str) -> list[str]:
    """Subs of items with an email address, also of deleted users, if the table has an index whose partition key is the
    address or is made of it alone."""
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
        # An existing table may have items that are not of users.
        subs += [sub for page in pages for item in page["Items"] if (sub := table.layout.sub_of(item))]
    return subs
