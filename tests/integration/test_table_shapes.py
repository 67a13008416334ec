"""The shapes of docs/table.md on tables of an application: the module writes its attributes and changes nothing else.

Three deployments: two pools share a single-table design, and the third has a table of AppSync. The first publishes
events about its users, from the stream of the table. Each has its own state, because Terraform writes the whole state
after each change of a resource.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2
import pytest

from local_aws.client import Fault, LocalAws
from tests.deployed import (
    CANARY,
    DEPLOYMENT,
    ROOT,
    Deployment,
    Operator,
    Pool,
    Terraform,
    eventually,
    make_pool,
    make_users,
)

Item = dict[str, Any]
"""An item with DynamoDB's types."""

PAGE = (ROOT / "docs" / "table.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- shape: ([a-z ]+) -->\n\n```hcl\n(.*?)```\n", PAGE, re.DOTALL))
SINGLE_TABLE, APPSYNC = "app", "User-abcdefghijklmnopqrstuvwxyz-dev"
# Attributes without the keys that this module writes in both shapes.
PREFIXED = [
    *("username", "status", "enabled", "cognito_created_at", "cognito_modified_at", "observed_at", "synced_at"),
    *("shard", "user_pool_id", "synced_attributes", "deleted_at", "name", "email", "custom:plan"),
]
OURS = {
    SINGLE_TABLE: {*(f"cognito_{name}" for name in PREFIXED), "entity", "GSI1PK", "GSI1SK"},
    APPSYNC: {
        *(f"cognito_{name}" for name in PREFIXED),
        *("name", "emailAddress", "plan", "createdAt", "updatedAt", "__typename", "owner"),
    },
}
CODE_BUCKET = "code-of-shapes"
EVENT_BUS = "arn:aws:events:us-east-1:000000000000:event-bus/default"
USERS = 24
ROUNDS = 10
NO_ALARMS = {
    name: {"enabled": False}
    for name in (
        *("trigger-errors", "trigger-throttles", "trigger-duration", "user-sync-failed", "user-sync-timed-out"),
        *("sync-user-failing", "send-welcome-failing"),
        *("retry-age", "retry-dead-letter", "changes-undelivered", "changes-lost", "changes-dead-letter"),
        *("user-events-age", "user-events-dead-letter"),
        *("reconciliation-failed", "reconciliation-timed-out", "reconciliation-overdue"),
    )
}
FAULTS: list[Fault] = [
    {"operation": "dynamodb:UpdateItem", "fault": "throttle", "rate": 0.1, "seed": 1},
    {"operation": "dynamodb:BatchGetItem", "fault": "500", "rate": 0.1, "seed": 2},
    {"operation": "dynamodb:Query", "fault": "throttle", "rate": 0.1, "seed": 3},
    {"operation": "cognito-idp:ListUsers", "fault": "throttle", "rate": 0.2, "seed": 4},
    {"operation": "events:PutEvents", "fault": "500", "after": True, "rate": 0.2, "seed": 7},
    {"operation": "cognito-idp:AdminGetUser", "fault": "500", "rate": 0.2, "seed": 5},
    # The response of a worker is lost, so it runs again.
    {
        "operation": "lambda:InvokeFunction",
        "function": "reconcile-shards",
        "fault": "reset",
        "after": True,
        "rate": 0.2,
        "seed": 6,
    },
]


@dataclass
class SyncedPool:
    """A pool, the name of its deployment, and the table of the application."""

    aws: LocalAws
    pool: Pool
    name: str
    table: str
    usernames: dict[str, str]
    """The usernames of the pool's users, by sub."""
    deleted: set[str] = field(default_factory=set)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def deployed(self) -> Deployment:
        return Deployment(self.aws, self.outputs)

    def key(self, sub: str) -> Item:
        return key_in(self.table, sub)

    def item(self, sub: str) -> Item | None:
        answer = self.aws.client("dynamodb").get_item(TableName=self.table, Key=self.key(sub), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        return found

    def items(self) -> dict[str, Item]:
        """Return all items that name this pool, by sub."""
        found = [
            item
            for item in scan(self.aws, self.table).values()
            if item.get("cognito_user_pool_id") == {"S": self.pool.id}
        ]
        return {item["PK" if self.table == SINGLE_TABLE else "id"]["S"].removeprefix("USER#"): item for item in found}

    def make_user(self, username: str) -> None:
        """Create a user as an administrator, which invokes no trigger."""
        made = self.pool.cognito.admin_create_user(
            UserPoolId=self.pool.id,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": f"{username}@Example.com"}],
        )
        attributes = {each["Name"]: each["Value"] for each in made["User"]["Attributes"]}
        self.usernames[attributes["sub"]] = username

    def change_user(self, sub: str, **attributes: str) -> None:
        self.pool.cognito.admin_update_user_attributes(
            UserPoolId=self.pool.id,
            Username=self.usernames[sub],
            UserAttributes=[{"Name": name.replace("__", ":"), "Value": value} for name, value in attributes.items()],
        )

    def delete_user(self, sub: str) -> None:
        self.pool.cognito.admin_delete_user(UserPoolId=self.pool.id, Username=self.usernames.pop(sub))
        self.deleted.add(sub)


def key_in(table: str, sub: str) -> Item:
    return {"PK": {"S": f"USER#{sub}"}, "SK": {"S": "PROFILE"}} if table == SINGLE_TABLE else {"id": {"S": sub}}


def scan(aws: LocalAws, table: str) -> dict[str, Item]:
    """Return all items by key."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return {name_of(item): item for page in pages for item in page["Items"]}


def name_of(item: Item) -> str:
    """Return the key of an item as one text."""
    return " ".join(item[name]["S"] for name in ("PK", "SK", "id") if name in item)


def foreign(table: str, items: Mapping[str, Item]) -> dict[str, Item]:
    """Return the attributes of other writers than this module. Items with no attribute but the key are left out."""
    keys = {"PK", "SK", "id"}
    parts = {
        key: {name: value for name, value in item.items() if name not in OURS[table]} for key, item in items.items()
    }
    return {key: part for key, part in parts.items() if part.keys() - keys}


# --- the application


def create_table(aws: LocalAws, name: str, keys: list[str], indexes: Mapping[str, list[str]]) -> None:
    def schema(names: list[str]) -> list[dict[str, str]]:
        return [{"AttributeName": each, "KeyType": kind} for each, kind in zip(names, ("HASH", "RANGE"), strict=False)]

    defined = sorted({*keys, *(each for names in indexes.values() for each in names)})
    aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in defined],
        KeySchema=schema(keys),
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": schema(names), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, names in indexes.items()
        ],
    )


def application_writes(aws: LocalAws, table: str, sub: str) -> None:
    """Put an item of the application for a user, with attributes that have the names of this module's."""
    in_every_table = {
        "status": {"N": "3"},
        "enabled": {"S": "since Monday"},
        "username": {"SS": ["a", "b"]},
        "email": {"S": "theirs"},
        "user_pool_id": {"NULL": True},
        "shard": {"N": "7"},
        "deleted_at": {"S": "2020-01-01"},
        "expires_at": {"N": "99999999999"},
        "avatar": {"B": b"\x00\xff"},
        "settings": {"M": {"theme": {"S": ""}, "sizes": {"L": [{"N": "1.50"}, {"BOOL": False}]}}},
    }
    of_appsync = {"_version": {"N": "2"}, "emailAddress": {"S": "earlier"}, "updatedAt": {"S": "earlier"}}
    aws.client("dynamodb").put_item(
        TableName=table,
        Item={**key_in(table, sub), **in_every_table, **(of_appsync if table == APPSYNC else {})},
    )


def application_items_of_no_user(aws: LocalAws, subs: list[str]) -> None:
    dynamodb = aws.client("dynamodb")
    for sub in subs[:5]:
        order = {"PK": {"S": f"USER#{sub}"}, "SK": {"S": "ORDER#1"}, "total": {"N": "12.30"}}
        dynamodb.put_item(TableName=SINGLE_TABLE, Item=order | {"GSI1PK": {"S": "ORDERS"}, "GSI1SK": {"S": sub}})
    dynamodb.put_item(TableName=SINGLE_TABLE, Item={"PK": {"S": "ORG#1"}, "SK": {"S": "PROFILE"}})
    dynamodb.put_item(TableName=APPSYNC, Item={"id": {"S": "not a user"}, "__typename": {"S": "User"}})


# --- the deployments


@pytest.fixture(scope="module")
def synced_pools(aws: LocalAws) -> dict[str, SyncedPool]:
    create_table(
        aws,
        SINGLE_TABLE,
        ["PK", "SK"],
        {"GSI1": ["GSI1PK", "GSI1SK"], "by_shard": ["cognito_shard", "PK"]},
    )
    create_table(aws, APPSYNC, ["id"], {"by_shard": ["cognito_shard", "id"]})
    found = {}
    for name, table in (("single-a", SINGLE_TABLE), ("single-b", SINGLE_TABLE), ("appsync", APPSYNC)):
        pool = make_pool(aws)
        found[name] = SyncedPool(aws, pool, name, table, make_users(pool, USERS))
        for sub in list(found[name].usernames)[::2]:
            application_writes(aws, table, sub)
    application_items_of_no_user(aws, list(found["single-a"].usernames))
    return found


@pytest.fixture(scope="module")
def before(aws: LocalAws, synced_pools: dict[str, SyncedPool]) -> dict[str, dict[str, Item]]:
    """The items of the tables before this module is applied."""
    return {table: scan(aws, table) for table in OURS}


@pytest.fixture(scope="module")
def pools_before(synced_pools: dict[str, SyncedPool]) -> dict[str, dict[str, Any]]:
    return {name: synced.pool.configuration() for name, synced in synced_pools.items()}


@pytest.fixture(scope="module")
def terraform(
    aws: LocalAws,
    synced_pools: dict[str, SyncedPool],
    before: dict[str, dict[str, Item]],
    pools_before: dict[str, dict[str, Any]],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[Terraform]:
    """Apply the deployments. Returns Terraform in the folder of each."""
    aws.client("s3").create_bucket(Bucket=CODE_BUCKET)
    runs = []
    for name, synced in synced_pools.items():
        folder = tmp_path_factory.mktemp(name).resolve()
        (folder / "main.tf").write_text(module_call(folder, synced))
        runs.append(Terraform(folder, folder / "data", folder / "terraform.tfstate"))
        runs[-1]("init")
    in_all(runs, "apply")
    for synced, run in zip(synced_pools.values(), runs, strict=True):
        synced.outputs = run.outputs()["user_sync"]
    return runs


def in_all(runs: list[Terraform], command: str, *arguments: str) -> None:
    """Run a command for all deployments at the same time, because most of its time is waiting for queues."""
    with ThreadPoolExecutor(len(runs)) as threads:
        list(threads.map(lambda run: run(command, "-auto-approve", *arguments), runs))


def module_call(folder: Path, synced: SyncedPool) -> str:
    """Return the block of the page, with the other arguments of a deployment."""
    block = BLOCKS["appsync" if synced.table == APPSYNC else "single table"]
    stream = synced.aws.client("dynamodb").describe_table(TableName=synced.table)["Table"]["LatestStreamArn"]
    user_events = {"event_bus_arn": EVENT_BUS, "stream_arn": stream} if synced.name == "single-a" else None
    return f"""
module "user_sync" {{
  source        = "{os.path.relpath(ROOT, folder)}"
  user_pool_id  = "{synced.pool.id}"
  name          = "{synced.name}"
  stage         = "test"
  track_changes = {json.dumps(synced.name != "single-b")}
  alarms        = {json.dumps(NO_ALARMS)}
  user_events   = {json.dumps(user_events)}
  # The provider creates one function at a time from local files.
  lambda        = {{ code_bucket = "{CODE_BUCKET}" }}

{block}
}}

output "user_sync" {{
  value = module.user_sync
}}
"""


@pytest.fixture(autouse=True)
def applied(terraform: list[Terraform]) -> None:
    pass


@pytest.fixture(autouse=True)
def application_data_is_unchanged(aws: LocalAws, applied: None, before: dict[str, dict[str, Item]]) -> Iterator[None]:
    """Check after each test. A test in which the application writes adds that to `before`."""
    yield
    for table, items in before.items():
        assert foreign(table, scan(aws, table)) == foreign(table, items)


# --- the tests


def test_shape_of_the_modules_own_table_is_deployed() -> None:
    """test_main_job.py and test_every_user.py deploy this shape."""
    (call,) = hcl2.loads((DEPLOYMENT / "main.tf").read_text())["module"]
    shown = hcl2.loads(BLOCKS["own"])
    (deployed,) = call.values()
    assert deployed["attributes"] == shown["attributes"]
    assert deployed["table"] == {**shown["table"], "deletion_protection": False}


def test_first_run_is_a_dry_run(
    aws: LocalAws, synced_pools: dict[str, SyncedPool], before: dict[str, dict[str, Item]], tmp_path: Path
) -> None:
    for synced in synced_pools.values():
        first = synced.outputs["first_run"]
        assert first["dry_run"] is True
        ended = synced.deployed.ended(first["execution_arn"])
        assert ended["status"] == "SUCCEEDED", ended
        assert CANARY not in ended["output"]
        summary = json.loads(ended["output"])
        # An item counts as updated if the application has written attributes with this module's names.
        updated = USERS // 2 if synced.table == APPSYNC else 0
        counts = {name: summary[name] for name in ("listed", "created", "updated", "other_pool", "deleted")}
        assert counts == {
            "listed": USERS,
            "created": USERS - updated,
            "updated": updated,
            "other_pool": 0,
            "deleted": 0,
        }
        assert summary["dry_run"] is True
        examples = summary["examples"]
        assert len(examples) == 10
        for example in examples:
            assert example["sub"] in synced.usernames
            assert {*example["adds"], *example["replaces"]} <= OURS[synced.table]
            assert example["removes"] == []
            assert example["replaces"] in ([], ["emailAddress", "updatedAt"])
    assert {table: scan(aws, table) for table in before} == before

    operator = Operator.of(synced_pools["appsync"].deployed, tmp_path)
    output = operator("status", expect=1)
    assert "the last reconciliation was a dry run and wrote nothing" in output
    assert "emailAddress" in output
    schedules = aws.client("scheduler")
    given = schedules.get_schedule(Name="appsync-test-reconciliation")["Target"]["Input"]
    assert json.loads(given) == {"dry_run": True}


def test_run_of_the_operator_writes_every_user(synced_pools: dict[str, SyncedPool], tmp_path: Path) -> None:
    for synced in synced_pools.values():
        operator = Operator.of(synced.deployed, tmp_path)
        operator("reconcile")
        operator("status")
        found = synced.items()
        assert {sub: item["cognito_username"]["S"] for sub, item in found.items()} == synced.usernames


@pytest.mark.parametrize("name", ["single-a", "appsync"])
def test_user_of_shape_is_synced_from_sign_up_to_deletion(
    aws: LocalAws, synced_pools: dict[str, SyncedPool], before: dict[str, dict[str, Item]], username: str, name: str
) -> None:
    synced = synced_pools[name]
    email = f"{username.title()}@Example.com"
    sub = synced.pool.sign_up(username, email=email, custom__plan="gold")
    synced.usernames[sub] = username
    # The application writes before this module.
    application_writes(aws, synced.table, sub)
    own = synced.item(sub) or {}
    before[synced.table][name_of(own)] = own
    synced.pool.confirm(username)
    (execution,) = synced.deployed.settled(sub)
    assert execution["status"] == "SUCCEEDED", execution
    assert written(synced, sub) == expected(synced, sub, username, email=email, custom__plan="gold")

    if synced.table == SINGLE_TABLE:
        answer = aws.client("dynamodb").query(
            TableName=SINGLE_TABLE,
            IndexName="GSI1",
            KeyConditionExpression="GSI1PK = :email",
            ExpressionAttributeValues={":email": {"S": f"EMAIL#{email.lower()}"}},
        )
        assert [item["PK"]["S"] for item in answer["Items"]] == [f"USER#{sub}"]

    synced.change_user(sub, name="Ada", email=f"{username}@example.org")
    ada = expected(synced, sub, username, name="Ada", email=f"{username}@example.org", custom__plan="gold")
    eventually(lambda: written(synced, sub) == ada)
    synced.pool.cognito.admin_delete_user_attributes(
        UserPoolId=synced.pool.id, Username=username, UserAttributeNames=["custom:plan"]
    )
    ada = expected(synced, sub, username, name="Ada", email=f"{username}@example.org")
    eventually(lambda: written(synced, sub) == ada)

    run = synced.deployed.reconcile()
    assert run["status"] == "SUCCEEDED", run
    assert (run["summary"]["unchanged"], run["summary"]["updated"]) == (USERS + 1, 0)

    synced.delete_user(sub)
    eventually(lambda: "cognito_deleted_at" in (synced.item(sub) or {}))
    if synced.table == SINGLE_TABLE:
        assert_tombstone(synced, sub, own)
    else:
        marked = written(synced, sub)
        assert marked.pop("cognito_deleted_at")["S"] > "2020"
        marks = {"cognito_status": {"S": "DELETED"}, "cognito_enabled": {"BOOL": False}}
        assert marked == {key: value for key, value in (ada | marks).items() if key != "cognito_shard"}


TIMES = {
    *("cognito_observed_at", "cognito_synced_at", "cognito_cognito_created_at", "cognito_cognito_modified_at"),
    *("createdAt", "updatedAt"),
}


def written(synced: SyncedPool, sub: str) -> dict[str, Any]:
    """Return what this module wrote to an item, without times and the key."""
    ours = OURS[synced.table]
    return {name: value for name, value in (synced.item(sub) or {}).items() if name in ours - TIMES}


def expected(synced: SyncedPool, sub: str, username: str, **attributes: str) -> dict[str, Any]:
    of_user = {name.replace("__", ":"): value for name, value in attributes.items()}
    if synced.table == SINGLE_TABLE:
        item = {f"cognito_{name}": value for name, value in of_user.items()} | {
            "entity": "User",
            "GSI1PK": f"EMAIL#{of_user['email'].lower()}",
            "GSI1SK": f"USER#{sub}",
        }
    else:
        names = {"name": "name", "email": "emailAddress", "custom:plan": "plan"}
        item = {names[name]: value for name, value in of_user.items()} | {
            "__typename": "User",
            "owner": f"{sub}::{username}",
        }
    item |= {"cognito_username": username, "cognito_status": "CONFIRMED"}
    created_at = {"createdAt"} if synced.table == APPSYNC else {"cognito_cognito_created_at"}
    synced_attributes = {*item, "cognito_enabled", "cognito_cognito_modified_at", *created_at}
    item |= {"cognito_user_pool_id": synced.pool.id, "cognito_shard": f"{synced.pool.id}#{sub[0]}"}
    return {
        **{name: {"S": value} for name, value in item.items()},
        "cognito_enabled": {"BOOL": True},
        "cognito_synced_attributes": {"SS": sorted(synced_attributes)},
    }


def assert_tombstone(synced: SyncedPool, sub: str, own: Item) -> None:
    """Fails the test unless the item has the application's attributes (`own`) and the deletion only."""
    item = synced.item(sub) or {}
    assert item.pop("cognito_deleted_at")["S"] > "2020"
    assert item == {**synced.key(sub), **own, "cognito_user_pool_id": {"S": synced.pool.id}}


def test_two_pools_on_one_table_stay_apart_under_faults(
    aws: LocalAws, synced_pools: dict[str, SyncedPool], before: dict[str, dict[str, Item]]
) -> None:
    """Users are created, changed and deleted between ten runs of both reconciliations at the same time."""
    a_and_b = [synced_pools["single-a"], synced_pools["single-b"]]
    # Only the reconciliation syncs the changes.
    aws.client("events").disable_rule(Name="single-a-test-changes")
    aws.set_faults(FAULTS)
    try:
        for number in range(ROUNDS):
            for synced in a_and_b:
                for sub in sorted(synced.usernames)[:2]:
                    synced.delete_user(sub)
                # Both pools have users of these names.
                for index in range(2):
                    synced.make_user(f"{CANARY}-round-{number}-{index}")
                for sub in sorted(synced.usernames)[:2]:
                    synced.change_user(sub, name=f"Ada {number}")
            with ThreadPoolExecutor() as threads:
                runs = list(threads.map(lambda synced: synced.deployed.reconcile(), a_and_b))
            for synced, run in zip(a_and_b, runs, strict=True):
                assert run["status"] == "SUCCEEDED", run
                assert run["summary"]["deletion_check_skipped"] is None
                assert_items_of_pool(synced, before)
            assert foreign(SINGLE_TABLE, scan(aws, SINGLE_TABLE)) == foreign(SINGLE_TABLE, before[SINGLE_TABLE])
    finally:
        fired = aws.faults()
        aws.clear_faults()
    assert all(rule["fired"] for rule in fired), fired


def assert_items_of_pool(synced: SyncedPool, before: dict[str, dict[str, Item]]) -> None:
    found = synced.items()
    active = {sub: item for sub, item in found.items() if "cognito_deleted_at" not in item}
    assert {sub: item["cognito_username"]["S"] for sub, item in active.items()} == synced.usernames
    assert found.keys() - active.keys() == synced.deleted
    for sub in synced.deleted:
        own = before[synced.table].get(name_of(synced.key(sub)), {})
        assert_tombstone(synced, sub, {name: value for name, value in own.items() if name not in OURS[synced.table]})


def test_events_tell_which_users_of_the_pool_exist(aws: LocalAws, synced_pools: dict[str, SyncedPool]) -> None:
    """After the tests above: events of the first pool only, although the stream has the items of another pool, too."""
    synced = synced_pools["single-a"]
    pools = {each.pool.id for each in synced_pools.values()}

    def events() -> list[dict[str, Any]]:
        details = map(json.loads, aws.data()["events of cognito-user-sync"])
        return sorted((each for each in details if each["user_pool_id"] in pools), key=lambda each: each["sequence"])

    def existing() -> set[str]:
        return {
            sub for sub, reason in {each["sub"]: each["reason"] for each in events()}.items() if reason != "deleted"
        }

    eventually(lambda: existing() == synced.usernames.keys())
    assert {each["user_pool_id"] for each in events()} == {synced.pool.id}
    by_id = {each["id"]: each for each in events()}
    counts = Counter(each["reason"] for each in by_id.values())
    assert counts["deleted"] == len(synced.deleted)
    assert counts["new"] == len(synced.deleted) + len(synced.usernames)
    changed = {tuple(each["changed"]) for each in by_id.values() if each["reason"] == "attributes"}
    assert changed == {("custom:plan",), ("email", "name"), ("name",)}


def test_destroy_leaves_tables_and_pools(
    aws: LocalAws,
    terraform: list[Terraform],
    synced_pools: dict[str, SyncedPool],
    pools_before: dict[str, dict[str, Any]],
) -> None:
    """It also leaves the attributes that this module wrote."""
    left = {table: scan(aws, table) for table in OURS}
    in_all(terraform, "destroy", "-refresh=false")
    assert {table: scan(aws, table) for table in OURS} == left
    assert {name: synced.pool.configuration() for name, synced in synced_pools.items()} == pools_before
