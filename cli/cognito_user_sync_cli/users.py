"""One user: in Cognito, in the table, and the executions of the user's sign-up and password resets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer

from cognito_user_sync.changes import sync_change
from cognito_user_sync.sync_request import Change
from cognito_user_sync.user import SUB, UNCONFIRMED, User, now, to_item
from cognito_user_sync.user_table import DeletedUsers, Outcome
from cognito_user_sync_cli.deployment import Deployment
from cognito_user_sync_cli.executions import FAILED, describe, end_of, named

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Of the newest executions, so many are looked through for those of a user: 20 calls.
LOOKED_AT = 20_000
# ... of which so many are described.
SHOWN = 10

# What is the table's own: there is nothing like it in Cognito.
OF_THE_TABLE = ("observed_at", "synced_at", "deleted_at", "expires_at", "shard")


@dataclass(frozen=True)
class Comparison:
    """A user in Cognito and in the table: None where it is not there. Both under the item's names. `is_kept`: whether
    the item of who is gone is to stay as it is."""

    sub: str
    cognito: dict[str, Any] | None
    item: dict[str, Any] | None
    is_kept: bool

    @property
    def differing(self) -> list[str]:
        """What Cognito says, and the item says otherwise."""
        if self.cognito is None or self.item is None:
            return []
        names = [name for name in {**self.cognito, **self.item} if name not in OF_THE_TABLE]
        return [name for name in names if self.cognito.get(name) != self.item.get(name)]

    @property
    def is_in_step(self) -> bool:
        if self.cognito is None:
            return self.item is None or self.is_kept or "deleted_at" in self.item
        if self.cognito["status"] == UNCONFIRMED:
            return self.item is None
        return self.item is not None and "deleted_at" not in self.item and not self.differing


@dataclass(frozen=True)
class Execution:
    """An execution of user_sync, and what it came to in words."""

    name: str
    started_at: datetime
    status: str
    outcome: str


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
    user = deployment.user_pool.find(sub)
    item = deployment.user_table.read([sub], consistent=True).get(sub)
    is_kept = deployment.deleted_users["action"] == DeletedUsers.KEEP
    return Comparison(sub, _as_item(deployment, user) if user else None, _plain(item) if item else None, is_kept)


def executions(deployment: Deployment, sub: str) -> tuple[Sequence[Execution], bool]:
    """The newest executions of a user, and whether there may be more than were looked at."""
    states, arn = deployment.states, deployment.user_sync_state_machine_arn
    found, more = named(states, arn, sub, LOOKED_AT)
    if more:
        # The one that matters most is found by its name at any age.
        sign_up = f"{arn.replace(':stateMachine:', ':execution:')}:sign-up-{sub}"
        if sign_up not in found[: SHOWN - 1] and _exists(states, sign_up):
            found = [*found[: SHOWN - 1], sign_up]
    return [look(states, each) for each in found[:SHOWN]], more or len(found) > SHOWN


def sync(deployment: Deployment, sub: str) -> Outcome:
    """Sync a user now, with the operator's credentials. Raises what sync_change raises."""
    return sync_change(deployment.user_pool, deployment.user_table, Change(sub, "", now()))


def look(states: SFNClient, arn: str) -> Execution:
    """How an execution stands."""
    described = describe(states, arn)
    status, outcome = described["status"], ""
    if status == "SUCCEEDED":
        outcome = _in_words(json.loads(described.get("output") or "{}"))
    elif status in FAILED:
        end = end_of(states, arn, status)
        outcome = f"{end.error} in {end.state}" if end.state else end.error
    return Execution(described.get("name", arn.rpartition(":")[2]), described["startDate"], status, outcome)


def _in_words(output: dict[str, Any]) -> str:
    """What an execution's output says; without `sent` where the deployment sends no welcome email."""
    outcome = str(output.get("outcome", ""))
    if "sent" not in output:
        return outcome
    return f"{outcome}, welcome email " + ("sent" if output["sent"] else f"not sent: {output.get('why_not', '')}")


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
    """Subs of items with an email address, also of users who are gone: where the table has an index on it."""
    described = deployment.dynamodb.describe_table(TableName=deployment.user_table_name)["Table"]
    for index in described.get("GlobalSecondaryIndexes", []):
        keys = index.get("KeySchema", [])
        if keys and (keys[0]["AttributeName"], keys[0]["KeyType"]) == ("email", "HASH"):
            pages = deployment.dynamodb.get_paginator("query").paginate(
                TableName=deployment.user_table_name,
                IndexName=index["IndexName"],
                KeyConditionExpression="email = :email",
                ExpressionAttributeValues={":email": {"S": email}},
            )
            # An existing table may have items that are no users.
            return [sub for page in pages for item in page["Items"] if SUB.fullmatch(sub := item["id"]["S"])]
    return []


def _as_item(deployment: Deployment, user: User) -> dict[str, Any]:
    table = deployment.user_table
    item = to_item(user, table.attributes, table.index_keys)
    return {name: value for name, value in item.items() if name not in OF_THE_TABLE}


def _plain(item: Any) -> dict[str, Any]:
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items() if name != "id"}


def _exists(states: SFNClient, execution_arn: str) -> bool:
    try:
        states.describe_execution(executionArn=execution_arn)
    except states.exceptions.ExecutionDoesNotExist:
        return False
    return True
